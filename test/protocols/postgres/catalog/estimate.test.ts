import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { drifted, estimate, type Numbers } from '../../../../src/protocols/postgres/catalog/estimate.ts'
import { resolveFunctions, resolvePlace, resolveRelations, sameMeaning } from '../../../../src/protocols/postgres/catalog/resolve.ts'
import { makeSessionNames, type SessionNames } from '../../../../src/protocols/postgres/catalog/session-names.ts'
import { takeSnapshot } from '../../../../src/protocols/postgres/catalog/snapshot.ts'
import { builtinFunction } from '../../../../src/protocols/postgres/sql/builtins.ts'
import { makeReader, type Reader } from '../../../../src/protocols/postgres/sql/reader.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'
import { connect, servers, type Connection } from './asking.ts'

const init = `
create table people (id int primary key, name text, at timestamptz);
insert into people select n, 'name ' || n, now() from generate_series(1, 1000) n;
analyze people;
create table effects (what text);
create function sneaky(int) returns int immutable language plpgsql as $$ begin insert into effects values ('ran'); return 1; end $$;
create view sees as select * from people where sneaky(1) = 1;
create table orders (id int) partition by range (id);
create table orders_1 partition of orders for values from (0) to (100);
create table orders_2 partition of orders for values from (100) to (200);
insert into orders select generate_series(0, 199);
analyze orders_1; analyze orders_2;
create function touched() returns trigger language plpgsql as 'begin return new; end';
create trigger touch before update on orders for each row execute function touched();
`

