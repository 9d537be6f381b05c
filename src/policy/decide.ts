import { defined } from '../lib/defined.ts'
import type { Action, ActionPart } from '../model/action.ts'
import type { Caller, Members } from '../model/caller.ts'
import type { Decision, Obligations, Reasons, Verdict } from '../model/decision.ts'
import type { Pinned } from '../model/grant.ts'
import type { Service } from '../model/service.ts'
import { asAction, eachOf } from './action-parts.ts'
import { candidates, makeBuckets } from './buckets.ts'
import { isAboutCaller, meetsVerbs, passes, type CompiledRule } from './compiled-rule.ts'
import type { Condition } from './condition.ts'
import { explainRule } from './explain.ts'
import { Facts } from './facts.ts'
import { onePath, type Question } from './matchers.ts'
import { viewsOf } from './path-views.ts'
import type { Explanation } from './policy-set.ts'
import { refusedForNobody } from './nobody.ts'
import { openPath, pinnedValues } from './pins.ts'
import { reasonsOf } from './reasons.ts'
import { replay, type Replay } from './replay.ts'
import { combineObligations, combineTerms, NO_OBLIGATIONS } from './terms.ts'
import { needsNoRule } from './verbs.ts'

/** Decisions depend on nothing but the set of rules that matched and the verdict, so each is made once. */
interface Branch {
  readonly next: Map<CompiledRule, Branch>
  readonly rules: readonly CompiledRule[]
  /** The gravest of the rules that are in force; `undefined`: none is. */
  readonly verdict: Verdict | undefined
  readonly decisions: Partial<Record<Verdict, Decision>>
}

const MAX_BRANCHES = 4096

export interface ServiceRules {
  decide(caller: Caller, action: Action, now: number): Decision
  needsBody(verb: string, path: string): boolean
  needsEstimate(action: Action): boolean
  masksOf(caller?: Caller): Obligations['masks']
  pinned(caller: Caller, action: Action, now: number): Pinned | undefined
  explain(caller: Caller, action: Action, now: number): Explanation
  reasons(caller: Caller, action: Action, now: number): Reasons
  replay(caller: Caller, action: Action, decision: Pick<Decision, 'verdict' | 'matched'>): Replay
}

export const denyAll = (policyVersion: string): Decision => Object.freeze({ verdict: 'deny', matched: Object.freeze([]), obligations: NO_OBLIGATIONS, policyVersion })

const inForce = (rules: readonly CompiledRule[]): readonly CompiledRule[] => rules.filter(({ matched }) => !matched.observed)

const obligationsOf = (rules: readonly CompiledRule[]): Obligations => combineObligations(inForce(rules).flatMap((rule) => (rule.obligations === undefined ? [] : [rule.obligations])))

const conclude = (rules: readonly CompiledRule[], verdict: Verdict, policyVersion: string): Decision => {
  const terms = verdict === 'hold' ? combineTerms(inForce(rules).flatMap((rule) => (rule.terms === undefined ? [] : [rule.terms]))) : undefined
  const obligations = verdict === 'deny' ? NO_OBLIGATIONS : obligationsOf(rules)
  return Object.freeze({ verdict, matched: Object.freeze(rules.map(({ matched }) => matched)), obligations, policyVersion, ...defined({ terms }) })
}

/** Stands where lines about the caller are left out. */
const nobody: Caller = Object.freeze({ issuer: '', subject: '', kind: 'human', groups: undefined, onBehalfOf: [], claims: {}, session: '', authenticatedAt: 0, expiresAt: 0, address: '' })

