import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Service } from '../model/service.ts'
import { eachOf } from './action-parts.ts'
import { meetsVerbs, type CompiledRule } from './compiled-rule.ts'
import { Facts } from './facts.ts'
import type { Question } from './matchers.ts'
import type { RuleExplanation } from './policy-set.ts'

/** Of a text of several statements, a rule matches where it matches one of them. */
export const explainRule = (rule: CompiledRule, service: Service, caller: Caller, action: Action, now: number): RuleExplanation => {
  const each = eachOf(action).map((one) => explainOne(rule, service, caller, one, now))
  return each.find(({ matched }) => matched) ?? each[0] ?? { rule: rule.matched, matched: false }
}

const explainOne = (rule: CompiledRule, service: Service, caller: Caller, action: Action, now: number): RuleExplanation => {
  const question: Question = { caller, action, paths: undefined }
  const failed = [...rule.verbs, ...rule.matchers].find((matcher) => !matcher.matches(question))
  if (failed !== undefined) return { rule: rule.matched, matched: false, failed: { key: failed.key, saw: failed.saw(question) } }
  if (!meetsVerbs(rule, action.verbs)) return { rule: rule.matched, matched: false, failed: { key: 'actions', saw: action.verbs.join(', ') } }
  if (rule.condition === undefined) return { rule: rule.matched, matched: true }
  try {
    if (rule.condition.evaluate(new Facts(caller, action, service, now))) return { rule: rule.matched, matched: true }
    return { rule: rule.matched, matched: false, failed: { key: 'if', saw: `${rule.condition.text} is false` } }
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)
    return { rule: rule.matched, matched: !rule.strict, error: reason, ...(rule.strict ? { failed: { key: 'if', saw: `failed: ${reason}` } } : {}) }
  }
}
