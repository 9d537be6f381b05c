import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Caller, Principal } from '../model/caller.ts'
import type { Hold } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import { believed, isUnavailable, type Desk } from './desk.ts'
import { isDistrust } from './distrust.ts'

/** An approved action that is to run without its client, with what was kept of the request. */
export interface KeptAction {
  readonly hold: Hold
  /** The requester, in the groups they were last seen in. */
  readonly caller: Caller
  readonly request: Uint8Array
}

/** Runs it once, through the gate, as an attempt that names its hold and waits for nothing. Rejects as the gate does. */
export type RunKept = (kept: KeptAction, signal: AbortSignal) => Promise<void>

export interface Unattended extends AsyncDisposable {
  /** Waits for what runs, `graceMs` at most. Nothing new begins once approvals drain. */
  drain(graceMs: number): Promise<void>
}

export interface UnattendedTiming {
  /** How long after its approval a client that waits has to take its action itself. */
  readonly graceMs: number
  /** So long after the approval the sign of a waiting client counts for nothing any more: it would have run by now. */
  readonly patienceMs: number
  /** How much later each next replica tries. Order, and no more: the store lets one of them spend. */
  readonly staggerMs: number
  readonly sweepMs: number
}

const usual: UnattendedTiming = { graceMs: 1_000, patienceMs: 15_000, staggerMs: 1_000, sweepMs: 5_000 }

const tickMs = 50
const atOnce = 8
const lookedAtOnce = 32
const maxPlanned = 20_000
/** A replica beats once a second. */
const aliveMs = 3_000
const lastWordsMs = 5_000

interface Plan {
  readonly at: number
  /** The replicas before this one have had their time. */
  readonly turn: boolean
}

/**
 * Approved actions whose rules say `run: when-approved`, of clients that went away. What is approved is heard from the changes of the store and,
 * after a restart or a lost change, found by a sweep. Every replica does this; the spend decides which one runs it, so a replica that
 * dies before it spends takes nothing with it, and one that dies after it leaves the hold to the rules for all.
 */
export const makeUnattended = (desk: Desk, run: RunKept, timing: UnattendedTiming = usual): Unattended => {
  const { ledger, store, warn } = desk
  const closing = new AbortController()
  const planned = new Map<string, Plan>()
  const running = new Map<string, Promise<void>>()

  const plan = (id: string, inMs: number, turn = false): void => {
    if (!planned.has(id) && !running.has(id) && planned.size < maxPlanned) planned.set(id, { at: performance.now() + inMs, turn })
  }

  // Whose client waits here takes it; the sweep comes back if it does not, and finds what is missed here.
  desk.news.hear(({ id, state }) => { if (state === 'approved' && !desk.room.attends(id)) plan(id, timing.graceMs) }, closing.signal)

  const sweep = async (): Promise<void> => {
    for (let after: string | undefined; !closing.signal.aborted; ) {
      const page = await store.list({ states: ['approved'], limit: 200, ...(after === undefined ? {} : { after }) })
      for (const entry of page.entries) {
        if (desk.room.attends(entry.id)) continue
        const hold = await believed(ledger, entry)
        if (hold && runsAlone(hold)) plan(hold.id, timing.graceMs)
      }
      if (page.next === undefined) return
      after = page.next
    }
  }

  const sweeping = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await sweep().catch((error: unknown) => { if (!isUnavailable(error)) warn('the sweep over approved holds failed', { cause: error }) })
      await pause(timing.sweepMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  const ticking = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await pause(tickMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      const now = performance.now()
      const due: [string, Plan][] = []
      for (const [id, { at, turn }] of planned) if (at <= now && due.push([id, { at, turn }]) === lookedAtOnce) break
      for (const [id] of due) planned.delete(id)
      await Promise.all(due.map(([id, { turn }]) => consider(id, turn).catch((error: unknown) => { if (!isUnavailable(error)) warn('an approved hold could not be looked at', { hold: id, cause: error }) })))
    }
  }

  const consider = async (id: string, turn: boolean): Promise<void> => {
    if (desk.isDraining() || closing.signal.aborted) return
    const hold = await ledger.read(id)
    if (!runsAlone(hold)) return
    const now = await desk.now()
    if (now > (hold.runBy ?? hold.deadline)) return
    const age = now - Math.max(...hold.votes.map(({ at }) => at))
    if (age < timing.patienceMs && (await store.attended([id], aliveMs)).has(id)) return plan(id, timing.graceMs, turn)
    const before = turn ? 0 : await replicasBefore(id)
    if (before > 0) return plan(id, before * timing.staggerMs, true)
    if (running.size >= atOnce) return plan(id, 250, true)
    if (!running.has(id)) running.set(id, take(hold).finally(() => running.delete(id)))
  }

  /** An order of the living replicas that all of them agree on, another one for each hold. */
  const replicasBefore = async (id: string): Promise<number> => {
    const [seen, now] = [await store.replicas(), await desk.now()]
    const rank = (name: string): string => createHash('sha256').update(`${id}\n${name}`).digest('hex')
    const own = rank(desk.options.replica)
    return [...seen].filter(([name, at]) => name !== desk.options.replica && now - at < aliveMs && rank(name) < own).length
  }

  /** Never rejects. */
  const take = async (hold: Hold): Promise<void> => {
    try {
      const request = await ledger.attachment(hold, 'request')
      if (request === undefined) throw new Refusal('hold-changed', 'NOT EXECUTED. The request is not kept any more.', { hold })
      await run({ hold, caller: asLastSeen(desk, hold), request }, closing.signal)
    } catch (error) {
      if (passes(error)) return // the sweep comes back to it
      warn('an approved action did not run without its caller', { hold: hold.id, cause: error })
      await leaveToCaller(hold.id).catch((cause: unknown) => { if (!isUnavailable(cause)) warn('a hold could not be left to its caller', { hold: hold.id, cause }) })
    }
  }

  /** Still approved, and not tried again by any replica: what stands against it does not pass by itself. */
  const leaveToCaller = async (id: string): Promise<void> => {
    const hold = await ledger.read(id)
    if (runsAlone(hold)) await ledger.write({ ...hold, awaitsCaller: true, revision: hold.revision + 1 })
  }

  const settled = async (withinMs: number): Promise<void> => {
    const timer = new AbortController()
    await Promise.race([Promise.all(running.values()), pause(withinMs, undefined, { signal: timer.signal }).catch(() => {})])
    timer.abort()
  }

  const loops = [sweeping(), ticking()]
  return {
    drain: settled,
    async [Symbol.asyncDispose]() {
      closing.abort()
      await Promise.all(loops)
      await settled(lastWordsMs)
    },
  }
}

const runsAlone = (hold: Hold | undefined): hold is Hold => hold?.state === 'approved' && hold.terms.run === 'when-approved' && hold.awaitsCaller !== true

/** Nobody comes with a token: of who they are, what was said when they asked is believed, unless they have been seen since. */
const asLastSeen = ({ people }: Desk, { caller, openedAt }: Hold): Caller => {
  const seen = (principal: Principal): Pick<Principal, 'kind' | 'groups'> => {
    const { kind, groups } = people.current(principal, openedAt)
    return { kind, groups }
  }
  return { ...caller, ...seen(caller), onBehalfOf: caller.onBehalfOf.map((principal) => ({ ...principal, ...seen(principal) })) }
}

const passing: ReadonlySet<string> = new Set(['store-unavailable', 'journal-unavailable', 'record-unconfirmed', 'identity-unavailable', 'draining'])

const passes = (error: unknown): boolean => error instanceof Refusal && passing.has(error.code) && !isDistrust(error)
