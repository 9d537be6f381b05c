import type { GrantStore } from './grant-store.ts'
import type { HoldState } from '../model/hold.ts'

/**
 * What of a hold changes, as a store keeps it: the sealed record, and beside it the few fields a store has to search by.
 * Those fields are hints for finding; whoever reads a hold opens the seal and believes only what is inside.
 */
export interface HoldRevision {
  readonly id: string
  readonly revision: number
  readonly state: HoldState
  /** (caller, service, digest). An entry that carries it is found by it; settled entries drop it when no repeat may attach any more. */
  readonly openKey?: string
  readonly callerKey: string
  readonly service: string
  /** When the next thing happens by itself: the deadline, the end of run-within, the end of the replay window. */
  readonly dueAt?: number
  readonly sealed: string
}

/** A whole hold: with what was asked, which is written once and never changes. The seal is bound to it. */
export interface HoldEntry extends HoldRevision {
  readonly asked: string
}

export interface HoldQuery {
  readonly states?: readonly HoldState[]
  readonly service?: string
  readonly callerKey?: string
  /** Only those that are settled and were given no end. They are few, and found without looking at the others. */
  readonly kept?: true
  /** Newest first; from `next` of the page before. */
  readonly after?: string
  readonly limit: number
}

/** A hold changed. Ids and states only; details are read with the reader's own rights. */
export interface HoldChange {
  readonly cursor: string
  readonly id: string
  readonly state: HoldState
}

/**
 * Bytes kept beside a hold, sealed by whoever keeps them.
 * `request`: what is needed to run it without its client. `result`: what running it answered. `notice-…`: what a channel shows of it.
 */
export type AttachmentName = 'request' | 'result' | `notice-${string}`

/** Bytes and how long they are kept from now on. */
export interface Attachment {
  readonly sealed: Uint8Array
  readonly keepMs: number
}

export type OpenResult =
  | { readonly result: 'opened' }
  | { readonly result: 'attached'; readonly entry: HoldEntry }
  | { readonly result: 'flooded'; readonly by: 'caller' | 'service' }

/**
 * Where holds live. Each method that writes is one atomic step at the store, seen by every replica after it returned,
 * and judged by the store's own clock. Every method rejects with a `store-unavailable` refusal within 5 s when the store does not answer;
 * after such a rejection of a write nobody knows whether it happened, and the caller must read before it goes on.
 */
export interface HoldStore extends AsyncDisposable {
  /** The one clock by which holds live, in milliseconds. */
  now(): Promise<number>
  /**
   * Finds the entry under `entry.openKey`, or writes this one if there is none and neither limit of open (pending, approved) entries is reached.
   * `superseding` names an entry under the key that may be replaced, if it is still at that revision.
   * `request` is attached in the same step, so that nobody ever sees the entry without it.
   */
  open(
    entry: HoldEntry & { readonly openKey: string },
    limits: { readonly perCaller: number; readonly perService: number },
    superseding?: { readonly id: string; readonly revision: number },
    request?: Attachment,
  ): Promise<OpenResult>
  read(id: string): Promise<HoldEntry | undefined>
  /** The entry that a repeat would find. */
  find(openKey: string): Promise<HoldEntry | undefined>
  /** What of each may have changed, in the order asked: far less than all of it. At most 1 000 ids. */
  latest(ids: readonly string[]): Promise<readonly (HoldRevision | undefined)[]>
  /** The stored revision of each id, in the order asked; a cheap look whether anything moved. At most 1 000 ids. */
  revisions(ids: readonly string[]): Promise<readonly (number | undefined)[]>
  /**
   * Compare and set: writes `entry` if the stored one is at `revision` and the store's clock has not passed `notAfter` (or has passed `notBefore`).
   * `keepMs`: when the entry is settled for good, how long it is kept from now on. Without it a settled one is kept until a later revision says.
   * `result` is attached in the same step, so that whoever sees the entry finds it.
   * An entry that becomes `running` is only reported as replaced once as many copies of the store as configured have acknowledged it.
   */
  replace(entry: HoldRevision, expected: { readonly revision: number; readonly notAfter?: number; readonly notBefore?: number }, keepMs?: number, result?: Attachment): Promise<'replaced' | 'conflict' | 'late' | 'early' | 'missing'>
  list(query: HoldQuery): Promise<{ readonly entries: readonly HoldEntry[]; readonly next?: string }>
  /** Entries whose `dueAt` has passed by the store's clock, oldest first. */
  due(limit: number): Promise<readonly HoldEntry[]>
  /** Changes after the cursor (from now on if there is none), by any replica, within a second of the change. Ends with the signal. A cursor too old yields what is left. */
  changes(after: string | undefined, signal: AbortSignal): AsyncIterable<HoldChange>
  /** Replaces an older one of that name. Refuses with `too-large` more than 16 MiB. */
  putAttachment(id: string, name: AttachmentName, sealed: Uint8Array, keepMs: number): Promise<void>
  getAttachment(id: string, name: AttachmentName): Promise<Uint8Array | undefined>
  /** The bytes, and they are gone, in one step: of many that ask at one time one gets them. */
  takeAttachment(id: string, name: AttachmentName): Promise<Uint8Array | undefined>
  dropAttachment(id: string, name: AttachmentName): Promise<void>
  /**
   * A replica's sign of life, and the holds that clients began or ceased to wait for at it since the last one.
   * `fresh`: the first of a process; forgets what an earlier process of that name left.
   */
  beat(replica: string, presence: { readonly arrived: readonly string[]; readonly left: readonly string[]; readonly fresh: boolean }): Promise<void>
  /** Which of these holds have a client waiting at a replica that gave a sign of life within `aliveMs`. At most 1 000 ids. */
  attended(ids: readonly string[], aliveMs: number): Promise<ReadonlySet<string>>
  /** Replicas seen within the last day, with the store's time of their last sign of life. */
  replicas(): Promise<ReadonlyMap<string, number>>
  readonly grants: GrantStore
  /** Takes, or keeps, what one replica does for all, for so long from now on; 0 gives it back. `false`: another has it. */
  lease(name: string, replica: string, forMs: number): Promise<boolean>
  /** Cheap round trip for readiness. */
  check(): Promise<void>
}
