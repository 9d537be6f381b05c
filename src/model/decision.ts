import type { Party } from './caller.ts'

export type Verdict = 'allow' | 'hold' | 'deny'

/** How sure we must be of an approver: a chat account, a login at the console or API, a passkey signature. */
export type Assurance = 'chat' | 'console' | 'passkey'

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

/** So many people out of these groups or accounts. */
export interface Requirement {
  readonly policy: string
  readonly rule: string
  readonly groups: readonly string[]
  readonly users: readonly Party[]
  /** Accounts of programs that may vote here as well; no group ever makes one an approver. */
  readonly automations?: readonly Party[]
  readonly count: number
  readonly assurance: Assurance
  /** One person may serve this requirement and another one that says the same. */
  readonly sharesPeople: boolean
}

/** Who may serve it, in words. */
export const approversIn = ({ groups, users, automations = [] }: { readonly groups: readonly string[]; readonly users: readonly Pick<Party, 'subject'>[]; readonly automations?: readonly Pick<Party, 'subject'>[] | undefined }): readonly string[] =>
  [...groups, ...users.map(({ subject }) => subject), ...automations.map(({ subject }) => `the automation ${subject}`)]

/** What releases a hold. Every requirement must be met, each by people of its own. */
export interface Terms {
  readonly requirements: readonly Requirement[]
  readonly withinMs: number
  readonly runWithinMs: number
  readonly askReason: boolean
  readonly run: 'attached' | 'when-approved'
  readonly drift?: Drift
}

/** How many more rows than the approvers were shown an approved action may change. With both, the lower one counts. */
export interface Drift {
  /** So many times as many. */
  readonly factor?: number
  /** So many more. */
  readonly rows?: number
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
