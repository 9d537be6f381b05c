import { canonicalJson } from '../../lib/canonical-json.ts'
import { readsAsTruth } from '../../lib/truth.ts'
import { visible } from '../../lib/visible.ts'
import type { ActionPattern } from '../../model/action.ts'
import type { Occasion, Understood } from './action.ts'
import { knownValues } from './action-text.ts'

const bools: ReadonlySet<number> = new Set([16, 1_000])
/** From here on types are somebody's own: they may be true and false by another name. */
const firstOwnType = 16_384

/**
 * What this statement has in common with others of its kind: where and as whom it runs, what its names lead to and by which settings it is read,
 * its tree with what is open left open, and the value of every parameter that stands nowhere open, or whose value is no mere value.
 */
export const patternFor = (understood: Understood, { pattern, resolved, bound, types = understood.types }: Occasion): ActionPattern | undefined => {
  if (pattern === undefined || resolved === undefined || understood.pieces.length > 1) return undefined
  const { place: { service, upstream, database, role }, relations } = understood
  const values = bound === undefined ? [] : knownValues(bound, types)
  if (values.includes(undefined)) return undefined
  const kept = values.map((value, at) => (pattern.open.includes(at + 1) && typeof value === 'string' && isMereValue(value, types[at] ?? 0) ? undefined : (value ?? null)))
  const same = canonicalJson(['sql v1', service, upstream, database, role, understood.types, relations.map(({ schema, name, oid }) => [schema, name, oid ?? null]), JSON.stringify(resolved), pattern.same, kept.map((value) => (value === undefined ? ['open'] : ['is', value]))])
  return { same, text: () => [pattern.text, ...kept.map((value, at) => `$${at + 1} = ${value === undefined ? '<any value>' : value === null ? 'NULL' : visible(JSON.stringify(value))}`)].join('\n') }
}

const isMereValue = (value: string, type: number): boolean => value !== '' && !bools.has(type) && !((type === 0 || type >= firstOwnType) && readsAsTruth(value))
