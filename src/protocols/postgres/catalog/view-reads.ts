import { showsMore } from '../sql/builtins.ts'
import type { FunctionNature } from '../sql/names.ts'
import type { Catalog, Relation } from './catalog.ts'
import { graver } from './natures.ts'

export interface Reads {
  /** `undefined`: it may read anything. */
  readonly tables: readonly { readonly schema: string; readonly name: string }[] | undefined
  readonly runs: FunctionNature
}

/** More views of views than this are not followed. */
const MOST_STEPS = 10_000

/**
 * What reading a relation reads in the end. A table is itself and, so that a rule on a table holds for its partitions too,
 * the tables that it is a partition of or inherits from.
 */
export const readsOf = (catalog: Catalog, relation: Relation): Reads => {
  const tables = new Map<number, Relation>()
  const seen = new Set<number>()
  const open = [relation]
  let runs: FunctionNature = 'pure'
  let certain = true
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next.oid)) continue
    seen.add(next.oid)
    if (seen.size > MOST_STEPS || next.view === 'unknown') certain = false
    if (showsMore(next)) runs = graver(runs, 'server')
    if (next.view === 'unknown') runs = graver(runs, 'volatile')
    if (next.view !== undefined && next.view !== 'unknown') runs = graver(runs, next.view.calls)
    if (next.view === undefined) tables.set(next.oid, next)
    const further = next.view === undefined ? next.parents : next.view === 'unknown' ? [] : [...next.view.uses.keys()]
    for (const oid of further) {
      const known = catalog.byOid(oid)
      if (known === undefined) certain = false
      else if (seen.size + open.length <= MOST_STEPS) open.push(known)
      else certain = false
    }
  }
  // Functions read tables that no definition names.
  return { tables: certain && runs === 'pure' ? [...tables.values()].map(({ schema, name }) => ({ schema, name })) : undefined, runs }
}
