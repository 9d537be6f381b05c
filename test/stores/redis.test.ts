import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { UnsafeRedis } from '../../src/stores/redis/eviction.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { startRedis } from './redis-server.ts'

const limits = { perCaller: 1_000, perService: 1_000 }
const open = (port: number, acknowledgingReplicas = 0, password = '') => openRedisStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://${password ? `app:${password}@` : ''}127.0.0.1:${port}`) }, prefix: 'cs', acknowledgingReplicas })

test('does not start over a Redis that evicts, nor work over one that began to', async () => {
  for (const policy of ['allkeys-lru', 'volatile-ttl']) {
    await using server = await startRedis(['--maxmemory-policy', policy])
    await assert.rejects(open(server.port), (error: Error) => error instanceof UnsafeRedis && error.message.includes('noeviction'))
  }
  await using server = await startRedis()
  await using store = await open(server.port)
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random')
  await assert.rejects(store.check(), UnsafeRedis)
  await assert.rejects(store.open(entry(), limits), UnsafeRedis)
})

test('finds out about eviction also where CONFIG is forbidden', async () => {
  await using server = await startRedis(['--maxmemory-policy', 'volatile-lru'])
  await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config')
  await assert.rejects(open(server.port, 0, 'secret'), UnsafeRedis)
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await using store = await open(server.port, 0, 'secret')
  assert.equal((await store.open(entry(), limits)).result, 'opened')
})

test('a Redis that hangs: everything is refused within five seconds, and works again afterwards', { timeout: 40_000 }, async () => {
  await using server = await startRedis()
  await using store = await open(server.port)
  const one = entry({ state: 'approved' })
  await store.open(one, limits)
  await server.kill('SIGSTOP')
  const begun = performance.now()
  await Promise.all([
    assert.rejects(store.replace({ ...one, state: 'running', revision: 2 }, { revision: 1 }), { code: 'store-unavailable' }),
    assert.rejects(store.read(one.id), { code: 'store-unavailable' }),
    assert.rejects(store.now(), { code: 'store-unavailable' }),
    assert.rejects(store.check(), { code: 'store-unavailable' }),
  ])
  await assert.rejects(store.read(one.id), { code: 'store-unavailable' })
  assert.ok(performance.now() - begun < 10_000)
  await server.kill('SIGCONT')
  await until('work again', () => store.read(one.id).catch(() => undefined), 10_000)
})

test('a Redis that dies and comes back, also one that was not there at the start; scripts are loaded again', { timeout: 40_000 }, async () => {
  const port = await freePort()
  await using store = await open(port)
  await assert.rejects(store.open(entry(), limits), { code: 'store-unavailable' })
  const seen: string[] = []
  const ended = new AbortController()
  {
    await using _server = await startRedis([], { port })
    await until('work', () => store.open(entry(), limits).catch(() => undefined), 10_000)
    await store.now()
  }
  await assert.rejects(store.now(), { code: 'store-unavailable' })
  await using _server = await startRedis([], { port })
  await until('work again', () => store.now().catch(() => undefined), 10_000)
  const listen = (async () => { for await (const change of store.changes(undefined, ended.signal)) seen.push(change.id) })()
  await until('a change', async () => { await store.open(entry(), limits); return seen.length > 0 }, 10_000)
  ended.abort()
  await listen
})

test('records and indexes that somebody deletes do not break the store', async () => {
  await using server = await startRedis()
  await using store = await open(server.port)
  const one = entry({ dueAt: 1 })
  await store.open(one, limits)
  await server.command('HDEL', '{cs}:holds', one.id)
  assert.equal(await store.read(one.id), undefined)
  assert.deepEqual(await store.due(10), [])
  assert.equal((await store.open({ ...entry(), openKey: one.openKey }, limits)).result, 'opened')
  await server.command('FLUSHALL')
  assert.equal(await store.replace({ ...one, revision: 2 }, { revision: 1 }), 'missing')
})

test('every key carries the one hash tag', async () => {
  await using server = await startRedis()
  await using store = await open(server.port)
  const one = entry({ dueAt: 1 })
  await store.open(one, limits)
  await store.putAttachment(one.id, 'result', Buffer.from('x'), 1_000)
  await store.beat('r', { arrived: [one.id], left: [], fresh: true })
  const keys = (await server.command('KEYS', '*')).split('\r\n').filter((line) => /^[^*$]/.test(line))
  assert.ok(keys.length > 8)
  for (const key of keys) assert.ok(key.startsWith('{cs}:'), key)
})
