import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { until } from '../support/until.ts'
import { ask, heldFor, vote } from './client.ts'
import { startDeployment, type Deployment, type StoreKind } from './deployment.ts'

/**
 * The store does not answer. What needs an approval waits or fails, in time and with a word of its own; what needs none goes on;
 * and when the store is back, an approval is worth as much as before: one execution.
 */
interface Fault {
  readonly title: string
  readonly store: StoreKind
  /** Gives back what ends it. */
  begin(world: Deployment): () => void
}

const faults: readonly Fault[] = [
  {
    title: 'Redis hangs',
    store: 'redis',
    begin: ({ redis }) => {
      redis?.process.kill('SIGSTOP')
      return () => void redis?.process.kill('SIGCONT')
    },
  },
  {
    title: 'somebody holds the file of the embedded store',
    store: 'embedded',
    begin: ({ directory }) => {
      const database = new DatabaseSync(join(directory, 'holds.db'))
      database.exec('begin exclusive')
      return () => {
        database.exec('rollback')
        database.close()
      }
    },
  },
]

/** An answer within this, whatever the store does. */
const withinMs = 8_000

for (const fault of faults) {
  test(fault.title, async () => {
    await using world = await startDeployment(fault.store)
    const replica = await world.start('a')
    const [agent, bob] = [await world.agent(), await world.person('bob')]
    const post = (path: string, headers: Readonly<Record<string, string>> = {}) => ask(replica.http, path, agent, { body: '{}', headers, deadlineMs: withinMs })

    // One approved, one that a client waits for, when it begins.
    const approved = await post('/refunds/approved', { prefer: 'wait=0' })
    assert.equal((await vote(replica, approved.hold!, bob)).status, 200)
    const waiting = ask(replica.http, '/refunds/waiting', agent, { body: '{}' })
    const held = await heldFor(replica, bob, '/refunds/waiting')

    const end = fault.begin(world)
    const [risky, spending, voting, reading, noting] = await Promise.all([
      post('/refunds/new'),
      post('/refunds/approved'),
      ask(replica.console, `/api/holds/${held.id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: (held as { digest?: string }).digest }), deadlineMs: withinMs }),
      ask(replica.http, '/orders', agent, { method: 'GET', deadlineMs: withinMs }),
      post('/notes/1'),
    ])
    for (const reply of [risky, spending, voting]) assert.deepEqual([reply.status, reply.code], [503, 'store-unavailable'], reply.text)
    for (const reply of [risky, spending]) assert.equal(reply.executed, false)
    for (const reply of [reading, noting]) assert.equal(reply.status, 200, reply.text)
    assert.equal(world.upstream.executions('/refunds/new') + world.upstream.executions('/refunds/approved') + world.upstream.executions('/refunds/waiting'), 0)
    const ready = await ask(replica.admin, '/readyz', '', { method: 'GET' })
    assert.equal(ready.status, 503, 'not ready while the store is away')
    assert.equal((await ask(replica.admin, '/healthz', '', { method: 'GET' })).status, 200, 'a new process would not help')
    end()

    await until('the store to be back', async () => (await ask(replica.admin, '/readyz', '', { method: 'GET' })).status === 200, 10_000)
    assert.equal((await post('/refunds/approved')).status, 200)
    // The vote that was answered with "unavailable" may have arrived or not; either way a second one does no harm.
    await vote(replica, held.id, bob)
    const released = await waiting
    assert.ok(released.status === 200 || released.code === 'store-unavailable' || released.code === 'hold-pending', released.text)
    if (released.status !== 200) assert.equal((await post('/refunds/waiting')).status, 200)
    for (const path of ['/refunds/approved', '/refunds/waiting']) assert.equal(world.upstream.executions(path), 1, path)
    assert.equal(world.upstream.executions('/refunds/new'), 0)
  })
}

test('Redis is gone for good: what needs no approval goes on, all else is refused', async () => {
  await using world = await startDeployment('redis')
  const replica = await world.start('a')
  const agent = await world.agent()
  const { hold } = await ask(replica.http, '/refunds/1', agent, { body: '{}', headers: { prefer: 'wait=0' } })
  assert.ok(hold)
  world.redis?.process.kill('SIGKILL')
  for (const headers of [{}, { 'countersign-hold': hold }]) {
    const reply = await ask(replica.http, '/refunds/1', agent, { body: '{}', headers, deadlineMs: withinMs })
    assert.deepEqual([reply.status, reply.code], [503, 'store-unavailable'], reply.text)
  }
  assert.equal((await ask(replica.http, '/orders', agent, { method: 'GET' })).status, 200)
  assert.equal(world.upstream.executions('/refunds/1'), 0)
})

test('a store that lost its memory: what was approved is not approved any more, and nothing runs twice', async () => {
  await using world = await startDeployment('redis')
  const replica = await world.start('a')
  const [agent, bob] = [await world.agent(), await world.person('bob')]
  const post = (path: string, headers: Readonly<Record<string, string>> = {}) => ask(replica.http, path, agent, { body: '{}', headers: { prefer: 'wait=0', ...headers } })
  const approved = await post('/refunds/approved')
  await vote(replica, approved.hold!, bob)
  const ran = await post('/refunds/ran')
  await vote(replica, ran.hold!, bob)
  assert.equal((await post('/refunds/ran')).status, 200)

  const redis = new Redis(world.redis!.url)
  await redis.flushall()
  await redis.quit()

  // By its name: a hold that is not there releases nothing. Without: a new hold, a new question.
  for (const [path, hold] of [['/refunds/approved', approved.hold!], ['/refunds/ran', ran.hold!]] as const) {
    const named = await post(path, { 'countersign-hold': hold })
    assert.ok([404, 503].includes(named.status), named.text)
    const anew = await post(path)
    assert.ok(anew.code === 'hold-pending' && anew.hold !== hold, anew.text)
  }
  assert.equal(world.upstream.executions('/refunds/approved'), 0)
  assert.equal(world.upstream.executions('/refunds/ran'), 1)
})
