import { setTimeout as pause } from 'node:timers/promises'
import { defined } from '../lib/defined.ts'
import { Busy } from '../lib/receiver.ts'
import { isOpen, type Hold, type Mark } from '../model/hold.ts'
import { causeText } from '../model/refusal.ts'
import { type Channel, Closed, type Occasion } from './channel.ts'
import { holdSubject, isUnavailable, type Desk } from './desk.ts'
import { makeCrowds } from './crowds.ts'
import { makeLane, type Look } from './lane.ts'
import { marksOf } from './marks.ts'
import { keptOpinion, opinionsOf, readNotice, writeNotice, type Notice } from './notices.ts'

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
  /** Others like a new hold are waited for so long before it is told, where a channel is told of several at once. */
  readonly gatherMs: number
  /** Who speaks for the others is decided: so long it is waited whether they are, too, before the next one does. */
  readonly handOnMs: number
}

const usual: AnnouncerTiming = { beatMs: 1_000, leaseMs: 5_000, storeRetryMs: 1_000, gatherMs: 1_000, handOnMs: 5_000 }
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
  const lines: readonly Line[] = desk.channels.map((channel) => makeLine(desk, channel, { timing, speaks: () => performance.now() < speaksUntil, advised: (id) => lines.forEach((line) => line.redraw(id)) }, closing.signal))

  const tell = (id: string): void => {
    for (const line of lines) line.add(id)
  }

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
        if (mine && !spoke) {
          for (const line of lines) line.begin()
          await sweep()
        }
      } catch (error) {
        if (!isUnavailable(error)) warn('the lease of the channels cannot be renewed', { cause: error })
        if (!spoke) speaksUntil = 0 // a sweep that failed is begun anew
      }
      await pause(timing.beatMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  if (lines.length > 0) desk.news.hear(({ id }) => { if (performance.now() < speaksUntil) tell(id) }, closing.signal)
  const led = lines.length === 0 ? undefined : leading()
  return {
    state: () => lines.map((line) => ({ ...line.state(), speaks: performance.now() < speaksUntil })),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await led
      await Promise.all(lines.map((line) => line[Symbol.asyncDispose]()))
      if (speaksUntil > 0) await store.lease(leaseName, options.replica, 0).catch(() => {})
    },
  }
}

interface Line extends AsyncDisposable {
  add(id: string): void
  /** An opinion on it has come. */
  redraw(id: string): void
  /** From now on this replica speaks: what another one knew is read anew. */
  begin(): void
  state(): Omit<ChannelState, 'speaks'>
}

interface Around {
  readonly timing: AnnouncerTiming
  readonly speaks: () => boolean
  readonly advised: (id: string) => void
}