for (const binaries of servers()) describe(`estimate with PostgreSQL ${binaries.major}`, () => {
  let server: TestPostgres
  let connection: Connection
  let reader: Reader
  let names: SessionNames
  before(async () => {
    server = await startPostgres({ init, binaries })
    connection = await connect(server)
    reader = await makeReader()
    names = await knownNow()
  })
  const knownNow = async (): Promise<SessionNames> => {
    const snapshot = await takeSnapshot({ ask: connection.ask, now: () => 0, builtin: builtinFunction })
    const made = makeSessionNames({ catalog: () => snapshot, prepared: () => undefined, cursor: () => undefined })
    await made.refresh(connection.ask)
    return made
  }
  after(async () => {
    reader[Symbol.dispose]()
    await connection[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  const of = async (sql: string, parameters: readonly (string | null | undefined)[] = [], types: readonly number[] = [], settings: Readonly<Record<string, string>> = {}): Promise<Numbers> => {
    const [statement] = reader.read(sql).statements
    assert.ok(statement !== undefined)
    const numbers = await estimate(statement, { ask: connection.ask, names, settings, parameters, types, budgetMs: 5000, countUpTo: 500 })
    // Nothing is left behind for whoever asks next.
    assert.deepEqual(await connection.ask('SELECT count(*) FROM pg_prepared_statements'), [['0']])
    return numbers
  }

  test('changes are counted, up to a bound', async () => {
    assert.deepEqual(await of('DELETE FROM people WHERE id <= 7'), { estimatedRows: 7, exactRows: 7, notes: [] })
    assert.deepEqual(await of('UPDATE people AS p SET name = $$x$$ WHERE p.id < 3 -- why'), { estimatedRows: 2, exactRows: 2, notes: [] })
    assert.deepEqual(await of('DELETE FROM people'), { estimatedRows: 1000, notes: ['More than 500 rows match.'] })
  })

  test('bound values are the server’s to read', async () => {
    assert.deepEqual(await of('DELETE FROM people WHERE id = $1', ['5']), { estimatedRows: 1, exactRows: 1, notes: [] })
    assert.deepEqual(await of('UPDATE people SET name = $1, at = $3 WHERE id <= $2', ["x' \\ --", '4', null], [25, 23, 1184]), { estimatedRows: 4, exactRows: 4, notes: [] })
    assert.equal((await of('UPDATE people SET name = $1 WHERE name = $2', ['a', "name 1') or true --"])).exactRows, 0)
    assert.equal((await of('UPDATE people SET name = $1 WHERE name = $2', ['a', 'name 1'])).exactRows, 1)
    assert.deepEqual(await of('DELETE FROM people WHERE id = $1', [undefined]), { notes: ['No estimate: the values are bound in binary format.'] })
    assert.deepEqual(await of('DELETE FROM people WHERE id = $1', ['no number']), { notes: ['The database gave no estimate.'] })
  })

  test('changes inside of other statements, partitions and triggers', async () => {
    assert.equal((await of('WITH gone AS (DELETE FROM people WHERE id <= 10 RETURNING id) SELECT count(*) FROM gone')).estimatedRows, 10)
    assert.equal((await of('INSERT INTO people SELECT id + 5000 FROM people WHERE id <= 20')).estimatedRows, 20)
    const orders = await of('UPDATE orders SET id = id WHERE id < 150')
    assert.equal(orders.exactRows, 150)
    assert.match(orders.notes[0] ?? '', /Triggers/)
    assert.equal((await of('SELECT * FROM people WHERE id <= 30')).estimatedRows, 30)
  })

  test('what the planner might run is not asked about', async () => {
    for (const sql of ['DELETE FROM people WHERE id = sneaky(1)', 'SELECT * FROM sees', 'SELECT sneaky(2)', 'DELETE FROM people WHERE public.sneaky(3) = id']) {
      const numbers = await of(sql)
      assert.deepEqual([numbers.estimatedRows, numbers.exactRows, numbers.notes.length], [undefined, undefined, 1], sql)
    }
    assert.deepEqual(await server.query('select * from effects'), [])
    assert.equal((await server.query<{ n: string }>('select count(*) n from people'))[0]?.n, '1000')
  })

  test('dates are read as the session reads them', async () => {
    await server.query("create table days (day date); insert into days values ('2024-01-02'), ('2024-02-01'), ('2024-02-01'); analyze days")
    names = await knownNow()
    for (const [style, rows] of [['ISO, MDY', 1], ['ISO, DMY', 2]] as const) assert.equal((await of("DELETE FROM days WHERE day = '01/02/2024'", [], [], { DateStyle: style })).exactRows, rows)
  })

  test('a count that takes too long is left away', async () => {
    const [statement] = reader.read('DELETE FROM people WHERE id = 1').statements
    assert.ok(statement !== undefined)
    const locked = await connect(server)
    await locked.client.query('BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE')
    const numbers = await estimate(statement, { ask: connection.ask, names, settings: {}, parameters: [], types: [], budgetMs: 40, countUpTo: 10 })
    await locked[Symbol.asyncDispose]()
    assert.deepEqual(numbers, { notes: ['The database gave no estimate.'] })
    assert.deepEqual(await connection.ask('SELECT 1'), [['1']])
  })

  test('drift is more rows than the rule allows', () => {
    const counted = (exactRows: number): Numbers => ({ exactRows, estimatedRows: 1, notes: [] })
    const change = (then: Numbers | undefined, now: Numbers) => ({ then, now, changes: true })
    assert.equal(drifted([change(counted(10), counted(20))], { factor: 2 }), false)
    assert.equal(drifted([change(counted(10), counted(21))], { factor: 2 }), true)
    assert.equal(drifted([change(counted(10), counted(16))], { factor: 2, rows: 5 }), true)
    assert.equal(drifted([change(counted(10), counted(1))], { rows: 0 }), false)
    assert.equal(drifted([change(counted(10), { estimatedRows: 1, notes: [] })], { factor: 2 }), true)
    assert.equal(drifted([change({ estimatedRows: 5, notes: [] }, { estimatedRows: 50, notes: [] })], { rows: 10 }), true)
    // Without a number nobody knows of a change; what only reads has none to be compared with.
    assert.equal(drifted([change({ notes: [] }, counted(1))], { factor: 9 }), true)
    assert.equal(drifted([change(undefined, counted(1))], { rows: 9 }), true)
    assert.equal(drifted([{ then: { notes: [] }, now: counted(1000), changes: false }], { rows: 0 }), false)
    // So many more rows are for all statements together, and fewer in one are no room for another.
    assert.equal(drifted([change(counted(10), counted(13)), change(counted(10), counted(12))], { rows: 5 }), false)
    assert.equal(drifted([change(counted(10), counted(13)), change(counted(10), counted(13))], { rows: 5 }), true)
    assert.equal(drifted([change(counted(10), counted(1)), change(counted(10), counted(16))], { rows: 5 }), true)
    assert.equal(drifted([change(counted(100), counted(100)), change(counted(1), counted(3))], { factor: 2 }), true)
  })

  test('where a connection leads: the database and the cluster; without the right to ask for the cluster, the database', async () => {
    await using session = await connect(server)
    const [row] = await server.query<{ oid: number; cluster: string }>('select oid, (pg_control_system()).system_identifier as cluster from pg_database where datname = current_database()')
    assert.deepEqual(await resolvePlace(session.ask), { database: String(row?.oid), cluster: row?.cluster })
    await session.ask('CREATE ROLE nobody_in_particular')
    await session.ask('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC')
    await session.ask('SET ROLE nobody_in_particular')
    assert.deepEqual(await resolvePlace(session.ask), { database: String(row?.oid) })
  })

  test('names are resolved by the server: a temporary table in front, another view behind the same number, another body', async () => {
    await using session = await connect(server)
    const refs = [{ name: 'people', access: 'write' }, { schema: 'public', name: 'sees', access: 'read' }, { name: 'absent', access: 'read' }] as const
    const first = await resolveRelations(session.ask, refs)
    assert.deepEqual(first.map((one) => one && [one.schema, one.name]), [['public', 'people'], ['public', 'sees'], undefined])
    assert.equal(sameMeaning(first, await resolveRelations(session.ask, refs)), true)

    await session.client.query('create or replace view sees as select id, name, at from people where id > 1')
    assert.equal(sameMeaning(first, await resolveRelations(session.ask, refs)), false)

    let last = await resolveRelations(session.ask, [refs[0]])
    for (const change of [
      'create trigger touch before update on people for each row execute function touched()',
      "create or replace function touched() returns trigger language plpgsql as 'begin return old; end'",
      'alter table people disable trigger touch',
      'create rule too as on delete to people do also insert into effects values (1)',
      'create policy few on people using (id > 1)',
      'alter table people enable row level security',
      'alter table people rename name to title',
      'alter table people rename title to name',
    ]) {
      await session.client.query(change)
      const now = await resolveRelations(session.ask, [refs[0]])
      assert.equal(sameMeaning(last, now), false, change)
      last = now
    }
    for (const upkeep of ['analyze people', 'vacuum people', 'create index on people (at)']) await session.client.query(upkeep)
    assert.equal(sameMeaning(last, await resolveRelations(session.ask, [refs[0]])), true)
    await session.client.query('alter table people disable row level security; drop policy few on people; drop rule too on people; drop trigger touch on people')

    const before = await resolveRelations(session.ask, [refs[0]])
    await session.client.query('create temp table people (id int); create temp table pg_class (oid int)')
    const after = await resolveRelations(session.ask, [refs[0]])
    assert.match(after[0]?.schema ?? '', /^pg_temp/)
    assert.equal(sameMeaning(before, after), false)

    const functions = [{ name: 'sneaky' }, { schema: 'public', name: 'lower' }] as const
    const bodies = await resolveFunctions(session.ask, functions, names.path)
    assert.deepEqual(bodies.map(({ as }) => as), ['public.sneaky'])
    await session.client.query('create or replace function sneaky(int) returns int language sql as $$ select 2 $$')
    assert.equal(sameMeaning(bodies, await resolveFunctions(session.ask, functions, names.path)), false)
  })

  test('names are quoted, whatever is in them', async () => {
    const name = 'a"b\\c\'; drop table people; --'
    const refs = [{ name, access: 'read' }] as const
    assert.deepEqual(await resolveRelations(connection.ask, refs), [undefined])
    await server.query(`create table "${name.replaceAll('"', '""')}" (id int)`)
    assert.equal((await resolveRelations(connection.ask, refs))[0]?.name, name)
    assert.deepEqual(await resolveFunctions(connection.ask, [{ schema: name, name }], []), [])
  })
})
