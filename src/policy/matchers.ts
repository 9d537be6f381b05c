import { compileCidrs } from '../lib/cidr.ts'
import { RE2JS } from 're2js'
import type { Action, Resource } from '../model/action.ts'
import type { Caller, Principal } from '../model/caller.ts'
import { compileGlob, splitSegments, type Glob } from './glob.ts'
import { couldBeAny } from './object-names.ts'
import type { CallersSource, List, PrincipalSource } from './language.ts'
import { viewsOf, type PathViews } from './path-views.ts'
import { mustBeNamed } from './verbs.ts'

/** What one decision is about; path views are made once, when a rule first asks. */
export interface Question {
  readonly caller: Caller
  readonly action: Action
  paths: readonly PathViews[] | undefined
}

/**
 * One line of a rule. Doubt goes against the caller: for a rule that allows (`strict`) everything that the action touches must match,
 * as it stands; for a rule that holds or denies it is enough that one thing does, in one of its readings.
 */
export interface Matcher {
  readonly key: string
  matches(question: Question): boolean
  /** What the matcher looked at, for `explain`. */
  saw(question: Question): string
}

type Test = (value: string) => boolean

export const negated = (list: List): list is { not: string[] } => !Array.isArray(list)
export const valuesOf = (list: List): readonly string[] => (Array.isArray(list) ? list : list.not)

/** Exact names in a set, patterns one by one. */
const anyOf = (patterns: readonly string[], separators: string, how: 'matches' | 'covers' = 'matches'): Test => {
  const globs = patterns.map((pattern) => compileGlob(pattern, separators))
  const exact = new Set(how === 'matches' ? globs.flatMap(({ exact: name }) => (name === undefined ? [] : [name])) : [])
  const wild = how === 'matches' ? globs.filter((glob) => glob.exact === undefined) : globs
  return (value) => {
    if (exact.has(value)) return true
    if (wild.length === 0) return false
    const segments = splitSegments(value, separators)
    return wild.some((glob) => glob[how](segments))
  }
}

const anyName = (names: readonly string[]): Test => {
  const set = new Set(names)
  return (value) => set.has(value)
}

/** A property of which a caller has one value or none: unknown fails an allow, and the `not` of an allow. */
const single = (list: List, strict: boolean, test: Test): ((value: string | undefined) => boolean) =>
  negated(list) ? (value) => (value === undefined ? !strict : !test(value)) : (value) => value !== undefined && test(value)

const groupsTest = (list: List, strict: boolean): ((groups: readonly string[] | undefined) => boolean) => {
  const test = anyName(valuesOf(list))
  if (negated(list)) return (groups) => (groups === undefined ? !strict : !groups.some(test))
  if (valuesOf(list).length === 0) return () => false
  return (groups) => (groups === undefined ? !strict : groups.some(test))
}

/** Issuers by their short name or their exact `iss`. */
export type IssuerNames = ReadonlyMap<string, readonly string[]>

const domainOf = (email: string | undefined): string | undefined => {
  const at = email?.lastIndexOf('@') ?? -1
  return email === undefined || at < 0 ? undefined : email.slice(at + 1).toLowerCase()
}

type PrincipalMatcher = readonly [key: string, test: (who: Principal) => boolean, saw: (who: Principal) => string]

const principalMatchers = (source: PrincipalSource, strict: boolean, issuers: IssuerNames): readonly PrincipalMatcher[] => {
  const found: PrincipalMatcher[] = []
  if (source.kind !== undefined) {
    const kinds: List = typeof source.kind === 'string' ? [source.kind] : source.kind
    const test = single(kinds, strict, anyName(valuesOf(kinds)))
    found.push(['kind', (who) => test(who.kind), (who) => who.kind])
  }
  if (source.groups !== undefined) {
    const test = groupsTest(source.groups, strict)
    found.push(['groups', (who) => test(who.groups), (who) => (who.groups === undefined ? 'unknown' : who.groups.join(', ') || 'none')])
  }
  if (source.issuers !== undefined) {
    const test = single(source.issuers, strict, anyName(valuesOf(source.issuers).flatMap((name) => issuers.get(name) ?? [name])))
    found.push(['issuers', (who) => test(who.issuer), (who) => who.issuer])
  }
  if (source.subjects !== undefined) {
    const test = single(source.subjects, strict, anyOf(valuesOf(source.subjects), '/:'))
    found.push(['subjects', (who) => test(who.subject), (who) => who.subject])
  }
  if (source['email-domains'] !== undefined) {
    const test = single(source['email-domains'], strict, anyName(valuesOf(source['email-domains']).map((domain) => domain.toLowerCase())))
    found.push(['email-domains', (who) => test(domainOf(who.email)), (who) => domainOf(who.email) ?? 'no e-mail'])
  }
  return found
}

