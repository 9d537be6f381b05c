import type { Party } from './caller.ts'

export type Verdict = 'allow' | 'hold' | 'deny'

/** How sure we must be of an approver: a chat account, a login at the console or API, a passkey signature. */
export type Assurance = 'chat' | 'console' | 'passkey'

/** Where people vote. */
export const voteChannels = ['console', 'cli', 'api', 'slack', 'teams'] as const
export type VoteChannel = (typeof voteChannels)[number]

export type Mask = 'none' | 'partial' | 'hash' | 'redact'

export interface MatchedRule {
  readonly policy: string
  readonly rule: string
  readonly then: Verdict
  /** `file:line` of the rule. */
  readonly at: string
  /** Why the rule exists, in its author's words. */
  readonly because?: string
  /** What the caller should do instead. */
  readonly instead?: string
  /** The rule's policy only observes: recorded, without effect on the verdict. */
  readonly observed: boolean
}

/** Members of these groups, and these accounts. */
export interface Circle {
  readonly groups: readonly string[]
  readonly users: readonly Party[]
}

/** So many people out of these groups or accounts. */
export interface Requirement extends Circle {
  readonly policy: string
  readonly rule: string
  /** Accounts of programs that may vote here as well; no group ever makes one an approver. */
  readonly automations?: readonly Party[]
  readonly count: number
  readonly assurance: Assurance
  /** People's yes counts through these alone; through any, where it is absent. */
  readonly channels?: readonly VoteChannel[]
  /** They must have logged in afresh, at most so long before they vote. */
  readonly freshLoginMs?: number
  /** From so long after the opening these people may serve it, too. */
  readonly escalation?: Circle & { readonly afterMs: number }
  /** One person may serve this requirement and another one that says the same. */
  readonly sharesPeople: boolean
}

/** Who may serve it, in words. */
export const approversIn = ({ groups, users, automations = [] }: { readonly groups: readonly string[]; readonly users: readonly Pick<Party, 'subject'>[]; readonly automations?: readonly Pick<Party, 'subject'>[] | undefined }): readonly string[] =>
  [...groups, ...users.map(({ subject }) => subject), ...automations.map(({ subject }) => `the automation ${subject}`)]

/** Who may release an action alone in an emergency, and how many characters their reason has at least. */
export interface BreakGlass extends Circle {
  readonly policy: string
  readonly rule: string
  readonly reason: number
}

/** What releases a hold. Every requirement must be met, each by people of its own. */
export interface Terms {
  readonly requirements: readonly Requirement[]
  /** One for every rule that holds: who breaks the glass must be among the people of each. Absent: nobody may. */
  readonly breakGlass?: readonly BreakGlass[]
  readonly withinMs: number
  readonly runWithinMs: number
  readonly askReason: boolean
  readonly run: 'attached' | 'when-approved'
  readonly drift?: Drift
  readonly grant?: GrantBounds
  /** What it does cannot be undone. */
  readonly irreversible?: true
  /** Nobody approves it as one of several. */
  readonly together?: false
}

/** How many more rows than the approvers were shown an approved action may change. With both, the lower one counts. */
export interface Drift {
  /** So many times as many. */
  readonly factor?: number
  /** So many more. */
  readonly rows?: number
}

/** The most that approvers may let through of the same kind, beside the one action that they approve. */
export interface GrantBounds {
  readonly times: number
  /** Of all uses together, where rows can be counted. */
  readonly rows?: number
  readonly withinMs: number
}

export interface Obligations {
  /** Strictest mask by `tag:pii` or `column:public.customers.email`. */
  readonly masks: Readonly<Record<string, Mask>>
  readonly limits: Readonly<{ rows?: number; ms?: number }>
}

export interface Decision {
  readonly verdict: Verdict
  readonly matched: readonly MatchedRule[]
  /** Present exactly when the verdict is `hold`. */
  readonly terms?: Terms
  readonly obligations: Obligations
  /** Hash of the policy set that decided. */
  readonly policyVersion: string
}

/** One rule that speaks of such an action, and how far it fitted. */
export interface RuleReason {
  readonly policy: string
  readonly rule: string
  readonly then: Verdict
  /** `file:line`. */
  readonly at: string
  readonly matched: boolean
  /** Lines of it that fitted. */
  readonly lines: readonly string[]
  /** The first line that did not, and what it saw where that is no more than names. */
  readonly missed?: { readonly key: string; readonly saw?: string }
  /** Facts that its condition looks at, by name. */
  readonly reads?: readonly string[]
  /** Its condition failed while it ran, which counts against the caller. */
  readonly broke?: true
}

/** Why a decision is as it is. Names of rules, lines, groups, tables and facts; never a value of what was sent. */
export interface Reasons {
  /** Of what evaluates rules: another number, and the same rules may come to something else. */
  readonly evaluator: number
  /** Those that matched first, then those that came nearest. */
  readonly rules: readonly RuleReason[]
  /** So many more rules spoke of such an action. */
  readonly more?: number
}
