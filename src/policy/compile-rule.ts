import { RE2JS } from 're2js'
import { compileCidrs } from '../lib/cidr.ts'
import { defined } from '../lib/defined.ts'
import { parseDuration } from '../lib/duration.ts'
import type { Mask, MatchedRule, Obligations } from '../model/decision.ts'
import type { Protocol } from '../model/service.ts'
import { compileTerms, type TermsWorld } from './approval-terms.ts'
import { compileBreakGlass } from './circle.ts'
import { compileCondition, type Condition } from './condition.ts'
import type { CompiledRule } from './compiled-rule.ts'
import { compileGlob, globProblem } from './glob.ts'
import type { CallersSource, List, PrincipalSource, RuleSource } from './language.ts'
import { callerMatchers, globPathTest, isLoose, negated, pathMatcher, queryMatcher, regexPathTest, sqlMatcher, tagsMatcher, toolsMatcher, valuesOf, verbMatcher, type Matcher } from './matchers.ts'
import { meant } from './meant.ts'
import { objectNameProblem } from './object-names.ts'
import { foldCase } from './path-views.ts'
import type { Pins } from './pins.ts'
import { knownMethods, knownVerbs, verbFamily } from './verbs.ts'

export interface RuleWorld extends TermsWorld {
  readonly tags: ReadonlySet<string>
}

/** Reports a mistake at a path within the rule. */
export type Report = (path: readonly PropertyKey[], message: string) => void

type Family = NonNullable<Condition['family']>

const FAMILY_PROTOCOLS: Record<Family, readonly Protocol[]> = { http: ['http'], sql: ['postgres', 'mysql'], mcp: ['mcp'] }
const ALL_PROTOCOLS: readonly Protocol[] = ['http', 'mcp', 'postgres', 'mysql']

/** Which protocols a rule can speak of: that of the facts and resources it looks at. */
export interface RuleScope {
  readonly protocols: readonly Protocol[]
}

export const compileRule = (source: RuleSource, matched: MatchedRule, world: RuleWorld, report: Report): CompiledRule & RuleScope => {
  const strict = source.then === 'allow'
  const condition = compileIf(source.if, report)
  const verbs = compileVerbs(source, strict, report)
  const { paths, matchers: pathMatchers } = compilePaths(source, strict, report)
  checkLists(source, world, report)
  checkEffect(source, report)
  const matchers: Matcher[] = [
    ...(source.callers === undefined ? [] : callersOf(source.callers, strict, world, report)),
    ...(source.tags === undefined ? [] : [tagsMatcher(source.tags, strict)]),
    ...pathMatchers,
    ...SQL_LISTS.flatMap((key) => (source[key] === undefined ? [] : [sqlMatcher(key, source[key], strict)])),
    ...(source.tools === undefined ? [] : [toolsMatcher(source.tools, strict)]),
    ...(source.query === undefined ? [] : [queryMatcher(source.query, strict)]),
  ]
  if (source['break-glass'] !== undefined && source.approval?.assurance === 'passkey') report(['break-glass'], 'who breaks the glass is known by a login, and this rule asks for a passkey: nobody could')
  const breakGlass = source['break-glass'] && compileBreakGlass(source['break-glass'], matched, world, (path, message) => report(['break-glass', ...path], message))
  const terms = source.approval && { ...compileTerms(source.approval, { policy: matched.policy, rule: matched.rule, callers: source.callers }, world, (path, message) => report(['approval', ...path], message)), breakGlass }
  const needsEstimate = condition?.needsEstimate === true || terms?.drift !== undefined
  return { matched, then: source.then, strict, verbs, paths, matchers, condition, needsEstimate, terms, obligations: obligationsOf(source, world, report), pins: pinsOf(source, condition), protocols: protocolsOf(source, condition, report) }
}

/** A line about the query looks at values as a condition does. */
const pinsOf = ({ paths, 'path-regex': regex, query }: RuleSource, condition: Condition | undefined): Pins => ({
  paths: paths !== undefined && regex === undefined && !negated(paths) ? valuesOf(paths) : undefined,
  reads: [...(condition?.reads ?? []), ...(query === undefined ? [] : [['http', 'query']])],
})

