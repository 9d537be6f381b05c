import type { Durability, Journal } from '../audit/journal.ts'
import type { AuditEvent } from '../model/audit-event.ts'
import type { Caller } from '../model/caller.ts'
import type { Hold } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import type { News } from './changes.ts'
import type { Channel } from './channel.ts'
import { isDistrust } from './distrust.ts'
import type { GrantLedger } from './grant-ledger.ts'
import type { PinnedOf } from './grant-pattern.ts'
import type { HoldEntry, HoldStore } from './hold-store.ts'
import type { Ledger, Warn } from './ledger.ts'
import type { ApprovalOptions } from './options.ts'
import type { People } from './people.ts'
import type { Roster } from './roster.ts'
import { callerKey, type Seal } from './seal.ts'
import { isBehind, mayBreakGlass, mayDecide } from './settle.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** What the steps in a hold's life work with. */
export interface Desk {
  readonly options: ApprovalOptions
  readonly store: HoldStore
  readonly channels: readonly Channel[]
  readonly ledger: Ledger
  readonly seal: Seal
  readonly grants: GrantLedger
  readonly pinnedOf: PinnedOf
  readonly news: News
  readonly room: WaitingRoom
  readonly people: People
  readonly roster: Roster
  readonly warn: Warn
  readonly record: (event: AuditEvent, durability: Durability) => Promise<void>
  /** The store's clock. */
  readonly now: () => Promise<number>
  /** How long it is worth while to wait for a hold that is not decided, as far as this replica can tell without the store. */
  readonly leftMs: (hold: Hold) => number
  /** Attempts of this process that hold a spent approval. */
  readonly running: Set<string>
  /** Tries again in the background, until it succeeds or there is too much of it. */
  readonly later: (what: string, step: () => Promise<void>) => void
  readonly isDraining: () => boolean
}

export const recorder = (journal: Journal): Desk['record'] => (event, durability) => journal.append(event, durability)

export const holdSubject = (hold: Hold) => ({ hold: hold.id, code: hold.code, digest: hold.action.digest })

/** The requester, or a person anywhere behind the request. An agent sees only what this very chain asked. */
export const isOwn = (hold: Hold, viewer: Caller, people: People): boolean =>
  callerKey(hold.caller) === callerKey(viewer) || (viewer.kind === 'human' && viewer.onBehalfOf.length === 0 && isBehind(hold.caller, viewer, people))

export const maySee = (hold: Hold, viewer: Caller, people: People): boolean => {
  if (isOwn(hold, viewer, people)) return true
  if (viewer.onBehalfOf.length > 0) return false
  const person = people.person(viewer)
  const now = people.current(viewer, Infinity)
  return mayDecide(hold, now) || mayBreakGlass(hold.terms, now) || hold.votes.some((vote) => people.person(vote.by) === person)
}

/** No repeat may find it any more; what changes about it must not bring that back. */
export const isPastReplay = ({ options }: Pick<Desk, 'options'>, hold: Hold, now: number): boolean => now > (hold.settledAt ?? Infinity) + options.replayWindowMs

export const endOf = (hold: Hold): number => (hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline)

/** Ends a hold whose time is over. Of all replicas that try, one succeeds and writes the event. */
export const expire = async ({ ledger, record, now }: Desk, hold: Hold, end = endOf(hold)): Promise<Hold | undefined> => {
  const expired: Hold = { ...hold, state: 'expired', revision: hold.revision + 1, settledAt: await now() }
  if ((await ledger.write(expired, { notBefore: end + 1 })) !== 'replaced') return undefined
  await record({ type: 'hold-expired', from: hold.state, ...holdSubject(hold) }, 'written')
  return expired
}

/** No room for one more connection that waits: in all, or of this requester. */
export const isCrowded = ({ room, options }: Desk, hold: Hold): boolean => room.size() >= options.maxWaiting || room.sizeFor(hold) >= options.maxWaitingPerCaller

export const isUnavailable = (error: unknown): boolean => error instanceof Refusal && error.code === 'store-unavailable'

/** `undefined` for a record that is not believed: that has been reported, and the others go on. */
export const believed = (ledger: Pick<Ledger, 'believe'>, entry: HoldEntry): Promise<Hold | undefined> =>
  ledger.believe(entry).catch((error: unknown) => {
    if (isDistrust(error)) return undefined
    throw error
  })
