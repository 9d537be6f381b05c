import { setTimeout as pause } from 'node:timers/promises'
import { isOpen, type Hold } from '../model/hold.ts'
import { believed, endOf, expire, holdSubject, isPastReplay, isUnavailable, type Desk } from './desk.ts'
import { isDistrust } from './distrust.ts'
import { escalatedTo, marksOf, nextMark } from './marks.ts'
import { next } from './settle.ts'
import { close } from './spend.ts'

export interface Timekeeper extends AsyncDisposable {
  readonly later: Desk['later']
}

const sweepMs = 400
const dueAtOnce = 500
const goneLookMs = 10_000
const maxLater = 10_000

/** How long a replica may be silent before what it was running counts as lost. */
export const goneAfterMs = 60_000

/** What happens without anybody asking: deadlines, the end of replay windows, replicas that never came back, and writes that the store missed. */
export const makeTimekeeper = (desk: () => Desk): Timekeeper => {
  const closing = new AbortController()
  const missed: { readonly what: string; readonly step: () => Promise<void> }[] = []
  let lookedForGone = performance.now()

  const sweep = async (): Promise<void> => {
    for (const entry of await desk().store.due(dueAtOnce)) {
      if (closing.signal.aborted) return
      try {
        const hold = await desk().ledger.believe(entry)
        await move(desk(), hold)
      } catch (error) {
        if (isUnavailable(error) && !isDistrust(error)) throw error // a record that is not believed has been reported; the others go on
      }
    }
  }

  const catchUp = async (): Promise<void> => {
    for (let left = missed.length; left > 0; left--) {
      const { what, step } = missed.shift()!
      try {
        await step()
      } catch (error) {
        if (!isUnavailable(error) || isDistrust(error)) desk().warn(`could not ${what}`, { cause: error })
        else {
          missed.push({ what, step })
          return
        }
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await pause(sweepMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      if (closing.signal.aborted) return
      try {
        await sweep()
        await catchUp()
        if (performance.now() - lookedForGone > goneLookMs) {
          lookedForGone = performance.now()
          await closeGone(desk())
        }
      } catch (error) {
        if (!isUnavailable(error)) desk().warn('the sweep over holds failed', { cause: error })
      }
    }
  }
  const running = run()

  return {
    later(what, step) {
      if (missed.length >= maxLater) return desk().warn(`will not ${what}: too much is waiting for the store`, {})
      missed.push({ what, step })
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await running
      await catchUp()
    },
  }
}

/** What time alone has brought about, one thing at a time; the sweep comes back for the next. */
const move = async (desk: Desk, hold: Hold): Promise<void> => {
  const now = await desk.now()
  if (isOpen(hold.state) && now > endOf(hold)) return void (await expire(desk, hold))
  const due = nextMark(hold)
  if (due !== undefined && due.at <= now) return await mark(desk, hold, due, now)
  if (!isOpen(hold.state) && hold.state !== 'running') await lapse(desk, hold)
}

/** Said once for all replicas: who writes it records it. */
const mark = async (desk: Desk, hold: Hold, due: NonNullable<ReturnType<typeof nextMark>>, now: number): Promise<void> => {
  const marked = next(hold, { marks: [...marksOf(hold), due] })
  if ((await desk.ledger.write(marked, {}, isPastReplay(desk, hold, now))) !== 'replaced') return
  if (due.what === 'review-overdue') return await desk.record({ type: 'review-overdue', deadline: due.at, ...holdSubject(hold) }, 'synced')
  await desk.record({ type: 'hold-escalated', to: escalatedTo(hold, due.at), ...holdSubject(hold) }, 'written')
}

/** After the replay window no repeat may find the hold any more. */
const lapse = async ({ ledger }: Desk, hold: Hold): Promise<void> => {
  await ledger.write({ ...hold, revision: hold.revision + 1 }, {}, true)
}

/** What a replica was running when it fell silent for good has an unknown end. It is never run again. */
export const closeGone = async (desk: Desk): Promise<void> => {
  const { store, options, record } = desk
  const [replicas, now] = [await store.replicas(), await desk.now()]
  const isGone = (hold: Hold): boolean => {
    const { spent } = hold
    if (spent === undefined || spent.replica === options.replica) return false
    return now - Math.max(spent.at, replicas.get(spent.replica) ?? 0) > goneAfterMs
  }
  for await (const hold of runningHolds(desk)) {
    if (!isGone(hold)) continue
    const closed = await close(desk, hold, { result: 'unknown', ms: 0, cause: `replica ${hold.spent?.replica} has been gone for long` })
    if (closed) await record({ type: 'outcome-unknown', attempt: hold.spent?.attempt ?? '', hold: hold.id, digest: hold.action.digest }, 'synced')
  }
}

/** Skips records that are not believed; those have been reported. */
export const runningHolds = async function* ({ store, ledger }: Desk): AsyncGenerator<Hold> {
  for (let after: string | undefined; ; ) {
    const page = await store.list({ states: ['running'], limit: 200, ...(after === undefined ? {} : { after }) })
    for (const entry of page.entries) {
      const hold = await believed(ledger, entry)
      if (hold?.state === 'running') yield hold
    }
    if (page.next === undefined) return
    after = page.next
  }
}

