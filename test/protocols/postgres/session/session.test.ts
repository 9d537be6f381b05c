import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startProxiedPostgres, type ProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { until } from '../../../support/until.ts'
import * as raw from './raw-client.ts'
import { connectRaw, type RawClient } from './raw-client.ts'

const { bind, execute, flush, parse, query, sync } = raw

const approval = { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }

const rules = [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.copy.out'], tables: ['public.t', 'public.log'] },
  { name: 'compute', then: 'allow', actions: ['sql.select'], if: 'size(sql.tables) == 0' },
  { name: 'log', then: 'allow', actions: ['sql.insert', 'sql.copy.in'], tables: ['public.log'] },
  { name: 'change', then: 'hold', actions: ['sql.update', 'sql.delete', 'sql.insert'], tables: ['public.t'], approval, because: 'Changes are looked at.' },
  { name: 'ddl', then: 'deny', actions: ['sql.ddl'], because: 'The schema belongs to migrations.', instead: 'Write a migration.' },
  { name: 'temporary', then: 'allow', actions: ['sql.session'] },
]

const init = `
create table public.t (id int primary key, a int);
insert into public.t values (1, 1), (2, 2);
create table public.log (text text);
create table public.secrets (id int);
create schema other;
create table other.t (id int primary key, a int);
`

