import type { Ask } from './ask.ts'
import type { Catalog, Column, Relation } from './catalog.ts'
import { identifier, literal } from './quoting.ts'

type Name = { readonly schema?: string; readonly name: string }

/** More names than this are not looked for at once. */
const MOST_NAMES = 100

/**
 * Tables of these names that the session alone can see, because its open transaction has made them. Only plain ones, of which all that matters is
 * in the answer: no rules, no parents, no children, no generated columns. Asked on the session's own connection, so everything is qualified.
 */
export const findOwnTables = async (ask: Ask, names: readonly Name[]): Promise<readonly Relation[]> => {
  const wanted = [...new Set(names.map(({ schema, name }) => (schema === undefined ? identifier(name) : `${identifier(schema)}.${identifier(name)}`)))].slice(0, MOST_NAMES)
  if (wanted.length === 0) return []
  const rows = await ask(`SELECT c.oid, n.nspname, c.relname, c.relhastriggers,
    (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname)) FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY[${wanted.map((name) => `pg_catalog.to_regclass(${literal(name)})::pg_catalog.oid`).join(', ')}])
    AND c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog."char" AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char" AND NOT c.relhasrules AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid OR i.inhparent OPERATOR(pg_catalog.=) c.oid)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char")`)
  return rows.map(([oid, schema, name, fires, columns]) => ({ oid: Number(oid), schema: schema ?? '', name: name ?? '', kind: 'table', columns: columnsOf(columns), parents: [], children: [], fires: fires === 't', rules: false }))
}

const columnsOf = (json: string | null | undefined): ReadonlyMap<number, Column> =>
  new Map(((json === null || json === undefined ? [] : JSON.parse(json)) as readonly (readonly [number, string])[]).map(([number, name]) => [number, { number, name, former: [] }]))

/** What everybody sees, and these tables. */
export const withTables = (catalog: Catalog, tables: readonly Relation[]): Catalog => {
  const byOid = new Map(tables.map((table) => [table.oid, table]))
  const byName = new Map(tables.map((table) => [JSON.stringify([table.schema, table.name]), table]))
  return { ...catalog, byOid: (oid) => catalog.byOid(oid) ?? byOid.get(oid), byName: (schema, name) => catalog.byName(schema, name) ?? byName.get(JSON.stringify([schema, name])) }
}
