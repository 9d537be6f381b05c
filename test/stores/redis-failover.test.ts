import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { until } from '../support/until.ts'
import { freePort, startRedis } from './redis-server.ts'

const limits = { perCaller: 1_000, perService: 1_000 }

/** A primary, its replica, and a Sentinel that promotes after a second. */
const startPair = async () => {
  const stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'countersign-sentinel-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const primary = stack.use(await startRedis(['--repl-diskless-sync-delay', '0']))
  const replica = stack.use(await startRedis(['--replicaof', '127.0.0.1', String(primary.port), '--repl-diskless-sync-delay', '0']))
  await until('replication', async () => (await replica.command('INFO', 'replication')).includes('master_link_status:up'), 15_000)
  const config = join(dir, 'sentinel.conf')
  const port = await freePort()
  await writeFile(config, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, `sentinel monitor holds 127.0.0.1 ${primary.port} 1`, 'sentinel down-after-milliseconds holds 1000', 'sentinel failover-timeout holds 5000', ''].join('\n'))
  const sentinel = stack.use(await startRedis(['--sentinel'], { port, config }))
  await until('the Sentinel to know the replica', async () => (await sentinel.command('SENTINEL', 'REPLICAS', 'holds')).includes(String(replica.port)), 20_000)
  const open = (acknowledgingReplicas: number) => openRedisStore({ kind: 'redis', connect: { mode: 'sentinel', sentinels: [{ host: '127.0.0.1', port }], name: 'holds', tls: false }, prefix: 'cs', acknowledgingReplicas })
  return { primary, replica, open, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

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
  await until('the promotion', async () => (await pair.replica.command('INFO', 'replication')).includes('role:master'), 40_000)

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
  await using store = await openRedisStore({ kind: 'redis', connect: { mode: 'cluster', nodes: [{ host: '127.0.0.1', port: server.port }], tls: false }, prefix: 'cs', acknowledgingReplicas: 1 })
  const one = entry({ state: 'approved' })
  await until('open', () => store.open(one, limits).catch(() => undefined))
  await assert.rejects(store.replace({ ...one, state: 'running', revision: 2 }, { revision: 1 }), { code: 'store-unavailable' })
  assert.equal((await store.read(one.id))?.state, 'running')
})
