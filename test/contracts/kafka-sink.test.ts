import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { crc32c, partitionOf } from '../../src/sinks/kafka/batch.ts'
import { makeReader, makeWriter } from '../../src/sinks/kafka/wire.ts'
import type { OptionsOf } from '../../src/sinks/options.ts'
import { open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { type Manner, startKafkaBroker } from '../sinks/kafka-broker.ts'
import { idOf } from '../sinks/strict-place.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { assertComplete, events, fill, sinkContract, start } from './sink-contract.ts'

const optionsTo = (port: number, more: Partial<OptionsOf<'kafka'>> = {}): OptionsOf<'kafka'> => ({ kind: 'kafka', name: 'place', format: 'ocsf', brokers: [{ host: '127.0.0.1', port }], topic: 'audit.log', timeoutMs: 300, ...more })

sinkContract('kafka', async () => {
  const broker = await startKafkaBroker({ password: 'gate-secret' })
  return {
    options: optionsTo(broker.port, { timeoutMs: 5_000, sasl: { mechanism: 'plain', user: 'gate', password: new Secret('gate-secret') } }),
    arrived: async () => broker.kept,
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
})

describe('sink kafka, a bad broker', { concurrency: 3 }, () => {
  const manners: Readonly<Record<string, (batch: number) => Manner>> = {
    'does not lead any more': (n) => (n % 3 === 2 ? 'ok' : 'not leader'),
    'resets': (n) => (n % 2 ? 'ok' : 'reset'),
    'takes and resets without an answer': (n) => (n % 2 ? 'ok' : 'taken, and reset'),
    'hangs': (n) => (n % 4 === 1 ? 'hang' : 'ok'),
    'takes and hangs': (n) => (n % 4 === 0 ? 'taken, and hang' : 'ok'),
    'takes, and too few replicas have it': (n) => (n % 2 ? 'ok' : 'taken, and not enough replicas'),
    'does not let us for a while': (n) => (n < 4 ? 'not allowed' : 'ok'),
  }
  for (const [name, manner] of Object.entries(manners)) {
    test(`${name}: everything arrives, in order, and once`, async () => {
      using directory = temporaryDirectory()
      await using broker = await startKafkaBroker()
      broker.manner = manner
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, optionsTo(broker.port))
      for (let n = 0; n < 10; n++) {
        await fill(journal, events / 10)
        await sinks.drain(10_000)
      }
      await assertComplete(journal, broker.kept)
      assert.equal(broker.kept.length, events)
      assert.ok(broker.batches.some(({ manner: was }) => was !== 'ok'))
      assert.equal(sinks.state()[0]!.dead, 0)
    })
  }

  test('a broker that lost count of us gets a new count', async () => {
    using directory = temporaryDirectory()
    await using broker = await startKafkaBroker()
    broker.manner = (n) => (n === 1 ? 'forgets the producer' : 'ok')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, optionsTo(broker.port))
    for (const _ of [1, 2, 3]) {
      await fill(journal, 10)
      await sinks.drain(5_000)
    }
    await assertComplete(journal, broker.kept, 30)
    assert.equal(broker.kept.length, 30)
  })

  test('a throttled producer waits as long as it was told', async () => {
    using directory = temporaryDirectory()
    await using broker = await startKafkaBroker()
    broker.manner = (n) => (n === 0 ? 'throttle' : 'ok')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, optionsTo(broker.port, { timeoutMs: 2_000 }))
    for (const _ of [1, 2]) {
      await fill(journal, 5)
      await sinks.drain(5_000)
    }
    assert.equal(broker.kept.length, 10)
    assert.ok(broker.batches[1]!.at - broker.batches[0]!.at >= 950)
  })

  test('a record that is refused for good goes to the dead letters; its neighbours arrive in order', async () => {
    using directory = temporaryDirectory()
    await using broker = await startKafkaBroker()
    broker.isBad = (line) => line.includes('"attempt":"a57"')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, optionsTo(broker.port, { timeoutMs: 2_000 }))
    await fill(journal)
    const lost = await until('the loss on record', async () => (await readAll(journal)).find(({ type }) => type === 'records-lost'), 10_000)
    assert.deepEqual([lost['count'], lost['cause']], [1, 'INVALID_RECORD'])
    await sinks.drain(10_000)
    assert.deepEqual(broker.kept.map(idOf).slice(0, events - 1), Array.from({ length: events }, (_, n) => `r1/1/${n}`).filter((id) => id !== 'r1/1/57'))
    assert.match(readFileSync(`${directory.path}/r1/place.dead`, 'utf8'), /^\{"id":"r1\/1\/57","cause":"INVALID_RECORD"/)
  })

  test('another broker is asked where one is down, and the one that leads is gone to', async () => {
    using directory = temporaryDirectory()
    await using leader = await startKafkaBroker()
    await using first = await startKafkaBroker({ advertised: { host: '127.0.0.1', port: leader.port } })
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, optionsTo(first.port, { timeoutMs: 2_000, brokers: [{ host: '127.0.0.1', port: await freePort() }, { host: '127.0.0.1', port: first.port }] }))
    await fill(journal, 5)
    await sinks.drain(5_000)
    assert.deepEqual([leader.kept.length, first.kept.length], [5, 0])
  })

  test('a broker does not send us where we may not go; a wrong password is told, and gives nothing up', async () => {
    using directory = temporaryDirectory()
    await using metadataService = await startKafkaBroker({ advertised: { host: '169.254.169.254', port: 80 } })
    await using elsewhere = await startKafkaBroker({ advertised: { host: 'evil.test', port: 80 } })
    await using closed = await startKafkaBroker({ password: 'gate-secret' })
    for (const [name, options, said] of [
      ['metadata', optionsTo(metadataService.port), /169\.254\.169\.254, which is an address that we do not call/],
      ['elsewhere', optionsTo(elsewhere.port, { hosts: ['127.0.0.1'] }), /evil\.test, which outbound\.hosts does not name/],
      ['password', optionsTo(closed.port, { sasl: { mechanism: 'plain', user: 'gate', password: new Secret('CANARY-7') } }), /^login: SASL_AUTHENTICATION_FAILED$/],
      ['mechanism', optionsTo(closed.port, { sasl: { mechanism: 'scram-sha-512', user: 'gate', password: new Secret('CANARY-7') } }), /^login by SCRAM-SHA-512: UNSUPPORTED_SASL_MECHANISM$/],
    ] as const) {
      await using journal = await open(`${directory.path}/${name}`)
      await using sinks = start(`${directory.path}/${name}`, journal, options)
      await fill(journal, 3)
      const { lastError, delivered, dead } = await until('an error', () => sinks.state().find(({ lastError }) => lastError !== undefined))
      assert.match(String(lastError), said)
      assert.deepEqual([delivered, dead], [0, 0])
    }
  })
})

describe('kafka on the wire', () => {
  test('known answers: CRC-32C, the partition of a key, numbers of variable length', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
    // Those of Kafka's own tests of murmur2, as partitions of very many.
    for (const [key, hash] of [['21', -973932308], ['foobar', -790332482], ['a-little-bit-long-string', -985981536], ['a-little-bit-longer-string', -1486304829], ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971], ['abc', 479470107]] as const) assert.equal(partitionOf(key, 0x7fffffff), (hash & 0x7fffffff) % 0x7fffffff)
    for (const [value, bytes] of [[0, [0]], [-1, [1]], [1, [2]], [63, [126]], [64, [128, 1]], [-65, [129, 1]], [300, [216, 4]]] as const) assert.deepEqual([...makeWriter().varint(value).done()], bytes)
  })

  test('an answer that promises more than it has does not read', () => {
    for (const read of [(from: ReturnType<typeof makeReader>) => from.bytes(), (from: ReturnType<typeof makeReader>) => from.text(), (from: ReturnType<typeof makeReader>) => from.list(() => 0)]) assert.throws(() => read(makeReader(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0]))), /does not read/)
  })
})
