import type { Ask } from './ask.ts'
import type { Catalog, Column, Relation } from './catalog.ts'
import { identifier, literal } from './quoting.ts'

type Name = { readonly schema?: string; readonly name: string }

/** So many names are looked for at once. */
const MOST_NAMES = 100

export interface Found {
  readonly oid: number
  /** Where it is plain: no rules, no parents, no children, no generated columns. Then all that matters is in it. */
  readonly table?: Relation
}

/** What these names lead to at this moment, in the session whose connection is asked, so that everything is qualified. In the order of the names; `undefined` for a name that leads nowhere. */
export const findNow = async (ask: Ask, names: readonly Name[]): Promise<readonly (Found | undefined)[]> => {
  const found: (Found | undefined)[] = []
  for (let at = 0; at < names.length; at += MOST_NAMES) found.push(...(await findSome(ask, names.slice(at, at + MOST_NAMES))))
  return found
}

const findSome = async (ask: Ask, names: readonly Name[]): Promise<readonly (Found | undefined)[]> => {
  const values = names.map(({ schema, name }, at) => `(${at}, pg_catalog.to_regclass(${literal(schema === undefined ? identifier(name) : `${identifier(schema)}.${identifier(name)}`)})::pg_catalog.oid)`)
  const rows = await ask(`SELECT v.at, c.oid, n.nspname, c.relname, c.relhastriggers,
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname)) FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped),
    c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog."char" AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char" AND NOT c.relhasrules AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid OR i.inhparent OPERATOR(pg_catalog.=) c.oid)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char")
    FROM (VALUES ${values.join(', ')}) v (at, oid) JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) v.oid JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace`)
  const found: (Found | undefined)[] = names.map(() => undefined)
  for (const [at, number, schema, name, fires, columns, plain] of rows) {
    const oid = Number(number)
    const table: Relation = { oid, schema: schema ?? '', name: name ?? '', kind: 'table', columns: columnsOf(columns), parents: [], children: [], fires: fires === 't', rules: false }
    found[Number(at)] = plain === 't' ? { oid, table } : { oid }
  }
  return found
}

const columnsOf = (json: string | null | undefined): ReadonlyMap<number, Column> =>
  new Map(((json === null || json === undefined ? [] : JSON.parse(json)) as readonly (readonly [number, string])[]).map(([number, name]) => [number, { number, name, former: [] }]))

/** What everybody sees, and these tables. */
export const withTables = (catalog: Catalog, tables: readonly Relation[]): Catalog => {
  const byOid = new Map(tables.map((table) => [table.oid, table]))
  const byName = new Map(tables.map((table) => [JSON.stringify([table.schema, table.name]), table]))
  return { ...catalog, byOid: (oid) => catalog.byOid(oid) ?? byOid.get(oid), byName: (schema, name) => catalog.byName(schema, name) ?? byName.get(JSON.stringify([schema, name])) }
}