/** Facts of the matchers decide which services a rule can meet, so that `tables: { not: … }` says nothing about HTTP. */
const protocolsOf = (source: RuleSource, condition: Condition | undefined, report: Report): readonly Protocol[] => {
  const families = new Map<Family, string>()
  const add = (family: Family | undefined, key: string): void => {
    if (family !== undefined && !families.has(family)) families.set(family, key)
  }
  for (const key of ['methods', 'paths', 'path-regex', 'query'] as const) if (source[key] !== undefined) add('http', key)
  for (const key of SQL_LISTS) if (source[key] !== undefined) add('sql', key)
  if (source.tools !== undefined) add('mcp', 'tools')
  add(condition?.family, 'if')
  if (families.size > 1) report([], `no action has both ${[...families.values()].map((key) => `"${key}"`).join(' and ')}: they belong to different protocols`)
  const [family] = families.keys()
  const protocols = family === undefined ? ALL_PROTOCOLS : FAMILY_PROTOCOLS[family]
  const { actions } = source
  if (actions === undefined || negated(actions) || actions.length === 0) return protocols
  // An action is named by its protocol first: `sql.select` speaks of no HTTP service.
  const heads = actions.map((verb) => compileGlob(verb.split('.', 1)[0] ?? '', '.'))
  return protocols.filter((protocol) => heads.some((head) => head.matches([verbFamily[protocol]])))
}

const compileIf = (text: string | undefined, report: Report): Condition | undefined => {
  if (text === undefined) return undefined
  const compiled = compileCondition(text)
  if (!('problem' in compiled)) return compiled
  report(['if'], `${compiled.problem} (at character ${compiled.at + 1} of the condition)`)
  return undefined
}

const compileVerbs = (source: RuleSource, strict: boolean, report: Report): CompiledRule['verbs'] => {
  const verbs: (CompiledRule['verbs'][number])[] = []
  if (source.actions !== undefined) {
    for (const verb of valuesOf(source.actions)) {
      const problem = globProblem(verb, '.')
      const glob = compileGlob(verb, '.')
      if (problem !== undefined) report(['actions'], problem)
      else if (!knownVerbs.some((known) => glob.covers(known.split('.')))) report(['actions'], `no action is called "${verb}"${meant(verb, knownVerbs)}`)
    }
    verbs.push(verbMatcher('actions', source.actions, strict))
  }
  if (source.methods !== undefined) {
    const names = valuesOf(source.methods)
    for (const method of names) if (!knownMethods.includes(method)) report(['methods'], `no method is called "${method}"${meant(method, knownMethods)}`)
    const list = names.map((method) => `http.${method}`)
    verbs.push(verbMatcher('methods', negated(source.methods) ? { not: list } : list, strict))
  }
  return verbs
}

