/** Limits on rows and time through the whole program: what the client reads, what state its session is in, and that nothing else is stopped. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import Cursor from 'pg-cursor'
import postgres from 'postgres'
import { bind, connectRaw, copyData, copyDone, execute, parse, query, sync } from '../protocols/postgres/session/raw-client.ts'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { until } from '../support/until.ts'

const init = `
create table events (id int primary key, text text);
insert into events select n, 'event ' || n from generate_series(1, 20000) n;
create table free (id int primary key);
insert into free select n from generate_series(1, 50000) n;
create table slow (id int);
analyze;
`

const rules = [
  { name: 'few', then: 'allow', actions: ['sql.select', 'sql.copy.out', 'sql.insert', 'sql.update'], tables: ['public.events'], limits: { rows: 10 } },
  { name: 'load', then: 'allow', actions: ['sql.copy.in'], tables: ['public.slow'], limits: { rows: 10 } },
  { name: 'free', then: 'allow', actions: ['sql.select'], tables: ['public.free'] },
  { name: 'compute', then: 'allow', actions: ['sql.select'], if: 'size(sql.tables) == 0' },
  { name: 'short', then: 'allow', actions: ['sql.select', 'sql.insert'], tables: ['public.slow', 'public.free'], if: "'public.slow' in sql.tables", limits: { time: '500ms' } },
]

/** Works for longer than any limit, without a function that would be another kind of statement. */
const long = 'select count(*) from free a, free b, free c left join slow on false'