export const makeServiceRules = (service: Service, rules: readonly CompiledRule[], policyVersion: string, members?: Members): ServiceRules => {
  const bucketOf = makeBuckets(rules)
  const root: Branch = { next: new Map(), rules: [], verdict: undefined, decisions: {} }
  const nothing = denyAll(policyVersion)
  let branches = 0

  const branchTo = (from: Branch, rule: CompiledRule): Branch => {
    const known = from.next.get(rule)
    if (known !== undefined) return known
    const made: Branch = { next: new Map(), rules: [...from.rules, rule], verdict: rule.matched.observed ? from.verdict : graver(from.verdict, rule.then), decisions: {} }
    if (branches < MAX_BRANCHES) {
      branches++
      from.next.set(rule, made)
    }
    return made
  }

  /** The rules that match, in their one order. */
  const walk = (caller: Caller, action: Action, now: number): Branch => {
    const question: Question = { caller, action, paths: undefined }
    let facts: Facts | undefined
    let branch = root
    for (const rule of candidates(bucketOf(action.verbs), question)) {
      if (!passes(rule.matchers, question)) continue
      if (rule.condition !== undefined) {
        facts ??= new Facts(caller, action, service, now)
        if (!holds(rule.condition, facts, rule.strict)) continue
      }
      branch = branchTo(branch, rule)
    }
    return branch
  }

  const decide = (caller: Caller, action: Action, now: number): Decision => {
    const decision = action.parts === undefined ? decideOne(caller, action, now) : decideParts(caller, action, action.parts, now)
    return members === undefined ? decision : refusedForNobody(decision, caller, members)
  }

  const decideOne = (caller: Caller, action: Action, now: number): Decision => {
    const branch = walk(caller, action, now)
    return decisionOf(branch, verdictOf(branch, action))
  }

  /** What touches no data is allowed where no rule says otherwise, anything else is denied. */
  const verdictOf = ({ verdict }: Pick<Branch, 'verdict'>, action: Action): Verdict => verdict ?? (needsNoRule(action.verbs) && action.resources.length === 0 ? 'allow' : 'deny')

  const decisionOf = (branch: Branch, verdict: Verdict): Decision => (branch === root && verdict === 'deny' ? nothing : (branch.decisions[verdict] ??= conclude(branch.rules, verdict, policyVersion)))

  /** Each part by itself: the gravest verdict is that of all, and what every part obliges to is kept for all. */
  const decideParts = (caller: Caller, action: Action, parts: readonly ActionPart[], now: number): Decision => {
    const met = new Set<CompiledRule>()
    let verdict: Verdict | undefined
    for (const part of parts) {
      const one = asAction(action, part)
      const branch = walk(caller, one, now)
      for (const rule of branch.rules) met.add(rule)
      verdict = graver(verdict, verdictOf(branch, one))
    }
    return decisionOf(rules.reduce((branch, rule) => (met.has(rule) ? branchTo(branch, rule) : branch), root), verdict ?? 'deny')
  }

  const needsEstimate = (action: Action): boolean => {
    if (action.parts !== undefined) return action.parts.some((part) => needsEstimate(asAction(action, part)))
    const question: Question = { caller: nobody, action, paths: undefined }
    return bucketOf(action.verbs).counting.some((matchers) => passes(matchers, question))
  }

  const needsBody = (verb: string, path: string): boolean => {
    const views = viewsOf(path)
    return bucketOf([verb]).all.some((rule) => (rule.then === 'hold' || rule.condition?.needsBody === true) && rule.paths.every(({ test, not }) => onePath(views, test, not, rule.strict)))
  }

  const explain = (caller: Caller, action: Action, now: number): Explanation => {
    const found = rules.map((rule) => explainRule(rule, service, caller, action, now))
    return { decision: decide(caller, action, now), rules: [...found.filter(({ matched }) => matched), ...found.filter(({ matched }) => !matched)] }
  }

  const pinned = (caller: Caller, action: Action, now: number): Pinned | undefined => {
    if (action.parts !== undefined) return undefined
    const holding = walk(caller, action, now).rules.filter(({ then, matched }) => then === 'hold' && !matched.observed)
    const values = holding.length === 0 ? undefined : pinnedValues(holding.map(({ pins }) => pins), caller, action, service, now)
    if (values === undefined) return undefined
    const [path, ...more] = action.resources.flatMap(({ kind, name }) => (kind === 'path' ? [name] : []))
    if (path === undefined) return { policyVersion, values }
    if (more.length > 0) return undefined
    const opened = new Set(holding.map(({ pins }) => openPath(path, pins)))
    return { policyVersion, values, path: opened.size === 1 ? ([...opened][0] ?? path) : path }
  }

  /** Looked at only where somebody is told no, or to wait. */
  const reasons = (caller: Caller, action: Action, now: number): Reasons => reasonsOf(service, caller, eachOf(action).map((one) => ({ action: one, rules: bucketOf(one.verbs).all })), now)

  const replayed = (caller: Caller, action: Action, decision: Pick<Decision, 'verdict' | 'matched'>): Replay =>
    replay(rules, service, caller, action, decision, { meets: (rule) => meetsVerbs(rule, action.verbs), verdictOf: (matching) => verdictOf({ verdict: matching.filter(({ matched }) => !matched.observed).reduce<Verdict | undefined>((all, { then }) => graver(all, then), undefined) }, action) })

  const masking = rules.filter(({ then, obligations }) => then !== 'deny' && obligations !== undefined)
  const masks = obligationsOf(masking).masks
  const masksByCaller = new WeakMap<Caller, Obligations['masks']>()
  const masksOf = (caller?: Caller): Obligations['masks'] => {
    if (caller === undefined) return masks
    const known = masksByCaller.get(caller)
    if (known !== undefined) return known
    // Lines about the caller look at nothing else.
    const question = { caller, paths: undefined } as unknown as Question
    const made = obligationsOf(masking.filter(({ matchers }) => passes(matchers.filter(isAboutCaller), question))).masks
    masksByCaller.set(caller, made)
    return made
  }

  return { decide, needsBody, needsEstimate, pinned, explain, reasons, replay: replayed, masksOf }
}

/** A condition that fails while running counts against the caller. */
const holds = (condition: Condition, facts: Facts, strict: boolean): boolean => {
  try {
    return condition.evaluate(facts)
  } catch {
    return !strict
  }
}

const graver = (a: Verdict | undefined, b: Verdict): Verdict => (a === 'deny' || b === 'deny' ? 'deny' : a === 'hold' || b === 'hold' ? 'hold' : 'allow')
