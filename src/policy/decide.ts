import { defined } from '../lib/defined.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Decision, MatchedRule, Obligations, Verdict } from '../model/decision.ts'
import type { Service } from '../model/service.ts'
import type { Condition } from './condition.ts'
import { Facts } from './facts.ts'
import { onePath, pathsOf, type Matcher, type PathTest, type Question } from './matchers.ts'
import { foldCase, viewsOf } from './path-views.ts'
import type { Explanation, RuleExplanation } from './policy-set.ts'
import { combineObligations, combineTerms, NO_OBLIGATIONS, type HoldTerms } from './terms.ts'
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
  readonly terms: HoldTerms | undefined
  readonly obligations: Obligations | undefined
}

/** Decisions depend on nothing but the set of rules that matched, so each set's decision is made once. */
interface Branch {
  readonly next: Map<CompiledRule, Branch>
  readonly rules: readonly CompiledRule[]
  decision: Decision | undefined
}

/** Rules that a verb can meet, by the first segment of the path, folded. */
interface Bucket {
  readonly all: readonly CompiledRule[]
  readonly byFirst: ReadonlyMap<string, readonly CompiledRule[]>
  /** For a first segment that no rule names. */
  readonly elsewhere: readonly CompiledRule[]
}

const MAX_BUCKETS = 128
const MAX_BRANCHES = 4096

export interface ServiceRules {
  decide(caller: Caller, action: Action, now: number): Decision
  needsBody(verb: string, path: string): boolean
  explain(caller: Caller, action: Action, now: number): Explanation
}

export const denyAll = (policyVersion: string): Decision => Object.freeze({ verdict: 'deny', matched: Object.freeze([]), obligations: NO_OBLIGATIONS, policyVersion })

export const makeDecision = (rules: readonly CompiledRule[], policyVersion: string): Decision => {
  const inForce = rules.filter(({ matched }) => !matched.observed)
  const has = (verdict: Verdict): boolean => inForce.some(({ then }) => then === verdict)
  const verdict: Verdict = has('deny') ? 'deny' : has('hold') ? 'hold' : has('allow') ? 'allow' : 'deny'
  const terms = verdict === 'hold' ? combineTerms(inForce.flatMap((rule) => (rule.terms === undefined ? [] : [rule.terms]))) : undefined
  const obligations = verdict === 'deny' ? NO_OBLIGATIONS : combineObligations(inForce.flatMap((rule) => (rule.obligations === undefined ? [] : [rule.obligations])))
  return Object.freeze({ verdict, matched: Object.freeze(rules.map(({ matched }) => matched)), obligations, policyVersion, ...defined({ terms }) })
}

const passes = (rules: readonly Matcher[], question: Question): boolean => {
  for (const matcher of rules) if (!matcher.matches(question)) return false
  return true
}

const meetsVerb = (rule: CompiledRule, verb: string): boolean => rule.verbs.every((matcher) => matcher.verb(verb)) && !(rule.strict && rule.verbs.length === 0 && mustBeNamed(verb))

const makeBucket = (rules: readonly CompiledRule[], verb: string): Bucket => {
  const all = rules.filter((rule) => meetsVerb(rule, verb))
  const firsts = (rule: CompiledRule): readonly string[] | undefined => rule.paths.find((path) => path.firsts !== undefined)?.firsts
  const names = new Set(all.flatMap((rule) => firsts(rule) ?? []))
  const byFirst = new Map([...names].map((name) => [name, all.filter((rule) => firsts(rule)?.includes(name) ?? true)] as const))
  return { all, byFirst, elsewhere: all.filter((rule) => firsts(rule) === undefined) }
}

export const makeServiceRules = (service: Service, rules: readonly CompiledRule[], policyVersion: string): ServiceRules => {
  const buckets = new Map<string, Bucket>()
  const root: Branch = { next: new Map(), rules: [], decision: undefined }
  const nothing = denyAll(policyVersion)
  let branches = 0

  const bucketOf = (verb: string): Bucket => {
    const known = buckets.get(verb)
    if (known !== undefined) return known
    const made = makeBucket(rules, verb)
    if (buckets.size < MAX_BUCKETS) buckets.set(verb, made)
    return made
  }

  const branchTo = (from: Branch, rule: CompiledRule): Branch => {
    const known = from.next.get(rule)
    if (known !== undefined) return known
    const made: Branch = { next: new Map(), rules: [...from.rules, rule], decision: undefined }
    if (branches < MAX_BRANCHES) {
      branches++
      from.next.set(rule, made)
    }
    return made
  }

  /** An ordinary path has one reading, and its first segment says which rules can match. Any other meets all of them. */
  const candidates = (bucket: Bucket, question: Question): readonly CompiledRule[] => {
    if (bucket.byFirst.size === 0) return bucket.all
    const paths = pathsOf(question)
    if (paths.length !== 1) return bucket.all
    const [views] = paths
    if (views === undefined || views.all.length !== 1) return bucket.all
    return bucket.byFirst.get(foldCase(views.plain[1] ?? '')) ?? bucket.elsewhere
  }

  const decide = (caller: Caller, action: Action, now: number): Decision => {
    const question: Question = { caller, action, paths: undefined }
    let facts: Facts | undefined
    let branch = root
    for (const rule of candidates(bucketOf(action.verb), question)) {
      if (!passes(rule.matchers, question)) continue
      if (rule.condition !== undefined) {
        facts ??= new Facts(caller, action, service, now)
        if (!holds(rule.condition, facts, rule.strict)) continue
      }
      branch = branchTo(branch, rule)
    }
    return branch === root ? nothing : (branch.decision ??= makeDecision(branch.rules, policyVersion))
  }

  const needsBody = (verb: string, path: string): boolean => {
    const views = viewsOf(path)
    return bucketOf(verb).all.some((rule) => (rule.then === 'hold' || rule.condition?.needsBody === true) && rule.paths.every(({ test, not }) => onePath(views, test, not, rule.strict)))
  }

  const explain = (caller: Caller, action: Action, now: number): Explanation => {
    const found = rules.map((rule) => explainRule(rule, service, caller, action, now))
    return { decision: decide(caller, action, now), rules: [...found.filter(({ matched }) => matched), ...found.filter(({ matched }) => !matched)] }
  }

  return { decide, needsBody, explain }
}

/** A condition that fails while running counts against the caller. */
const holds = (condition: Condition, facts: Facts, strict: boolean): boolean => {
  try {
    return condition.evaluate(facts)
  } catch {
    return !strict
  }
}

const explainRule = (rule: CompiledRule, service: Service, caller: Caller, action: Action, now: number): RuleExplanation => {
  const question: Question = { caller, action, paths: undefined }
  const failed = [...rule.verbs, ...rule.matchers].find((matcher) => !matcher.matches(question))
  if (failed !== undefined) return { rule: rule.matched, matched: false, failed: { key: failed.key, saw: failed.saw(question) } }
  if (!meetsVerb(rule, action.verb)) return { rule: rule.matched, matched: false, failed: { key: 'actions', saw: action.verb } }
  if (rule.condition === undefined) return { rule: rule.matched, matched: true }
  try {
    if (rule.condition.evaluate(new Facts(caller, action, service, now))) return { rule: rule.matched, matched: true }
    return { rule: rule.matched, matched: false, failed: { key: 'if', saw: `${rule.condition.text} is false` } }
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
    return { rule: rule.matched, matched: !rule.strict, error: reason, ...(rule.strict ? { failed: { key: 'if', saw: `failed: ${reason}` } } : {}) }
  }
}
