import type { Action, Digest } from '../model/action.ts'
import type { Approval } from '../model/approval.ts'
import type { Caller } from '../model/caller.ts'
import type { Assurance, Decision, GrantBounds } from '../model/decision.ts'
import type { Hold, HoldState, PasskeyEvidence, Successor, Vote } from '../model/hold.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Grants } from './grants.ts'

/** How a client waits. The hold itself does not depend on it. */
export interface Wait {
  /** How long this client's connection may wait; 0 answers at once. `Infinity` where the protocol has no limit of its own. */
  readonly budgetMs: number
  /** The hold that the client says it comes back for. Then nothing but that hold counts: settled means refused, never a new one. */
  readonly hold?: string
  readonly idempotencyKey?: string
  /** The agent's own words; untrusted. */
  readonly statedReason?: string
  /** What is needed to run it without this client, asked for only where the terms say `run: when-approved`; `undefined`: only this client can run it. */
  readonly keep?: () => Uint8Array | undefined
  /** Nobody waits: the hold's own terms run it now that it is approved. Only with `hold`. */
  readonly unattended?: true
  /** Told once, as soon as there is a hold to wait for; not when it is decided already. */
  readonly onHeld?: (hold: Hold) => void
}

/** What an earlier, finished run of the same action left for the same caller. */
export interface Replay {
  readonly hold: Hold
  readonly result: Uint8Array
}

export interface Ballot {
  readonly verdict: 'approve' | 'deny'
  /** What the voter saw. Any other digest than the hold's is refused. */
  readonly digest: Digest
  readonly reason?: string
  readonly by: Caller
  readonly channel: Vote['channel']
  readonly assurance: Assurance
  /** Goes into the record with the vote. */
  readonly shown?: string
  /** When this person logged in afresh, if they did. */
  readonly loggedInAt?: number
  /** With the assurance `passkey` and no other. */
  readonly evidence?: PasskeyEvidence
  /** With a yes: so many more of its kind. */
  readonly grant?: GrantBounds
  /** One of so many that are decided in one step: a yes to what deserves a look of its own is refused with `not-together`. */
  readonly together?: number
  /** In an emergency, alone: a yes for all approvers, with a reason, by somebody whom the rules let do that. */
  readonly brokeGlass?: true
}

export interface HoldFilter {
  readonly states?: readonly HoldState[]
  readonly service?: string
  /** Only those released in an emergency that nobody has reviewed yet. */
  readonly unreviewed?: true
  readonly after?: string
  readonly limit: number
}

/** The life of holds, for the gate, the channels and the console alike. Everything throws a `Refusal` when it says no. */
export interface Approvals {
  /**
   * Opens the hold for (caller, service, digest) or joins the open one, and waits for its votes. Where a grant lets it run, there is nothing to wait for.
   * Rejects with `hold-pending` when the wait ends first, and with `hold-denied`, `hold-expired`, `hold-withdrawn`, `hold-spent`.
   * While another attempt runs the same hold it waits for that one's result and answers with it.
   */
  obtain(request: { readonly attempt: string; readonly caller: Caller; readonly action: Action; readonly decision: Decision; readonly wait: Wait }, signal: AbortSignal): Promise<Approval | Replay>
  /**
   * The single use: approved becomes running, in one atomic step, by the store's clock, for this attempt.
   * Checks again that the votes meet `terms` (those of the decision taken at release) and that no voter has lost the right or belongs to the caller.
   * Of a grant one use is taken, likewise.
   * If another attempt was faster, waits for that one's result as `obtain` does, for as long as the approval's client waits.
   */
  spend(approval: Approval, attempt: string, caller: Caller, decision: Decision): Promise<Approval | Replay>
  /** Whether the votes by which it runs would release it by the decision of now, too; where that asks for nobody, by the terms of then. */
  stands(id: string, caller: Caller, decision: Decision): Promise<boolean>
  /** Closes a running hold. `result` is encrypted and kept for the requester for the replay window. */
  finish(approval: Approval, outcome: Outcome, result?: Uint8Array): Promise<void>
  vote(id: string, ballot: Ballot): Promise<Hold>
  /** A vote that a door does not let through to here, of somebody who may not vote at all or may not see the hold: on record if there is such a hold, and nothing else. */
  voteTurnedAway(id: string, by: Caller, cause: string): Promise<void>
  withdraw(id: string, by: Caller): Promise<Hold>
  /** Asks somebody else to look, who then finds it so in the inbox. The rules say who decides, and go on saying it. */
  handOver(id: string, by: Caller, to: Successor, note?: string): Promise<Hold>
  /** Pays the debt that breaking the glass has left: somebody else among the approvers has looked at it. */
  review(id: string, by: Caller, note: string): Promise<Hold>
  /** What this person can do about the hold beside voting. */
  offers(hold: Hold, viewer: Caller): ReadonlySet<'break-glass' | 'review' | 'hand-over'>
  /** What this person may see: holds they may vote on and their own. Anything else is `not-found`, like an id that does not exist. */
  show(id: string, viewer: Caller): Promise<Hold>
  /** Whether they may see it: for whoever is told that it has changed, and nothing else of it. */
  sees(id: string, viewer: Caller): Promise<boolean>
  list(filter: HoldFilter, viewer: Caller): Promise<{ readonly holds: readonly Hold[]; readonly next?: string }>
  /** Why this person may not approve this hold, or `undefined` if they may. */
  obstacle(hold: Hold, viewer: Caller): 'self-approval' | 'not-eligible' | 'already-voted' | undefined
  /** Ids and states of changed holds. */
  changes(after: string | undefined, signal: AbortSignal): AsyncIterable<{ readonly cursor: string; readonly id: string; readonly state: HoldState }>
  /** The kept result, for the requester alone and until its time is over. Where results are read once this is that reading; `look`: it only looks. */
  result(id: string, caller: Caller, look?: 'look'): Promise<Uint8Array>
  /** The hold's current state for its own requester, waiting up to `budgetMs` for it to leave `pending`. */
  follow(id: string, caller: Caller, budgetMs: number, signal: AbortSignal): Promise<Hold>
  readonly grants: Grants
  /** Answers every waiter now with `hold-pending`; from then on `obtain` does not wait and `spend` refuses with `draining`. */
  drain(): void
  check(): Promise<void>
}
