import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import type { Hold } from '../model/hold.ts'
import type { News } from './changes.ts'
import type { HoldStore } from './hold-store.ts'
import type { Ledger } from './ledger.ts'
import { callerKey } from './seal.ts'
import { makeTurnstile } from './turnstile.ts'

export type WaitEnd = { readonly end: 'hold'; readonly hold: Hold } | { readonly end: 'budget' | 'left' | 'drained' } | { readonly end: 'failed'; readonly error: unknown }

interface Waiter {
  readonly enough: (hold: Hold) => boolean
  readonly finish: (end: WaitEnd) => void
}

interface Group {
  /** As it was when somebody looked last. */
  hold: Hold
  readonly waiters: Set<Waiter>
}

/** Everybody who waits at this process. */
export interface WaitingRoom extends AsyncDisposable {
  readonly size: () => number
  /** How many of them belong to the requester of this hold. */
  readonly sizeFor: (hold: Hold) => number
  /** Whether somebody waits here for this hold. */
  attends(id: string): boolean
  /** What this hold was let go for has ended, or will not run: the next may go. */
  ended(id: string): void
  /** Until this step is over nobody who waits here learns of this hold: what comes of a step goes on record after the step itself. */
  keepStill<T>(id: string, step: () => Promise<T>): Promise<T>
  /** Waits from the given revision on for a hold that is enough. */
  wait(hold: Hold, enough: (hold: Hold) => boolean, budgetMs: number, signal: AbortSignal): Promise<WaitEnd>
  /** Sends everybody away now, and whoever comes later. */
  drain(): void
}

const slice = 200
const readsAtOnce = 64
const looksAtOnce = 1_000
const longestTimer = 2 ** 31 - 1

/**
 * One reader of the store's changes wakes all. A lost change costs time and nothing else: every waiter's hold is looked at when it comes in
 * and again every few seconds, a thousand a query. Many that wake at once are let go in slices, and approved ones at the pace at which they run, so that the loop stays free.
 */
