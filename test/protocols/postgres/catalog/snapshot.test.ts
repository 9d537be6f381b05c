import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Catalog } from '../../../../src/protocols/postgres/catalog/catalog.ts'
import { makeLivingCatalog } from '../../../../src/protocols/postgres/catalog/living-catalog.ts'
import { makeSessionNames } from '../../../../src/protocols/postgres/catalog/session-names.ts'
import { takeSnapshot, type Snapshot } from '../../../../src/protocols/postgres/catalog/snapshot.ts'
import { readsOf } from '../../../../src/protocols/postgres/catalog/view-reads.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'
import { until } from '../../../support/until.ts'
import { builtin, connect, servers, type Connection } from './asking.ts'

const init = `
create table users (id int primary key, name text, ssn text, dropped int);
alter table users drop column dropped;
create table t (id int, a text);
create view v1 as select id, ssn as secret, upper(ssn) as loud, 1 as one from users where name = 'x';
create view v2 as with c as (select secret as s, id from v1) select q.s, q.id from (select * from c) q;
create view counts as select count(*) as n from users;
create view whole as select u as row_of, id from users u;
create materialized view m as select name, ssn from users;
create view twice as select ssn from users union all select a from t;
create view "odd (:resorigtbl 1) {" as select id as "a } :resno 9", ssn as "b \\ ( " from users;
create table parts (id int, email text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
create function purge() returns int language sql as 'select 1';
create function stable_sql(text) returns text stable language sql as 'select $1';
create function row_size(users) returns int language sql as 'select 1';
create function two_args(users, int) returns int language sql as 'select 1';
create schema evil;
create function evil.lower(varchar) returns text language plpgsql as 'begin return 1; end';
create view calls as select purge() as p from t;
create view calls_calls as select * from calls;
create view reads_text as select query_to_xml('select 1', true, true, '') from t;
create view statistics as select most_common_vals::text from pg_stats;
create type mood as enum ('ok');
create type pair as (a int, b text);
create domain short as text check (value like '_');
create domain checked as int check (purge() = value);
create type odd_pair as (a checked);
create type odd_range as range (subtype = checked);
create type even_range as range (subtype = short);
create function add_it(text, text) returns text language plpgsql as 'begin return $2; end';
create aggregate gather(text) (sfunc = add_it, stype = text);
create aggregate longest(text) (sfunc = textcat, stype = text);
create operator ==> (leftarg = text, rightarg = text, function = texteq);
create function my_eq(text, text) returns bool language sql as 'select true';
create operator ==~ (leftarg = text, rightarg = text, function = my_eq);
create function touched() returns trigger language plpgsql as 'begin return new; end';
create trigger touch before update on t for each row execute function touched();
`

