import type { Journal } from '../audit/journal.ts'
import type { Members } from '../model/caller.ts'
import type { Hold } from '../model/hold.ts'
import type { Outcome } from '../model/outcome.ts'
import { makeAnnouncer, type Announcer, type AnnouncerTiming } from './announcer.ts'
import type { Approvals } from './approvals.ts'
import { makeTurnedAway, makeVote, makeWithdraw } from './ballots.ts'
import { makeNews } from './changes.ts'
import type { Channel } from './channel.ts'
import { endOf, recorder, type Desk } from './desk.ts'
import { makeGrantLedger } from './grant-ledger.ts'
import type { PinnedOf } from './grant-pattern.ts'
import { makeGrants } from './grants.ts'
import type { HoldStore } from './hold-store.ts'
import { makeLedger, type Warn } from './ledger.ts'
import { makeObtain } from './obtain.ts'
import type { ApprovalOptions } from './options.ts'
import { personKeys, within, type People } from './people.ts'
import { makeHandOver, makeReview } from './remarks.ts'
import type { Roster } from './roster.ts'
import { makeSeal } from './seal.ts'
import { close, makeFinish, makeSpend, makeStands } from './spend.ts'
import { makeTimekeeper, runningHolds } from './timekeeper.ts'
import { makeUnattended, type RunKept, type Unattended, type UnattendedTiming } from './unattended.ts'
import { makeViews } from './views.ts'
import { makeWaitingRoom } from './waiting-room.ts'

/** What this replica's journal says about an attempt: nothing, that it started, or how it ended. `spentAt` is by the store's clock. */
export type JournalEnds = (attempt: string, spentAt: number) => 'never-started' | 'started' | Outcome

export interface HoldLife extends Approvals, AsyncDisposable {
  /** Connections of this process that wait now. */
  waiting(): number
  /** From now on the channels are told. Once a process. */
  announce(timing?: AnnouncerTiming): Announcer
  /** From now on approved actions whose terms say `run: when-approved`, and whose clients have gone, are given to `run`. Once a process. */
  runUnattended(run: RunKept, timing?: UnattendedTiming): Unattended
  /**
   * At boot, before anything is accepted: closes what this replica was running when it died, by what its journal says.
   * Never started: failed. Started and not ended: unknown. Nothing is run again. Resolves with what was closed.
   */
  reconcile(ends: JournalEnds): Promise<readonly { readonly hold: string; readonly attempt: string; readonly result: Outcome['result'] }[]>
}

export interface ApprovalParts {
  readonly store: HoldStore
  readonly journal: Journal
  readonly roster: Roster
  /** Told of every hold by `announce`. */
  readonly channels?: readonly Channel[]
  /** What the policies of now keep of an action, for others to be of its kind. Without it no grant is given. */
  readonly pinnedOf?: PinnedOf
  /** Who is in a group, where that is known from elsewhere than tokens. */
  readonly members?: () => Members
  readonly warn?: Warn
  /** Of this replica, to compare with that of the store. */
  readonly clock?: () => number
  /** How long after the end of a hold its waiters stay when the store does not say that it is over. */
  readonly lateMs?: number
}

/** More than this between our clock and the store's is worth a word. Nothing is decided by ours. */
const clockGapMs = 5_000

export const makeApprovals = (options: ApprovalOptions, { store, journal, roster, channels = [], pinnedOf = () => undefined, members = () => new Map(), warn = () => {}, clock = Date.now, lateMs = 30_000 }: ApprovalParts): HoldLife => {
  const seal = makeSeal(options.keys)
  const ledger = makeLedger(options, store, seal, journal, warn)
  const grants = makeGrantLedger(store.grants, seal, journal, warn, options.settledKeptMs)
  const news = makeNews(store, (cause) => warn('the changes of holds cannot be read', { cause }))
  const room = makeWaitingRoom(store, ledger, news, options.replica)
  const person = personKeys(options.people)
  let draining = false
  let clockGap = 0
  /** What the store's clock said last, and when that was by a clock that nobody sets. */
  let told: { readonly at: number; readonly when: number } | undefined
  let clockWarned = false

  const now = async (): Promise<number> => {
    const at = await store.now()
    told = { at, when: performance.now() }
    clockGap = at - clock()
    if (Math.abs(clockGap) > clockGapMs && !clockWarned) {
      clockWarned = true
      warn('the clock of this replica differs from that of the store', { byMs: clockGap })
    } else if (Math.abs(clockGap) <= clockGapMs) clockWarned = false
    return at
  }

  // Counted on from what the store said last: the clock of this machine may have been set since.
  const leftMs = (hold: Hold): number => endOf(hold) + lateMs - (told === undefined ? clock() : told.at + performance.now() - told.when)

  const people: People = {
    person,
    current(principal, since) {
      const seen = roster.last(principal)
      return within(seen !== undefined && seen.at + clockGap > since ? seen.principal : principal, members())
    },
  }

  const timekeeper = makeTimekeeper(() => desk)
  const desk: Desk = { options, store, channels, ledger, seal, grants, pinnedOf, news, room, people, roster, warn, now, leftMs, record: recorder(journal), running: new Set(), later: timekeeper.later, isDraining: () => draining }

  const reconcile: HoldLife['reconcile'] = async (ends) => {
    const closed: { hold: string; attempt: string; result: Outcome['result'] }[] = []
    for await (const hold of runningHolds(desk)) {
      const attempt = hold.spent?.attempt
      if (attempt === undefined || hold.spent?.replica !== options.replica || desk.running.has(attempt)) continue
      const end = ends(attempt, hold.spent.at)
      const outcome: Outcome =
        end === 'never-started' ? { result: 'failed', ms: 0, cause: 'never started: the process ended between the release and the start' }
        : end === 'started' ? { result: 'unknown', ms: 0, cause: 'the process ended while the action was running' }
        : end
      if (await close(desk, hold, outcome)) closed.push({ hold: hold.id, attempt, result: outcome.result })
    }
    return closed
  }

  return {
    obtain: makeObtain(desk),
    spend: makeSpend(desk),
    stands: makeStands(desk),
    finish: makeFinish(desk),
    vote: makeVote(desk),
    voteTurnedAway: makeTurnedAway(desk),
    withdraw: makeWithdraw(desk),
    handOver: makeHandOver(desk),
    review: makeReview(desk),
    grants: makeGrants(desk),
    ...makeViews(desk),
    changes: (after, signal) => store.changes(after, signal),
    drain() {
      draining = true
      room.drain()
    },
    check: () => store.check(),
    waiting: room.size,
    announce: (timing) => makeAnnouncer(desk, timing),
    runUnattended: (run, timing) => makeUnattended(desk, run, timing),
    reconcile,
    async [Symbol.asyncDispose]() {
      draining = true
      await room[Symbol.asyncDispose]()
      await timekeeper[Symbol.asyncDispose]()
      await news[Symbol.asyncDispose]()
    },
  }
}
