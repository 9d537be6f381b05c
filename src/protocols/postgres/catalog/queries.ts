/*
 * What a snapshot asks. Every name is qualified: nothing here depends on the search_path. All of it runs in one REPEATABLE READ transaction.
 */

/** More than this we do not hold: such a database cannot be served. */
export const MOST_RELATIONS = 100_000
export const MOST_FUNCTIONS = 200_000
/** Longer view definitions are not fetched: such a view counts as one that may read anything. */
export const LONGEST_VIEW = 2_000_000
/** View definitions are fetched so many at a time, in characters. */
export const VIEW_BATCH = 8_000_000
/** Objects of the server itself have lower numbers. */
export const FIRST_USER_OID = 16_384

const OURS = `n.nspname !~ '^pg_(temp|toast)'`
const SYSTEM = `n.nspname IN ('pg_catalog', 'information_schema')`

const hashed = (table: string, key: string, where = 'true'): string =>
  `(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(${key}, ' ', x.xmin), 0))) FROM pg_catalog.${table} x WHERE ${where})`

/** The number of the transaction that wrote it stands in each row, so any DDL changes this. Statistics do not: the server writes them in place. */
export const FINGERPRINT = `SELECT pg_catalog.concat_ws(' ', ${[
  hashed('pg_class', 'x.oid', `x.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND x.relpersistence <> 't'`),
  hashed('pg_namespace', 'x.oid', `x.nspname !~ '^pg_(temp|toast)'`),
  hashed('pg_attribute', `x.attrelid, ' ', x.attnum`, `x.attnum > 0 AND x.attrelid >= ${FIRST_USER_OID}`),
  hashed('pg_inherits', `x.inhrelid, ' ', x.inhparent`),
  hashed('pg_rewrite', 'x.oid'),
  hashed('pg_trigger', 'x.oid'),
  hashed('pg_proc', 'x.oid'),
  hashed('pg_type', 'x.oid', `x.oid >= ${FIRST_USER_OID} AND x.typrelid = 0`),
  hashed('pg_operator', 'x.oid'),
  hashed('pg_cast', 'x.oid'),
  hashed('pg_attrdef', 'x.oid'),
  hashed('pg_constraint', 'x.oid', 'x.contypid <> 0'),
].join(', ')})`

export const RELATIONS = `SELECT c.oid, n.nspname, c.relname, c.relkind, CASE WHEN ${SYSTEM} THEN 't' ELSE 'f' END,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${OURS} LIMIT ${MOST_RELATIONS + 1}`

export const INHERITANCE = `SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits`

/** Generated columns and the columns of the same table that they are made of. Servers keep this in one of two places. */
export const GENERATED = `SELECT a.attrelid, a.attnum, d.refobjsubid FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
    AND (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid OR d.classid = d.refclassid AND d.objid = a.attrelid AND d.objsubid = a.attnum)
  WHERE a.attgenerated <> '' AND a.attnum > 0 AND NOT a.attisdropped`

/** The last column: by a rule. */
export const FIRES = `SELECT tgrelid, 'f' FROM pg_catalog.pg_trigger WHERE NOT tgisinternal UNION SELECT ev_class, 't' FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN' OR ev_type <> '1'`

const USER_VIEWS = `FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`
const IS_USER_VIEW = `r.ev_type = '1' AND r.rulename = '_RETURN' AND NOT ${SYSTEM} AND ${OURS}`

export const VIEW_VERSIONS = `SELECT r.ev_class, pg_catalog.concat(r.oid, ' ', r.xmin), pg_catalog.length(r.ev_action::pg_catalog.text) ${USER_VIEWS} WHERE ${IS_USER_VIEW}`

/** `views`: numbers that came from the server. */
export const viewTrees = (views: readonly number[]): string =>
  `SELECT ev_class, ev_action FROM pg_catalog.pg_rewrite WHERE ev_type = '1' AND rulename = '_RETURN' AND ev_class IN (${views.join(', ')})`

/** The columns that each view uses of others. Relations of which it uses none have 0. */
export const VIEW_COLUMNS = `SELECT r.ev_class, d.refobjid, d.refobjsubid ${USER_VIEWS}
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
  WHERE ${IS_USER_VIEW}`

/** The last columns: it can be called as `x.name` on a row; the functions that an aggregate calls, which says nothing of them itself. */
export const FUNCTIONS = `SELECT p.oid, n.nspname, p.proname, p.provolatile, l.lanname,
  CASE WHEN p.oid >= ${FIRST_USER_OID} AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND t.typtype IN ('c', 'p', 'd') THEN 't' ELSE 'f' END,
  pg_catalog.concat_ws(' ', a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid, a.aggcombinefn::pg_catalog.oid, a.aggserialfn::pg_catalog.oid, a.aggdeserialfn::pg_catalog.oid,
    a.aggmtransfn::pg_catalog.oid, a.aggminvtransfn::pg_catalog.oid, a.aggmfinalfn::pg_catalog.oid)
  FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_catalog.pg_type t ON p.pronargs >= 1 AND t.oid = p.proargtypes[0]
  WHERE ${OURS} LIMIT ${MOST_FUNCTIONS + 1}`

/** Types that are no row of a table. */
export const TYPES = `SELECT t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, t.typelem, t.typinput::pg_catalog.oid,
  pg_catalog.concat_ws(' ', (SELECT pg_catalog.string_agg(a.atttypid::pg_catalog.text, ' ') FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= ${FIRST_USER_OID}),
    (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid)),
  (SELECT pg_catalog.string_agg(k.conbin::pg_catalog.text, ' ') FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
  WHERE t.oid >= ${FIRST_USER_OID} AND (t.typrelid = 0 OR c.relkind = 'c') AND ${OURS} LIMIT ${MOST_RELATIONS + 1}`

export const CASTS = `SELECT castsource, casttarget, castfunc FROM pg_catalog.pg_cast WHERE oid >= ${FIRST_USER_OID} AND castfunc <> 0`

export const OPERATORS = `SELECT n.nspname, o.oprname, o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= ${FIRST_USER_OID} AND ${OURS}`
