import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { until } from '../support/until.ts'
import { startRedis } from './redis-server.ts'
import { startPair } from './sentinel-pair.ts'

const limits = { perCaller: 1_000, perService: 1_000 }

test('a spend that no replica has acknowledged is refused, so a failover cannot make it happen twice', { timeout: 90_000 }, async () => {
  await using pair = await startPair()
  await using a = await pair.open(1)
  const [one, two] = [entry({ state: 'approved' }), entry({ state: 'approved' })]
  await a.open(one, limits)
  await a.open(two, limits)
  assert.equal(await a.replace({ ...two, state: 'running', revision: 2 }, { revision: 1 }), 'replaced')
  await until('the replica to have both', async () => (await pair.replica.command('HLEN', '{cs}:meta')).startsWith(':2'))

  await pair.replica.kill('SIGSTOP')
  let runs = 0
  const first = await a.replace({ ...one, state: 'running', revision: 2, sealed: 'first' }, { revision: 1 }).then((result) => result, (error: { code: string }) => error.code)
  if (first === 'replaced') runs++
  assert.equal(first, 'store-unavailable')
  await pair.primary.kill('SIGKILL')
  await pair.replica.kill('SIGCONT')
  // The Sentinel cuts every connection of the Redis that it promotes: a question cut off is one to ask again.
  await until('the promotion', async () => (await pair.replica.command('INFO', 'replication').catch(() => '')).includes('role:master'), 40_000)

  await using b = await pair.open(0)
  const second = await until('an answer from the new primary', () => b.replace({ ...one, state: 'running', revision: 2, sealed: 'second' }, { revision: 1 }).catch(() => undefined), 20_000)
  if (second === 'replaced') runs++
  assert.ok(runs <= 1)
  assert.equal((await b.read(two.id))?.state, 'running') // what was acknowledged is still there
  await until('the first client to find the new primary', () => a.read(two.id).catch(() => undefined), 20_000)
})

test('with nobody to acknowledge, a spend is refused, alone and in a Cluster', { timeout: 30_000 }, async () => {
  await using server = await startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
  await server.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until('the cluster', async () => (await server.command('CLUSTER', 'INFO')).includes('cluster_state:ok'))
  await using store = await openRedisStore({ kind: 'redis', connect: { mode: 'cluster', nodes: [{ host: '127.0.0.1', port: server.port }] }, prefix: 'cs', acknowledgingReplicas: 1 })
  const one = entry({ state: 'approved' })
  await until('open', () => store.open(one, limits).catch(() => undefined))
  await assert.rejects(store.replace({ ...one, state: 'running', revision: 2 }, { revision: 1 }), { code: 'store-unavailable' })
  assert.equal((await store.read(one.id))?.state, 'running')
})
