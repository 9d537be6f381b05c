import type { Problem } from '../lib/problem.ts'
import type { Protocol, Service } from '../model/service.ts'
import { lintSql, lintUnmasked } from './lint-sql.ts'
import { negated, valuesOf } from './matchers.ts'
import type { List, RuleSource } from './language.ts'

/** A rule with what is known of it once all policies are read. */
export interface LintedRule {
  readonly source: RuleSource
  readonly policy: string
  readonly observed: boolean
  readonly services: readonly Service[]
  /** Where it can meet none: the protocols of those that its policy is about. */
  readonly missed: readonly Protocol[]
  /** Which it can speak of. */
  readonly protocols: readonly Protocol[]
  readonly warn: (path: readonly PropertyKey[], message: string) => Problem
  readonly conditionWarnings: readonly string[]
}

const LISTS = ['actions', 'methods', 'paths', 'path-regex', 'tables', 'columns', 'functions', 'tools', 'tags'] as const
const MATCHERS = ['callers', ...LISTS, 'query', 'if'] as const

const isEmpty = (list: List | undefined): boolean => list !== undefined && !negated(list) && valuesOf(list).length === 0

const emptyKeys = ({ source }: LintedRule): readonly string[] => [
  ...LISTS.filter((key) => isEmpty(source[key])),
  ...(['groups', 'issuers', 'subjects', 'email-domains', 'client-ids', 'addresses'] as const).filter((key) => isEmpty(source.callers?.[key])).map((key) => `callers.${key}`),
]

const covers = (wide: List | undefined, narrow: List | undefined): boolean => {
  if (wide === undefined) return true
  if (narrow === undefined || negated(wide) || negated(narrow)) return JSON.stringify(wide) === JSON.stringify(narrow)
  return narrow.every((value) => wide.includes(value) || wide.some((pattern) => pattern === '**' || pattern === '/**' || (pattern.endsWith('/**') && (value.startsWith(pattern.slice(0, -2)) || value === pattern.slice(0, -3))) || (pattern.endsWith('.*') && value.startsWith(pattern.slice(0, -1)))))
}

/** Whether a deny without any other condition takes everything that the rule could match. */
const shadows = (deny: LintedRule, rule: LintedRule): boolean => {
  const { source } = deny
  if (deny === rule || source.then !== 'deny' || deny.observed || source.if !== undefined || source.query !== undefined || source['path-regex'] !== undefined) return false
  if (source.callers !== undefined && JSON.stringify(source.callers) !== JSON.stringify(rule.source.callers)) return false
  if (!rule.services.every((service) => deny.services.includes(service))) return false
  return (['actions', 'methods', 'paths', 'tables', 'columns', 'functions', 'tools', 'tags'] as const).every((key) => covers(source[key], rule.source[key]))
}

/** What loads but is probably not meant. */
export const lintRules = (rules: readonly LintedRule[]): readonly Problem[] => rules.flatMap((rule) => lintRule(rule, rules))

const metBySame = (rule: LintedRule, other: LintedRule): boolean => rule !== other && !rule.observed && !other.observed && rule.services.some((service) => other.services.includes(service))

const unmetText = ({ missed, protocols }: LintedRule): string =>
  missed.length === 0 || missed.some((protocol) => protocols.includes(protocol)) ? 'no service can meet this rule' : `no service can meet this rule: it speaks of ${protocols.join(' or ')}, and its policy is about services of ${missed.join(', ')}`

const lintRule = (rule: LintedRule, rules: readonly LintedRule[]): readonly Problem[] => {
  const { source, services, warn } = rule
  const found: Problem[] = rule.conditionWarnings.map((message) => warn(['if'], message))
  if (services.length === 0) found.push(warn([], unmetText(rule)))
  for (const key of emptyKeys(rule)) found.push(warn([], `an empty list matches nothing, so "${key}: []" makes the rule match nothing${source.then === 'allow' ? '' : ': nothing is held or denied by it'}`))
  if (source.then === 'allow' && MATCHERS.every((key) => source[key] === undefined)) found.push(warn([], 'allows everything to everybody'))
  else if (source.then === 'allow' && source.callers === undefined) found.push(warn([], 'allows any caller: name the groups or the kind under "callers" if that is not meant'))
  if (services.some(({ protocol }) => protocol === 'postgres' || protocol === 'mysql')) found.push(...[...lintSql(source), ...rules.flatMap((other) => (metBySame(rule, other) ? lintUnmasked(source, other.source) : []))].map(([key, message]) => warn(key === undefined || source[key] === undefined ? [] : [key], message)))
  if (source.then !== 'allow' && source.because === undefined) found.push(warn([], `says ${source.then} without "because": the people and agents it stops will ask why`))
  if (source.then === 'deny' && source.instead === undefined) found.push(warn([], 'says deny without "instead": an agent that is told what to do instead does not try again'))
  if (source.then !== 'deny' && services.length > 0) {
    const by = rules.find((other) => shadows(other, rule))
    if (by !== undefined) found.push(warn([], `never has an effect: everything it matches is denied by ${by.policy}/${by.source.name}`))
  }
  return found
}
