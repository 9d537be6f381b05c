import type { Ask } from './ask.ts'
import type { Catalog, Relation } from './catalog.ts'

/** What the open transaction has defined anew: nobody but its session sees that, and what the shared catalog says of it is not so any more. */
export interface OwnChanges {
  readonly functions: ReadonlySet<string>
  readonly operators: ReadonlySet<string>
  /** Types, casts or the conditions of domains. */
  readonly types: boolean
  /** Whether what the shared catalog says of a relation, or of one that its rows come from, is not so any more. */
  touches(catalog: Catalog, relation: Relation): boolean
}

const NOTHING: ReadonlySet<string> = new Set()

export const NO_CHANGES: OwnChanges = Object.freeze({ functions: NOTHING, operators: NOTHING, types: false, touches: () => false })

/** More than this, and everything counts as changed. */
const MOST_CHANGES = 10_000

const changed = (what: string, number: string, more: string, table: string, where = 'true'): string =>
  `SELECT '${what}', ${number}, (${more})::pg_catalog.text FROM pg_catalog.${table} x WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL AND pg_catalog.age(x.xmin) OPERATOR(pg_catalog.<=) 0 AND ${where}`

const READABLE = `x.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'm', 'f', 'S']::pg_catalog."char"[])`
const GENERATED = `EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) x.adrelid AND a.attnum OPERATOR(pg_catalog.=) x.adnum AND a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char")`
const TYPE = `x.typrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid AND x.typcategory OPERATOR(pg_catalog.<>) 'A'::pg_catalog."char"`

/**
 * The number of the transaction that wrote it stands in each row. Behind our own come those of our subtransactions, and of transactions that began
 * after ours: one too many is found rather than one too few. A transaction that has written nothing has no number, and nothing is looked at.
 */
const CHANGES = `${[
  changed('relation', 'x.oid', `SELECT pg_catalog.json_build_array(n.nspname, x.relname) FROM pg_catalog.pg_namespace n WHERE n.oid OPERATOR(pg_catalog.=) x.relnamespace`, 'pg_class', READABLE),
  changed('column', 'x.attrelid', 'pg_catalog.json_build_array(x.attnum, x.attname)', 'pg_attribute', 'x.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT x.attisdropped'),
  changed('generated', 'x.adrelid', 'x.adnum', 'pg_attrdef', GENERATED),
  changed('rule', 'x.ev_class', `''`, 'pg_rewrite'),
  changed('child', 'x.inhrelid', 'x.inhparent', 'pg_inherits'),
  changed('schema', 'x.oid', 'x.nspname', 'pg_namespace'),
  changed('function', 'x.oid', 'x.proname', 'pg_proc'),
  changed('operator', 'x.oid', 'x.oprname', 'pg_operator'),
  changed('type', 'x.oid', `''`, 'pg_type', TYPE),
  changed('type', 'x.oid', `''`, 'pg_cast'),
  changed('type', 'x.oid', `''`, 'pg_constraint', 'x.contypid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid'),
].join(' UNION ALL ')} LIMIT ${MOST_CHANGES + 1}`

/** Asked on the session's own connection. */
export const findOwnChanges = async (ask: Ask): Promise<OwnChanges> => {
  const rows = (await ask(CHANGES)).map(([what, number, more]): Change => ({ what: what ?? '', oid: Number(number), more: more ?? '' }))
  if (rows.length === 0) return NO_CHANGES
  const all = rows.length > MOST_CHANGES
  const named = (kind: string): ReadonlySet<string> => new Set(rows.flatMap(({ what, more }) => (what === kind ? [more] : [])))
  const schemas = named('schema')
  let last: { readonly catalog: Catalog; readonly touched: ReadonlySet<number> } | undefined
  return {
    functions: named('function'),
    operators: named('operator'),
    types: all || rows.some(({ what }) => what === 'type'),
    touches: (catalog, relation) => {
      if (last?.catalog !== catalog) last = { catalog, touched: touchedBy(rows, catalog) }
      const { touched } = last
      return all || reaches(catalog, relation, (one) => touched.has(one.oid) || schemas.has(one.schema))
    },
  }
}

interface Change {
  readonly what: string
  readonly oid: number
  readonly more: string
}

/** Relations of which the catalog does not say what is so now. What is only added to a relation is nothing that it says. */
const touchedBy = (rows: readonly Change[], catalog: Catalog): ReadonlySet<number> => {
  const touched = new Set<number>()
  for (const { what, oid, more } of rows) {
    const known = catalog.byOid(oid)
    if (known === undefined) continue
    if (what === 'relation' && !isSame(more, [known.schema, known.name])) touched.add(oid)
    if (what === 'column') {
      const [number, name] = JSON.parse(more) as readonly [number, string]
      const column = known.columns.get(number)
      if (column !== undefined && column.name !== name) touched.add(oid)
    }
    if (what === 'generated' && known.columns.has(Number(more))) touched.add(oid)
    if (what === 'rule') touched.add(oid)
    // The rows of a new table are its own; those of another one now come through both.
    if (what === 'child') for (const one of [oid, Number(more)]) touched.add(one)
  }
  return touched
}

const isSame = (json: string, names: readonly string[]): boolean => JSON.stringify(JSON.parse(json)) === JSON.stringify(names)

/** More relations behind one than this are not followed: the worst is taken for granted. */
const MOST_STEPS = 10_000

const reaches = (catalog: Catalog, relation: Relation, test: (one: Relation) => boolean): boolean => {
  const seen = new Map([[relation.oid, relation]])
  for (const one of seen.values()) {
    if (test(one) || seen.size > MOST_STEPS) return true
    const { view } = one
    for (const oid of [...one.parents, ...one.children, ...(view === undefined || view === 'unknown' ? [] : view.uses.keys())]) {
      const next = catalog.byOid(oid)
      if (next === undefined) return true
      seen.set(oid, next)
    }
  }
  return false
}
