import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { tlsClient, type TlsFiles } from '../../src/lib/tls-client.ts'
import { causeText, type Refusal } from '../../src/model/refusal.ts'
import { makeRedisSink } from '../../src/sinks/redis.ts'
import type { StoreOptions } from '../../src/stores/options.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { entry } from '../contracts/hold-store-contract.ts'
import { makeTls, type PostgresTls } from '../support/postgres-tls.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { startCluster } from './redis-cluster.ts'
import { filesOf, startRedis } from './redis-server.ts'
import { startPair } from './sentinel-pair.ts'

type Redis = Extract<StoreOptions, { kind: 'redis' }>

const limits = { perCaller: 1_000, perService: 1_000 }
const optionsFor = (connect: Redis['connect'], acknowledgingReplicas = 0): Redis => ({ kind: 'redis', connect, prefix: 'cs', acknowledgingReplicas })
const single = (port: number, tls?: TlsFiles, host = 'localhost'): Redis => optionsFor({ mode: 'single', url: new Secret(`${tls === undefined ? 'redis' : 'rediss'}://${host}:${port}`), ...(tls && { tls }) })
const authority = async (names?: readonly string[]) => {
  const folder = temporaryFolder('redis-tls')
  return { ...(await makeTls(folder.path, names)), [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

test('only a Redis of the given authority and of the right name is spoken to, and it gets to see who we are', { timeout: 60_000 }, async () => {
  using own = await authority(['DNS:localhost'])
  using other = await authority()
  await using server = await startRedis([], { tls: own })
  await using store = await openRedisStore(single(server.port, filesOf(own)))
  assert.equal((await store.open(entry(), limits)).result, 'opened')
  await Promise.all(([
    ['an authority that nobody named', single(server.port, { certificate: { cert: own.cert, key: own.key } }), /certificate/],
    ['another authority', single(server.port, { ...filesOf(own), ca: other.ca }), /certificate/],
    ['a certificate for another name', single(server.port, filesOf(own), '127.0.0.1'), /IP: 127\.0\.0\.1 is not in the cert/],
    ['no certificate of ours', single(server.port, { ca: own.ca }), /certificate required|not reachable/],
    ['no TLS', single(server.port), /not reachable/],
  ] as const).map(async ([why, options, cause]) => {
    await using away = await openRedisStore(options)
    await assert.rejects(away.check(), (error: Refusal) => error.code === 'store-unavailable' && cause.test(causeText(error.cause) ?? ''), why)
  }))
})

test('the stream of audit events goes over the same kind of connection', { timeout: 30_000 }, async () => {
  using own = await authority()
  await using server = await startRedis([], { tls: own })
  const sinkTo = (tls: TlsFiles) => makeRedisSink({ kind: 'redis', name: 'feed', url: new Secret(`rediss://localhost:${server.port}`), stream: 'audit', maxLength: 10, tls })
  await using sink = sinkTo(filesOf(own))
  await sink.deliver([{ id: 'r/1/0', seq: 0, text: '{}', sent: '{}' }], AbortSignal.timeout(5_000))
  assert.match(await server.command('XLEN', 'audit'), /^:1/)
  await using stranger = sinkTo({ certificate: { cert: own.cert, key: own.key } })
  await assert.rejects(stranger.deliver([{ id: 'r/1/0', seq: 0, text: '{}', sent: '{}' }], AbortSignal.timeout(5_000)), /certificate/)
})

test('certificates that are renewed while we run are those of the next connection', { timeout: 60_000 }, async () => {
  using before = await authority()
  using after = await authority()
  using place = temporaryFolder('renewed')
  const filesIn = (name: string): PostgresTls => ({ ca: join(place.path, `${name}-ca.crt`), cert: join(place.path, `${name}.crt`), key: join(place.path, `${name}.key`) })
  const put = (from: PostgresTls, to: PostgresTls, names: readonly (keyof PostgresTls)[] = ['ca', 'cert', 'key']): void => names.forEach((name) => copyFileSync(from[name], to[name]))
  const [theirs, ours] = [filesIn('their'), filesIn('our')]
  put(before, theirs)
  put(before, ours)
  await using server = await startRedis([], { tls: theirs })
  const cutAll = () => server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await using store = await openRedisStore(single(server.port, filesOf(ours)))
  const one = entry()
  await store.open(one, limits)

  put(after, ours, ['cert']) // half of it: what fitted is used on
  await cutAll()
  assert.equal((await until('a connection with the old one', () => store.read(one.id).catch(() => undefined), 10_000)).id, one.id)

  await server.command('CONFIG', 'SET', 'tls-cert-file', after.cert, 'tls-key-file', after.key, 'tls-ca-cert-file', after.ca)
  put(after, theirs)
  await cutAll()
  await until('the old one to be refused', () => store.read(one.id).then(() => false, () => true), 10_000)
  put(after, ours)
  assert.equal((await until('a connection with the new one', () => store.read(one.id).catch(() => undefined), 10_000)).id, one.id)
})

test('a certificate without its key is nothing to begin with', async () => {
  using one = await authority()
  using other = await authority()
  assert.throws(() => tlsClient({ certificate: { cert: one.cert, key: other.key } }))
  assert.throws(() => tlsClient({ ca: join(one.ca, 'nowhere') }))
})

test('the Sentinels are asked over TLS as well, and a promoted primary is found', { timeout: 90_000 }, async () => {
  using own = await authority()
  await using pair = await startPair(own)
  await using store = await pair.open(1)
  const one = entry({ state: 'approved' })
  await store.open(one, limits)
  assert.equal(await store.replace({ ...one, state: 'running', revision: 2 }, { revision: 1 }), 'replaced')
  await pair.primary.kill('SIGKILL')
  assert.equal((await until('the new primary', () => store.read(one.id).catch(() => undefined), 40_000)).state, 'running')
  await using plain = await openRedisStore(optionsFor({ mode: 'sentinel', sentinels: [{ host: '127.0.0.1', port: pair.port }], name: 'holds' }))
  await assert.rejects(plain.check(), { code: 'store-unavailable' })
})

test('in a Cluster of six nodes a hold outlives the primary that had it', { timeout: 120_000 }, async () => {
  using own = await authority()
  await using cluster = await startCluster(own)
  const nodes = cluster.nodes.slice(0, 2).map(({ port }) => ({ host: '127.0.0.1', port }))
  await using store = await openRedisStore(optionsFor({ mode: 'cluster', nodes, tls: filesOf(own) }, 1))
  const one = entry({ state: 'approved' })
  assert.equal((await store.open(one, limits)).result, 'opened')
  assert.equal(await store.replace({ ...one, state: 'running', revision: 2 }, { revision: 1 }), 'replaced')
  const { owner } = await cluster.ownerOf('{cs}:meta')
  await owner.kill('SIGKILL')
  const found = await until('its replica to have taken over', () => store.read(one.id).catch(() => undefined), 40_000)
  assert.deepEqual([found.state, found.revision], ['running', 2])
  assert.equal(await store.replace({ ...one, state: 'running', revision: 2, sealed: 'again' }, { revision: 1 }).catch((error: { code?: string }) => error.code), 'conflict')
  const next = entry()
  assert.equal(await until('another one to be opened', () => store.open(next, limits).then(({ result }) => result, () => undefined), 20_000), 'opened')
})
