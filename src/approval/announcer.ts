import { setTimeout as pause } from 'node:timers/promises'
import { defined } from '../lib/defined.ts'
import { Busy } from '../lib/receiver.ts'
import { isOpen, type Hold, type Mark } from '../model/hold.ts'
import { causeText } from '../model/refusal.ts'
import { followChanges } from './changes.ts'
import { type Channel, Closed, type Occasion } from './channel.ts'
import { isUnavailable, type Desk } from './desk.ts'
import { marksOf } from './marks.ts'
import { readNotice, writeNotice, type Notice } from './notices.ts'

export interface ChannelState {
  readonly channel: string
  readonly kind: string
  /** Whether this replica is the one that speaks for all. */
  readonly speaks: boolean
  readonly waiting: number
  readonly shown: number
  /** Of the last try, if it failed. */
  readonly lastError?: string
  /** The receiver wants nothing more; a restart asks again. */
  readonly closed?: true
}

export interface Announcer extends AsyncDisposable {
  state(): readonly ChannelState[]
}

export interface AnnouncerTiming {
  readonly beatMs: number
  /** Without a sign of life for so long, another replica speaks. */
  readonly leaseMs: number
  readonly storeRetryMs: number
}

const usual: AnnouncerTiming = { beatMs: 1_000, leaseMs: 5_000, storeRetryMs: 1_000 }
const leaseName = 'announcer'
/** One hold is always in one lane, so that its news comes in order; one that hangs keeps no other lane. */
const lanesOfAChannel = 4
const mostWaiting = 20_000
/** What was settled longer ago is not told any more by a replica that begins to speak. */
const sweptBackMs = 86_400_000
const mostSwept = 5_000

/**
 * Tells the channels of every hold and of each change of it. One replica speaks at a time, by a lease in the store; what was told is remembered
 * there too, so that the next one goes on. News is a look at the hold as it is now: several quick changes may be told as one, the last one always is.
 */
export const makeAnnouncer = (desk: Desk, timing: AnnouncerTiming = usual): Announcer => {
  const { store, ledger, options, warn } = desk
  const closing = new AbortController()
  let speaksUntil = 0
  const lines = desk.channels.map((channel) => makeLine(desk, channel, timing, () => performance.now() < speaksUntil, closing.signal))

  const tell = (id: string): void => {
    for (const line of lines) line.add(id)
  }

  const listen = (): Promise<void> => followChanges(store, closing.signal, ({ id }) => { if (performance.now() < speaksUntil) tell(id) })

  /** What the one before may not have told. */
  const sweep = async (): Promise<void> => {
    const since = (await desk.now()) - sweptBackMs
    await sweepOver({}, since)
    await sweepOver({ kept: true }, since) // what is owed may be older than all that is looked through
  }

  const sweepOver = async (which: { readonly kept?: true }, since: number): Promise<void> => {
    let seen = 0
    for (let after: string | undefined; seen < mostSwept && !closing.signal.aborted; ) {
      const page = await store.list({ ...which, limit: 200, ...(after === undefined ? {} : { after }) })
      for (const entry of page.entries) {
        const hold = await ledger.believe(entry).catch(() => undefined)
        if (hold !== undefined && (isOpen(hold.state) || Math.max(hold.settledAt ?? hold.openedAt, marksOf(hold).at(-1)?.at ?? 0) > since)) tell(hold.id)
      }
      seen += page.entries.length
      if (page.next === undefined) return
      after = page.next
    }
  }

  const leading = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const asked = performance.now()
      const spoke = asked < speaksUntil
      try {
        const mine = await store.lease(leaseName, options.replica, timing.leaseMs)
        speaksUntil = mine ? asked + timing.leaseMs : 0
        if (mine && !spoke) await sweep()
      } catch (error) {
        if (!isUnavailable(error)) warn('the lease of the channels cannot be renewed', { cause: error })
        if (!spoke) speaksUntil = 0 // a sweep that failed is begun anew
      }
      await pause(timing.beatMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  const loops = lines.length === 0 ? [] : [listen(), leading()]
  return {
    state: () => lines.map((line) => ({ ...line.state(), speaks: performance.now() < speaksUntil })),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await Promise.all(loops)
      await Promise.all(lines.map((line) => line[Symbol.asyncDispose]()))
      if (speaksUntil > 0) await store.lease(leaseName, options.replica, 0).catch(() => {})
    },
  }
}