/** One session, message by message, against a real server. */
describe('a PostgreSQL session', { concurrency: 1 }, () => {
  let world: ProxiedPostgres
  let client: RawClient
  before(async () => {
    world = await startProxiedPostgres({ postgres: { init }, rules, service: { hold: { 'in-transaction': '1s' } } })
  })
  after(() => world[Symbol.asyncDispose]())

  const connect = async (): Promise<RawClient> => await connectRaw(world.port, await world.token())
  const fresh = async (run: () => Promise<void>): Promise<void> => {
    await world.server.query('truncate public.t, public.log; insert into public.t values (1, 1), (2, 2)')
    client = await connect()
    try {
      await run()
    } finally {
      await client[Symbol.asyncDispose]()
    }
  }
  const scene = (name: string, run: () => Promise<void>): void => void test(name, () => fresh(run))
  const rows = async (): Promise<string> => (await world.server.query<{ id: number; a: number }>('select id, a from public.t order by id')).map(({ id, a }) => `${id}=${a}`).join(' ')
  const pending = () => world.holds()
  const decide = async (verdict: 'approve' | 'deny', reason?: string) => {
    await client.hears(/^N 00000/)
    await until('the hold', async () => (await pending()).length === 1)
    const [hold] = await pending()
    assert.ok(hold)
    await world.vote(hold, verdict, reason)
    return hold
  }

  scene('allowed, denied, and a session that goes on', async () => {
    assert.deepEqual(await client.ask([query('select id from t order by id')]), ['T', 'D 1', 'D 2', 'C SELECT 2', 'Z I'])
    assert.deepEqual(await client.ask([query('drop table t')]), ['E 42501', 'Z I'])
    assert.deepEqual([client.error()?.get('M'), client.error()?.get('H'), client.error()?.get('D')], ['The schema belongs to migrations.', 'Write a migration.', 'Rule: ddl'])
    assert.deepEqual(await client.ask([query('select * from secrets')]), ['E 42501', 'Z I'])
    assert.deepEqual(await client.ask([query('selec 1')]), ['E 42601', 'Z I'])
    assert.deepEqual(await client.ask([query('')]), ['I', 'Z I'])
    assert.deepEqual(await client.ask([query('select 1; drop table t')]), ['E 42501', 'Z I'])
    assert.deepEqual(await client.ask([query('select 1; select 2')]), ['T', 'D 1', 'C SELECT 1', 'T', 'D 2', 'C SELECT 1', 'Z I'])
    assert.doesNotMatch(world.server.log(), /drop table t/)
  })

  scene('G10: held, approved: once, by the simple protocol', async () => {
    const answer = client.ask([query('delete from t where id = 1')])
    const hold = await decide('approve')
    assert.equal(hold.verb, 'sql.delete')
    assert.deepEqual((await answer).slice(-2), ['C DELETE 1', 'Z I'])
    assert.match(client.notices()[0] ?? '', /^held for approval CS-[0-9A-Z]{4}: http.*\/holds\/hold_/)
    assert.equal(await rows(), '2=2')
  })

  scene('G10: held, denied: 42501 with the reason, by the extended protocol', async () => {
    const answer = client.ask([parse('delete from t where id = $1'), bind(['1']), execute(), sync])
    await decide('deny', 'not today')
    assert.deepEqual((await answer).filter((one) => !one.startsWith('N')), ['E 42501', 'Z I'])
    assert.match(client.error()?.get('M') ?? '', /not today/)
    assert.equal(await rows(), '1=1 2=2')
    assert.deepEqual(await client.ask([query('select 4')]), ['T', 'D 4', 'C SELECT 1', 'Z I'])
  })

  scene('nothing of a statement that is held reaches the server, and nothing behind it is looked at (G12)', async () => {
    client.send(parse('delete from t where id = 1'), bind(), execute(), sync, parse('delete from t'), bind(), execute(), sync)
    await client.hears(/^N/)
    assert.deepEqual(client.heard.filter((one) => !one.startsWith('N')), [])
    assert.equal((await pending()).length, 1)
    const first = await decide('approve')
    assert.match(first.preview, /delete from t where id = 1/)
    await client.hears(/^C DELETE 1/)
    const second = await until('the second hold', async () => (await pending())[0])
    assert.doesNotMatch(second.preview, /where/)
    await world.vote(second, 'deny')
    await until('both answers', () => client.heard.filter((one) => one.startsWith('Z')).length === 2)
    assert.equal(await rows(), '2=2')
  })

  scene('G13: other values are another question; both are shown', async () => {
    const first = client.ask([parse('delete from t where id = $1', 's1', [23]), bind(['1'], { statement: 's1' }), execute(), sync])
    const one = await decide('approve')
    assert.match(one.preview, /\$1 = "1"/)
    await first
    client.send(bind(['2'], { statement: 's1' }), execute(), sync)
    const two = await until('a second hold', async () => (await pending())[0])
    assert.match(two.preview, /\$1 = "2"/)
    assert.notEqual(two.digest, one.digest)
    await world.vote(two, 'deny')
    await client.hears(/^E 42501/)
    assert.equal(await rows(), '2=2')
  })

  scene('G14: one approval is one completion, also of a portal that is executed again or in slices', async () => {
    const again = client.ask([parse('update t set a = a + 1 where id = 1', 's1'), bind([], { portal: 'p1', statement: 's1' }), execute('p1'), execute('p1'), sync])
    await decide('approve')
    assert.deepEqual((await again).slice(-3), ['C UPDATE 1', 'E 55000', 'Z I'])
    // The server's own error took the whole implicit transaction back.
    assert.equal(await rows(), '1=1 2=2')
    const slices = client.ask([parse('update t set a = a + 1 returning id', 's2'), bind([], { portal: 'p2', statement: 's2' }), execute('p2', 1), execute('p2', 1), execute('p2', 1), sync])
    await until('the hold', async () => (await pending()).length === 1)
    await world.vote((await pending())[0]!, 'approve')
    assert.deepEqual((await slices).filter((one) => /^[CDsZE]/.test(one)), ['D 1', 's', 'D 2', 's', 'C UPDATE 0', 'Z I'])
    assert.equal(await rows(), '1=2 2=3')
    client.send(bind([], { statement: 's2' }), execute(), sync)
    await until('to be asked anew', async () => (await pending()).length === 1)
    await world.vote((await pending())[0]!, 'deny')
    await client.hears(/^E 42501/)
  })

  scene('G16: a refusal in the middle of a pipeline', async () => {
    const heard = await client.ask([
      parse('select 1', 'a'), bind([], { statement: 'a' }), execute(),
      parse('drop table t', 'b'), bind([], { statement: 'b' }), execute(),
      parse('select 3', 'c'), bind([], { statement: 'c' }), execute(), sync, query('select 4'),
    ], 2)
    assert.deepEqual(heard, ['1', '2', 'D 1', 'C SELECT 1', 'E 42501', 'Z I', 'T', 'D 4', 'C SELECT 1', 'Z I'])
    assert.doesNotMatch(world.server.log(), /select 3/)
  })

  scene('G17: a refusal in a transaction is one for the server too', async () => {
    const heard = await client.ask([query('begin'), query("insert into log values ('x')"), query('drop table t'), query('select 1'), query('commit')], 5)
    assert.deepEqual(heard, ['C BEGIN', 'Z T', 'C INSERT 0 1', 'Z T', 'E 42501', 'Z E', 'E 25P02', 'Z E', 'C ROLLBACK', 'Z I'])
    assert.deepEqual(await world.server.query('select * from log'), [])
    assert.deepEqual(await client.ask([query('begin'), query('savepoint s'), query('drop table t'), query('rollback to s'), query("insert into log values ('y')"), query('commit')], 6), ['C BEGIN', 'Z T', 'C SAVEPOINT', 'Z T', 'E 42501', 'Z E', 'C ROLLBACK', 'Z T', 'C INSERT 0 1', 'Z T', 'C COMMIT', 'Z I'])
  })

  scene('G20: Parse of a name that exists', async () => {
    const heard = await client.ask([parse('select 1', 's1'), sync, parse('select 2', 's1'), sync, bind([], { statement: 's1' }), execute(), sync], 3)
    assert.deepEqual(heard, ['1', 'Z I', 'E 42P05', 'Z I', '2', 'D 1', 'C SELECT 1', 'Z I'])
    const held = await client.ask([parse('delete from t', 's1'), sync, bind([], { statement: 's1' }), execute(), sync], 2)
    assert.deepEqual(held, ['E 42P05', 'Z I', '2', 'D 1', 'C SELECT 1', 'Z I'])
    assert.deepEqual(await client.ask([parse('delete from t', 's1'), bind([], { statement: 's1' }), execute(), sync]), ['E 42P05', 'Z I'])
    assert.equal((await pending()).length, 0)
  })

  scene('SQL and messages share names: what is prepared by one is judged by the other', async () => {
    const held = client.ask([query('prepare d as delete from t'), bind([], { statement: 'd' }), execute(), sync], 2)
    await until('the hold or an answer', async () => client.heard.some((one) => one.startsWith('E')) || (await pending()).length === 1)
    for (const hold of await pending()) {
      assert.match(hold.preview, /delete from t/)
      await world.vote(hold, 'deny')
    }
    await until('the second hold or the end', async () => client.heard.filter((one) => one.startsWith('Z')).length === 2 || (await pending()).length === 1)
    for (const hold of await pending()) await world.vote(hold, 'deny')
    await held
    assert.equal(await rows(), '1=1 2=2')
    assert.deepEqual(await client.ask([bind([], { statement: 'nobody' }), execute(), sync]), ['E 26000', 'Z I'])
    assert.deepEqual(await client.ask([execute('nobody'), sync]), ['E 34000', 'Z I'])
    assert.deepEqual(await client.ask([parse('select 7', 'w'), sync, query('execute w')], 2), ['1', 'Z I', 'T', 'D 7', 'C SELECT 1', 'Z I'])
    assert.deepEqual(await client.ask([query('execute nobody')]), ['E 42501', 'Z I'])
  })

  scene('G11: function calls and unknown messages', async () => {
    assert.deepEqual(await client.ask([raw.functionCall(2625)]), ['E 42501', 'Z I'])
    client.send(raw.raw('z'))
    await until('the end', () => client.closed())
    assert.equal(client.error()?.get('C'), '08P01')
  })

  scene('G22: several Execute before one Sync: no part is committed', async () => {
    const heard = client.ask([parse("insert into log values ('g22')", 'a'), bind([], { statement: 'a' }), execute(), parse('delete from t where id = 1', 'b'), bind([], { statement: 'b' }), execute(), sync])
    await decide('deny')
    assert.deepEqual((await heard).filter((one) => !one.startsWith('N')), ['1', '2', 'C INSERT 0 1', 'E 42501', 'Z I'])
    assert.deepEqual(await world.server.query('select * from log'), [])
    assert.equal(await rows(), '1=1 2=2')
  })

  scene('G23: a transaction that has written is not kept open longer than its service allows', async () => {
    const heard = await client.ask([query('begin'), query("insert into log values ('x')"), query('delete from t')], 3)
    assert.deepEqual(heard.filter((one) => !one.startsWith('N')), ['C BEGIN', 'Z T', 'C INSERT 0 1', 'Z T', 'E 57014', 'Z E'])
    const [hold] = await pending()
    assert.ok(hold)
    assert.match(JSON.stringify(await world.show(hold.id)), /"keepsLocks":true/)
    assert.match(client.error()?.get('H') ?? '', new RegExp(hold.id))
    await world.vote(hold, 'deny')
    assert.deepEqual(await client.ask([query('commit')]), ['C ROLLBACK', 'Z I'])
  })

  scene('a request to cancel takes back what waits; a foreign key does nothing', async () => {
    const answer = client.ask([query('delete from t')])
    await client.hears(/^N/)
    await raw.cancel(world.port, client.pid, Buffer.from([1, 2, 3, 4]))
    assert.equal((await pending()).length, 1)
    await raw.cancel(world.port, client.pid, client.key)
    assert.deepEqual((await answer).slice(-2), ['E 57014', 'Z I'])
    assert.equal((await pending()).length, 0)
    assert.deepEqual(await client.ask([query('select 1')]), ['T', 'D 1', 'C SELECT 1', 'Z I'])
  })

  scene('who leaves while it waits leaves the hold behind, and a repeat finds it', async () => {
    client.send(query('delete from t where id = 2'))
    await client.hears(/^N/)
    client.socket.destroy()
    const hold = await until('the hold', async () => (await pending())[0])
    await until('nobody to wait', async () => !/"waiting":true/.test(JSON.stringify(await world.holds())))
    await world.vote(hold, 'approve')
    assert.equal(await rows(), '1=1 2=2')
    await using again = await connect()
    assert.deepEqual(await again.ask([query('delete from t where id = 2')]), ['C DELETE 1', 'Z I'])
    assert.equal(await rows(), '1=1')
  })

  scene('the server goes away while something waits', async () => {
    client.send(query('delete from t'))
    await client.hears(/^N/)
    await world.server.query(`select pg_terminate_backend(${client.pid})`)
    await until('the end', () => client.closed())
    assert.equal(client.error()?.get('C'), '57P01')
    for (const hold of await pending()) await world.vote(hold, 'deny')
  })

  scene('F27: a name that stands for another table when it is approved does not run', async () => {
    client.send(query('delete from t where id = 1'))
    const hold = await until('the hold', async () => (await pending())[0])
    await world.server.query('alter table public.t rename to t_before; create table public.t (id int primary key, a int); grant all on public.t to public')
    await world.vote(hold, 'approve')
    await client.hears(/^E 42501/)
    await world.server.query('drop table public.t; alter table public.t_before rename to t')
    assert.equal(await rows(), '1=1 2=2')
  })

  scene('COPY in and out, allowed and denied; Sync in the middle is not counted', async () => {
    assert.deepEqual(await client.ask([query('copy log from stdin'), raw.copyData('a\n'), raw.copyData('b\n'), sync, flush, raw.copyDone]), ['G', 'C COPY 2', 'Z I'])
    assert.deepEqual(await client.ask([query('copy log to stdout')]), ['H', 'd', 'd', 'c', 'C COPY 2', 'Z I'])
    assert.deepEqual(await client.ask([parse('copy log from stdin'), bind(), execute(), sync, raw.copyData('c\n'), raw.copyDone, sync]), ['1', '2', 'G', 'C COPY 1', 'Z I'])
    // Several in one batch, sent without waiting for anything: each gets its own rows.
    const several = Array.from({ length: 20 }, (_, at) => [parse('copy log from stdin'), bind(), execute(), ...Array.from({ length: at }, () => raw.copyData('d\n')), raw.copyDone]).flat()
    assert.deepEqual(await client.ask([...several, sync]), [...Array.from({ length: 20 }, (_, at) => ['1', '2', 'G', `C COPY ${at}`]).flat(), 'Z I'])
    assert.deepEqual(await client.ask([query('copy secrets to stdout')]), ['E 42501', 'Z I'])
    assert.deepEqual(await client.ask([query('copy log (nope) from stdin'), raw.copyData('x\n'), raw.copyDone, query('select 1')], 2), ['E 42703', 'Z I', 'T', 'D 1', 'C SELECT 1', 'Z I'])
  })

  scene('what is allowed is answered without a Sync', async () => {
    client.send(parse('select 5'), bind(), execute(), flush)
    await client.hears(/^C SELECT 1/)
    client.send(parse('select nope'), bind(), execute())
    await client.hears(/^E 42703/)
    client.send(parse('select 6'), bind(), execute(), sync)
    await client.hears(/^Z I/)
    assert.ok(!client.heard.includes('D 6'))
  })

  scene('names are looked up as they are now: search_path and temporary tables', async () => {
    assert.deepEqual(await client.ask([query('set search_path = other'), query('select * from t')], 2), ['C SET', 'Z I', 'E 42501', 'Z I'])
    assert.deepEqual(await client.ask([query('set search_path = public'), query('select id from t where id = 1')], 2), ['C SET', 'Z I', 'T', 'D 1', 'C SELECT 1', 'Z I'])
    assert.deepEqual(await client.ask([query('set search_path = other; select * from t'), query('set search_path = public; select * from t')], 2), ['E 42501', 'Z I', 'E 42501', 'Z I'])
    assert.deepEqual(await client.ask([parse('set search_path = other'), bind(), execute(), parse('select * from t'), bind(), execute(), sync]), ['1', '2', 'C SET', 'E 42501', 'Z I'])
    assert.deepEqual(await client.ask([query('begin'), query('set local search_path = other'), query('rollback'), query('select id from t where id = 1')], 4).then((heard) => heard.slice(-3)), ['D 1', 'C SELECT 1', 'Z I'])
  })

  scene('more than an inbox is pushed back, and nothing is lost', async () => {
    const many = 3_000
    const filler = 'x'.repeat(4_000)
    const heard = await client.ask(Array.from({ length: many }, (_, at) => query(`select ${at} -- ${filler}`)), many)
    assert.equal(heard.filter((one) => one.startsWith('D')).length, many)
    assert.equal(heard.findLast((one) => one.startsWith('D')), `D ${many - 1}`)
  })
})
