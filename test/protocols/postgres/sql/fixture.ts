import type { World } from './names.ts'

/** What the cases presuppose. */
export const fixture = `
  create table t (id int primary key, a int); insert into t values (1, 1), (2, 2);
  create table u (id int, x int, a int, b int, c int, d int); insert into u values (1, 1);
  create table users (id int primary key, name text, ssn text); insert into users values (1, 'n', '123-45-6789');
  create table log (q text); create sequence s;
  create schema secrets; create table secrets.keys (id int, v text); create view v as select * from secrets.keys;
  create function purge() returns int language sql as 'delete from t; select 1';
  create function purge(t) returns int language sql as 'delete from t; select 1';
  create view w as select purge() as a;
  create procedure purge_all() language sql as 'delete from t';
  create schema evil; create table evil.users (id int); create function evil.lower(text) returns text language sql as 'delete from t; select $1';
  create function evil.plus(int, int) returns int language sql as 'delete from t; select 1';
  create operator evil.+ (leftarg = int, rightarg = int, function = evil.plus);
  create operator <=> (leftarg = int, rightarg = int, function = evil.plus);
  create function careful(int) returns bool language sql as 'delete from t; select true';
  create domain careful_int as int check (careful(value));
  -- Before PostgreSQL 17 a function like any other; since then it must be quoted to be one.
  create function "json_scalar"(text) returns text language sql as 'delete from t; select $1';
  create type mood as enum ('a', 'b');
`

const table = (schema: string, name: string) => ({ schema, name, kind: 'table' as const, reads: [{ schema, name }] })

/** The same, as a catalog would say it. */
export const world: World = {
  relations: {
    'secrets.keys': table('secrets', 'keys'),
    'evil.users': table('evil', 'users'),
    v: { schema: 'public', name: 'v', kind: 'view', reads: [{ schema: 'secrets', name: 'keys' }], runs: 'pure' },
    'public.v': { schema: 'public', name: 'v', kind: 'view', reads: [{ schema: 'secrets', name: 'keys' }], runs: 'pure' },
    w: { schema: 'public', name: 'w', kind: 'view', reads: [], runs: 'volatile' },
    pg_class: { schema: 'pg_catalog', name: 'pg_class', kind: 'system', reads: [{ schema: 'pg_catalog', name: 'pg_class' }] },
    pg_settings: { schema: 'pg_catalog', name: 'pg_settings', kind: 'system', reads: [{ schema: 'pg_catalog', name: 'pg_settings' }] },
  },
  functions: { json_scalar: 'volatile' },
  attributes: { purge: 'volatile' },
  types: { mood: 'pure', 'public.mood': 'pure' },
}

/** Statements that hide what they do, for this fixture. */
export const hidden: readonly string[] = [
  'SELECT purge()', 'SELECT t.purge FROM t', 'SELECT (t).purge FROM t', 'SELECT (t.*).purge FROM t', 'SELECT purge(t) FROM t', 'SELECT * FROM w', 'SELECT 1 WHERE 1 IN (SELECT a FROM w)',
  'SELECT 1 FROM t ORDER BY purge()', 'SELECT 1 FROM t GROUP BY purge()', 'SELECT 1 LIMIT purge()', 'SELECT * FROM t JOIN u ON purge() = 1', 'SELECT count(*) FILTER (WHERE purge() = 1) FROM t',
  'SELECT max(purge()) OVER (ORDER BY purge()) FROM t', 'SELECT * FROM purge()', 'SELECT * FROM ROWS FROM (purge())', 'SELECT * FROM t, LATERAL purge()', "SELECT evil.lower('a')", 'SELECT 1 OPERATOR(evil.+) 2', 'SELECT 1 <=> 2',
  "SELECT json_scalar('a')", "SELECT json_value('1', '$')", 'SELECT 1::careful_int', 'SELECT CAST(1 AS careful_int)', "SELECT * FROM json_to_record('{\"a\": 1}') AS x(a careful_int)", "SELECT 'a'::mood", "SELECT nextval('s')", "SELECT setval('s', 5)",
  "SELECT set_config('search_path', 'evil', false)", "SELECT lo_creat(-1)", "SELECT query_to_xml('delete from t', true, false, '')", 'SELECT pg_advisory_lock(1)', 'SELECT * FROM t FOR UPDATE', 'SELECT * FROM t WHERE id = 1 FOR SHARE',
  "SELECT xmlelement(name a, purge())", 'SELECT CASE WHEN purge() = 1 THEN 1 END', 'SELECT coalesce(NULL, purge())', 'SELECT ARRAY[purge()]', 'SELECT ROW(purge())', 'SELECT (ARRAY[1])[purge()]', 'VALUES (purge())', 'TABLE w',
  'SELECT purge() IS NULL', 'SELECT 1 BETWEEN purge() AND 2', 'SELECT 1 IN (purge())', 'SELECT (SELECT purge())', 'SELECT EXISTS (SELECT purge() FROM t WHERE purge() = 1)', 'SELECT DISTINCT ON (purge()) 1', 'SELECT * FROM t TABLESAMPLE bernoulli (purge() * 100)',
  'WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + purge() FROM r WHERE a < 2) SELECT * FROM r', 'SELECT * FROM (VALUES (purge())) x', "UPDATE pg_settings SET setting = 'evil' WHERE name = 'search_path'",
  'INSERT INTO log VALUES (1)', 'INSERT INTO t SELECT 9, 9', 'UPDATE t SET a = 5', 'DELETE FROM t WHERE id = 1 RETURNING id', 'MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE', 'TRUNCATE log', 'SELECT 1 INTO zz', 'CREATE TEMP TABLE zz AS SELECT 1',
  'DO $$ BEGIN DELETE FROM t; END $$', 'CALL purge_all()', 'SELECT lower(name), count(*) FROM users GROUP BY 1', 'SELECT * FROM v', 'SELECT * FROM t x JOIN users y USING (id)', 'SELECT relname FROM pg_class LIMIT 2', 'SELECT txid_current_if_assigned()',
]