interface Line extends AsyncDisposable {
  add(id: string): void
  state(): Omit<ChannelState, 'speaks'>
}

const makeLine = (desk: Desk, channel: Channel, timing: AnnouncerTiming, speaks: () => boolean, closing: AbortSignal): Line => {
  let shown = 0
  let lastError: string | undefined
  let closed = false

  /** Resolves with when to look at this hold again, from now; `undefined`: not before it changes. Never rejects. */
  const look = async (id: string, tries: number): Promise<{ readonly inMs: number; readonly failed: boolean } | undefined> => {
    let hold: Hold | undefined
    let notice: Notice | undefined
    try {
      hold = await desk.ledger.read(id)
      if (hold === undefined) return undefined
      const concerned = channel.concerns(hold)
      if (!concerned && !marksOf(hold).some(isLoud)) return undefined
      notice = await readNotice(desk, hold, channel.name)
      const now = await desk.now()
      const half = (hold.openedAt + hold.deadline) / 2
      const occasion = occasionFor(hold, notice, { concerned, now, half })
      if (occasion !== undefined) {
        const memory = await channel.show({ hold: concerned ? hold : withoutAction(hold), occasion, memory: notice?.memory }, AbortSignal.any([closing, AbortSignal.timeout(channel.timeoutMs)]))
        shown++
        lastError = undefined
        const reminded = notice?.reminded === true || now >= half
        // What was marked has been told; that the state is another one comes after it.
        const more = occasion !== 'change' && occasion !== 'reminder' && notice !== undefined && notice.state !== hold.state
        await writeNotice(desk, hold, channel.name, { revision: more ? notice!.revision : hold.revision, at: now, marks: marksOf(hold).length, state: hold.state, ...(memory === undefined ? {} : { memory }), ...(reminded ? { reminded } : {}) })
        if (more && concerned) return { inMs: 0, failed: false }
      }
      return concerned && hold.state === 'pending' && now < half ? { inMs: half - now, failed: false } : undefined
    } catch (error) {
      if (closing.aborted) return undefined
      if (isUnavailable(error)) return { inMs: timing.storeRetryMs, failed: false }
      lastError = causeText(error) ?? 'unknown'
      closed = error instanceof Closed
      const wait = closed ? undefined : channel.retriesMs[tries]
      desk.warn('a channel was not told of a hold', { channel: channel.name, hold: id, cause: error, tries: tries + 1, ...(wait === undefined ? { again: false } : {}) })
      const trouble = wait === undefined ? 'lost' as const : 'late' as const
      if (hold !== undefined && notice?.trouble !== trouble) await writeNotice(desk, hold, channel.name, { revision: 0, at: 0, ...notice, trouble }).catch(() => {})
      return wait === undefined ? undefined : { inMs: error instanceof Busy ? error.retryAfterMs : wait * (0.8 + 0.4 * Math.random()), failed: true }
    }
  }

  const lanes = Array.from({ length: lanesOfAChannel }, () => makeLane(look, () => speaks() && !closed, closing))
  const size = (): number => lanes.reduce((sum, lane) => sum + lane.size(), 0)
  return {
    add: (id) => {
      if (size() < mostWaiting) lanes[(id.codePointAt(id.length - 1) ?? 0) % lanes.length]?.add(id)
    },
    state: () => ({ channel: channel.name, kind: channel.kind, waiting: size(), shown, ...(lastError === undefined ? {} : { lastError }), ...(closed ? { closed: true as const } : {}) }),
    async [Symbol.asyncDispose]() {
      await Promise.all(lanes.map((lane) => lane.ended))
      await channel[Symbol.asyncDispose]()
    },
  }
}

