/** What a caller with a good token has tried: to read what is denied or masked, to write without an approval, to have something else run than was approved. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { newestPostgres, findPostgres } from '../support/postgres-binaries.ts'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { until } from '../support/until.ts'
import { bind, connectRaw, execute, flush, parse, sync } from '../protocols/postgres/session/raw-client.ts'

const secret = '123-45-6789'

const init = `
create table users (id int primary key, name text, ssn text);
insert into users values (1, 'Alice', '${secret}'), (2, 'Bob', '987-65-4321');
create table orders (id int, note text, day date);
insert into orders values (1, 'n', '2024-01-02'), (2, 'n', '2024-02-01'), (3, 'n', '2024-02-01');
create table secret (id int, v text);
insert into secret values (1, 'TOP');
create table events (id int, v text) partition by range (id);
create table events_1 partition of events for values from (0) to (10);
insert into events values (1, 'TOP');
create table written (what text);
create function note_down(text, text) returns text language plpgsql as $$ begin insert into written values ($2); return $2; end $$;
create aggregate gather(text) (sfunc = note_down, stype = text);
create schema odd;
create type odd.mood as enum ('a', 'b');
create function odd.same(odd.mood, text) returns boolean language plpgsql as $$ begin insert into written values ($2); return true; end $$;
create operator odd.= (leftarg = odd.mood, rightarg = text, procedure = odd.same);
create function odd.joined(text, integer) returns text language plpgsql as $$ begin insert into written values ($1); return $1; end $$;
create function odd.check_it(text) returns boolean language plpgsql as $$ begin insert into written values ($1); return true; end $$;
create domain odd.checked as text check (odd.check_it(value));
create type odd.pair as (a odd.checked);
create table wide (id int, name text, ssn text);
create view narrow as select id from orders;
create view on_narrow as select id from narrow;
create schema front;
create table front.users (id int);
analyze;
`

const approval = { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }

const rules = [
  { name: 'work', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.insert', 'sql.update', 'sql.ddl', 'sql.session'], tables: { not: ['public.secret', 'public.events'] }, mask: { 'public.users.ssn': 'redact' } },
  { name: 'compute', then: 'allow', actions: ['sql.select', 'sql.session'], if: 'size(sql.tables) == 0' },
  { name: 'delete', then: 'hold', actions: ['sql.delete'], tables: ['public.orders'], approval },
]

for (const binaries of [findPostgres(), newestPostgres()]) describe(`attacks with PostgreSQL ${binaries?.major}`, { skip: binaries === undefined, concurrency: 1 }, () => {
  let place: ProxiedPostgres
  let client: pg.Client
  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({ host: place.host, port: place.port, database: place.database, user: 'crm-agent', password: await place.token() })
    await made.connect()
    return made
  }
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init, ...(binaries === undefined ? {} : { binaries }) }, rules })
    client = await connect()
  })
  after(async () => {
    await client?.end()
    await place?.[Symbol.asyncDispose]()
  })
  const denied = (sql: string): Promise<void> => assert.rejects(client.query(sql), { code: '42501' }, sql)
  const written = async (): Promise<number> => (await place.server.query('select from written')).length

  test('a temporary table that shadows another one does not outlive its transaction in our eyes', async () => {
    for (const [begin, end] of [['', 'ROLLBACK'], ['SAVEPOINT a;', 'ROLLBACK TO a'], ['', 'COMMIT']] as const) {
      await client.query(`BEGIN; ${begin}`)
      await client.query('CREATE TEMP TABLE secret (id int, v text) ON COMMIT DROP')
      assert.deepEqual((await client.query('SELECT * FROM secret')).rows, [])
      await denied(`${end}; SELECT * FROM secret`)
      await client.query('ROLLBACK')
      await denied('SELECT * FROM secret')
    }
  })

  test('what an open transaction has defined anew is not what it was', async () => {
    const ways = [
      ['ALTER TABLE orders RENAME TO other; ALTER TABLE users RENAME TO orders', 'SELECT orders::text FROM orders'],
      ['ALTER TABLE users RENAME TO fresh', 'SELECT fresh::text FROM fresh'],
      ['ALTER TABLE users RENAME name TO other; ALTER TABLE users RENAME ssn TO name', "SELECT name || '' FROM users"],
      ['SAVEPOINT a; ALTER TABLE users RENAME name TO other; ALTER TABLE users RENAME ssn TO name; RELEASE a', "SELECT name || '' FROM public.users"],
      ['CREATE TABLE above (id int, name text, ssn text); ALTER TABLE users INHERIT above', "SELECT ssn || '' FROM above"],
      ['ALTER TABLE users INHERIT wide', "SELECT ssn || '' FROM wide"],
      ['CREATE OR REPLACE VIEW narrow AS SELECT id FROM orders', 'SELECT * FROM narrow'],
      ['CREATE OR REPLACE VIEW narrow AS SELECT id FROM orders', 'SELECT * FROM on_narrow'],
      ['DROP TABLE front.users', 'SELECT users::text FROM users'],
      ["CREATE OPERATOR public.|| (leftarg = text, rightarg = integer, procedure = odd.joined)", "SELECT name || 1 FROM users"],
    ] as const
    await client.query('SET search_path = front, public')
    assert.deepEqual((await client.query('SELECT users::text FROM users')).rows, [])
    await client.query('RESET search_path')
    for (const [define, read] of ways) {
      if (define.includes('front')) await client.query('SET search_path = front, public')
      await client.query('BEGIN')
      for (const one of define.split('; ')) await client.query(one)
      await denied(read)
      await client.query('ROLLBACK')
    }
    await client.query('RESET search_path')
  })

  test('what it has added it may use', async () => {
    await client.query('BEGIN')
    await client.query('ALTER TABLE orders ADD COLUMN extra int')
    await client.query('CREATE TABLE made (id int REFERENCES users)')
    await client.query('UPDATE orders SET extra = 1')
    await client.query('INSERT INTO made SELECT id FROM orders WHERE extra = 1 AND id < 3')
    assert.equal((await client.query('SELECT made.id, ssn FROM made JOIN users USING (id)')).rows.length, 2)
    await client.query('ROLLBACK')
  })

  test('what a batch has defined is not known before it ends', async () => {
    await using raw = await connectRaw(place.port, await place.token())
    const steps = (sql: string): readonly Buffer[] => [parse(sql), bind(), execute()]
    const heard = await raw.ask([...steps('ALTER TABLE orders RENAME TO other'), ...steps('ALTER TABLE users RENAME TO orders'), ...steps('SELECT orders::text FROM public.orders'), sync])
    assert.deepEqual(heard.slice(-2), ['E 42501', 'Z I'])
  })

  test('a partition is read as its table', async () => {
    await denied('SELECT * FROM events_1')
  })

  test('masked values are not kept where no mask holds', async () => {
    await client.query('PREPARE p AS SELECT ssn FROM users')
    await denied('CREATE TABLE kept AS EXECUTE p')
    await denied('ALTER TABLE users ALTER name TYPE text USING ssn')
    assert.deepEqual((await client.query('EXECUTE p')).rows, [{ ssn: '******' }, { ssn: '******' }])
  })

  test('a whole row is masked, whatever it is called', async () => {
    const { rows } = await client.query('SELECT note::text FROM users note WHERE EXISTS (SELECT FROM orders)')
    assert.deepEqual(rows, [{ note: '******' }, { note: '******' }])
  })

  test('functions behind aggregates and operators are functions', async () => {
    await denied('SELECT gather(note) FROM orders')
    await client.query('SET search_path = odd, public')
    await denied("SELECT 'a'::mood = 'b'::text")
    await client.query('RESET search_path')
    assert.equal(await written(), 0)
  })

  test('the condition of a domain does not run before anybody has decided', async () => {
    const attempts = [
      [parse("SELECT $1::int, '(x)'::odd.pair"), sync],
      [parse("SELECT $1::int, '(x)'::odd.pair"), bind(['1']), sync],
      [parse('SELECT $1::odd.pair'), bind(['(x)']), sync],
      [parse('SELECT $1::odd.checked'), bind(['x']), sync],
      [parse("EXPLAIN SELECT '(x)'::odd.pair, $1::int"), flush, sync],
    ]
    for (const messages of attempts) {
      await using raw = await connectRaw(place.port, await place.token())
      assert.deepEqual((await raw.ask(messages)).slice(-2), ['E 42501', 'Z I'])
    }
    assert.equal(await written(), 0)
  })

  test('statistics, passwords and statements of others need a rule that names the server', async () => {
    for (const sql of ["SELECT most_common_vals FROM pg_stats WHERE tablename = 'secret'", 'SELECT rolpassword FROM pg_authid', 'SELECT passwd FROM pg_shadow', 'SELECT query FROM pg_stat_activity', 'SELECT query FROM pg_stat_get_activity(null)', 'SELECT * FROM pg_hba_file_rules']) await denied(sql)
  })

  test('how dates are read is shown, counts, and is part of what was approved', async () => {
    const ask = async (style: string): Promise<{ readonly digest: string; readonly impact: { readonly exactRows?: number; readonly notes: readonly string[] } }> => {
      const asker = await connect()
      await asker.query(`SET DateStyle = '${style}'`)
      const answer = assert.rejects(asker.query("DELETE FROM orders WHERE day = '01/02/2024'"), { code: '42501' })
      const hold = await until('a hold', async () => (await place.holds())[0])
      const { action } = (await place.show(hold.id)) as { readonly action: { readonly impact: { readonly exactRows?: number; readonly notes: readonly string[] } } }
      await place.vote(hold, 'deny', 'no')
      await answer
      await asker.end()
      return { digest: hold.digest, impact: action.impact }
    }
    const [american, european, again] = [await ask('ISO, MDY'), await ask('ISO, DMY'), await ask('ISO, MDY')]
    assert.deepEqual([american.impact.exactRows, european.impact.exactRows], [1, 2])
    assert.match(european.impact.notes.join(), /read with DateStyle ISO, DMY/)
    assert.notEqual(american.digest, european.digest)
    assert.equal(american.digest, again.digest)
  })

  test('letters of several alphabets in one word are told', async () => {
    for (const [name, notes] of [['\u0430dmin', 1], ['admin', 0], ['\u0430\u0431', 0]] as const) {
      const answer = assert.rejects(client.query('DELETE FROM orders WHERE note = $1', [name]), { code: '42501' })
      const hold = await until('a hold', async () => (await place.holds())[0])
      const { action } = (await place.show(hold.id)) as { readonly action: { readonly impact: { readonly notes: readonly string[] } } }
      assert.equal(action.impact.notes.filter((note) => note.includes('alphabets')).length, notes)
      await place.vote(hold, 'deny', 'no')
      await answer
    }
  })

  test('a setting that is changed in the same batch is not known in time', async () => {
    await using raw = await connectRaw(place.port, await place.token())
    const steps = (sql: string): readonly Buffer[] => [parse(sql), bind(), execute()]
    const heard = await raw.ask([...steps("SET DateStyle = 'ISO, DMY'"), ...steps("DELETE FROM orders WHERE day = '01/02/2024'"), sync])
    assert.deepEqual(heard.slice(-2), ['E 42501', 'Z I'])
    assert.deepEqual(await place.holds(), [])
  })
})
