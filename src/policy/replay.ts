import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { MatchedRule, Verdict } from '../model/decision.ts'
import type { Service } from '../model/service.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { Facts } from './facts.ts'
import type { Question } from './matchers.ts'

/* A decision once more, from what is on record of it. Bodies, parameters, headers, queries and claims are not: what looks at them is taken from the record. */

export interface ReplayedRule {
  readonly rule: MatchedRule
  /** As the record says. */
  readonly then: boolean
  /** As it comes out now; `undefined`: it looks at `unrecorded`. */
  readonly now: boolean | undefined
  readonly unrecorded: readonly string[]
  /** The first line that does not fit. */
  readonly missed?: { readonly key: string; readonly saw: string }
}

export interface Replay {
  readonly same: boolean
  readonly verdict: Verdict
  readonly rules: readonly ReplayedRule[]
  /** It was held, and denied because nobody was there who could release it. Who was is not on record. */
  readonly forNobody?: true
  /** Rules on record that these policies do not have. */
  readonly absent: readonly MatchedRule[]
}

const recorded: ReadonlySet<string> = new Set([
  ...['issuer', 'subject', 'kind', 'email', 'groups', 'clientId', 'address'].map((name) => `caller.${name}`),
  ...['protocol', 'verb', 'tags', 'paths', 'tables', 'columns', 'functions', 'tools'].map((name) => `action.${name}`),
  'service.name', 'service.labels', 'http.method', 'http.path',
])

const isRecorded = ([root = '', member = '']: readonly string[]): boolean => recorded.has(`${root}.${member}`)

const unrecordedOf = ({ matchers, condition }: CompiledRule): readonly string[] => [
  ...(matchers.some(({ key }) => key === 'query') ? ['http.query'] : []),
  ...new Set(condition?.reads.filter((path) => !isRecorded(path)).map((path) => path.join('.'))),
]

const again = (rule: CompiledRule, service: Service, caller: Caller, action: Action, then: boolean): ReplayedRule => {
  const question: Question = { caller, action, paths: undefined }
  const unrecorded = unrecordedOf(rule)
  const about = { rule: rule.matched, then, unrecorded }
  const missed = [...rule.verbs, ...rule.matchers].find((matcher) => matcher.key !== 'query' && !matcher.matches(question))
  if (missed !== undefined) return { ...about, now: false, missed: { key: missed.key, saw: missed.saw(question) } }
  if (unrecorded.length > 0) return { ...about, now: undefined }
  if (rule.condition === undefined) return { ...about, now: true }
  try {
    return { ...about, now: rule.condition.evaluate(new Facts(caller, action, service, 0)) }
  } catch {
    return { ...about, now: !rule.strict }
  }
}

const isSame = (a: MatchedRule, b: MatchedRule): boolean => a.policy === b.policy && a.rule === b.rule

/** `meets`: whether a rule can meet the verbs of the action. `verdictOf`: of what matched and is in force. */
export const replay = (
  rules: readonly CompiledRule[],
  service: Service,
  caller: Caller,
  action: Action,
  { verdict, matched }: { readonly verdict: Verdict; readonly matched: readonly MatchedRule[] },
  { meets, verdictOf }: { readonly meets: (rule: CompiledRule) => boolean; readonly verdictOf: (rules: readonly CompiledRule[]) => Verdict },
): Replay => {
  const found = rules.map((rule) => {
    const then = matched.some((one) => isSame(one, rule.matched))
    const made = again(rule, service, caller, action, then)
    return { rule, made: made.now === true && !meets(rule) ? { ...made, now: false, missed: { key: 'actions', saw: action.verbs.join(', ') } } : made }
  })
  const came = verdictOf(found.filter(({ made }) => made.now ?? made.then).map(({ rule }) => rule))
  const forNobody = came === 'hold' && verdict === 'deny' && found.some(({ rule, made }) => rule.then === 'hold' && made.then && matched.some((one) => isSame(one, rule.matched) && one.then === 'deny'))
  const absent = matched.filter((one) => !rules.some((rule) => isSame(one, rule.matched)))
  return { same: (forNobody || came === verdict) && absent.length === 0 && found.every(({ made }) => made.now === undefined || made.now === made.then), verdict: forNobody ? verdict : came, ...(forNobody ? { forNobody } : {}), rules: found.map(({ made }) => made), absent }
}
