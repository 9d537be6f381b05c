import { defined } from '../lib/defined.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Reasons, RuleReason } from '../model/decision.ts'
import type { Service } from '../model/service.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { Facts } from './facts.ts'
import type { Question } from './matchers.ts'

/** Changed whenever the same rules may come to another verdict than before. */
export const evaluatorVersion = 1

/** What these lines see are names that stand in policies and on record anyway. What others see may be somebody's. */
const shown: ReadonlySet<string> = new Set(['actions', 'methods', 'tables', 'columns', 'functions', 'tools', 'tags', 'callers.kind', 'callers.groups', 'callers.issuers'])
const mostSeen = 120
const mostRules = 12
const mostReads = 10

const readsOf = ({ condition }: CompiledRule): readonly string[] | undefined => {
  const names = [...new Set(condition?.reads.map((path) => path.join('.').slice(0, mostSeen)))].slice(0, mostReads)
  return names.length === 0 ? undefined : names
}

const reasonOf = (rule: CompiledRule, service: Service, caller: Caller, action: Action, now: number): RuleReason => {
  const question: Question = { caller, action, paths: undefined }
  const { policy, rule: name, then, at } = rule.matched
  const lines: string[] = []
  const said = (matched: boolean, more: Partial<RuleReason> = {}): RuleReason => ({ policy, rule: name, then, at, matched, lines, ...defined({ reads: readsOf(rule) }), ...more })
  for (const matcher of [...rule.verbs, ...rule.matchers]) {
    if (!matcher.matches(question)) return said(false, { missed: { key: matcher.key, ...(shown.has(matcher.key) ? { saw: matcher.saw(question).slice(0, mostSeen) } : {}) } })
    lines.push(matcher.key)
  }
  if (rule.condition === undefined) return said(true)
  try {
    if (!rule.condition.evaluate(new Facts(caller, action, service, now))) return said(false, { missed: { key: 'if' } })
    lines.push('if')
    return said(true)
  } catch {
    return said(!rule.strict, { broke: true, ...(rule.strict ? { missed: { key: 'if' } } : {}) })
  }
}

const nearness = ({ matched, lines }: RuleReason): number => (matched ? 1_000 : lines.length)

/** `asked`: the action, or each of its statements, with the rules that its verbs can meet. Of several statements a rule is told by the one that it fits best. */
export const reasonsOf = (service: Service, caller: Caller, asked: readonly { readonly action: Action; readonly rules: readonly CompiledRule[] }[], now: number): Reasons => {
  const best = new Map<CompiledRule, RuleReason>()
  for (const { action, rules } of asked)
    for (const rule of rules) {
      const [reason, known] = [reasonOf(rule, service, caller, action, now), best.get(rule)]
      if (known === undefined || nearness(reason) > nearness(known)) best.set(rule, reason)
    }
  const found = [...best.values()].toSorted((a, b) => nearness(b) - nearness(a))
  return { evaluator: evaluatorVersion, rules: found.slice(0, mostRules), ...(found.length > mostRules ? { more: found.length - mostRules } : {}) }
}
