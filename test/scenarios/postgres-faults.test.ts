import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancel, connectRaw, query } from '../protocols/postgres/session/raw-client.ts'
import { until } from '../support/until.ts'
import { heldFor, showHold, vote } from './client.ts'
import { startDatabaseDeployment, type DatabaseDeployment } from './database.ts'

/** Statements that wait or run while something that they need is not there. */
const customers = async ({ server }: DatabaseDeployment): Promise<string> => (await server.query<{ n: string }>('select count(*) as n from customers', undefined, 'crm'))[0]!.n

test('the store hangs while a statement waits: the wait goes on, other statements run, and its approval counts once', async () => {
  await using place = await startDatabaseDeployment('redis')
  const replica = await place.start('a')
  const [agent, bob] = [await place.world.agent(), await place.world.person('bob')]
  await using waiting = await connectRaw(replica.port, agent)
  await using other = await connectRaw(replica.port, agent)
  waiting.send(query('delete from customers where id = 1'))
  const { id } = await heldFor(replica, bob, 'customers')
  place.world.redis?.process.kill('SIGSTOP')
  assert.deepEqual(await other.ask([query('select count(*) from orders')]), ['T', 'D 10', 'C SELECT 1', 'Z I'])
  assert.deepEqual(await other.ask([query('delete from customers where id = 2')]), ['E 57P03', 'Z I'])
  assert.deepEqual(await other.ask([query('select 1')]), ['T', 'D 1', 'C SELECT 1', 'Z I'])
  assert.equal(waiting.closed(), false)
  place.world.redis?.process.kill('SIGCONT')
  await until('the vote to count', () => vote(replica, id, bob).then(({ status }) => status === 200, () => false), 10_000)
  assert.equal(await waiting.hears(/^C/), 'C DELETE 1')
  assert.equal(await customers(place), '9')
})

test('the store is gone while a statement waits: it does not run, its client may take it back, the session goes on', async () => {
  await using place = await startDatabaseDeployment('redis')
  const replica = await place.start('a')
  const [agent, bob] = [await place.world.agent(), await place.world.person('bob')]
  await using waiting = await connectRaw(replica.port, agent)
  waiting.send(query('delete from customers'))
  await heldFor(replica, bob, 'customers')
  place.world.redis?.process.kill('SIGKILL')
  await using other = await connectRaw(replica.port, agent)
  assert.deepEqual(await other.ask([query('select count(*) from orders')]), ['T', 'D 10', 'C SELECT 1', 'Z I'])
  await cancel(replica.port, waiting.pid, waiting.key)
  await waiting.hears(/^E 57014/)
  await waiting.hears(/^Z I/)
  assert.match(waiting.error()?.get('M') ?? '', /^NOT EXECUTED. Canceled on request. What waited for an approval could not be taken back/)
  assert.deepEqual(await waiting.ask([query('select 1')]), ['T', 'D 1', 'C SELECT 1', 'Z I'])
  assert.equal(await customers(place), '10')
})

test('the replica is killed while an approved statement runs: what became of it is unknown, and it does not run again', async () => {
  await using place = await startDatabaseDeployment('redis')
  const [a, b] = [await place.start('a'), await place.start('b')]
  const [agent, bob] = [await place.world.agent(), await place.world.person('bob')]
  await using client = await connectRaw(a.port, agent)
  // Somebody else keeps the row, so that the statement runs until we say so.
  client.send(query('update customers set name = name || name where id = 1'))
  const { id } = await heldFor(b, bob, 'customers')
  const locked = place.server.query('begin; update customers set name = name where id = 1; select pg_sleep(4); commit', undefined, 'crm')
  await until('the lock', async () => (await place.server.query("select 1 from pg_stat_activity where wait_event = 'PgSleep'")).length === 1)
  assert.equal((await vote(b, id, bob)).status, 200)
  await until('it to run', async () => (await place.server.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'")).length === 1)
  await a.kill('SIGKILL')
  await locked
  await place.start('a')
  await until('the end to be on record', () => place.world.records('a').find((record) => record.type === 'outcome-unknown' && record.hold === id), 20_000)
  assert.equal((await showHold(b, id, bob)).state, 'unknown')
  await using again = await connectRaw(b.port, agent)
  again.send(query('update customers set name = name || name where id = 1'))
  await again.hears(/^E 42501/)
  assert.match(again.error()?.get('M') ?? '', /has been used, and nobody can say whether the action took effect/)
})

test('one statement at two replicas, one approval: it runs once', async () => {
  await using place = await startDatabaseDeployment('redis')
  const [a, b] = [await place.start('a'), await place.start('b')]
  const [agent, bob] = [await place.world.agent(), await place.world.person('bob')]
  await using one = await connectRaw(a.port, agent)
  await using two = await connectRaw(b.port, agent)
  for (const client of [one, two]) {
    client.send(query('delete from customers where id < 4'))
    await client.hears(/^N/)
  }
  const { id } = await heldFor(a, bob, 'customers')
  assert.equal((await vote(b, id, bob)).status, 200)
  const ends = await Promise.all([one, two].map((client) => client.hears(/^[CE]/)))
  assert.deepEqual(ends.filter((end) => end === 'C DELETE 3').length, 1, ends.join())
  assert.equal(place.world.records().filter((record) => record.type === 'started' && record.hold === id).length, 1)
  assert.equal(await customers(place), '7')
})

test('the database goes away while something waits: the hold stays, and a repeat uses its approval', async () => {
  await using place = await startDatabaseDeployment('embedded')
  const replica = await place.start('a')
  const [agent, bob] = [await place.world.agent(), await place.world.person('bob')]
  await using client = await connectRaw(replica.port, agent)
  client.send(query('delete from customers where id = 1'))
  const { id } = await heldFor(replica, bob, 'customers')
  await place.server.query('select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()')
  await until('the end', () => client.closed())
  assert.equal(client.error()?.get('C'), '57P01')
  assert.equal((await vote(replica, id, bob)).status, 200)
  assert.equal(await customers(place), '10')
  await using again = await connectRaw(replica.port, agent)
  assert.deepEqual((await again.ask([query('delete from customers where id = 1')])).filter((one) => !one.startsWith('N')), ['C DELETE 1', 'Z I'])
})
