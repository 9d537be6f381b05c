import type { Action, Digest } from './action.ts'
import type { Caller, Party, Principal } from './caller.ts'
import type { Assurance, Circle, GrantBounds, MatchedRule, Terms, VoteChannel } from './decision.ts'
import type { GrantEnd } from './grant.ts'
import type { Outcome } from './outcome.ts'

export type HoldState =
  | 'pending'
  | 'approved'
  | 'denied'
  | 'expired'
  | 'withdrawn'
  | 'running'
  | 'executed'
  | 'failed'
  | 'unknown'

/** A pending or approved hold can still change what happens; all others are settled. */
export const isOpen = (state: HoldState): boolean => state === 'pending' || state === 'approved'

export interface Vote {
  readonly verdict: 'approve' | 'deny'
  readonly by: Principal
  /** `automation`: a program that the rule names. All others are people. */
  readonly channel: VoteChannel | 'automation'
  readonly assurance: Assurance
  readonly digest: Digest
  readonly reason?: string
  /** Which rendering of the action the voter had on the screen, and its SHA-256, where that is known. */
  readonly shown?: string
  /** A yes to more of its kind. */
  readonly grant?: GrantBounds
  /** When the voter had logged in afresh, where they had. */
  readonly loggedInAt?: number
  /** Exactly where the assurance is `passkey`. */
  readonly evidence?: PasskeyEvidence
  /** Released alone, in an emergency, by somebody whom the rules let do that. Always a yes. */
  readonly brokeGlass?: true
  /** It was one of so many that its voter decided in one step. */
  readonly together?: number
  /** The store's clock, like every time in a hold. */
  readonly at: number
}

/** Whom somebody asks to look. */
export type Successor = { readonly group: string } | Party

/** What happened to a hold beside its votes and its states. */
export type Mark =
  | { readonly what: 'escalated'; readonly at: number }
  | { readonly what: 'handed-over'; readonly at: number; readonly by: Principal; readonly to: Successor; readonly note?: string }
  /** `skipped`: who would have had to agree. */
  | { readonly what: 'broke-glass'; readonly at: number; readonly by: Principal; readonly reason: string; readonly skipped: Circle }
  | { readonly what: 'review-overdue'; readonly at: number }
  | { readonly what: 'reviewed'; readonly at: number; readonly by: Principal; readonly note: string }
  /** More of its kind was let through with it; and that has ended, after so many uses. */
  | { readonly what: 'granted'; readonly at: number; readonly bounds: GrantBounds }
  | { readonly what: 'grant-ended'; readonly at: number; readonly end: GrantEnd; readonly used: number }

/** What a passkey signed for a vote, for anybody who wants to check it without us. All but the statement are bytes in base64url. */
export interface PasskeyEvidence {
  /** Canonical JSON; its SHA-256 is the challenge that was signed. */
  readonly statement: string
  /** Id of the passkey. */
  readonly passkey: string
  /** DER SPKI. */
  readonly publicKey: string
  /** `clientDataJSON`. */
  readonly clientData: string
  readonly authenticatorData: string
  readonly signature: string
}

/** How a hold stands with a channel. */
export interface Reach {
  readonly channel: string
  /** `late`: a try failed and there will be another. `lost`: it was given up. */
  readonly state: 'waiting' | 'shown' | 'late' | 'lost'
  readonly at?: number
}

/** What a machine thinks of a hold: text of a stranger, which counts for nothing. */
export interface Opinion {
  /** The channel by which it was asked. */
  readonly advisor: string
  readonly text: string
}

/** How many of them are in each state. */
type Tally = Readonly<Partial<Record<HoldState, number>>>

/** What the same requester asked at the same service before, as far as it is kept and the viewer may see it. */
export interface History {
  /** Of the same shape: they differ in values alone. */
  readonly alike: Tally
  readonly others: Tally
  /** When the oldest of them was asked for. */
  readonly since?: number
  /** Whether there are none before that. */
  readonly complete: boolean
  /** The latest no to an action that would have done the same to the same, however it was written. */
  readonly denied?: { readonly id: string; readonly code: string; readonly by: Principal; readonly at: number; readonly reason?: string }
  /** The latest of the same shape. */
  readonly last?: { readonly id: string; readonly code: string; readonly state: HoldState; readonly openedAt: number }
}

/** An action that waits. A value: each change is a new one with the next revision. */
export interface Hold {
  readonly id: string
  /** `CS-7F3K`, made from the digest; the same in every channel and every message. */
  readonly code: string
  readonly revision: number
  readonly state: HoldState
  readonly caller: Caller
  readonly action: Action
  readonly terms: Terms
  readonly matched: readonly MatchedRule[]
  readonly policyVersion: string
  readonly votes: readonly Vote[]
  /** In the order in which they came. */
  readonly marks?: readonly Mark[]
  readonly openedAt: number
  /** Until when people may decide. */
  readonly deadline: number
  /** Until when an approved hold may be spent. */
  readonly runBy?: number
  readonly settledAt?: number
  /** The agent's own words on why it asks; untrusted. */
  readonly statedReason?: string
  readonly idempotencyKey?: string
  /** What others of its kind have in common with it, where the rules let approvers grant more of it. */
  readonly pattern?: { readonly key: string; readonly text: string }
  /** What has been granted with it, and how that ended. */
  readonly granted?: GrantBounds & { readonly id: string; readonly until: number; readonly ended?: GrantEnd }
  /** Which replica spent it, for which attempt. */
  readonly spent?: { readonly replica: string; readonly attempt: string; readonly at: number }
  readonly outcome?: Outcome
  /** It was to run without its client and could not: it stays approved for the requester's own repeat. */
  readonly awaitsCaller?: true
  /** Names what was asked as it was recorded. Filled in when the hold is written or read; no part of the record by itself. */
  readonly asked?: string
  /** Whether a client is connected and waits for it. Filled in when a hold is shown or listed; no part of the record. */
  readonly waiting?: boolean
  /** Which channels have been told of it. Filled in when a hold is shown to a person; no part of the record. */
  readonly reaches?: readonly Reach[]
  /** Of machines that were asked. Filled in when a hold is shown to a person or by a channel; no part of the record. */
  readonly opinions?: readonly Opinion[]
  /** Filled in when an open hold is shown to a person; no part of the record. */
  readonly history?: History
}
