import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { mean, type Meaning } from '../../../../src/protocols/postgres/sql/mean.ts'
import type { KnownRelation } from '../../../../src/protocols/postgres/sql/names.ts'
import { makeReader } from '../../../../src/protocols/postgres/sql/reader.ts'
import type { StatementReading } from '../../../../src/protocols/postgres/sql/reading.ts'
import { namesOf, type World } from './names.ts'

const reader = await makeReader()
after(() => reader[Symbol.dispose]())

const statement = (sql: string): StatementReading => {
  const [first] = reader.read(sql).statements
  assert.ok(first !== undefined, sql)
  return first
}

const meaning = (sql: string, world: World = {}): Meaning => mean(statement(sql), namesOf(world))

const kinds = (sql: string, world: World = {}): string => meaning(sql, world).kinds.join(' ')

const table = (name: string, more: Partial<KnownRelation> = {}): KnownRelation => ({ schema: 'public', name, oid: 7, kind: 'table', reads: [{ schema: 'public', name }], ...more })

const keys = { schema: 'secrets', name: 'keys' }

describe('what statements mean', () => {
  test('functions without effects stay inside a read', () => {
    for (const sql of [
      'SELECT lower(name), count(*) FROM users GROUP BY 1', 'SELECT now(), random(), gen_random_uuid(), clock_timestamp()', "SELECT pg_catalog.lower('A')",
      "SELECT current_setting('search_path'), txid_current(), pg_relation_size('t'), has_table_privilege('t', 'select')", 'SELECT * FROM generate_series(1, 3)',
      "SELECT extract(year FROM now()), overlay('a' PLACING 'b' FROM 1)", "SELECT xpath('/a', '<a/>'), regexp_replace('a', 'b', 'c')", 'SELECT pg_get_viewdef(1)', 'SELECT row_number() OVER () FROM t',
      'SELECT * FROM t TABLESAMPLE bernoulli (1)', "SELECT currval('s'), lastval()",
    ]) assert.equal(kinds(sql), 'select', sql)
  })

  test('functions with effects are what they do', () => {
    const table: Readonly<Record<string, readonly string[]>> = {
      'call select': ['SELECT purge()', 'SELECT evil.lower(name) FROM users', "SELECT nextval('s')", "SELECT setval('s', 1)", "SELECT lo_unlink(1)", "SELECT loread(1, 1)", 'SELECT * FROM t TABLESAMPLE evil (1)', "SELECT pg_input_is_valid('1', 'd')", 'SELECT setseed(0.5)'],
      set: ["SELECT set_config('TimeZone', 'UTC', false)", "SELECT current_setting('jit') AS cur, set_config('jit', $1, false) AS new", "SELECT pg_catalog.set_config('DateStyle', 'ISO', true)", "SELECT set_config('transaction_read_only', 'on', true)"],
      'session select': ["SELECT set_config('search_path', 'evil', false)", "SELECT set_config('application_name', name, false) FROM users", "SELECT set_config('application_name', a, false) FROM (VALUES ('b')) x(a)", "SELECT set_config('transaction_read_only', $1, true)", "SELECT set_config('TimeZone', 'UTC', false), set_config('role', 'x', false)", "SELECT set_config('TimeZone', lower('UTC'), false)", "SELECT pg_catalog.set_config('role', 'root', true)", 'SELECT pg_export_snapshot()'],
      'lock select': ['SELECT pg_advisory_lock(1)', 'SELECT pg_try_advisory_xact_lock(1)', 'SELECT pg_advisory_unlock_all()'],
      'listen select': ["SELECT pg_notify('a', 'b')"],
      'server select': [
        "SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('x')", "SELECT pg_ls_dir('.')", "SELECT * FROM pg_stat_file('x')", "SELECT lo_import('/x')", "SELECT lo_export(1, '/x')", 'SELECT pg_sleep(600)',
        "SELECT pg_sleep_for('1 s')", 'SELECT pg_terminate_backend(1)', 'SELECT pg_reload_conf()', "SELECT pg_create_physical_replication_slot('x')", "SELECT pg_logical_emit_message(true, 'a', 'b')", 'SELECT pg_switch_wal()', 'SELECT pg_stat_reset()',
      ],
    }
    for (const [expected, all] of Object.entries(table)) for (const sql of all) assert.equal(kinds(sql), expected, sql)
    assert.equal(kinds("SELECT set_config('TimeZone', 'UTC', false)", { functions: { set_config: 'volatile' } }), 'call select')
    assert.equal(kinds('VALUES (purge())'), 'call select')
    assert.equal(kinds('DELETE FROM t WHERE purge() = 1'), 'delete call')
    assert.equal(kinds('EXPLAIN SELECT purge()'), 'call explain')
  })

  test('functions that run text are calls that cannot be analysed', () => {
    for (const call of ["query_to_xml('select 1', true, false, '')", "table_to_xml('secrets.keys', true, false, '')", "schema_to_xml('s', true, false, '')", "cursor_to_xml('c', 10, true, false, '')", "dblink('x', 'delete from t')", "crosstab('select 1')", "public.dblink_exec('x')", "ts_stat('select 1')"]) {
      const { kinds: [first], opaque } = meaning(`SELECT ${call}`)
      assert.equal(first, 'call', call)
      assert.match(opaque ?? '', /cannot be analysed/, call)
    }
  })

  test('a column that is a function in disguise', () => {
    const world: World = { attributes: { purge: 'volatile', initials: 'pure' } }
    assert.equal(kinds('SELECT t.purge FROM t', world), 'call select')
    assert.equal(kinds('SELECT (t).purge FROM t', world), 'call select')
    assert.equal(kinds('SELECT (ROW(1)).purge', world), 'call select')
    assert.equal(kinds('SELECT t.initials, t.name, purge FROM t', world), 'select')
    assert.equal(kinds("SELECT ('x'::text).pg_read_file"), 'server select')
    assert.equal(kinds('SELECT t.lower FROM t'), 'select')
  })

  test('types and operators that are not built in', () => {
    assert.equal(kinds("SELECT 'a'::mood"), 'call select')
    assert.equal(kinds("SELECT 'a'::mood", { types: { mood: 'pure' } }), 'select')
    assert.equal(kinds('SELECT 1 OPERATOR(evil.+) 2'), 'call select')
    assert.equal(kinds('SELECT a <=> b FROM t', { operators: { '<=>': 'pure' } }), 'select')
    assert.equal(kinds('SELECT 1 OPERATOR(pg_catalog.+) 2::pg_catalog.int8'), 'select')
    assert.equal(meaning("SELECT 'a'::mood").pure, false)
    assert.equal(meaning("SELECT 'a'::mood", { types: { mood: 'pure' } }).pure, true)
    const own: World = { operators: { '=': 'volatile', '<=': 'volatile' } }
    for (const sql of ['SELECT a = b FROM t', 'SELECT a IN (1, 2) FROM t', 'SELECT a IN (SELECT 1) FROM t', 'SELECT CASE a WHEN 1 THEN 2 END FROM t', 'SELECT nullif(a, 1) FROM t', 'SELECT 1 FROM t JOIN u USING (a)', 'SELECT 1 FROM t NATURAL JOIN u', 'SELECT a BETWEEN 1 AND 2 FROM t', 'SELECT a IS DISTINCT FROM 1 FROM t'])
      assert.equal(kinds(sql, own), 'call select', sql)
    assert.equal(kinds('SELECT a + 1, a OPERATOR(pg_catalog.=) 1, CASE WHEN a THEN 1 END, a IS NULL FROM t', own), 'select')
  })

  test('a partition is itself and its table', () => {
    const world: World = { relations: { part: table('part', { reads: [{ schema: 'public', name: 'part' }, keys] }) } }
    assert.deepEqual(meaning('DELETE FROM part', world).tables, [{ schema: 'public', name: 'part', oid: 7, access: 'write', kind: 'table' }, { ...keys, access: 'write' }])
  })

  test('what shows more than the catalog counts as the server', () => {
    assert.equal(kinds('SELECT * FROM pg_authid', { relations: { pg_authid: table('pg_authid', { kind: 'system', reads: undefined, runs: 'server' }) } }), 'server select')
  })

  test('a view is itself and what it reads in the end', () => {
    const world: World = { relations: { v: table('v', { kind: 'view', reads: [keys], runs: 'pure' }) } }
    const { kinds: read, tables, certain } = meaning('SELECT * FROM v', world)
    assert.deepEqual([read, certain], [['select'], true])
    assert.deepEqual(tables, [{ schema: 'public', name: 'v', oid: 7, access: 'read', kind: 'view' }, { ...keys, access: 'read', through: 'public.v' }])
    assert.deepEqual(meaning('DELETE FROM v', world).tables.map(({ name, access }) => `${access} ${name}`), ['write v', 'write keys'])
  })

  test('a view that runs functions, or of which nothing is known, is no read', () => {
    assert.equal(kinds('SELECT * FROM v', { relations: { v: table('v', { kind: 'view', reads: [], runs: 'volatile' }) } }), 'call select')
    assert.equal(kinds('SELECT * FROM v', { relations: { v: table('v', { kind: 'view', reads: [] }) } }), 'call select')
    const unknown = meaning('SELECT * FROM v', { relations: { v: table('v', { kind: 'view', reads: undefined, runs: 'pure' }) } })
    assert.deepEqual([unknown.kinds, unknown.certain], [['unknown', 'select'], false])
  })

  test('what comes into being is in the schema of new objects, whatever has its name elsewhere', () => {
    const made = (sql: string): readonly string[] => mean(statement(sql), { ...namesOf({ relations: { x: table('x') } }), creates: 'app' }).tables.map(({ schema, name }) => `${schema}.${name}`)
    assert.deepEqual(made('CREATE TABLE x (a int)'), ['app.x'])
    assert.deepEqual(made('CREATE TABLE x AS SELECT 1'), ['app.x'])
    assert.deepEqual(made('CREATE VIEW x AS SELECT 1'), ['app.x'])
    assert.deepEqual(made('CREATE TABLE s.x (a int)'), ['s.x'])
    assert.deepEqual(made('CREATE TEMP TABLE x (a int)'), ['pg_temp.x'])
    assert.deepEqual(made('ALTER TABLE x ADD COLUMN b int'), ['public.x'])
  })

  test('a relation that nobody knows', () => {
    const { kinds: all, certain, unsure, tables } = meaning('SELECT * FROM s.nowhere')
    assert.deepEqual([all, certain, unsure, tables], [['unknown', 'select'], false, ['the relation s.nowhere is not known'], [{ schema: 's', name: 'nowhere', access: 'read' }]])
    // What is defined need not exist; what it reads must.
    assert.deepEqual(meaning('CREATE TABLE x (a int)').certain, true)
    assert.equal(kinds('CREATE TABLE x AS SELECT * FROM nowhere'), 'unknown ddl select')
    assert.equal(kinds('TRUNCATE nowhere'), 'unknown truncate')
  })

  test('EXECUTE and FETCH are what their names stand for', () => {
    const world: World = { prepared: { p: statement('DELETE FROM t') }, cursors: { c: statement('SELECT * FROM users WHERE purge() = 1') } }
    const execute = meaning('EXECUTE p', world)
    assert.deepEqual([execute.kinds, execute.filtered, execute.tables[0]?.name, execute.body?.text, execute.certain], [['delete'], false, 't', 'DELETE FROM t', true])
    assert.equal(kinds('FETCH ALL c', world), 'call select')
    assert.equal(kinds('MOVE c', world), 'call select')
    assert.equal(kinds('EXPLAIN EXECUTE p', world), 'explain')
    assert.equal(kinds('EXPLAIN ANALYZE EXECUTE p', world), 'delete explain')
    assert.equal(kinds('CREATE TABLE x AS EXECUTE p', world), 'ddl delete')
    for (const sql of ['EXECUTE never', 'FETCH never', 'EXPLAIN EXECUTE never', 'EXPLAIN ANALYZE EXECUTE never']) {
      const { kinds: [first], certain } = meaning(sql, world)
      assert.deepEqual([first, certain], ['unknown', false], sql)
    }
  })
})
