import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { stringify } from 'yaml'
import { until } from '../support/until.ts'
import { ask, listHolds, showHold } from './client.ts'
import { crmPolicy, psql, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica, type Psql } from './database.ts'
import type { Part } from './deployment.ts'

/** What approvers let through beside one approval, over both protocols and two replicas: never more than they said, and nothing that is not of its kind. */
const approval = { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }
const orders: Part = {
  policy: 'orders',
  services: ['orders'],
  rules: [{ name: 'refund', then: 'hold', methods: ['POST'], paths: ['/refunds/*'], if: 'http.json.currency == "EUR" || true', approval: { ...approval, grant: { times: 3, within: '1h' } } }],
}
const crm: Part = {
  ...crmPolicy,
  rules: [
    { name: 'fill', then: 'allow', actions: ['sql.insert'], tables: ['public.orders'] },
    { name: 'read', then: 'allow', actions: ['sql.select'], tables: ['public.customers', 'public.orders', 'public.log'] },
    { name: 'change', then: 'hold', actions: ['sql.update', 'sql.delete'], approval: { ...approval, grant: { times: 5, rows: 10, within: '1h' } }, because: 'Changes are looked at.' },
  ],
}

describe('grants', { concurrency: 1 }, () => {
  let place: DatabaseDeployment
  let a: DatabaseReplica
  let b: DatabaseReplica
  let agent: string
  let bob: string
  before(async () => {
    place = await startDatabaseDeployment('redis')
    await place.server.query('create table parts (id int primary key, customer int references customers (id) on delete cascade); grant all on parts to app; create table ruled (id int primary key, n int); insert into ruled values (1, 1); create rule onward as on update to ruled do also delete from log; grant all on ruled to app; create table loud (id int primary key, n int); insert into loud values (1, 1); grant all on loud to app; create function shout() returns trigger language plpgsql as $$ begin return new; end $$; create trigger shout before update on loud for each row execute function shout()', undefined, 'crm')
    writeFileSync(place.world.policyFile, stringify(orders))
    writeFileSync(join(place.world.directory, 'crm.yaml'), stringify(crm))
    ;[a, b] = await Promise.all([place.start('a'), place.start('b')])
    ;[agent, bob] = await Promise.all([place.world.agent(), place.world.person('bob')])
  })
  after(() => place?.[Symbol.asyncDispose]())

  const approve = async (id: string, grant?: Part): Promise<void> => {
    const { action } = await showHold(a, id, bob)
    const reply = await ask(a.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: action.digest, ...(grant && { grant }) }) })
    assert.equal(reply.status, 200, reply.text)
  }
  const grantOf = async (hold: string) => (await ask(b.console, `/api/grants/${hold.replace('hold_', 'grant_')}`, bob, { method: 'GET' })).json as { readonly state: string; readonly pattern: string; readonly times: { readonly used: number }; readonly rows: { readonly used: number }; readonly uses: readonly { readonly result: string }[] }

  describe('at an HTTP service', () => {
    const refund = (path: string, body: Part, headers: Readonly<Record<string, string>> = { prefer: 'wait=0' }, replica = a) => ask(replica.http, path, agent, { body: JSON.stringify(body), headers })

    test('three more, at either replica, and no fourth; another amount passes, another currency does not', async () => {
      const { hold = '' } = await refund('/refunds/1', { amount: 5, currency: 'EUR' })
      await approve(hold, { times: 3, within: '30m' })
      assert.equal((await refund('/refunds/1', { amount: 5, currency: 'EUR' })).status, 200)
      assert.equal((await grantOf(hold)).pattern, 'POST /refunds/*\n{\n  "amount": <number>,\n  "currency": <text>\n}')
      for (const body of [{ amount: 5, currency: 'USD' }, { amount: 5, currency: 'EUR', admin: true }, { amount: '5', currency: 'EUR' }, { currency: 'EUR' }]) assert.equal((await refund('/refunds/2', body)).code, 'hold-pending', JSON.stringify(body))
      const replies = await Promise.all(Array.from({ length: 12 }, (_, at) => refund(`/refunds/1${at}`, { amount: at, currency: 'EUR' }, undefined, at % 2 === 0 ? a : b)))
      assert.equal(replies.filter(({ status }) => status === 200).length, 3)
      assert.ok(replies.every(({ status, code }) => status === 200 || code === 'hold-pending' || code === 'hold-changed'), JSON.stringify(replies.map(({ status, code }) => [status, code])))
      assert.equal((await grantOf(hold)).state, 'used-up')
      assert.equal((await showHold(a, hold, bob))['state'], 'executed')
      const used = place.world.records().filter(({ type }) => type === 'grant-used')
      assert.equal(used.length, 3)
      for (const record of used) {
        assert.equal(record['approval'], hold)
        assert.deepEqual((record['votes'] as readonly { readonly by: { readonly subject: string } }[]).map(({ by }) => by.subject), ['bob'])
        const started = place.world.records().find(({ type, attempt }) => type === 'started' && attempt === record.attempt)
        assert.deepEqual([started?.['grant'], started?.hold], [record['grant'], undefined])
      }
    })

    test('an end that somebody makes is one at once', async () => {
      const { hold = '' } = await refund('/refunds/20', { total: 1, currency: 'EUR' })
      await approve(hold, { times: 3, within: '30m' })
      assert.equal((await refund('/refunds/20', { total: 1, currency: 'EUR' })).status, 200)
      assert.equal((await refund('/refunds/21', { total: 2, currency: 'EUR' })).status, 200)
      assert.equal((await ask(b.console, `/api/grants/${hold.replace('hold_', 'grant_')}/revoke`, bob, { body: '{}' })).status, 200)
      assert.equal((await refund('/refunds/22', { total: 3, currency: 'EUR' })).code, 'hold-pending')
    })
  })

  describe('at a database', () => {
    const held = async (client: Psql): Promise<string> => (await until('the notice', () => /held for approval CS-\w+: \S*\/(hold_[a-z2-7]+)/.exec(client.errors()) ?? undefined, 10_000))[1] ?? ''
    const run = (sql: string, replica = a): Psql => psql(replica.port, agent, ['-c', sql])
    /** Approved and run, with what is granted beside it. */
    const granted = async (sql: string, grant: Part): Promise<string> => {
      const client = run(sql)
      const hold = await held(client)
      await approve(hold, grant)
      assert.equal(await client.ended, 0, client.errors())
      return hold
    }
    const isHeld = async (sql: string): Promise<string> => {
      const client = run(sql)
      const hold = await held(client)
      client.child.kill()
      await client.ended
      return hold
    }
    const deny = async (id: string): Promise<void> => {
      const { action } = await showHold(a, id, bob)
      assert.equal((await ask(a.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'deny', digest: action.digest, reason: 'no' }) })).status, 200)
    }
    const connected = async (): Promise<pg.Client> => {
      const client = new pg.Client({ host: '127.0.0.1', port: a.port, database: 'crm', user: 'invoice-agent', password: agent, query_timeout: 8_000 })
      client.on('error', () => {})
      await client.connect()
      return client
    }
    const totals = async (): Promise<string> => (await place.server.query<{ all: string }>("select string_agg(total::text, ' ' order by id) as all from orders", undefined, 'crm'))[0]?.all ?? ''

    test('statements of the shape run, others wait, rows and times are bounds over all of them', async () => {
      const hold = await granted('update orders set total = 1 where id in (1)', { times: 3, rows: 5, within: '30m' })
      assert.equal((await grantOf(hold)).pattern, 'update orders set total = <number> where id in (<number>, …)')
      const client = run('UPDATE orders SET total = 2 WHERE id IN (2, 3)', b)
      assert.equal(await client.ended, 0, client.errors())
      for (const other of [
        'update orders set total = 5 where true', 'update orders set total = 5 where id in (select id from orders)', 'update orders set total = 5 where id in (1) or true', 'update orders set id = 5 where total in (1)',
        'update orders set total = (select count(*) from customers) where id in (1)', 'update orders set total = 5 where id in (4,5,6,7)',
      ]) await isHeld(other)
      const sent = run('update orders set total = 3 where id in (4)')
      assert.equal(await sent.ended, 0, sent.errors())
      assert.equal(await totals(), '1 2 2 3 50 60 70 80 90 100')
      await until('what it came to', async () => ((await grantOf(hold)).uses.every(({ result }) => result === 'executed') ? true : undefined))
      const { times, rows } = await grantOf(hold)
      assert.deepEqual([times.used, rows.used], [2, 3])
    })

    test('bound values are values of the shape, in the protocol of drivers; those that stand elsewhere stay', async () => {
      const client = await connected()
      const seen = new Set<string>()
      const newest = async (): Promise<string> => {
        const { id } = await until('a hold', async () => (await listHolds(a, bob)).find(({ id: one, preview }) => preview.includes('total < $3') && !seen.has(one)), 10_000)
        seen.add(id)
        return id
      }
      const change = (id: number, most: number) => client.query('update orders set total = $1 where id = $2 and total < $3', [7, id, most])
      const first = change(5, 1_000)
      const hold = await newest()
      await approve(hold, { times: 2, rows: 2, within: '30m' })
      assert.equal((await first).rowCount, 1)
      assert.equal((await grantOf(hold)).pattern, 'update orders set total = $1 where id = $2 and total < $3\n$1 = <any value>\n$2 = <any value>\n$3 = "1000"')
      assert.equal((await change(6, 1_000)).rowCount, 1)
      const other = change(7, 2_000).then(() => 'ran', () => 'refused')
      await deny(await newest())
      assert.equal(await other, 'refused')
      assert.equal((await grantOf(hold)).times.used, 1)
      await client.end()
    })

    for (const protocol of ['simple', 'extended'] as const) {
      test(`a change that turns out larger than it was counted is taken back, alone and in a transaction: ${protocol} protocol`, async () => {
        const client = await connected()
        const change = (ids: string, total: number) => client.query({ text: `update orders set total = ${total} where id in (${ids}) and total < 1001`, ...(protocol === 'simple' ? {} : { name: `change ${ids} ${total}` }) })
        const larger = /NOT EXECUTED\. It would have changed more than the 1 rows that were counted/
        const first = change('8', 11)
        const { id: hold } = await until('a hold', async () => (await listHolds(a, bob)).find(({ preview }) => preview.includes('in (8) and total < 1001')), 10_000)
        await approve(hold, { times: 5, rows: 10, within: '30m' })
        assert.equal((await first).rowCount, 1)
        const before = await totals()
        // What the session has inserted itself, whoever counts beforehand does not see.
        await client.query('begin')
        await client.query('insert into orders values (101, 1), (102, 1)')
        await assert.rejects(change('8, 101, 102', 12), larger)
        await client.query('commit')
        assert.equal(await totals(), before)
        // And rows that come while it waits for a lock are new to it alone.
        const admin = new pg.Client({ host: place.server.socket, port: place.server.port, database: 'crm', user: place.server.user })
        await admin.connect()
        await admin.query('begin; lock table orders in exclusive mode')
        const refused = assert.rejects(change('8, 103, 104', 13), larger)
        await until('it to wait for the lock', async () => (await place.server.query("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%103, 104%'")).length > 0, 10_000)
        await admin.query('insert into orders values (103, 1), (104, 1); commit')
        await admin.end()
        await refused
        assert.equal(await totals(), `${before} 1 1`)
        await place.server.query('delete from orders where id > 100', undefined, 'crm')
        assert.deepEqual((await client.query('select total from orders where id = 8')).rows, [{ total: 11 }], 'the session goes on')
        assert.equal((await change('8', 14)).rowCount, 1)
        if (protocol === 'extended') await assertPartsRefused(client)
        const { uses, rows } = await until('what became of them', async () => { const grant = await grantOf(hold); return grant.uses.every(({ result }) => result !== undefined) ? grant : undefined })
        assert.deepEqual([uses.map(({ result }) => result), rows.used], [['failed', 'failed', 'executed'], 1])
        await client.end()
        assert.equal((await ask(b.console, `/api/grants/${hold.replace('hold_', 'grant_')}/revoke`, bob, { body: '{}' })).status, 200)
      })
    }

    /** Its rows are asked for one by one: the first answer has changed all of them, and a Sync behind it would let that stand. */
    const assertPartsRefused = async (client: pg.Client): Promise<void> => {
      const parts = await connected() // it sends no Sync after an error, and hears nothing more
      const returning = (ids: string, rows?: number) => (rows === undefined ? client : parts).query({ text: `update orders set total = 15 where id in (${ids}) and total < 1002 returning id`, name: `parts ${ids} ${rows ?? 0}`, ...(rows === undefined ? {} : { rows }) } as pg.QueryConfig)
      const first = returning('9')
      const { id } = await until('a hold', async () => (await listHolds(a, bob)).find(({ preview }) => preview.includes('total < 1002')), 10_000)
      await approve(id, { times: 5, rows: 5, within: '30m' })
      assert.equal((await first).rowCount, 1)
      const before = await totals()
      await assert.rejects(returning('6, 7', 1), /NOT EXECUTED\. The server did not say at once/)
      await parts.end()
      assert.equal(await totals(), before)
      assert.equal((await returning('6, 7')).rowCount, 2)
      assert.equal((await ask(b.console, `/api/grants/${id.replace('hold_', 'grant_')}/revoke`, bob, { body: '{}' })).status, 200)
    }

    test('a change that the server carries on to other rows has none of its kind; a trigger is part of the kind', async () => {
      for (const sql of ['delete from customers where id = 900', 'update ruled set n = 2 where id = 1']) {
        const client = run(sql)
        const hold = await held(client)
        assert.equal((await showHold(a, hold, bob))['grantable'], undefined, sql)
        client.child.kill()
        await client.ended
      }
      const loud = await granted('update loud set n = 2 where id = 1', { times: 5, rows: 10, within: '30m' })
      assert.equal(await run('update loud set n = 3 where id = 1').ended, 0)
      await place.server.query('create or replace function shout() returns trigger language plpgsql as $$ begin delete from orders; return new; end $$', undefined, 'crm')
      await isHeld('update loud set n = 4 where id = 1')
      assert.equal((await grantOf(loud)).times.used, 1)
      const plain = run('update customers set name = \'x\' where id = 900')
      assert.notEqual((await showHold(a, await held(plain), bob))['grantable'], undefined)
      plain.child.kill()
      await plain.ended
    })

    test('a table that was made anew is another one', async () => {
      const hold = await granted('update orders set total = 21 where id in (1) and total > 0', { times: 5, rows: 10, within: '30m' })
      await place.server.query('alter table orders rename to old_orders; create table orders (id int primary key, total int); insert into orders values (1, 1); grant all on orders to app', undefined, 'crm')
      await isHeld('update orders set total = 22 where id in (1) and total > 0')
      assert.equal((await grantOf(hold)).times.used, 0)
    })
  })
})
