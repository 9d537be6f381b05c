import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Decision, MatchedRule, Obligations, Reasons } from '../model/decision.ts'
import type { Pinned } from '../model/grant.ts'
import type { Replay } from './replay.ts'

/** All policies of the deployment, compiled. Immutable; a reload makes another one. */
export interface PolicySet {
  /** `sha256:` over the canonical form of every policy, the classification and the services' labels. */
  readonly version: string
  /** Pure and total: never throws, never waits. No match is a deny. */
  decide(caller: Caller, action: Action, now: number): Decision
  /**
   * Whether an action of this service and verb on this path can meet a rule that holds it or that looks into its body.
   * If not, the protocol may decide without reading the body and stream it.
   */
  needsBody(service: string, verb: string, path: string): boolean
  /**
   * Whether a rule that this action could meet, whoever asks, looks at how many rows it would touch, or lets its approval go when that has grown.
   * A condition that asks for `sql.estimatedRows` of an action without it fails, which counts against the caller.
   */
  needsEstimate(service: string, action: Action): boolean
  /** Every mask that a rule of this service can ask for, of this caller or, without one, of anybody: the strictest of each. One object for as long as the set is the same. */
  masksOf(service: string, caller?: Caller): Obligations['masks']
  /** What its rules keep of an action that they hold, for a grant to be for others of the same kind. `undefined`: they do not hold it, or it cannot be told. */
  pinned(caller: Caller, action: Action, now: number): Pinned | undefined
  /** Why it is not simply allowed, for the record. Costs about as much as deciding; for decisions that stop somebody. */
  reasons(caller: Caller, action: Action, now: number): Reasons | undefined
  /** Data tags of a resource by the classification. */
  tagsOf(service: string, kind: 'path' | 'table' | 'column' | 'tool', name: string): readonly string[]
}

/** One rule of a service, looked at for one action. */
export interface RuleExplanation {
  readonly rule: MatchedRule
  readonly matched: boolean
  /** The first line of the rule that did not fit, and what it saw instead. */
  readonly failed?: { readonly key: string; readonly saw: string }
  /** The condition failed while it ran; such a rule counts as matched if it holds or denies. */
  readonly error?: string
}

export interface Explanation {
  readonly decision: Decision
  /** Every rule that applies to the service, matched ones first. */
  readonly rules: readonly RuleExplanation[]
}

/** A policy set as the command line, the tests and the console use it. */
export interface ExplainingPolicySet extends PolicySet {
  /** Why `decide` answers as it does, rule by rule. Slow; never on the path of an action. */
  explain(caller: Caller, action: Action, now: number): Explanation
  /** A decision once more, from what is on record of caller and action. */
  replay(caller: Caller, action: Action, decision: Pick<Decision, 'verdict' | 'matched'>): Replay | undefined
  /** Every rule of every policy, in no meaningful order. */
  readonly rules: readonly MatchedRule[]
}
