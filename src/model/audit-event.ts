import { defined } from '../lib/defined.ts'
import type { Action, Digest, Impact, Place } from './action.ts'
import type { Caller, Party, Principal } from './caller.ts'
import type { Circle, Decision, GrantBounds, MatchedRule, Reasons, Terms, Verdict } from './decision.ts'
import type { GrantEnd } from './grant.ts'
import type { HoldState, Successor, Vote } from './hold.ts'
import type { Outcome } from './outcome.ts'
import type { RefusalCode } from './refusal.ts'

/** The part of a caller that every record carries: who, for whom, from where, by which session. */
export type CallerRecord = Pick<
  Caller,
  'issuer' | 'subject' | 'kind' | 'groups' | 'email' | 'name' | 'clientId' | 'owner' | 'session' | 'address' | 'onBehalfOf'
>

/** The part of an action that every record carries. Never a body, a parameter value or a header. */
export type ActionRecord = Pick<Action, 'protocol' | 'service' | 'verb' | 'resources' | 'tags' | 'digest' | 'shape'> & {
  readonly place?: Place | undefined
  /** Where there is more than one. */
  readonly verbs?: readonly string[]
  readonly impact?: Omit<Impact, 'notes'>
  /** Several statements in one text. */
  readonly statements?: number
}

export interface DecisionRecord {
  readonly verdict: Verdict
  readonly matched: readonly MatchedRule[]
  readonly policyVersion: string
  readonly terms?: Terms
}

interface Subject {
  /** One try of one action; every record of that try carries it. */
  readonly attempt: string
  readonly caller: CallerRecord
  readonly action: ActionRecord
}

/** Bytes in base64url. */
export interface PasskeyRecord {
  readonly id: string
  readonly name: string
  /** DER SPKI. */
  readonly publicKey: string
  /** It may be kept by a service, and be on more than one device. */
  readonly synced: boolean
}

interface HoldSubject {
  readonly hold: string
  readonly code: string
  readonly digest: Digest
}