describe('limits', { concurrency: 1 }, () => {
  let place: ProxiedPostgres
  let client: pg.Client
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init }, rules })
    client = new pg.Client({ host: place.host, port: place.port, database: place.database, user: 'crm-agent', password: await place.token() })
    await client.connect()
  })
  after(async () => {
    await client?.end()
    await place?.[Symbol.asyncDispose]()
  })
  const count = async (text: string, values: readonly unknown[] = []): Promise<number> => (await client.query(text, [...values])).rows.length
  const tooMany = { code: '53400', message: 'The result has more than the 10 rows that the policy allows. What came so far is not all of it.', hint: 'Ask for fewer rows, with a condition or LIMIT.' }
  const tooLong = { code: '57014', message: 'The statement was stopped: it took longer than the 500 ms that the policy allows.' }
  /** Outside of a transaction, or in one that goes on. */
  const goesOn = async (): Promise<void> => assert.deepEqual((await client.query('select id from free where id = 1')).rows, [{ id: 1 }])

  test('as many rows as are allowed come, one more ends the result', async () => {
    assert.equal(await count('select * from events limit 10'), 10)
    assert.equal(await count('select * from events where id <= $1', [10]), 10)
    for (const text of ['select * from events limit 11', 'select * from events']) {
      await assert.rejects(count(text), tooMany)
      await goesOn()
    }
    await assert.rejects(count('select * from events where id <= $1', [11]), tooMany)
    await assert.rejects(client.query({ name: 'again', text: 'select * from events where id > $1', values: [0] }), tooMany)
    assert.equal((await client.query({ name: 'again', text: 'select * from events where id > $1', values: [19_995] })).rows.length, 5)
    await goesOn()
  })

  test('its time begins at the server: a text behind it that takes long to be read does not use it up', async () => {
    await using raw = await connectRaw(place.port, await place.token())
    await raw.ask([query('select 1')])
    raw.send(parse(`select 1${' '.repeat(100_000)}`), sync, parse(long), bind(), execute(), sync, parse(`select ${'1,'.repeat(400_000)}1`), sync)
    await until('the statement to be stopped', () => raw.heard.includes('E 57014'))
  })

  test('what stops one statement does not stop the next', async () => {
    for (let time = 0; time < 20; time++) {
      await assert.rejects(count(time % 2 === 0 ? 'select * from events' : 'select * from events where id > $1', time % 2 === 0 ? [] : [0]), tooMany)
      assert.equal((await client.query('select count(*)::int as n from free a where a.id < 30000')).rows[0].n, 29_999)
    }
  })

  test('a transaction is what the server says it is', async () => {
    await client.query('begin')
    await assert.rejects(count('select * from events'), tooMany)
    const status = await client.query('select 1').then(() => 'open', (error: pg.DatabaseError) => error.code)
    assert.ok(['open', '25P02'].includes(String(status)), String(status))
    assert.equal((await client.query('commit')).command, status === 'open' ? 'COMMIT' : 'ROLLBACK')
  })

  test('rows of a change count too, and the error says that it may stand', async () => {
    await assert.rejects(client.query("update events set text = 'x' where id <= 20 returning id"), { code: '53400', detail: /changes data/ })
    assert.equal((await client.query("update events set text = 'x' where id <= 20")).rowCount, 20)
  })

  test('a cursor is one result: slices of a portal and FETCHes add up', async () => {
    const cursor = client.query(new Cursor('select * from events'))
    assert.equal((await cursor.read(6)).length, 6)
    await assert.rejects(cursor.read(6), tooMany)
    await goesOn()
    await client.query('begin')
    await client.query('declare c cursor with hold for select * from events')
    assert.equal(await count('fetch 6 c'), 6)
    assert.equal(await count('fetch 4 c'), 4)
    await client.query('commit')
    await assert.rejects(count('fetch 1 c'), tooMany)
    await client.query('close c')
    await client.query('begin')
    await client.query('declare c cursor for select * from events')
    assert.equal(await count('fetch 10 c'), 10, 'another cursor begins anew')
    await client.query('rollback')
  })

  test('what cannot be counted is refused', async () => {
    await assert.rejects(client.query('copy events to stdout'), { code: '42501', message: 'COPY cannot be limited to a number of rows.', hint: 'Use SELECT.' })
    await assert.rejects(client.query("update events set text = 'y' where id = 1; select * from events limit 1"), { code: '42501', hint: 'Send one statement at a time.' })
    await goesOn()
  })

  test('rows that the client sends are none that it gets', async () => {
    await using loading = await connectRaw(place.port, await place.token())
    const rows = copyData('1\n'.repeat(20))
    assert.deepEqual(await loading.ask([query('copy slow from stdin'), rows, copyDone]), ['G', 'C COPY 20', 'Z I'])
    assert.deepEqual(await loading.ask([parse('copy slow from stdin'), bind(), execute(), rows, copyDone, sync]), ['1', '2', 'G', 'C COPY 20', 'Z I'])
  })

  test('of several reads in one text the rows add up', async () => {
    const results = (await client.query('begin; select * from events limit 4; select * from events limit 6; commit')) as unknown as readonly pg.QueryResult[]
    assert.deepEqual(results.map(({ rows }) => rows.length), [0, 4, 6, 0])
    await assert.rejects(client.query('select * from events limit 4; select * from events limit 7; select 1'), tooMany)
    await goesOn()
    await assert.rejects(client.query('begin; select * from events; commit'), tooMany)
    await client.query('rollback')
    await client.query('begin')
    await client.query("update events set text = 'z' where id = 1")
    await assert.rejects(client.query('select * from events limit 11; commit'), { code: '42501', hint: 'Send one statement at a time.' })
    await client.query('rollback')
    await goesOn()
  })

  test('a statement that takes too long is stopped and says so; the session goes on', async () => {
    await assert.rejects(client.query(long), tooLong)
    await goesOn()
    await assert.rejects(client.query(`${long} where a.id > $1`, [0]), tooLong)
    await goesOn()
    await client.query('begin')
    await assert.rejects(client.query(long), tooLong)
    await assert.rejects(client.query('select 1'), { code: '25P02' })
    assert.equal((await client.query('commit')).command, 'ROLLBACK')
    const finished = place.records().filter(({ type }) => type === 'finished').map((record) => (record['outcome'] as { readonly result: string; readonly status?: string }))
    assert.ok(finished.some(({ result, status }) => result === 'failed' && status === '57014'))
  })

  test('a batch gives nobody more time: what comes before a statement in it is no cover', async () => {
    await using raw = await connectRaw(place.port, await place.token())
    const heard = await raw.ask([parse('select id from free where id = 1'), bind(), execute(), parse(long, 'long'), bind([], { statement: 'long' }), execute(), parse('select 1'), bind(), execute(), sync])
    assert.deepEqual(heard, ['1', '2', 'D 1', 'C SELECT 1', '1', '2', 'E 57014', 'Z I'])
    assert.equal(raw.error()?.get('M'), tooLong.message)
  })

  test('only the time at the server counts: not that of others in the pipeline, not that between two slices', async () => {
    const sql = postgres({ host: place.host, port: place.port, database: place.database, username: 'crm-agent', password: await place.token(), max: 1, onnotice: () => {}, fetch_types: false })
    try {
      const [slow, quick] = await Promise.all([sql`select count(*)::int as n from free a, free b where a.id <= 400`, sql`select 1 as one from slow right join free on true limit 1`])
      assert.deepEqual([[...slow], [...quick]], [[{ n: 20_000_000 }], [{ one: 1 }]])
    } finally {
      await sql.end()
    }
    const cursor = client.query(new Cursor('select free.id from free left join slow on false'))
    assert.equal((await cursor.read(2)).length, 2)
    await place.server.query('select pg_sleep(0.7)')
    assert.equal((await cursor.read(2)).length, 2)
    await cursor.close()
    await goesOn()
  })
})
