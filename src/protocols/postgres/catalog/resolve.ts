import type { FunctionRef, RelationRef } from '../sql/reading.ts'
import type { Ask } from './ask.ts'
import { identifier, literal } from './quoting.ts'

/** What a name means at the server, in the session that will run the statement. */
export interface Resolved {
  readonly as: string
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** A hash of what it is made of and what happens with it. That can change while the number stays. */
  readonly definition?: string
}

/** More names in one statement than this cannot be bound to an approval. */
export const MOST_NAMES = 1000

/** What decides what a statement about a relation does: its columns, what a view reads, rules, triggers and what their functions do, policies. */
const DEFINITION = `(SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.attgenerated), ' ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', r.ev_type, r.ev_enabled, r.is_instead, r.ev_qual, r.ev_action), ' ' ORDER BY r.oid) FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, t.tgtype, t.tgenabled, t.tgqual, t.tgargs, p.oid, p.prosrc, p.probin), ' ' ORDER BY t.oid)
      FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', o.oid, o.polcmd, o.polpermissive, o.polqual, o.polwithcheck), ' ' ORDER BY o.oid) FROM pg_catalog.pg_policy o WHERE o.polrelid OPERATOR(pg_catalog.=) c.oid),
    c.relrowsecurity`

/**
 * Asks the server itself: temporary tables first, then the search_path of this moment. In the order of `relations`, without repetition.
 * `undefined` for a name that leads nowhere. Everything in the question is qualified, so that no temporary table or path can bend it.
 */
export const resolveRelations = async (ask: Ask, relations: readonly RelationRef[]): Promise<readonly (Resolved | undefined)[]> => {
  const names = unique(relations)
  if (names.length === 0) return []
  const values = names.map((name, at) => `(${at}, pg_catalog.to_regclass(${literal(name)}))`)
  const rows = await ask(`SELECT v.at, c.oid, n.nspname, c.relname, pg_catalog.md5(pg_catalog.concat_ws(' ', ${DEFINITION}))
    FROM (VALUES ${values.join(', ')}) v (at, class)
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) v.class::pg_catalog.oid
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace`)
  return placed(names, rows)
}

/**
 * Every function that a name can mean, with a hash of its body: for functions that are not built in and may do anything.
 * `path`: the schemas in which an unqualified name is looked for.
 */
export const resolveFunctions = async (ask: Ask, functions: readonly FunctionRef[], path: readonly string[]): Promise<readonly Resolved[]> => {
  const names = unique(functions)
  if (names.length === 0) return []
  const places = functions.flatMap(({ schema, name }) => (schema === undefined ? path : [schema]).map((one) => `(${literal(one)}, ${literal(name)})`))
  const rows = await ask(`SELECT p.oid, n.nspname, p.proname, pg_catalog.md5(pg_catalog.concat_ws(' ', p.prosrc, p.probin, p.provolatile, p.prosecdef, p.prolang, p.proowner, p.proconfig, p.prosqlbody))
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND (n.nspname::pg_catalog.text, p.proname::pg_catalog.text) IN (${[...new Set(places)].join(', ')})
    ORDER BY p.oid USING OPERATOR(pg_catalog.<) LIMIT ${MOST_NAMES + 1}`)
  if (rows.length > MOST_NAMES) throw new Error('the statement can mean too many functions')
  return rows.map(([oid, schema, name, definition]) => ({ as: `${schema}.${name}`, oid: Number(oid), schema: schema ?? '', name: name ?? '', definition: definition ?? '' }))
}

/**
 * Which database of which cluster this connection leads to. Numbers of objects do not tell: clusters that were made alike have the same ones.
 * The cluster is `undefined` where the role may not ask for it, or the server does not know what that is.
 */
export const resolvePlace = async (ask: Ask): Promise<{ readonly database: string; readonly cluster?: string }> => {
  const [row] = await ask(`SELECT d.oid, pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('pg_catalog.pg_control_system()')::pg_catalog.oid, 'execute')
    FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`)
  const database = row?.[0] ?? ''
  if (row?.[1] !== 't') return { database }
  const [cluster] = await ask('SELECT c.system_identifier FROM pg_catalog.pg_control_system() c')
  return { database, cluster: cluster?.[0] ?? '' }
}

/** Whether a change of these tables makes the server change others of itself: foreign keys that cascade, or set what refers to them. */
export const spreads = async (ask: Ask, oids: readonly number[], by: 'update' | 'delete'): Promise<boolean> => {
  const rows = await ask(`SELECT 1 FROM pg_catalog.pg_constraint c WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.confrelid IN (${oids.map((oid) => `${Math.trunc(oid)}::pg_catalog.oid`).join(', ')})
    AND c.${by === 'delete' ? 'confdeltype' : 'confupdtype'} OPERATOR(pg_catalog.<>) ALL (ARRAY['a', 'r']::pg_catalog."char"[]) LIMIT 1`)
  return rows.length > 0
}

/** Whether all names mean now what they meant when they were approved. */
export const sameMeaning = (then: readonly (Resolved | undefined)[], now: readonly (Resolved | undefined)[]): boolean =>
  then.length === now.length &&
  then.every((one, at) => {
    const other = now[at]
    return one === undefined || other === undefined ? one === other : one.as === other.as && one.oid === other.oid && one.schema === other.schema && one.name === other.name && one.definition === other.definition
  })

const unique = (refs: readonly { readonly schema?: string; readonly name: string }[]): readonly string[] => {
  const names = [...new Set(refs.map(({ schema, name }) => (schema === undefined ? identifier(name) : `${identifier(schema)}.${identifier(name)}`)))]
  if (names.length > MOST_NAMES) throw new Error('the statement names too many objects')
  return names
}

const placed = (names: readonly string[], rows: readonly (readonly (string | null)[])[]): readonly (Resolved | undefined)[] => {
  const found = new Map(rows.map(([at, oid, schema, name, definition]) => [Number(at), { oid: Number(oid), schema: schema ?? '', name: name ?? '', ...(definition === null || definition === undefined ? {} : { definition }) }]))
  return names.map((as, at) => {
    const one = found.get(at)
    return one === undefined ? undefined : { as, ...one }
  })
}