/** One thing worth recording. */
export type AuditEvent =
  /** A decision that is not followed by running right away: a deny, a hold, or an allow that waits for `started`. */
  | ({ readonly type: 'decided'; readonly decision: DecisionRecord; readonly reasons?: Reasons; readonly hold?: string } & Subject)
  /** Written before the first byte goes upstream. For an action that needs no hold it carries the decision as well. */
  | ({ readonly type: 'started'; readonly decision: DecisionRecord; readonly hold?: string; readonly grant?: string; readonly lease?: string } & Subject)
  /** A credential or a privilege that was issued for this one action, by its name where it was issued: the caller runs with it. `cause`: why it could not be given back. */
  | { readonly type: 'credential-lent'; readonly attempt: string; readonly service: string; readonly lease: string; readonly caller: CallerRecord; readonly hold?: string }
  | { readonly type: 'credential-returned'; readonly attempt: string; readonly service: string; readonly lease: string; readonly hold?: string; readonly cause?: string }
  | { readonly type: 'finished'; readonly attempt: string; readonly hold?: string; readonly outcome: Outcome }
  /** Closed at boot: `started` was recorded and no end was. */
  | { readonly type: 'outcome-unknown'; readonly attempt: string; readonly hold?: string; readonly digest: Digest }
  | ({ readonly type: 'refused'; readonly code: RefusalCode; readonly cause?: string; readonly hold?: string } & Subject)
  | ({ readonly type: 'held'; readonly deadline: number; readonly terms: Terms } & HoldSubject & Subject)
  /** A repeat of an action that already waits. */
  | ({ readonly type: 'attached' } & HoldSubject & Subject)
  | ({ readonly type: 'voted'; readonly vote: Vote; readonly state: HoldState } & HoldSubject)
  | ({ readonly type: 'vote-refused'; readonly by: Principal; readonly refusal: RefusalCode; readonly cause?: string } & HoldSubject)
  /** A machine was asked what it thinks, and said this. It is no vote, and counts for nothing. */
  | ({ readonly type: 'advised'; readonly advisor: string; readonly opinion: string } & HoldSubject)
  /** Others may decide from now on, too. */
  | ({ readonly type: 'hold-escalated'; readonly to: Circle } & HoldSubject)
  /** Somebody asked somebody else to look. Nobody's rights change. */
  | ({ readonly type: 'handed-over'; readonly by: Principal; readonly successor: Successor; readonly note?: string } & HoldSubject)
  /** One person released it alone, past everybody in `skipped`; somebody else owes it a look by the deadline. */
  | ({ readonly type: 'broke-glass'; readonly vote: Vote; readonly skipped: Circle; readonly deadline: number } & HoldSubject)
  | ({ readonly type: 'break-glass-refused'; readonly by: Principal; readonly refusal: RefusalCode; readonly cause?: string } & HoldSubject)
  | ({ readonly type: 'break-glass-reviewed'; readonly by: Principal; readonly note: string } & HoldSubject)
  | ({ readonly type: 'review-overdue'; readonly deadline: number } & HoldSubject)
  /** A vote that stopped counting because its author lost the right before the terms were met. */
  | ({ readonly type: 'vote-dropped'; readonly by: Party; readonly cause: string } & HoldSubject)
  | ({ readonly type: 'hold-expired'; readonly from: HoldState } & HoldSubject)
  | ({ readonly type: 'hold-withdrawn'; readonly by: Party } & HoldSubject)
  /** Spent: the one atomic step that turns an approval into one execution. `unattended`: it ran without its client. */
  | ({ readonly type: 'released'; readonly attempt: string; readonly votes: readonly Vote[]; readonly policyVersion: string; readonly heldUnder: string; readonly unattended?: true } & HoldSubject)
  /** Approvers let more of the kind through: of whose, for how many, of which kind. */
  | ({ readonly type: 'grant-made'; readonly grant: string; readonly caller: CallerRecord; readonly bounds: GrantBounds; readonly deadline: number; readonly pattern: string; readonly votes: readonly Vote[] } & HoldSubject)
  /** In the place of a hold: which grant lets it run, and whose votes are behind that. `rows`: as many as it may change. */
  | ({ readonly type: 'grant-used'; readonly grant: string; readonly approval: string; readonly decision: DecisionRecord; readonly votes: readonly Vote[]; readonly rows?: number } & Subject)
  | { readonly type: 'grant-ended'; readonly grant: string; readonly approval: string; readonly end: GrantEnd; readonly by?: Party; readonly cause?: string }
  | { readonly type: 'store-tampered'; readonly hold: string; readonly cause: string }
  /** `count`: so many more like this one, which are not on record one by one. */
  | { readonly type: 'authentication-failed'; readonly step: string; readonly issuer?: string; readonly address: string; readonly from: string; readonly cause: string; readonly count?: number }
  /** Somebody logged in with a browser. `steppedUp`: once more, because something asked for a fresh login. */
  | { readonly type: 'signed-in'; readonly caller: CallerRecord; readonly steppedUp?: true }
  /** An account of a chat is this person's from now on, or no longer. */
  | { readonly type: 'linked' | 'unlinked'; readonly by: Party; readonly account: { readonly chat: string; readonly workspace: string; readonly user: string } }
  | { readonly type: 'session-ended'; readonly session: string; readonly cause: string }
  /** From now on, or from now on no more, votes signed with it are this person's. */
  | { readonly type: 'passkey-added' | 'passkey-removed'; readonly caller: CallerRecord; readonly passkey: PasskeyRecord }
  /** Columns of a database have got other names since the program started: masks and tags may not name them any more. */
  | { readonly type: 'columns-renamed'; readonly service: string; readonly columns: readonly string[] }
  | { readonly type: 'config-loaded'; readonly policyVersion: string; readonly generation: number; readonly previous?: string }
  | { readonly type: 'config-rejected'; readonly problems: readonly string[]; readonly policyVersion: string }
  | { readonly type: 'replica-started'; readonly version: string; readonly policyVersion: string }
  | { readonly type: 'replica-stopped'; readonly cause: string }
  /** All records of this start before it, by their number and the root over them, signed: a signed note of C2SP. */
  | { readonly type: 'checkpoint'; readonly signed: string }
  /** A checkpoint with the signature of a witness that has seen it. */
  | { readonly type: 'cosigned'; readonly signed: string }
  /** In the log of a witness: what it has seen last of another log, signed by both. */
  | { readonly type: 'witnessed'; readonly signed: string }
  /** Somebody looked into this log: for what, and how many records they got to see. Or wanted to, and may not. */
  | { readonly type: 'audit-read'; readonly by: Principal; readonly query: string; readonly records: number }
  | { readonly type: 'audit-read-refused'; readonly by: Principal; readonly query: string; readonly refusal: RefusalCode }
  /** Somebody takes records away: on record before the first of them leaves, and once more, with how many and the `end`, when no more do. */
  | { readonly type: 'audit-exported'; readonly export: string; readonly by: Principal; readonly query: string; readonly records?: number; readonly end?: 'whole' | 'cut-short'; readonly cause?: string }
  /** The disk of the journal has got so full, or is no longer: percent of it that are used. */
  | { readonly type: 'disk-mark'; readonly mark: 'none' | 'warn' | 'alert' | 'deny-changes' | 'deny-all'; readonly used: number }
  /** What people had written in that record is gone, with its salt: for whom, and why. */
  | { readonly type: 'erased'; readonly record: string; readonly fields: readonly string[]; readonly by: Party; readonly cause: string }
  | { readonly type: 'records-lost'; readonly sink: string; readonly count: number; readonly cause: string }

export type AuditEventType = AuditEvent['type']

/** One session asks many times and few rules decide most of it: the records of one caller and of one decision are made once. Both are final. */
const callerRecords = new WeakMap<Caller, CallerRecord>()
const decisionRecords = new WeakMap<Decision, DecisionRecord>()

export const callerRecord = (caller: Caller): CallerRecord => {
  const known = callerRecords.get(caller)
  if (known !== undefined) return known
  const { claims: _claims, authenticatedAt: _at, expiresAt: _until, ...record } = caller
  callerRecords.set(caller, record)
  return record
}

export const actionRecord = ({ protocol, service, place, verb, verbs, resources, tags, digest, shape, impact, parts }: Action): ActionRecord => {
  const record = { protocol, service, place, verb, resources, tags, digest, shape }
  return verbs.length === 1 && impact === undefined && parts === undefined ? record : { ...record, ...defined({ verbs: verbs.length === 1 ? undefined : verbs, impact: impact && impactRecord(impact), statements: parts?.length }) }
}

const impactRecord = ({ notes: _notes, ...numbers }: Impact): Omit<Impact, 'notes'> => numbers

export const decisionRecord = (decision: Decision): DecisionRecord => {
  const known = decisionRecords.get(decision)
  if (known !== undefined) return known
  const { verdict, matched, policyVersion, terms } = decision
  const record = terms === undefined ? { verdict, matched, policyVersion } : { verdict, matched, policyVersion, terms }
  decisionRecords.set(decision, record)
  return record
}