const compilePaths = (source: RuleSource, strict: boolean, report: Report): { readonly paths: CompiledRule['paths']; readonly matchers: readonly Matcher[] } => {
  const paths: (CompiledRule['paths'][number])[] = []
  const matchers: Matcher[] = []
  if (source.paths !== undefined) {
    for (const path of valuesOf(source.paths)) {
      const problem = globProblem(path, '/') ?? (path.startsWith('/') ? (/[?#]/.test(path) ? `a path has no query: use "query" beside "${path}"` : /\{[^}]*\}/.test(path) ? `"${path}" means the braces as they stand: write * for one segment` : undefined) : `a path begins with "/", unlike "${path}"`)
      if (problem !== undefined) report(['paths'], problem)
    }
    const not = negated(source.paths)
    const globs = valuesOf(source.paths).map((path) => compileGlob(isLoose(not, strict) ? foldCase(path) : path, '/'))
    const firsts = globs.flatMap(({ first }) => (first === undefined ? [] : [foldCase(first)]))
    const test = globPathTest(globs)
    paths.push({ test, not, firsts: not || firsts.length !== globs.length ? undefined : firsts })
    matchers.push(pathMatcher('paths', test, not, strict))
  }
  const regex = source['path-regex']
  if (regex !== undefined) {
    const not = negated(regex)
    const test = regexPathTest(valuesOf(regex).flatMap((pattern) => compilePathRegex(pattern, isLoose(not, strict), report)))
    paths.push({ test, not, firsts: undefined })
    matchers.push(pathMatcher('path-regex', test, not, strict))
  }
  return { paths, matchers }
}

const compilePathRegex = (pattern: string, loose: boolean, report: Report): readonly RE2JS[] => {
  if (!pattern.startsWith('^') || !/(?<!\\)(?:\\\\)*\$$/.test(pattern)) report(['path-regex'], `the expression "${pattern}" is not anchored on both sides: begin it with ^ and end it with $`)
  // The match is against the whole path in any case, so that `^/a$|^/b` cannot loosen it.
  try {
    // In any case of letters, and as it stands: `[^A-Z]` matches less when case does not count.
    return loose ? [RE2JS.compile(pattern), RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE)] : [RE2JS.compile(pattern)]
  } catch (error) {
    report(['path-regex'], error instanceof Error ? error.message : String(error))
    return []
  }
}

const callersOf = (source: CallersSource, strict: boolean, world: RuleWorld, report: Report): readonly Matcher[] => {
  checkPrincipal(source, world, (path, message) => report(['callers', ...path], message))
  const behalf = source['on-behalf-of']
  if (typeof behalf === 'object') checkPrincipal(behalf, world, (path, message) => report(['callers', 'on-behalf-of', ...path], message))
  try {
    if (source.addresses !== undefined) compileCidrs(valuesOf(source.addresses))
  } catch (error) {
    report(['callers', 'addresses'], error instanceof Error ? error.message : String(error))
    return []
  }
  return callerMatchers(source, strict, world.issuers)
}

const checkPrincipal = (source: PrincipalSource, world: RuleWorld, report: Report): void => {
  const values = (list: List | undefined): readonly string[] => (list === undefined ? [] : valuesOf(list))
  for (const group of values(source.groups)) if (world.groups !== undefined && !world.groups.includes(group)) report(['groups'], `no group is called "${group}"${meant(group, world.groups)}`)
  const issuers = [...world.issuers].flatMap(([name, exact]) => [name, ...exact])
  for (const issuer of values(source.issuers)) if (!issuers.includes(issuer)) report(['issuers'], `no issuer is called "${issuer}"${meant(issuer, issuers)}`)
  for (const subject of values(source.subjects)) {
    const problem = globProblem(subject, '/:')
    if (problem !== undefined) report(['subjects'], problem)
  }
  for (const domain of values(source['email-domains'])) if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(domain)) report(['email-domains'], `"${domain}" is no domain such as example.com`)
}

const SQL_LISTS = ['tables', 'columns', 'functions'] as const
const SQL_KINDS = { tables: 'table', columns: 'column', functions: 'function' } as const

const checkLists = (source: RuleSource, world: RuleWorld, report: Report): void => {
  for (const key of SQL_LISTS) {
    for (const name of source[key] === undefined ? [] : valuesOf(source[key])) {
      const problem = globProblem(name, '.') ?? objectNameProblem(SQL_KINDS[key], name)
      if (problem !== undefined) report([key], problem)
    }
  }
  for (const name of source.tools === undefined ? [] : valuesOf(source.tools)) {
    const problem = globProblem(name, '/')
    if (problem !== undefined) report(['tools'], problem)
  }
  for (const tag of source.tags === undefined ? [] : valuesOf(source.tags)) if (!world.tags.has(tag)) report(['tags'], `the classification has no tag "${tag}"${meant(tag, world.tags)}`)
}

const checkEffect = (source: RuleSource, report: Report): void => {
  if (source.then === 'hold' && source.approval === undefined) report([], 'a rule that holds needs "approval": nobody could approve')
  if (source.then !== 'hold' && source.approval !== undefined) report(['approval'], `"approval" has no meaning in a rule that says ${source.then}; did you mean "then: hold"?`)
  if (source.then !== 'hold' && source['break-glass'] !== undefined) report(['break-glass'], `"break-glass" has no meaning in a rule that says ${source.then}: it releases what is held, and never what is denied`)
  if (source.then === 'deny' && (source.mask !== undefined || source.limits !== undefined)) report([source.mask === undefined ? 'limits' : 'mask'], 'nothing runs that a rule denies: there is nothing to mask or to limit')
}

/** Masks are kept column by column, so a column is named and not described. */
const maskedColumnProblem = (name: string): string | undefined => (name.includes('*') ? `"${name}" is no one column: give the columns a tag, and mask the tag` : objectNameProblem('column', name))

const obligationsOf = (source: RuleSource, world: RuleWorld, report: Report): Obligations | undefined => {
  if (source.mask === undefined && source.limits === undefined) return undefined
  const masks: Record<string, Mask> = {}
  for (const [name, mask] of Object.entries(source.mask ?? {})) {
    const column = name.includes('.')
    const problem = column ? maskedColumnProblem(name) : undefined
    if (problem !== undefined) report(['mask', name], problem)
    if (!column && !world.tags.has(name)) report(['mask', name], `the classification has no tag "${name}"${meant(name, world.tags)}`)
    masks[column ? `column:${name}` : `tag:${name}`] = mask
  }
  const ms = source.limits?.time === undefined ? undefined : parseDuration(source.limits.time)
  return { masks, limits: defined({ rows: source.limits?.rows, ms }) }
}
