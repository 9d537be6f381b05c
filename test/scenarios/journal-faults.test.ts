import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, vote } from './client.ts'
import { startDeployment } from './deployment.ts'

/** The operating system refuses to let any file of the replica grow beyond this: a full disk, as the journal sees it. */
const fullAt = 48 * 1024

test('the disk of the journal is full: nothing runs unrecorded, nothing reads unrecorded, and a new start on a sound disk goes on', async () => {
  await using world = await startDeployment('redis')
  const replica = await world.start('a', {}, { under: ['prlimit', `--fsize=${fullAt}`], env: { NODE_DISABLE_COMPILE_CACHE: '1' } })
  const [agent, bob] = [await world.agent(), await world.person('bob')]
  const approved = await ask(replica.http, '/refunds/1', agent, { body: '{}', headers: { prefer: 'wait=0' } })
  assert.equal((await vote(replica, approved.hold!, bob)).status, 200)

  let answered = 0
  let full = await ask(replica.http, '/orders/0', agent, { method: 'GET' })
  while (full.status === 200 && answered < 500) {
    answered++
    full = await ask(replica.http, `/orders/${answered}`, agent, { method: 'GET' })
  }
  assert.deepEqual([full.status, full.code], [503, 'journal-unavailable'], full.text)
  const arrived = world.upstream.arrivals.length
  assert.equal(arrived, answered)

  const spending = await ask(replica.http, '/refunds/1', agent, { body: '{}', headers: { prefer: 'wait=0' } })
  assert.deepEqual([spending.status, spending.code, spending.executed], [503, 'journal-unavailable', false], spending.text)
  const risky = await ask(replica.http, '/refunds/2', agent, { body: '{}', headers: { prefer: 'wait=0' } })
  assert.deepEqual([risky.status, risky.code], [503, 'journal-unavailable'], risky.text)
  assert.equal((await ask(replica.http, '/orders', agent, { method: 'GET' })).code, 'journal-unavailable')
  assert.equal(world.upstream.arrivals.length, arrived, 'nothing reached the service any more')
  for (const probe of ['/healthz', '/readyz']) assert.equal((await ask(replica.admin, probe, '', { method: 'GET' })).status, 503, `${probe}: only a new start helps`)
  await replica.kill('SIGKILL')

  const again = await world.start('a')
  assert.equal((await ask(again.http, '/orders', agent, { method: 'GET' })).status, 200)
  const later = await ask(again.http, '/refunds/1', agent, { body: '{}', headers: { prefer: 'wait=0' } })
  assert.ok(later.status === 200 || ['hold-pending', 'hold-spent'].includes(later.code ?? ''), later.text)
  assert.ok(world.upstream.executions('/refunds/1') <= 1)
  const starts = world.records('a').filter((record) => record.type === 'started').length
  assert.ok(starts >= world.upstream.arrivals.length, `${starts} records for ${world.upstream.arrivals.length} executions`)
})

test('too little space is left from the start: the replica says so and does not serve', async () => {
  await using world = await startDeployment('embedded')
  await assert.rejects(world.start('a', { journal: { 'min-free': '102400GiB' } }), /recorded|free/)
  assert.equal(world.upstream.arrivals.length, 0)
})