for (const binaries of servers()) describe(`snapshot with PostgreSQL ${binaries.major}`, () => {
  let server: TestPostgres
  let connection: Connection
  let snapshot: Snapshot
  const take = (previous?: Snapshot): Promise<Snapshot> => takeSnapshot({ ask: connection.ask, now: () => 1, builtin, ...(previous === undefined ? {} : { previous }) })
  before(async () => {
    server = await startPostgres({ init, binaries })
    connection = await connect(server)
    snapshot = await take()
  })
  after(async () => {
    await connection[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  const reads = (name: string, catalog: Catalog = snapshot): readonly string[] | undefined => {
    const relation = catalog.byName('public', name)
    assert.ok(relation !== undefined, name)
    return readsOf(catalog, relation).tables?.map((table) => `${table.schema}.${table.name}`).toSorted()
  }
  const origins = (name: string): Readonly<Record<string, string>> => {
    const relation = snapshot.byName('public', name)
    const view = relation?.view
    assert.ok(relation !== undefined && view !== undefined && view !== 'unknown', name)
    return Object.fromEntries([...relation.columns.values()].map((column) => {
      const origin = view.origins.get(column.number)
      const source = origin === undefined ? undefined : snapshot.byOid(origin.oid)
      return [column.name, source === undefined || origin === undefined ? 'computed' : `${source.name}.${source.columns.get(origin.number)?.name}`]
    }))
  }

  test('relations, their columns and what they set off', () => {
    const users = snapshot.byName('public', 'users')
    assert.deepEqual([...(users?.columns.values() ?? [])].map(({ number, name }) => [number, name]), [[1, 'id'], [2, 'name'], [3, 'ssn']])
    assert.equal(users?.kind, 'table')
    assert.equal(snapshot.byName('public', 'm')?.kind, 'view')
    assert.equal(snapshot.byName('pg_catalog', 'pg_class')?.kind, 'system')
    assert.equal(snapshot.byName('public', 'absent'), undefined)
    assert.deepEqual([snapshot.byName('public', 't')?.fires, users?.fires], [true, false])
  })

  test('the column behind each column of a view, through WITH, sub-selects and odd names', () => {
    assert.deepEqual(origins('v1'), { id: 'users.id', secret: 'users.ssn', loud: 'computed', one: 'computed' })
    assert.deepEqual(origins('v2'), { s: 'v1.secret', id: 'v1.id' })
    assert.deepEqual(origins('m'), { name: 'users.name', ssn: 'users.ssn' })
    assert.deepEqual(origins('twice'), { ssn: 'computed' })
    assert.deepEqual(origins('whole'), { row_of: 'computed', id: 'users.id' })
    assert.deepEqual(origins('odd (:resorigtbl 1) {'), { 'a } :resno 9': 'users.id', 'b \\ ( ': 'users.ssn' })
  })

  test('the columns that a view uses', () => {
    const users = snapshot.byName('public', 'users')?.oid ?? 0
    const uses = (name: string): unknown => {
      const view = snapshot.byName('public', name)?.view
      const used = view === undefined || view === 'unknown' ? undefined : view.uses.get(users)
      return used instanceof Set ? [...used].toSorted() : used
    }
    assert.deepEqual(uses('v1'), [1, 2, 3])
    assert.deepEqual(uses('counts'), [])
    assert.equal(uses('whole'), 'all')
  })

  test('what views read in the end', () => {
    assert.deepEqual(reads('v2'), ['public.users'])
    assert.deepEqual(reads('twice'), ['public.t', 'public.users'])
    assert.deepEqual(reads('users'), ['public.users'])
    assert.deepEqual(reads('parts_1'), ['public.parts', 'public.parts_1'])
    for (const name of ['calls', 'calls_calls', 'reads_text', 'statistics']) assert.equal(reads(name), undefined, name)
    const stats = snapshot.byName('pg_catalog', 'pg_stats')
    assert.ok(stats !== undefined)
    assert.equal(readsOf(snapshot, stats).tables, undefined)
  })

  test('what views run', () => {
    const runs = (name: string): unknown => readsOf(snapshot, snapshot.byName('public', name) ?? assert.fail(name)).runs
    assert.deepEqual(['v1', 'v2', 'calls_calls', 'reads_text', 'statistics'].map(runs), ['pure', 'pure', 'volatile', 'text', 'server'])
    for (const name of ['pg_stats', 'pg_statistic', 'pg_stat_activity', 'pg_authid', 'pg_shadow', 'pg_user_mappings', 'pg_subscription', 'pg_hba_file_rules', 'pg_file_settings', 'pg_largeobject']) assert.equal(readsOf(snapshot, snapshot.byName('pg_catalog', name) ?? assert.fail(name)).runs, 'server', name)
    for (const name of ['pg_class', 'pg_settings', 'pg_roles', 'pg_stat_user_tables', 'pg_locks', 'pg_indexes']) assert.equal(readsOf(snapshot, snapshot.byName('pg_catalog', name) ?? assert.fail(name)).runs, 'pure', name)
  })

  test('functions, types and operators of the database', () => {
    assert.deepEqual([snapshot.function('public', 'purge'), snapshot.function('public', 'stable_sql'), snapshot.function('pg_catalog', 'lower'), snapshot.function('evil', 'lower'), snapshot.function('public', 'absent')], ['volatile', 'volatile', 'pure', 'volatile', undefined])
    assert.deepEqual([snapshot.attribute('row_size'), snapshot.attribute('two_args'), snapshot.attribute('lower')], ['volatile', undefined, undefined])
    assert.deepEqual(['mood', 'pair', 'short', 'checked', 'odd_pair', 'odd_range', 'even_range', 'absent'].map((name) => snapshot.type('public', name)), ['pure', 'pure', 'pure', 'volatile', 'volatile', 'volatile', 'pure', undefined])
    assert.deepEqual(['gather', 'longest'].map((name) => snapshot.function('public', name)), ['volatile', 'pure'], 'an aggregate is what its functions are')
    assert.deepEqual([snapshot.operator('public', '==>'), snapshot.operator('public', '==~'), snapshot.operator('public', '!!')], ['pure', 'volatile', undefined])
  })

  test('an unchanged catalog is not fetched again; a renamed column keeps its former name', async () => {
    const again = await take(snapshot)
    assert.equal(again.relations, snapshot.relations)
    await server.query('alter table t rename column a to b')
    const renamed = await take(again)
    assert.deepEqual(renamed.renamed, ['public.t.a is now b'])
    assert.deepEqual(renamed.byName('public', 't')?.columns.get(2), { number: 2, name: 'b', former: ['a'] })
    assert.equal(renamed.trees.get(snapshot.byName('public', 'v1')?.oid ?? 0), snapshot.trees.get(snapshot.byName('public', 'v1')?.oid ?? 0))
    await server.query('alter table t rename column b to a')
    const back = await take(renamed)
    assert.deepEqual(back.byName('public', 't')?.columns.get(2)?.former, ['a', 'b'])
  })

  test('names in one session: the path, temporary tables, and nothing while there is doubt', async () => {
    await using session = await connect(server)
    const names = makeSessionNames({ catalog: () => snapshot, prepared: () => undefined, cursor: () => undefined })
    const users = { name: 'users', access: 'read' } as const
    assert.equal(names.relation(users), undefined)
    assert.equal(names.function({ name: 'lower' }), 'volatile')
    await names.refresh(session.ask)
    assert.equal(names.relation(users)?.schema, 'public')
    assert.equal(names.function({ name: 'lower' }), 'pure')
    assert.equal(names.function({ name: 'purge' }), 'volatile')
    assert.equal(names.creates, 'public')
    assert.deepEqual(names.relation({ name: 'v1', access: 'read' })?.reads, [{ schema: 'public', name: 'users' }])

    await session.client.query('create temp table users (id int)')
    names.doubt()
    assert.equal(names.relation(users), undefined)
    assert.equal(names.relation({ ...users, schema: 'public' }), undefined)
    await names.refresh(session.ask)
    assert.equal(names.relation({ ...users, schema: 'public' })?.schema, 'public')
    assert.deepEqual(names.relation(users), { schema: 'pg_temp', name: 'users', kind: 'temporary', reads: [{ schema: 'pg_temp', name: 'users' }] })
    assert.equal(names.relation({ ...users, schema: 'pg_temp' })?.kind, 'temporary')

    await session.client.query('create temp view looking as select * from public.users; create rule r as on insert to pg_temp.users do instead nothing')
    names.doubt()
    await names.refresh(session.ask)
    for (const name of ['looking', 'users']) assert.deepEqual(names.relation({ name, access: 'read' }), { schema: 'pg_temp', name, kind: 'view', reads: undefined })

    await session.client.query('set search_path = evil, public')
    names.doubt()
    assert.equal(names.creates, undefined)
    await names.refresh(session.ask)
    assert.equal(names.creates, 'evil')
    assert.equal(names.function({ name: 'lower' }), 'volatile', 'another lower() can be meant, by the types of its arguments')
  })

  test('a doubt that comes while names are asked for stays', async () => {
    const names = makeSessionNames({ catalog: () => snapshot, prepared: () => undefined, cursor: () => undefined })
    const refreshing = names.refresh(connection.ask)
    names.doubt()
    await refreshing
    assert.equal(names.current, false)
  })

  test('a living catalog refuses when it is too old, and renews when asked', async () => {
    let now = 0
    let fails = false
    const problems: unknown[] = []
    const ask = connection.ask
    const living = makeLivingCatalog({ ask: (sql) => (fails ? Promise.reject(new Error('down')) : ask(sql)), now: () => now, builtin, freshMs: 60_000, usableMs: 600_000, onRenamed: () => undefined, onProblem: (problem) => problems.push(problem) })
    assert.throws(() => living.current(), { code: 'upstream-unavailable' })
    await living.renew()
    assert.ok(living.current().byName('public', 'users') !== undefined)
    await server.query('create table later (id int)')
    const [first, second, third] = [living.renew(), living.renew(), living.renew()]
    assert.equal(second, third)
    await Promise.all([first, second])
    assert.ok(living.current().byName('public', 'later') !== undefined)
    await server.query('alter table later rename to latest')
    now = 1_000
    living.missed()
    assert.equal(living.current().byName('public', 'latest'), undefined, 'not more often than once a second')
    await until('what was missed, when its time has come', () => living.current().byName('public', 'latest'))
    await server.query('alter table latest rename to last')
    now = 2_001
    living.missed()
    await until('what was missed, at once', () => living.current().byName('public', 'last'))
    now = 602_001
    fails = true
    assert.ok(living.current() !== undefined)
    now = 602_002
    assert.throws(() => living.current(), { code: 'upstream-unavailable' })
  })
})
