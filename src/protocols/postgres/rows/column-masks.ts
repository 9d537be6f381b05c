import { dottedName } from '../../../lib/dotted-name.ts'
import { stricter } from '../../../masking/mask.ts'
import type { Mask } from '../../../model/decision.ts'
import type { Catalog, Relation } from '../catalog/catalog.ts'

export type TagsOf = (kind: 'table' | 'column', name: string) => readonly string[]

/** Which columns of one database a set of masks is about. */
export interface ColumnMasks {
  /** By column number. Only columns that are masked are in it. */
  of(relation: Relation): ReadonlyMap<number, Exclude<Mask, 'none'>>
}

/** A column with this tag does not take over the tags of its table. */
export const PUBLIC_TAG = 'public'

/** More tables of one partitioned table than this are not looked at one by one: all columns count as masked. */
const MOST_RELATIVES = 20_000

type Sets = WeakMap<Readonly<Record<string, Mask>>, ColumnMasks>

const sets = new WeakMap<Catalog, WeakMap<TagsOf, Sets>>()

/** Kept for as long as catalog, classification and the masks (one object for one decision of a policy) are the same. */
export const columnMasks = (catalog: Catalog, masks: Readonly<Record<string, Mask>>, tagsOf: TagsOf): ColumnMasks => {
  const byTags = sets.get(catalog) ?? new WeakMap<TagsOf, Sets>()
  sets.set(catalog, byTags)
  const known = byTags.get(tagsOf) ?? new WeakMap<Readonly<Record<string, Mask>>, ColumnMasks>()
  byTags.set(tagsOf, known)
  const found = known.get(masks) ?? make(catalog, masks, tagsOf)
  known.set(masks, found)
  return found
}

const make = (catalog: Catalog, masks: Readonly<Record<string, Mask>>, tagsOf: TagsOf): ColumnMasks => {
  const done = new Map<number, ReadonlyMap<number, Exclude<Mask, 'none'>>>()
  const inWork = new Set<number>()

  const byName = (relation: Relation, name: string): Mask => {
    const table = dottedName(relation.schema, relation.name)
    const column = dottedName(relation.schema, relation.name, name)
    const own = tagsOf('column', column)
    const tags = own.includes(PUBLIC_TAG) ? own : [...own, ...tagsOf('table', table)]
    return tags.map((tag) => masks[`tag:${tag}`] ?? 'none').reduce<Mask>(stricter, masks[`column:${column}`] ?? 'none')
  }
  const behind = (relation: Relation, number: number): Mask => {
    const { view } = relation
    if (view === undefined) return 'none'
    if (view === 'unknown') return 'redact'
    const origin = view.origins.get(number)
    if (origin === undefined) return [...view.uses].some(([oid, columns]) => usesMasked(catalog.byOid(oid), columns)) ? 'redact' : 'none'
    const source = catalog.byOid(origin.oid)
    return source === undefined || !source.columns.has(origin.number) ? 'redact' : (of(source).get(origin.number) ?? 'none')
  }
  /** A computed column shows no more of a mask than nothing: `partial` of a part could be all of it. */
  const usesMasked = (source: Relation | undefined, columns: ReadonlySet<number> | 'all'): boolean => {
    if (source === undefined) return true
    const found = of(source)
    return columns === 'all' ? found.size > 0 : [...columns].some((number) => found.has(number))
  }
  const of = (relation: Relation): ReadonlyMap<number, Exclude<Mask, 'none'>> => {
    const ready = done.get(relation.oid)
    if (ready !== undefined) return ready
    // A view cannot read itself; if the catalog says so, it is not to be believed.
    if (inWork.has(relation.oid)) return all(relation)
    inWork.add(relation.oid)
    const related = relatives(catalog, relation)
    const found = new Map<number, Exclude<Mask, 'none'>>()
    for (const { number, name, former } of relation.columns.values()) {
      const names = [name, ...former]
      const named = related === undefined ? 'redact' : related.flatMap((relative) => names.map((one) => byName(relative, one))).reduce<Mask>(stricter, 'none')
      const mask = stricter(named, behind(relation, number))
      if (mask !== 'none') found.set(number, mask)
    }
    // A generated column is never made of another one.
    const made = [...relation.columns.values()].filter(({ madeOf = [] }) => madeOf.some((source) => found.has(source)))
    for (const { number } of made) found.set(number, 'redact')
    inWork.delete(relation.oid)
    done.set(relation.oid, found)
    return found
  }
  return { of }
}

const all = (relation: Relation): ReadonlyMap<number, 'redact'> => new Map([...relation.columns.keys()].map((number) => [number, 'redact']))

/** A table with those that it inherits from and those that inherit from it: rows of one are read through the other. */
const relatives = (catalog: Catalog, relation: Relation): readonly Relation[] | undefined => {
  const found = new Map([[relation.oid, relation]])
  for (const one of found.values()) {
    for (const oid of [...one.parents, ...one.children]) {
      const relative = catalog.byOid(oid)
      if (relative === undefined || found.size >= MOST_RELATIVES) return undefined
      found.set(oid, relative)
    }
  }
  return [...found.values()]
}