/** These are everybody's concern. */
const loud: ReadonlySet<Mark['what']> = new Set(['broke-glass', 'review-overdue', 'reviewed'])
const isLoud = ({ what }: Mark): boolean => loud.has(what)

/** What there is to tell, if anything. Of several marks that were not told the last loud one is, or else the last one. */
const occasionFor = (hold: Hold, notice: Notice | undefined, { concerned, now, half }: { readonly concerned: boolean; readonly now: number; readonly half: number }): Occasion | undefined => {
  const untold = marksOf(hold).slice(notice?.marks ?? 0)
  const mark = untold.findLast(isLoud) ?? (concerned ? untold.at(-1) : undefined)
  if (mark !== undefined || !concerned) return mark?.what
  if (notice === undefined || notice.revision < hold.revision) return 'change'
  return hold.state === 'pending' && now >= half && now < hold.deadline && notice.reminded !== true ? 'reminder' : undefined
}

/** For those whom the hold is no concern of: that it happened, at which service, and to whom. What is not named here is left out. */
const withoutAction = ({ id, code, revision, state, caller, action, terms, policyVersion, marks, openedAt, deadline, runBy, settledAt }: Hold): Hold => {
  const { protocol, service, verb, verbs, effect, digest } = action
  const bare = { protocol, service, verb, verbs, effect, digest, resources: [], tags: [], text: '', textCut: true, facts: {}, shape: '' }
  return { id, code, revision, state, caller, action: bare, terms, matched: [], policyVersion, votes: [], openedAt, deadline, ...defined({ marks, runBy, settledAt }) }
}

interface Lane {
  add(id: string): void
  size(): number
  readonly ended: Promise<void>
}

/** One hold after the other: those with news in the order in which it came, those to be looked at again when their time has come. */
const makeLane = (look: (id: string, tries: number) => Promise<{ readonly inMs: number; readonly failed: boolean } | undefined>, speaks: () => boolean, closing: AbortSignal): Lane => {
  const fresh = new Set<string>()
  const later = new Map<string, { readonly at: number; readonly tries: number }>()
  let wake: (() => void) | undefined

  const next = (): { readonly id: string; readonly tries: number } | undefined => {
    for (const id of fresh) {
      fresh.delete(id)
      later.delete(id)
      return { id, tries: 0 }
    }
    const now = performance.now()
    for (const [id, { at, tries }] of later) {
      if (at > now) continue
      later.delete(id)
      return { id, tries }
    }
    return undefined
  }

  const idle = async (): Promise<void> => {
    const soonest = Math.min(...[...later.values()].map(({ at }) => at))
    const timer = new AbortController()
    await Promise.race([
      new Promise<void>((resolve) => (wake = resolve)),
      ...(Number.isFinite(soonest) ? [pause(Math.min(2 ** 31 - 1, Math.max(1, soonest - performance.now())), undefined, { signal: timer.signal, ref: false }).catch(() => {})] : []),
    ])
    wake = undefined
    timer.abort()
  }

  const run = async (): Promise<void> => {
    while (!closing.aborted) {
      const job = next()
      if (job === undefined) {
        await idle()
        continue
      }
      if (!speaks()) continue // the replica that begins to speak looks at everything
      const again = await look(job.id, job.tries)
      if (again !== undefined) later.set(job.id, { at: performance.now() + again.inMs, tries: again.failed ? job.tries + 1 : job.tries })
    }
  }

  closing.addEventListener('abort', () => wake?.(), { once: true })
  return {
    add(id) {
      fresh.add(id)
      wake?.()
    },
    size: () => fresh.size + later.size,
    ended: run(),
  }
}
