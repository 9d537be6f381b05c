import type { MatchedRule, Obligations, Verdict } from '../model/decision.ts'
import type { Condition } from './condition.ts'
import type { Matcher, PathTest, Question } from './matchers.ts'
import type { Pins } from './pins.ts'
import type { HoldTerms } from './terms.ts'
import { mustBeNamed } from './verbs.ts'

export interface CompiledRule {
  readonly matched: MatchedRule
  readonly then: Verdict
  /** `then: allow`: doubt means that it does not match. */
  readonly strict: boolean
  readonly verbs: readonly (Matcher & { readonly verb: (verb: string) => boolean })[]
  /** `firsts`: folded. */
  readonly paths: readonly { readonly test: PathTest; readonly not: boolean; readonly firsts: readonly string[] | undefined }[]
  /** Every line but the verbs and the condition, cheap ones first. */
  readonly matchers: readonly Matcher[]
  readonly condition: Condition | undefined
  /** It looks at how many rows an action would touch. */
  readonly needsEstimate: boolean
  readonly terms: HoldTerms | undefined
  readonly obligations: Obligations | undefined
  readonly pins: Pins
}

const meetsVerb = (rule: CompiledRule, verb: string): boolean => rule.verbs.every((matcher) => matcher.verb(verb)) && !(rule.strict && rule.verbs.length === 0 && mustBeNamed(verb))

/** An allow rule answers for everything that an action does, any other for one thing of it. */
export const meetsVerbs = (rule: CompiledRule, verbs: readonly string[]): boolean => (rule.strict ? verbs.length > 0 && verbs.every((verb) => meetsVerb(rule, verb)) : verbs.some((verb) => meetsVerb(rule, verb)))

export const passes = (matchers: readonly Matcher[], question: Question): boolean => {
  for (const matcher of matchers) if (!matcher.matches(question)) return false
  return true
}

export const isAboutCaller = ({ key }: Matcher): boolean => key.startsWith('callers.')