export const callerMatchers = (source: CallersSource, strict: boolean, issuers: IssuerNames): readonly Matcher[] => {
  const found: Matcher[] = principalMatchers(source, strict, issuers).map(([key, test, saw]) => ({ key: `callers.${key}`, matches: ({ caller }) => test(caller), saw: ({ caller }) => saw(caller) }))
  if (source['client-ids'] !== undefined) {
    const test = single(source['client-ids'], strict, anyName(valuesOf(source['client-ids'])))
    found.push({ key: 'callers.client-ids', matches: ({ caller }) => test(caller.clientId), saw: ({ caller }) => caller.clientId ?? 'none' })
  }
  if (source.addresses !== undefined) {
    const test = single(source.addresses, strict, compileCidrs(valuesOf(source.addresses)))
    found.push({ key: 'callers.addresses', matches: ({ caller }) => test(caller.address), saw: ({ caller }) => caller.address })
  }
  const behalf = source['on-behalf-of']
  if (behalf !== undefined) {
    const matches = typeof behalf === 'string' ? (chain: readonly Principal[]) => (chain.length === 0) === (behalf === 'nobody') : chainTest(behalf, strict, issuers)
    found.push({ key: 'callers.on-behalf-of', matches: ({ caller }) => matches(caller.onBehalfOf), saw: ({ caller }) => caller.onBehalfOf.map((who) => who.subject).join(' for ') || 'nobody' })
  }
  return found
}

const chainTest = (source: PrincipalSource, strict: boolean, issuers: IssuerNames): ((chain: readonly Principal[]) => boolean) => {
  const tests = principalMatchers(source, strict, issuers).map(([, test]) => test)
  const one = (who: Principal): boolean => tests.every((test) => test(who))
  return strict ? (chain) => chain.length > 0 && chain.every(one) : (chain) => chain.some(one)
}

/** Things of which an action has any number. */
const several = (list: List, strict: boolean, test: Test): ((values: readonly string[]) => boolean) => {
  if (strict) return negated(list) ? (values) => !values.some(test) : (values) => values.length > 0 && values.every(test)
  return negated(list) ? (values) => values.some((value) => !test(value)) : (values) => values.some(test)
}

export const tagsMatcher = (list: List, strict: boolean): Matcher => {
  const test = several(list, strict, anyName(valuesOf(list)))
  // An action without tags is not tagged as what a `not` exempts from a hold or a deny.
  const untagged = !strict && negated(list)
  return { key: 'tags', matches: ({ action }) => test(action.tags) || (untagged && action.tags.length === 0), saw: ({ action }) => action.tags.join(', ') || 'none' }
}

const namesOf = (action: Action, kind: Resource['kind']): readonly string[] => {
  const names: string[] = []
  for (const resource of action.resources) if (resource.kind === kind) names.push(resource.name)
  return names
}

export const toolsMatcher = (list: List, strict: boolean): Matcher => {
  const test = several(list, strict, anyOf(valuesOf(list), '/'))
  return { key: 'tools', matches: ({ action }) => test(namesOf(action, 'tool')), saw: ({ action }) => namesOf(action, 'tool').join(', ') || 'none' }
}

const SQL_RESOURCES = { tables: 'table', columns: 'column', functions: 'function' } as const
export type SqlList = keyof typeof SQL_RESOURCES

export const sqlMatcher = (key: SqlList, list: List, strict: boolean): Matcher => {
  const kind = SQL_RESOURCES[key]
  const patterns = valuesOf(list)
  const test = several(list, strict, negated(list) === strict ? couldBeAny(patterns) : anyOf(patterns, '.'))
  const matches = remembered((action) => test(namesOf(action, kind)))
  return { key, matches: ({ action }) => matches(action), saw: ({ action }) => namesOf(action, kind).join(', ') || 'none' }
}

/** A statement that comes again brings the list of resources that it brought before, which is final: the answer is looked up. */
const remembered = (test: (action: Action) => boolean): ((action: Action) => boolean) => {
  const answers = new WeakMap<Action['resources'], boolean>()
  return (action) => {
    const { resources } = action
    const known = answers.get(resources)
    if (known !== undefined) return known
    const answer = test(action)
    if (Object.isFrozen(resources)) answers.set(resources, answer)
    return answer
  }
}

