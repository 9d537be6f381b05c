import type { Party } from '../model/caller.ts'
import type { Secret } from '../lib/secret.ts'

export interface ApprovalOptions {
  readonly replica: string
  readonly openPerCaller: number
  readonly openPerService: number
  /** Connections of this process that may wait at one time. */
  readonly maxWaiting: number
  /** Of these, how many may belong to one requester: nobody takes all the room. */
  readonly maxWaitingPerCaller: number
  /** How long after `executed` a repeat gets the stored result. 0: never. */
  readonly replayWindowMs: number
  /** How long a result is kept for its requester (`run: when-approved`, status URL). */
  readonly resultKeptMs: number
  /** A kept result is read once. */
  readonly resultsOnce: boolean
  /** How long a settled hold stays in the store. */
  readonly settledKeptMs: number
  /** Accounts of one and the same person. */
  readonly people: readonly (readonly Party[])[]
  /** Key for the records' MAC and for stored results; the same on all replicas. The first is used, the others still read. */
  readonly keys: readonly Secret[]
}
