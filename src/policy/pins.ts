import { canonicalJson } from '../lib/canonical-json.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Service } from '../model/service.ts'
import type { FactPath } from './condition-reads.ts'
import { Facts } from './facts.ts'
import { compileGlob } from './glob.ts'
import { foldCase, viewsOf } from './path-views.ts'

/** What a rule that holds keeps of an action, so that another one is of the same kind in its eyes. */
export interface Pins {
  /** Its list of paths, where it has one that says what is on it. */
  readonly paths: readonly string[] | undefined
  readonly reads: readonly FactPath[]
}

/**
 * The path, with a star for each segment for which one stands in the rule. All else stays as it is: what `**`, an expression or a `not` let through,
 * what several readers could read in several ways, and a segment that another pattern of the rule that matches wants as it is.
 */
export const openPath = (path: string, { paths }: Pins): string => {
  const views = viewsOf(path)
  if (paths === undefined || views.all.length !== 1) return path
  const folded = views.plain.map(foldCase)
  const matching = paths.filter((pattern) => compileGlob(foldCase(pattern), '/').matches(folded))
  if (matching.length === 0 || matching.some((pattern) => pattern.split('/').includes('**'))) return path
  return views.plain.map((segment, at) => (matching.every((pattern) => pattern.split('/')[at] === '*') ? '*' : segment)).join('/')
}

/** Time passes, and how many rows there are has a bound of its own. */
const isElsewhere = ([root, member]: FactPath): boolean => root === 'now' || (root === 'sql' && member === 'estimatedRows')

/** The values of all facts that these rules look at, in one text; `undefined`: they cannot all be told. */
export const pinnedValues = (pins: readonly Pins[], caller: Caller, action: Action, service: Service, now: number): string | undefined => {
  const facts = new Facts(caller, action, service, now)
  const paths = new Map(pins.flatMap(({ reads }) => reads).filter((path) => !isElsewhere(path)).map((path) => [JSON.stringify(path), path]))
  try {
    return canonicalJson([...paths].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, path]) => [name, plain(valueAt(facts, path), 0)]))
  } catch {
    return undefined
  }
}

/** `undefined` where there is none. */
const valueAt = (facts: Facts, path: FactPath): unknown => path.reduce<unknown>((value, name) => (value instanceof Map ? value.get(name) : typeof value === 'object' && value !== null && name in value && typeof (value as Record<string, unknown>)[name] !== 'function' ? (value as Record<string, unknown>)[name] : undefined), facts)

const deepest = 100

/** Two values are one in this form only if they are one for an expression. */
const plain = (value: unknown, depth: number): unknown => {
  if (depth > deepest) throw new Error('nested too deeply')
  if (value === undefined) return ['absent']
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return ['is', value]
  if (typeof value === 'bigint') return ['int', String(value)]
  if (value instanceof Date) return ['time', value.getTime()]
  if (Array.isArray(value)) return ['list', ...value.map((item) => plain(item, depth + 1))]
  if (typeof value !== 'object') throw new Error('no value')
  const members = value instanceof Map ? [...(value as Map<unknown, unknown>)].map(([key, member]) => [String(key), member] as const) : membersOf(value)
  return ['map', ...members.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, plain(member, depth + 1)])]
}

/** Facts have some of theirs on their prototype. */
const membersOf = (value: object): readonly (readonly [string, unknown])[] => {
  const names = new Set(Object.keys(value))
  for (let at: unknown = Object.getPrototypeOf(value); typeof at === 'object' && at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(at))) if (get !== undefined) names.add(name)
  }
  return [...names].map((name) => [name, (value as Record<string, unknown>)[name]])
}