export const pathsOf = (question: Question): readonly PathViews[] => (question.paths ??= namesOf(question.action, 'path').map(viewsOf))

/** Tests of one path, as segments. */
export type PathTest = (segments: readonly string[]) => boolean

export const globPathTest = (globs: readonly Glob[]): PathTest => (segments) => globs.some((glob) => glob.matches(segments))

export const regexPathTest = (patterns: readonly RE2JS[]): PathTest => (segments) => {
  const path = segments.join('/')
  return patterns.some((pattern) => pattern.matches(path))
}

/** Whether a list of paths is read in any case of letters: where being on it goes against the caller. Its test is made of folded patterns. */
export const isLoose = (not: boolean, strict: boolean): boolean => not === strict

export const onePath = (views: PathViews, test: PathTest, not: boolean, strict: boolean): boolean => {
  if (strict) return not ? !views.loose.some(test) : test(views.plain)
  return not ? views.all.some((view) => !test(view)) : views.loose.some(test)
}

export const pathMatcher = (key: 'paths' | 'path-regex', test: PathTest, not: boolean, strict: boolean): Matcher => {
  const one = (views: PathViews): boolean => onePath(views, test, not, strict)
  return {
    key,
    matches: (question) => {
      const paths = pathsOf(question)
      return strict ? paths.length > 0 && paths.every(one) : paths.some(one)
    },
    saw: ({ action }) => namesOf(action, 'path').join(', ') || 'none',
  }
}

export const verbMatcher = (key: 'actions' | 'methods', list: List, strict: boolean): Matcher & { readonly verb: (verb: string) => boolean } => {
  const patterns = valuesOf(list)
  const any = anyOf(patterns, '.', strict ? 'matches' : 'covers')
  const named = new Set(patterns)
  const not = negated(list)
  const verb = (value: string): boolean => (not ? !any(value) : any(value)) && !(strict && mustBeNamed(value) && (not || !named.has(value)))
  return { key, verb, matches: ({ action: { verbs } }) => (strict ? verbs.every(verb) : verbs.some(verb)), saw: ({ action }) => action.verbs.join(', ') }
}

export type QuerySource = Readonly<Record<string, string | readonly string[] | { readonly not: readonly string[] }>>

/** `role`, `role[]`, `role[0]` and `Role` are one key to some framework. */
const keyName = (key: string): string => (key.split('[', 1)[0] ?? '').trim().toLowerCase()

/**
 * Every value that some upstream may read under each key: repeated keys, bracketed keys,
 * and what a parser that also splits at `;` would find inside a key or a value.
 */
const queryValues = (query: unknown): ReadonlyMap<string, readonly string[]> => {
  const found = new Map<string, string[]>()
  const add = (key: string, value: string): void => {
    const name = keyName(key)
    const values = found.get(name)
    if (values === undefined) found.set(name, [value])
    else values.push(value)
  }
  if (typeof query !== 'object' || query === null) return found
  for (const [key, given] of Object.entries(query)) {
    for (const one of Array.isArray(given) ? given : [given]) {
      const value = String(one)
      add(key, value)
      const pair = `${key}=${value}`
      if (!pair.includes(';')) continue
      for (const piece of pair.split(';')) {
        const cut = piece.indexOf('=')
        if (cut >= 0) add(piece.slice(0, cut), piece.slice(cut + 1))
        else add(piece, '')
      }
    }
  }
  return found
}

const httpFact = (action: Action, name: string): unknown => {
  const http = action.facts['http']
  return typeof http === 'object' && http !== null && Object.hasOwn(http, name) ? (http as Record<string, unknown>)[name] : undefined
}

export const queryMatcher = (source: QuerySource, strict: boolean): Matcher => {
  const keys = Object.entries(source).map(([key, wanted]) => {
    const list = typeof wanted === 'string' ? [wanted] : wanted
    const not = 'not' in list
    return { name: keyName(key), values: new Set(not ? list.not : list), not }
  })
  const matches = ({ action }: Question): boolean => {
    const query = queryValues(httpFact(action, 'query'))
    return keys.every(({ name, values, not }) => {
      const given = query.get(name) ?? []
      if (strict) return not ? given.every((value) => !values.has(value)) : given.length > 0 && given.every((value) => values.has(value))
      return not ? given.length === 0 || given.some((value) => !values.has(value)) : given.some((value) => values.has(value))
    })
  }
  return { key: 'query', matches, saw: ({ action }) => [...queryValues(httpFact(action, 'query'))].map(([key, values]) => `${key}=${values.join('|')}`).join('&') || 'none' }
}
