import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import postgres from 'postgres'
import { until } from '../support/until.ts'
import { heldFor, showHold, vote } from './client.ts'
import { psql, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica, type Psql } from './database.ts'
import type { StoreKind } from './deployment.ts'

/** Agents with drivers as they are, people with the approvals API, two replicas: a statement goes to one, votes to the other. */
for (const kind of ['embedded', 'redis'] as const satisfies readonly StoreKind[]) {
  describe(`PostgreSQL, ${kind} store`, { concurrency: 1 }, () => {
    let place: DatabaseDeployment
    let a: DatabaseReplica
    let b: DatabaseReplica
    let agent: string
    let bob: string
    before(async () => {
      place = await startDatabaseDeployment(kind)
      ;[a, b] = await Promise.all([place.start('a'), place.start('b')])
      ;[agent, bob] = await Promise.all([place.world.agent(), place.world.person('bob')])
    })
    after(() => place?.[Symbol.asyncDispose]())

    const run = async (sql: string): Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }> => {
      const client = psql(a.port, agent, ['-c', sql])
      return { code: await client.ended, output: client.output().trim(), errors: client.errors().trim() }
    }
    const customers = async (): Promise<string> => (await place.server.query<{ n: string }>('select count(*) as n from customers', undefined, 'crm'))[0]!.n
    const holdIn = async (client: Psql): Promise<string> => await until('the notice', () => /holds\/(hold_[a-z2-7]+)/.exec(client.errors())?.[1], 10_000)

    test('psql: allowed, denied with what to do instead, not covered by any rule', async () => {
      assert.deepEqual(await run('select count(*) from orders'), { code: 0, output: '10', errors: '' })
      const denied = await run('drop table orders')
      assert.equal(denied.code, 1)
      assert.match(denied.errors, /ERROR: {2}Schema changes go through migrations\.\nDETAIL: {2}Rule: schema\nHINT: {2}Open a pull request\./)
      assert.match((await run('select * from secrets')).errors, /No policy allows this action: sql\.select\./)
      assert.doesNotMatch(place.server.log(), /drop table orders|from secrets/)
    })

    test('psql: held, seen by the approver with what it would do, approved at the other replica, run once, on record', async () => {
      const client = psql(a.port, agent, ['-c', 'delete from customers where id <= 3'])
      const id = await holdIn(client)
      const shown = await showHold(b, id, bob)
      assert.equal(shown.state, 'pending')
      const { action } = shown as unknown as { readonly action: { readonly text: string; readonly impact: object } }
      assert.equal(action.text, 'delete from customers where id <= 3')
      assert.deepEqual(action.impact, { estimatedRows: (action.impact as { estimatedRows: number }).estimatedRows, exactRows: 3, unfiltered: false, notes: [] })
      assert.equal(await customers(), '10')
      assert.equal((await vote(b, id, bob)).status, 200)
      assert.equal(await client.ended, 0)
      assert.equal(await customers(), '7')
      const ended = await until('the end to be on record', () => place.world.records('a').find((record) => record.type === 'finished' && record.hold === id))
      assert.deepEqual((ended['outcome'] as { result: string; rows: number; status: string }).rows, 3)
      assert.deepEqual(place.world.records('a').filter((record) => record.hold === id).map(({ type }) => type), ['held', 'released', 'started', 'finished'])
    })

    test('the database knows who acts, whatever the client calls itself', async () => {
      await place.server.query(`create table acted (name text);
        create function note() returns trigger language plpgsql security definer as $$ begin insert into acted values (current_setting('application_name')); return null; end $$;
        create trigger note after delete on customers execute function note()`, undefined, 'crm')
      const client = psql(a.port, agent, ['-At', '-c', 'begin', '-c', "set application_name = 'somebody else'", '-c', 'delete from customers where id = -1', '-c', 'show application_name', '-c', 'commit', '-c', 'show application_name'])
      const id = await holdIn(client)
      const { code } = await showHold(b, id, bob)
      await vote(b, id, bob)
      assert.equal(await client.ended, 0)
      const own = /^invoice-agent of alice via countersign$/
      const shown = client.output().split('\n').filter((line) => line.includes('via'))
      assert.deepEqual(shown, Array(2).fill('invoice-agent of alice via countersign'))
      const [{ name }] = (await place.server.query<{ name: string }>('select name from acted', undefined, 'crm')) as [{ name: string }]
      assert.ok(name.startsWith(`${code} `), name)
      assert.match(name.slice(code.length + 1), own)
      await place.server.query('drop function note cascade', undefined, 'crm')
    })

    test('psql: denied by an approver; the session goes on', async () => {
      const client = psql(a.port, agent)
      client.type('delete from customers;')
      const id = await holdIn(client)
      await vote(b, id, bob, 'deny', 'never without WHERE')
      await until('the no', () => client.errors().includes('never without WHERE'))
      client.type("select 'still here';")
      await until('the next answer', () => client.output().includes('still here'))
      client.child.stdin?.end()
      assert.equal(await client.ended, 0)
      assert.equal(await customers(), '7')
    })

    test('node-postgres in a transaction: what an ORM does', async () => {
      const client = new pg.Client({ host: '127.0.0.1', port: a.port, database: 'crm', user: 'invoice-agent', password: agent })
      await client.connect()
      try {
        const notices: string[] = []
        client.on('notice', (notice) => notices.push(notice.message ?? ''))
        await client.query('begin')
        await client.query('select * from customers where id = $1', [5])
        const changing = client.query('update customers set name = $1 where id = $2', ['new', 5])
        const { id } = await heldFor(b, bob, 'customers')
        await vote(b, id, bob)
        assert.equal((await changing).rowCount, 1)
        await client.query('commit')
        assert.match(notices[0] ?? '', /^held for approval CS-/)
        assert.deepEqual(await place.server.query('select name from customers where id = 5', undefined, 'crm'), [{ name: 'new' }])
      } finally {
        await client.end()
      }
    })

    test('postgres.js: values are part of what is approved', async () => {
      const sql = postgres({ host: '127.0.0.1', port: a.port, database: 'crm', username: 'invoice-agent', password: agent, max: 1, onnotice: () => {} })
      try {
        assert.deepEqual([...(await sql`select id from orders where id < ${3} order by id`)], [{ id: 1 }, { id: 2 }])
        const changing = sql`update orders set total = ${7} where id = ${1}`.execute()
        const { id } = await heldFor(b, bob, 'orders')
        assert.match(JSON.stringify(await showHold(b, id, bob)), /\$1 = \\"7\\"\\n\$2 = \\"1\\"/)
        await vote(b, id, bob)
        assert.equal((await changing).count, 1)
        assert.deepEqual(await place.server.query('select total from orders where id = 1', undefined, 'crm'), [{ total: 7 }])
      } finally {
        await sql.end()
      }
    })

    test('a replica that goes away names the hold, and a repeat at the other finds it', async () => {
      const client = psql(a.port, agent, ['-c', 'delete from customers where id = 9'])
      const id = await holdIn(client)
      const gone = a.kill('SIGTERM')
      assert.equal(await client.ended, 2)
      assert.match(client.errors(), /shutting down|Waiting for approval/)
      assert.match(client.errors(), new RegExp(`HINT:.*${id}`))
      await gone
      const again = psql(b.port, agent, ['-c', 'delete from customers where id = 9'])
      assert.equal(await holdIn(again), id)
      await vote(b, id, bob)
      assert.equal(await again.ended, 0)
      assert.equal(await customers(), '6')
    })
  })
}
