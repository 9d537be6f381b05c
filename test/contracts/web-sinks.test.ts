import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { datadog, elastic, jsonArray, ndjson, otlp, splunk } from '../sinks/dialects.ts'
import { idOf, startPlace } from '../sinks/strict-place.ts'
import { until } from '../support/until.ts'
import { fill, start, warnings, type WebKind, webSinkContract } from './sink-contract.ts'

webSinkContract('http', {
  dialect: () => ndjson,
  path: '/in',
  options: (url, batchLines, timeoutMs) => ({ kind: 'http', name: 'place', url, batchLines, batchBytes: 1e6, timeoutMs, body: 'ndjson', gzip: true }),
  refusal: /^HTTP 400$/,
})

webSinkContract('http, arrays', {
  dialect: () => jsonArray,
  path: '/in',
  options: (url, batchLines, timeoutMs) => ({ kind: 'http', name: 'place', url, batchLines, batchBytes: 8_000, timeoutMs, body: 'json-array' }),
  refusal: /^HTTP 400$/,
})

const elasticOptions: WebKind['options'] = (url, batchLines, timeoutMs) => ({ kind: 'elastic', name: 'place', url, index: 'audit-log', authorization: new Secret('ApiKey key-1'), batchLines, batchBytes: 1e6, timeoutMs })
webSinkContract('elastic', {
  dialect: () => elastic,
  options: elasticOptions,
  refusal: /^400 document_parsing_exception: as told$/,
})

const splunkOptions = (acks: boolean): WebKind['options'] => (url, batchLines, timeoutMs) => ({ kind: 'splunk', name: 'place', url, token: new Secret('token-1'), sourcetype: 'audit', index: 'main', batchLines, batchBytes: 1e6, timeoutMs, ...(acks ? { ackMs: 1_000 } : {}) })
for (const acks of [false, true]) webSinkContract(acks ? 'splunk, acknowledged' : 'splunk', { dialect: () => splunk({ acks }), options: splunkOptions(acks), refusal: /^HTTP 400: Invalid data format$/ })

webSinkContract('datadog', {
  dialect: () => datadog,
  options: (url, batchLines, timeoutMs) => ({ kind: 'datadog', name: 'place', url, apiKey: new Secret('key-1'), service: 'countersign', tags: ['env:test', 'team:audit'], batchLines, batchBytes: 1e6, timeoutMs }),
  refusal: /^HTTP 400$/,
})

webSinkContract('otlp', {
  dialect: () => otlp,
  path: '/v1/logs',
  options: (url, batchLines, timeoutMs) => ({ kind: 'otlp', name: 'place', url, headers: [{ name: 'authorization', value: new Secret('Bearer token-1') }, { name: 'x-team', value: new Secret('team-1') }], service: 'gate', batchLines, batchBytes: 1e6, timeoutMs }),
  refusal: /^rejected: as told$/,
})

describe('sink elastic', () => {
  const answers: Readonly<Record<string, (texts: readonly string[]) => unknown>> = {
    'an index that is closed': (texts) => ({ items: texts.map((text) => ({ create: { _id: idOf(text), status: 400, error: { type: 'index_closed_exception', reason: 'closed' } } })) }),
    'a disk that is full': (texts) => ({ items: texts.map((text) => ({ create: { _id: idOf(text), status: 403, error: { type: 'cluster_block_exception', reason: 'read-only' } } })) }),
    'an answer about fewer documents': (texts) => ({ items: texts.slice(1).map((text) => ({ create: { _id: idOf(text), status: 201 } })) }),
    'an answer about others': (texts) => ({ items: texts.map((text) => ({ create: { _id: `other/${idOf(text)}`, status: 201 } })) }),
    'an answer that says nothing': () => ({ errors: false }),
  }
  for (const [name, body] of Object.entries(answers)) {
    test(`gives nothing up, and goes nowhere, because of ${name}`, async () => {
      using directory = temporaryDirectory()
      let mended = false
      await using place = await startPlace({ ...elastic, answer: (texts, fates, asked) => (mended ? elastic.answer(texts, fates, asked) : { status: 200, body: body(texts) }) })
      await using journal = await open(directory.path)
      await using sinks = start(directory.path, journal, elasticOptions(place.url, 50, 1_000))
      await fill(journal, 20)
      await until('some tries', () => place.requests.length > 4)
      assert.deepEqual([sinks.state()[0]!.delivered, sinks.state()[0]!.dead], [0, 0])
      mended = true
      await sinks.drain(10_000)
      assert.deepEqual([sinks.state()[0]!.delivered, sinks.state()[0]!.dead], [20, 0])
    })
  }
})

describe('sink http, a bad receiver', () => {
  test('a receiver that refuses everything does not make records about records for ever', async () => {
    using directory = temporaryDirectory()
    await using place = await startPlace(ndjson)
    place.isBad = () => true
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: place.url, batchLines: 50, batchBytes: 1e6, timeoutMs: 1_000, body: 'ndjson' })
    await fill(journal, 5)
    await until('all refused, the news of it too', () => sinks.state()[0]!.dead >= 6, 10_000)
    await sinks.drain(5_000)
    const lost = (await readAll(journal)).filter(({ type }) => type === 'records-lost')
    assert.equal(lost.reduce((sum, { count }) => sum + Number(count), 0), 5)
  })

  test('a dead sink delays nobody, shows how far it is behind, and repeats no secret', async () => {
    using directory = temporaryDirectory()
    await using place = await startPlace(ndjson)
    place.behave = () => 'hang'
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { kind: 'http', name: 'place', url: place.url, authorization: new Secret('Bearer CANARY-99'), batchLines: 50, batchBytes: 1e6, timeoutMs: 100, body: 'ndjson' })
    const from = Date.now()
    await fill(journal)
    assert.ok(Date.now() - from < 10_000) // a hanging sink would hold it up for ever
    const state = await until('an error', () => sinks.state().find(({ lastError }) => lastError !== undefined))
    assert.ok(state.behindMs > 0)
    assert.equal(state.delivered, 0)
    assert.doesNotMatch(JSON.stringify([state, warnings]), /CANARY/)
  })
})

