/** Masked values through the whole program, in the clients that agents have. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import postgres from 'postgres'
import { until } from '../support/until.ts'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'

const run = promisify(execFile)

const secret = '123-45-6789'
const stars = '******'

const init = `
create table customers (id int primary key, name text not null, email text, card varchar(19), ssn text unique, pin varchar(3), balance numeric, note text);
insert into customers values
  (1, 'Alice', 'alice@example.com', '4111 1111 1111 1111', '${secret}', '123', 10.5, 'likes tea'),
  (2, 'Bob', null, null, null, null, null, null);
create table orders (id int primary key, customer_id int references customers, total int);
insert into orders values (1, 1, 10), (2, 1, 20), (3, 2, 30);
create view cards as select id, card as number, upper(name) as loud from customers;
create table notes (id serial primary key, text text);
create function tell() returns trigger language plpgsql as $$ begin
  raise notice 'the number of customer 1 is %', (select ssn from customers where id = 1);
  if new.text = 'raise' then raise exception 'no note about %', (select ssn from customers where id = 1) using errcode = '42501', constraint = (select ssn from customers where id = 1); end if;
  return new;
end $$;
create trigger tell before insert on notes for each row execute function tell();
create table wide (id int, secret text);
analyze;
`

const mask = {
  'public.customers.name': 'hash', 'public.customers.email': 'partial', 'public.customers.card': 'partial', 'public.customers.ssn': 'redact',
  'public.customers.pin': 'redact', 'public.customers.balance': 'redact', 'public.made.ssn': 'redact', 'public.wide.secret': 'hash',
}

const rules = [
  { name: 'data', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.insert', 'sql.update', 'sql.delete', 'sql.copy.in', 'sql.copy.out', 'sql.call'], mask: { ...mask } },
  { name: 'schema', then: 'allow', actions: ['sql.ddl'] },
  { name: 'looked-at', then: 'hold', actions: ['sql.delete'], tables: ['public.orders'], mask: { ...mask }, approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' } },
]

describe('masks', { concurrency: 1 }, () => {
  let place: ProxiedPostgres
  let client: pg.Client
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init }, rules })
    client = await connect()
  })
  after(async () => {
    await client?.end()
    await place?.[Symbol.asyncDispose]()
  })

  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({ host: place.host, port: place.port, database: place.database, user: 'crm-agent', password: await place.token() })
    await made.connect()
    return made
  }
  const rows = async (text: string, values: readonly unknown[] = []): Promise<readonly unknown[][]> => (await client.query({ text, values: [...values], rowMode: 'array' })).rows
  const fails = async (text: string, expected: object, values?: readonly unknown[]): Promise<void> => {
    await assert.rejects(rows(text, values), (error: pg.DatabaseError) => {
      assert.doesNotMatch(JSON.stringify(error), new RegExp(secret), text)
      for (const [field, value] of Object.entries(expected)) {
        if (value instanceof RegExp) assert.match(String(error[field as 'detail']), value, text)
        else assert.equal(error[field as 'detail'], value, text)
      }
      return true
    })
  }
  const psql = async (sql: string): Promise<{ readonly stdout: string; readonly stderr: string }> => {
    const env = { ...process.env, PSQLRC: '/dev/null', PGPASSWORD: await place.token() }
    const running = run('psql', ['-XAt', '-f', '-', `host=${place.host} port=${place.port} dbname=${place.database} user=crm-agent`], { env })
    running.child.stdin?.end(sql)
    return await running.catch((error: { stdout: string; stderr: string }) => error)
  }

  test('node-postgres: each mask, NULL stays NULL, what has no text that says "masked" is NULL', async () => {
    const [alice, bob] = await rows('select name, email, card, ssn, pin, balance, note from customers order by id')
    assert.match(String(alice?.[0]), /^masked:[0-9a-f]{32}$/)
    assert.deepEqual(alice?.slice(1), ['a****@e****.com', '****1111', stars, null, null, 'likes tea'])
    assert.match(String(bob?.[0]), /^masked:[0-9a-f]{32}$/)
    assert.deepEqual(bob?.slice(1), [null, null, null, null, null, null])
  })

  test('node-postgres: the binary format is masked alike, prepared and not', async () => {
    for (const name of [undefined, 'again']) {
      for (let time = 0; time < 2; time++) {
        const query = Object.assign({ text: 'select email, balance, ssn from customers where id = $1', values: [1], rowMode: 'array' as const, ...(name === undefined ? {} : { name }) }, { binary: true })
        assert.deepEqual((await client.query(query)).rows, [['a****@e****.com', null, stars]])
      }
    }
  })

  test('node-postgres: a cursor of the protocol is masked in each of its slices', async () => {
    const cursor = client.query(new Cursor<{ readonly ssn: string | null }>('select ssn from customers order by id'))
    assert.deepEqual([...(await cursor.read(1)), ...(await cursor.read(10))], [{ ssn: stars }, { ssn: null }])
    await cursor.close()
  })

  test('postgres.js: a pipeline of masked and other statements', async () => {
    const sql = postgres({ host: place.host, port: place.port, database: place.database, username: 'crm-agent', password: await place.token(), max: 1, onnotice: () => {}, fetch_types: false })
    try {
      const found = await Promise.all([sql`select ssn from customers where id = ${1}`.values(), sql`select total from orders where id = ${1}`.values(), sql`select email from customers where id = ${1}`.values()])
      assert.deepEqual(found.map((one) => [...one]), [[[stars]], [[10]], [['a****@e****.com']]])
    } finally {
      await sql.end()
    }
  })

  test('psql: cursors, EXECUTE, joins, views, RETURNING', async () => {
    const { stdout, stderr } = await psql(`
      begin;
      declare c cursor for select ssn, id from customers order by id;
      fetch 1 c;
      move 0 c;
      fetch all c;
      commit;
      prepare p as select card from customers where id = $1;
      execute p (1);
      select c.ssn, o.total from orders o join customers c on c.id = o.customer_id where o.id = 1;
      select number, loud from cards where id = 1;
      select s from (select ssn as s from customers) q;
      insert into customers (id, name, ssn) values (7, 'x', 'y') returning ssn, id;
      delete from customers where id = 99 returning ssn;
      update customers set note = 'z' where id = 7 returning email, ssn;
    `)
    assert.equal(stderr.replaceAll(/NOTICE.*\n|HINT.*\n|DETAIL.*\n/g, ''), '')
    assert.deepEqual(
      stdout.split('\n').filter((line) => !/^(?:BEGIN|DECLARE|COMMIT|PREPARE|MOVE|INSERT|UPDATE|DELETE)/.test(line) && line !== ''),
      [`${stars}|1`, '|2', '****1111', `${stars}|10`, `****1111|${stars}`, stars, `${stars}|7`, `|${stars}`],
    )
    assert.deepEqual(await place.server.query('select ssn from customers where id = 7'), [{ ssn: 'y' }], 'what is written is not masked')
    await place.server.query('delete from customers where id = 7')
  })

  test('COPY says no columns: a masked table does not leave by it, another one does', async () => {
    for (const sql of ['copy customers to stdout', 'copy customers (id, ssn) to stdout with (format binary)', 'copy (select id, ssn from customers) to stdout with csv', 'copy cards to stdout']) {
      await fails(sql, { code: '42501', message: /^COPY does not say which column/, hint: 'Use SELECT.' })
    }
    let text = ''
    await pipeline(client.query(copyTo('copy orders to stdout')), new Writable({ write: (chunk: Buffer, _encoding, done) => { text += chunk.toString(); done() } }))
    assert.equal(text, '1\t1\t10\n2\t1\t20\n3\t2\t30\n')
  })

  test('what is computed is hidden, what cannot be masked is refused, and the session goes on', async () => {
    assert.deepEqual(await rows('select upper(ssn), ssn || email, coalesce(ssn, note), id from customers where id = 1'), [[stars, stars, stars, 1]])
    assert.deepEqual(await rows('select count(*)::int, max(note) from customers'), [[2, 'likes tea']])
    for (const sql of ["select id from customers where ssn = 'x'", 'select id from customers order by ssn', 'select count(*) from customers group by ssn', 'insert into notes (text) select ssn from customers', 'create table kept as select ssn from customers']) {
      await fails(sql, { code: '42501' })
    }
    await fails('select id from customers where ssn = $1', { code: '42501' }, [secret])
    assert.deepEqual(await rows('select 1'), [[1]])
  })

  test('errors, plans, notices and records quote no value', async () => {
    const log = place.server.log().length
    await fails('insert into customers (id, name, ssn) values ($1, $2, $3)', { code: '23505', constraint: 'customers_pkey', message: 'A value that must be unique is there already.', detail: /withheld/ }, [1, 'x', 'z'])
    await fails("insert into customers (id, name, ssn) values (8, 'x', (select '123' || '-45-6789'))", { code: '23505', constraint: 'customers_ssn_key' })
    await fails("insert into notes (text) values ('raise')", { code: '42501', constraint: undefined, message: /^The statement failed\./ })
    const notices: string[] = []
    client.on('notice', (notice) => notices.push(JSON.stringify(notice)))
    await rows("insert into notes (text) values ('fine')")
    assert.equal(notices.length, 1)
    assert.doesNotMatch(notices.join(), new RegExp(secret))
    assert.doesNotMatch(JSON.stringify(await rows('explain (analyze, verbose) select ssn from customers')), new RegExp(secret))
    assert.ok(place.server.log().slice(log).includes(secret), 'the server did quote it')
    assert.doesNotMatch(JSON.stringify(place.records().filter(({ type }) => type === 'finished' || type === 'refused')), new RegExp(secret))
  })

  test('errors quote nothing either where another rule, without masks, lets the statement run', async () => {
    const fresh = await connect()
    try {
      await assert.rejects(fresh.query('alter table customers alter column ssn type int using ssn::int'), (error: pg.DatabaseError) => {
        assert.equal(error.code, '22P02')
        assert.doesNotMatch(JSON.stringify(error), new RegExp(secret))
        return true
      })
    } finally {
      await fresh.end()
    }
  })

  test('an agent reads what it did wrong: errors that quote only the agent keep their text', async () => {
    await fails('select nme from customers', { code: '42703', message: 'column "nme" does not exist' })
    await fails('selec 1', { code: '42601', message: 'syntax error at or near "selec"' })
    await fails('select $1::int', { code: '22P02', message: 'invalid input syntax for type integer: "abc"' }, ['abc'])
  })

  test('a mask is not written back, by whatever client and rule', async () => {
    const told = { code: '42501', message: /is a mask and no value/, hint: 'Leave that column out.' }
    const [[name] = []] = await rows('select name from customers where id = 1')
    await fails(`update customers set ssn = '${stars}' where id = 1`, told)
    await fails('update customers set name = $1 where id = 1', told, [name])
    await fails('insert into customers (id, name, email) values ($1, $2, $3)', told, [9, 'x', 'a****@e****.com'])
    await client.query('prepare change (text) as update customers set ssn = $1 where id = 1')
    await fails(`execute change ('${stars}')`, told)
    await rows(`update orders set total = length('${stars}') where id = 3`)
    assert.deepEqual(await place.server.query('select ssn from customers where id = 1'), [{ ssn: secret }])
    await pipeline(Readable.from([`5\t${stars}\n`]), client.query(copyFrom('copy wide from stdin')))
    assert.deepEqual(await place.server.query('select secret from wide'), [{ secret: stars }], 'what COPY brings is not looked into')
  })

  test('nobody is asked to approve what could not be masked', async () => {
    await fails('with gone as (delete from orders where total = 0 returning id) select c.id from customers c join gone on true order by c.ssn', { code: '42501', message: /may not decide/ })
    assert.deepEqual(await place.holds(), [])
    await until('the refusal on record', () => place.records().some(({ type, code }) => type === 'refused' && code === 'denied'))
  })

  test('tables of an open transaction: known to it, masked by their names, gone with it', async () => {
    await client.query('begin')
    await client.query('create table made (id int, ssn text, other text)')
    await client.query("insert into made values (1, 'secret', 'x')")
    assert.deepEqual(await rows('select * from made'), [[1, stars, 'x']])
    assert.deepEqual(await rows('select upper(ssn) from made'), [[stars]])
    await client.query('savepoint here')
    await client.query('alter table made add column more text default $$m$$')
    assert.deepEqual(await rows('select more, ssn from made'), [['m', stars]])
    await client.query('alter table made rename column ssn to renamed')
    assert.equal((await rows('select renamed from made'))[0]?.[0] === 'secret', true, 'nobody knows another name of a column of a table that nobody else has seen')
    await client.query('rollback to here')
    assert.deepEqual(await rows('select * from made'), [[1, stars, 'x']])
    await client.query('rollback')
    await fails('select * from made', { code: '42501', message: 'No policy allows this action: the relation made is not known.' })
    await client.query('create table made (id int, ssn text)')
    await client.query("insert into made values (1, 'secret')")
    assert.deepEqual(await rows('select * from made'), [[1, stars]], 'it is known as soon as it is there')
  })

  test('temporary tables are the session\'s own and hold no masked values', async () => {
    await client.query('create temp table customers (id int, ssn text)')
    await client.query("insert into customers values (1, 'own')")
    assert.deepEqual(await rows('select ssn from customers'), [['own']])
    assert.deepEqual(await rows('select ssn from public.customers where id = 1'), [[stars]])
    await client.query('create temp view peek as select ssn from public.customers')
    await fails('select * from peek', { code: '42501' })
    await fails('create temp table copied as select ssn from public.customers', { code: '42501' })
    await client.query('drop view peek')
    await client.query('drop table pg_temp.customers')
    assert.deepEqual(await rows('select ssn from customers where id = 1'), [[stars]])
  })

  test('a million masked rows: memory stays flat, and each of them is masked', async () => {
    const before = process.memoryUsage().rss
    let [most, seen, shown] = [0, 0, 0]
    const cursor = new Writable({
      objectMode: true,
      write(row: readonly unknown[], _encoding, done) {
        seen++
        if (row[0] !== stars) shown++
        if (seen % 50_000 === 0) most = Math.max(most, process.memoryUsage().rss)
        done()
      },
    })
    const { default: QueryStream } = await import('pg-query-stream')
    await pipeline(client.query(new QueryStream('select c.ssn, g from customers c, generate_series(1, 1000000) g where c.id = 1', [], { rowMode: 'array', batchSize: 5_000 })), cursor)
    assert.deepEqual([seen, shown], [1_000_000, 0])
    assert.ok(most - before < 150 << 20, `${(most - before) >> 20} MiB more`)
  })
})