export const makeWaitingRoom = (store: HoldStore, ledger: Ledger, news: News, replica: string, timing: { readonly lookMs: number; readonly beatMs: number } = { lookMs: 500, beatMs: 1_000 }): WaitingRoom => {
  const groups = new Map<string, Group>()
  const turnstile = makeTurnstile()
  const closing = new AbortController()
  const unseen = new Set<string>()
  const woken = new Set<string>()
  /** Steps under way, by hold. */
  const still = new Map<string, number>()
  const arrived = new Set<string>()
  const left = new Set<string>()
  let count = 0
  const perCaller = new Map<string, number>()
  let drained = false
  let fresh = true
  let pumping: Promise<void> | undefined
  let listening = false
  let round: string[] = []

  const wake = (id: string): void => {
    woken.add(id)
    pumping ??= pump().finally(() => { pumping = undefined })
  }

  const pump = async (): Promise<void> => {
    while (woken.size > 0) {
      await turn()
      const free = turnstile.free()
      if (free === 0) {
        await turnstile.more()
        continue
      }
      const ids = first(woken, Math.min(readsAtOnce, free))
      for (const id of ids) woken.delete(id)
      await serve(ids.flatMap((id) => groups.get(id) ?? []))
    }
  }

  const serve = async (looked: readonly Group[]): Promise<void> => {
    const found = await ledger.latest(looked.map(({ hold }) => hold)).catch((error: unknown) => looked.map(() => error as Error))
    for (const [at, group] of looked.entries()) {
      if (still.has(group.hold.id)) continue // looked at when the step is over
      const hold = found[at] ?? new Error('the record of the hold is gone')
      if (hold instanceof Error) {
        if (isPassing(hold)) unseen.add(group.hold.id) // looked at again when the store is back
        else await release(group, (waiter) => waiter.finish({ end: 'failed', error: hold }))
      } else {
        if (hold.revision > group.hold.revision) group.hold = hold
        if (hold.state === 'approved') turnstile.enter(hold.id)
        await release(group, (waiter) => { if (waiter.enough(hold)) waiter.finish({ end: 'hold', hold }) })
      }
    }
  }

  const release = async (group: Group, tell: (waiter: Waiter) => void): Promise<void> => {
    let told = 0
    for (const waiter of group.waiters) {
      if (!group.waiters.has(waiter)) continue
      tell(waiter)
      if (++told % slice === 0) await turn()
    }
  }

  const look = async (ids: readonly string[]): Promise<void> => {
    const revisions = await store.revisions(ids)
    for (const [at, id] of ids.entries()) {
      const group = groups.get(id)
      if (group !== undefined && revisions[at] !== group.hold.revision) wake(id)
    }
  }

  /** New ones at once, all others in turn. */
  const lookAround = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await pause(unseen.size > 0 ? 50 : timing.lookMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      if (groups.size === 0 || closing.signal.aborted) continue
      if (unseen.size === 0 && round.length === 0) round = [...groups.keys()]
      const ids = unseen.size > 0 ? first(unseen, looksAtOnce) : round.splice(0, looksAtOnce)
      for (const id of ids) unseen.delete(id)
      await look(ids).catch(() => { for (const id of ids) unseen.add(id) })
      if (unseen.size > 0 && ids.length > 0) await pause(50, undefined, { ref: false })
    }
  }

  const beat = async (): Promise<void> => {
    let next = 0
    while (!closing.signal.aborted) {
      await pause(100, undefined, { signal: closing.signal, ref: false }).catch(() => {})
      if (closing.signal.aborted || (arrived.size + left.size === 0 && performance.now() < next)) continue
      next = performance.now() + timing.beatMs
      const news = { arrived: fresh ? [...groups.keys()] : [...arrived], left: fresh ? [] : [...left], fresh }
      arrived.clear()
      left.clear()
      fresh = false
      await store.beat(replica, news).catch(() => { fresh = true })
    }
  }
  const loops = [lookAround(), beat()]

  const enter = (hold: Hold, waiter: Waiter): void => {
    const { id } = hold
    const group = groups.get(id) ?? { hold, waiters: new Set() }
    if (group.waiters.size === 0) {
      arrived.add(id)
      left.delete(id)
    }
    group.waiters.add(waiter)
    groups.set(id, group)
    unseen.add(id)
    count++
    const caller = callerKey(hold.caller)
    perCaller.set(caller, (perCaller.get(caller) ?? 0) + 1)
    if (!listening) news.hear(({ id: changed }) => { if (groups.has(changed)) wake(changed) }, closing.signal)
    listening = true
  }

  const leave = (id: string, waiter: Waiter): void => {
    const group = groups.get(id)
    if (group === undefined || !group.waiters.delete(waiter)) return
    count--
    const caller = callerKey(group.hold.caller)
    const rest = (perCaller.get(caller) ?? 1) - 1
    if (rest > 0) perCaller.set(caller, rest)
    else perCaller.delete(caller)
    if (group.waiters.size > 0) return
    groups.delete(id)
    unseen.delete(id)
    if (!arrived.delete(id)) left.add(id)
  }

  const wait: WaitingRoom['wait'] = (hold, enough, budgetMs, signal) =>
    new Promise((resolve) => {
      if (drained) return resolve({ end: 'drained' })
      if (signal.aborted) return resolve({ end: 'left' })
      const finish = (end: WaitEnd): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', gone)
        leave(hold.id, waiter)
        resolve(end)
      }
      const waiter: Waiter = { enough, finish }
      const gone = (): void => finish({ end: 'left' })
      const timer = setTimeout(() => finish({ end: 'budget' }), Math.min(budgetMs, longestTimer))
      signal.addEventListener('abort', gone, { once: true })
      enter(hold, waiter)
    })

  const sendAway = async (): Promise<void> => {
    for (const group of groups.values()) {
      await release(group, (waiter) => waiter.finish({ end: 'drained' }))
      await turn()
    }
  }

  const keepStill: WaitingRoom['keepStill'] = async (id, step) => {
    still.set(id, (still.get(id) ?? 0) + 1)
    try {
      return await step()
    } finally {
      const others = (still.get(id) ?? 1) - 1
      if (others > 0) still.set(id, others)
      else still.delete(id)
      if (groups.has(id)) wake(id)
    }
  }

  return {
    size: () => count,
    sizeFor: (hold) => perCaller.get(callerKey(hold.caller)) ?? 0,
    keepStill,
    attends: (id) => groups.has(id),
    ended: turnstile.leave,
    wait,
    drain() {
      if (drained) return
      drained = true
      void sendAway()
    },
    async [Symbol.asyncDispose]() {
      drained = true
      await sendAway()
      closing.abort()
      await Promise.all([...loops, pumping])
      await store.beat(replica, { arrived: [], left: [], fresh: true }).catch(() => {})
    },
  }
}

const first = (ids: ReadonlySet<string>, limit: number): string[] => {
  const taken: string[] = []
  for (const id of ids) if (taken.push(id) === limit) break
  return taken
}

/** The store is away, as opposed to: the record cannot be trusted. */
const isPassing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'store-unavailable' && !(error.cause instanceof Error && error.cause.name === 'Tampered')