const makeLine = (desk: Desk, channel: Channel, { timing, speaks, advised }: Around, closing: AbortSignal): Line => {
  let shown = 0
  let lastError: string | undefined
  let closed = false

  const crowds = makeCrowds(channel.groupWithinMs ?? 0, timing.gatherMs)

  const laneOf = (id: string) => lanes[(id.codePointAt(id.length - 1) ?? 0) % lanes.length]

  const left = (id: string): void => {
    const next = crowds.leave(id)
    if (next !== undefined) laneOf(next)?.addLater(next, timing.handOnMs)
  }

  /** It is one of a crowd that another one speaks for: nothing of it is shown, and that one says how many there are. */
  const leaveToSpeaker = async (hold: Hold, notice: Notice | undefined, speaker: string): Promise<void> => {
    if (notice?.with !== speaker || notice.revision < hold.revision) await writeNotice(desk, hold, channel.name, { revision: hold.revision, at: await desk.now(), marks: marksOf(hold).length, state: hold.state, with: speaker })
    laneOf(speaker)?.addLater(speaker, timing.gatherMs)
  }

  const look: Look = async (id, tries) => {
    let hold: Hold | undefined
    let notice: Notice | undefined
    try {
      hold = await desk.ledger.read(id)
      if (hold?.state !== 'pending') left(id)
      if (hold === undefined) return undefined
      const concerned = channel.concerns(hold)
      if (!concerned && (channel.advises === true || !marksOf(hold).some(isLoud))) return undefined
      notice = await readNotice(desk, hold, channel.name)
      const hasNews = marksOf(hold).slice(notice?.marks ?? 0).some(isOwnNews)
      if (hold.state !== 'pending' && notice?.with !== undefined && !hasNews) return undefined // it never had a message
      const speaker = concerned && hold.state === 'pending' ? crowds.speakerFor(hold, notice) : id
      if (speaker !== id && !hasNews) return void (await leaveToSpeaker(hold, notice, speaker))
      if (speaker !== id) left(id)
      const gathering = notice === undefined ? crowds.gatheringMs(id) : 0
      if (gathering > 0) return { inMs: gathering, failed: false }
      const told = notice?.with === undefined ? notice : undefined
      const now = await desk.now()
      const half = (hold.openedAt + hold.deadline) / 2
      const alike = crowds.othersOf(id)
      const opinions = channel.redraws === true ? await opinionsOf(desk, hold) : []
      const occasion = occasionFor(hold, told, { concerned, now, half, alike, opinions: opinions.length })
      if (occasion !== undefined) {
        const whole = opinions.length === 0 ? hold : { ...hold, opinions }
        const said = await channel.show({ hold: concerned ? whole : withoutAction(hold), occasion, memory: told?.memory, alike }, AbortSignal.any([closing, AbortSignal.timeout(channel.timeoutMs)]))
        const isOpinion = channel.advises === true && said !== undefined && said !== told?.memory
        const memory = isOpinion ? keptOpinion(said) : said
        if (isOpinion) await desk.record({ type: 'advised', advisor: channel.name, opinion: memory ?? '', ...holdSubject(hold) }, 'written')
        shown++
        lastError = undefined
        const reminded = told?.reminded === true || now >= half
        // What was marked has been told; that the state is another one comes after it.
        const more = isMark(occasion) && told !== undefined && told.state !== hold.state
        await writeNotice(desk, hold, channel.name, { revision: more ? told.revision : hold.revision, at: now, marks: marksOf(hold).length, state: hold.state, ...(alike > 0 ? { alike } : {}), ...(memory === undefined ? {} : { memory }), ...(reminded ? { reminded } : {}), ...(opinions.length === 0 ? {} : { opinions: opinions.length }) })
        if (isOpinion) advised(id)
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
      if (size() < mostWaiting) laneOf(id)?.add(id)
    },
    redraw(id) {
      if (channel.redraws === true) this.add(id)
    },
    begin: () => crowds.forget(),
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
/** That all of a crowd escalate at once is no news of each. */
const isOwnNews = ({ what }: Mark): boolean => what !== 'escalated'
const isMark = (occasion: Occasion): boolean => occasion !== 'change' && occasion !== 'reminder' && occasion !== 'alike'

/** What there is to tell, if anything. Of several marks that were not told the last loud one is, or else the last one. */
const occasionFor = (hold: Hold, notice: Notice | undefined, { concerned, now, half, alike, opinions }: { readonly concerned: boolean; readonly now: number; readonly half: number; readonly alike: number; readonly opinions: number }): Occasion | undefined => {
  const untold = marksOf(hold).slice(notice?.marks ?? 0)
  const mark = untold.findLast(isLoud) ?? (concerned ? untold.at(-1) : undefined)
  if (mark !== undefined || !concerned) return mark?.what
  if (notice === undefined || notice.revision < hold.revision || (notice.opinions ?? 0) < opinions) return 'change'
  if (hold.state === 'pending' && now >= half && now < hold.deadline && notice.reminded !== true) return 'reminder'
  return alike > (notice.alike ?? 0) ? 'alike' : undefined
}

/** For those whom the hold is no concern of: that it happened, at which service, and to whom. What is not named here is left out. */
const withoutAction = ({ id, code, revision, state, caller, action, terms, policyVersion, marks, openedAt, deadline, runBy, settledAt }: Hold): Hold => {
  const { protocol, service, verb, verbs, effect, digest } = action
  const bare = { protocol, service, verb, verbs, effect, digest, resources: [], tags: [], text: '', textCut: true, facts: {}, shape: '' }
  return { id, code, revision, state, caller, action: bare, terms, matched: [], policyVersion, votes: [], openedAt, deadline, ...defined({ marks, runBy, settledAt }) }
}
