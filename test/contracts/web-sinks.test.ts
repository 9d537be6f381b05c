import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { ocsfLine } from '../../src/audit/ocsf/line.ts'
import { Secret } from '../../src/lib/secret.ts'
import { signed, type Unsigned } from '../../src/sinks/aws-signature.ts'
import { makeDatadogSink } from '../../src/sinks/datadog.ts'
import type { SinkOptions } from '../../src/sinks/options.ts'
import { LineRefused } from '../../src/sinks/sink.ts'
import { open, readAll, temporaryDirectory } from '../audit/audit-samples.ts'
import { datadog, elastic, jsonArray, ndjson, otlp, s3, splunk } from '../sinks/dialects.ts'
import { idOf, startPlace } from '../sinks/strict-place.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { until } from '../support/until.ts'
import { assertComplete, fill, start, warnings, type WebKind, webSinkContract } from './sink-contract.ts'

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

const elasticOptions: WebKind['options'] = (url, batchLines, timeoutMs) => ({ kind: 'elastic', name: 'place', format: 'ocsf', url, index: 'audit-log', authorization: new Secret('ApiKey key-1'), batchLines, batchBytes: 1e6, timeoutMs })
webSinkContract('elastic', {
  dialect: () => elastic,
  options: elasticOptions,
  refusal: /^400 document_parsing_exception: as told$/,
})

const splunkOptions = (acks: boolean): WebKind['options'] => (url, batchLines, timeoutMs) => ({ kind: 'splunk', name: 'place', format: 'ocsf', url, token: new Secret('token-1'), sourcetype: 'audit', index: 'main', batchLines, batchBytes: 1e6, timeoutMs, ...(acks ? { ackMs: 1_000 } : {}) })
for (const acks of [false, true]) webSinkContract(acks ? 'splunk, acknowledged' : 'splunk', { dialect: () => splunk({ acks }), options: splunkOptions(acks), refusal: /^HTTP 400: Invalid data format$/ })

webSinkContract('datadog', {
  dialect: () => datadog,
  options: (url, batchLines, timeoutMs) => ({ kind: 'datadog', name: 'place', format: 'ocsf', url, apiKey: new Secret('key-1'), service: 'countersign', tags: ['env:test', 'team:audit'], batchLines, batchBytes: 1e6, timeoutMs }),
  refusal: /^HTTP 400$/,
})

webSinkContract('otlp', {
  dialect: () => otlp,
  path: '/v1/logs',
  options: (url, batchLines, timeoutMs) => ({ kind: 'otlp', name: 'place', format: 'ocsf', url, headers: [{ name: 'authorization', value: new Secret('Bearer token-1') }, { name: 'x-team', value: new Secret('team-1') }], service: 'gate', batchLines, batchBytes: 1e6, timeoutMs }),
  refusal: /^rejected: as told$/,
})

const s3Options: WebKind['options'] = (url, batchLines, timeoutMs) => ({
  kind: 's3', name: 'place', url, region: 'eu-central-1', key: { id: new Secret('AKID'), secret: new Secret('secret-1'), session: new Secret('session-1') },
  everyMs: 40, lock: { mode: 'COMPLIANCE', forMs: 86_400_000 }, batchLines, batchBytes: 1e6, timeoutMs,
})
webSinkContract('s3', { dialect: s3, path: '/bucket/the audit/', options: s3Options })

describe('sink s3', () => {
  test('lines gather until an object is full, its time has come, or the program ends', async () => {
    using directory = temporaryDirectory()
    const bucket = s3()
    await using place = await startPlace(bucket, '/bucket/the audit')
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, { ...s3Options(place.url, 150, 5_000), everyMs: 10_000 } as SinkOptions)
    await fill(journal)
    await until('the full one', () => place.requests.length > 0)
    await sinks.drain(10_000)
    assert.deepEqual([...bucket.objects.keys()].map((path) => path.slice(0, path.lastIndexOf('-'))), ['/bucket/the%20audit/r1/1/000000000000-000000000149', '/bucket/the%20audit/r1/1/000000000150-000000000199'])
    await assertComplete(journal, place.kept)
  })

  test("AWS's own examples of signatures", () => {
    // From "Authenticating Requests: Using the Authorization Header" of the S3 API reference.
    const key = { id: new Secret('AKIAIOSFODNN7EXAMPLE'), secret: new Secret('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY') }
    const at = new Date('2013-05-24T00:00:00Z')
    const signatureOf = (request: Unsigned): string | undefined => signed(request, key, 'us-east-1', at)['authorization']?.split('Signature=')[1]
    assert.equal(signatureOf({ method: 'GET', url: new URL('https://examplebucket.s3.amazonaws.com/test.txt'), headers: { range: 'bytes=0-9' }, body: Buffer.alloc(0) }), 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
    assert.equal(
      signatureOf({ method: 'PUT', url: new URL('https://examplebucket.s3.amazonaws.com/test$file.text'), headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }, body: Buffer.from('Welcome to Amazon S3.') }),
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    )
  })
})

describe('sink splunk, acknowledged', () => {
  test('an acknowledgement is told once: where it gets lost the batch is sent again', async () => {
    using directory = temporaryDirectory()
    const collector = splunk({ acks: true })
    collector.lose = (poll) => poll <= 3
    await using place = await startPlace(collector)
    await using journal = await open(directory.path)
    await fill(journal, 20)
    await using sinks = start(directory.path, journal, splunkOptions(true)(place.url, 50, 1_000))
    await sinks.drain(10_000)
    assert.equal(place.requests.length, 2)
    assert.deepEqual(place.kept.slice(20), place.kept.slice(0, 20))
    assert.equal(sinks.state()[0]!.delivered, 20)
  })

  test('what is received and never indexed does not count, and neither does a token without acknowledgement', async () => {
    using directory = temporaryDirectory()
    for (const [name, ackId, said] of [['never', 7, /received, and not acknowledged/], ['none', undefined, /no acknowledgement is promised/]] as const) {
      await using place = await startPlace({ ...splunk({ acks: true }), answer: () => ({ status: 200, body: { text: 'Success', code: 0, ...(ackId === undefined ? {} : { ackId }) } }) })
      await using journal = await open(`${directory.path}/${name}`)
      await using sinks = start(`${directory.path}/${name}`, journal, splunkOptions(true)(place.url, 50, 500))
      await fill(journal, 5)
      const { lastError, delivered, dead } = await until('an error', () => sinks.state().find(({ lastError }) => lastError !== undefined))
      assert.match(String(lastError), said)
      assert.deepEqual([delivered, dead], [0, 0])
    }
  })

  test('what is wrong with the token or the index gives nothing up', async () => {
    using directory = temporaryDirectory()
    await using place = await startPlace({ ...splunk({ acks: false }), answer: () => ({ status: 400, body: { text: 'Incorrect index', code: 7 } }) })
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, splunkOptions(false)(place.url, 50, 500))
    await fill(journal, 5)
    await until('some tries', () => place.requests.length > 4)
    assert.deepEqual([sinks.state()[0]!.lastError, sinks.state()[0]!.dead], ['HTTP 400: Incorrect index', 0])
  })
})

describe('sink datadog', () => {
  test('what is longer than it takes at one time leaves in parts, in order; what is old leaves without a time that would have it dropped', async () => {
    using directory = temporaryDirectory()
    await using place = await startPlace(datadog)
    await using sink = makeDatadogSink({ kind: 'datadog', name: 'place', url: place.url, apiKey: new Secret('key-1'), service: 'countersign', tags: ['env:test', 'team:audit'], batchLines: 1_000, batchBytes: 1e9, timeoutMs: 5_000 })
    await using journal = await open(directory.path)
    await fill(journal, 3)
    const { lines: [first] } = await journal.read(undefined, { lines: 1, bytes: 1 })
    const old = first!.text.replace(/"time":"[^"]+"/, '"time":"2026-01-01T00:00:00.000Z"').replace('"result":"executed"', `"result":"executed","filler":"${'x'.repeat(600_000)}"`)
    const lines = Array.from({ length: 10 }, (_, seq) => old.replaceAll('r1/1/0', `r1/1/${seq}`)).map((text, seq) => ({ id: `r1/1/${seq}`, seq, text, sent: ocsfLine(JSON.parse(text)) }))
    await sink.deliver(lines, AbortSignal.timeout(5_000))
    assert.deepEqual(place.requests.map(({ lines: count }) => count), [8, 2])
    assert.deepEqual(place.kept, lines.map(({ text }) => text))
    const long = { ...lines[0]!, sent: JSON.stringify({ long: 'x'.repeat(1_000_000) }) }
    await assert.rejects(sink.deliver([long], AbortSignal.timeout(5_000)), LineRefused)
    assert.equal(place.requests.length, 2)
  })
})

describe('sink elastic', () => {
  const answers: Readonly<Record<string, (texts: readonly string[]) => unknown>> = {
    'an index that is closed': (texts) => ({ items: texts.map((text) => ({ create: { _id: idOf(text), status: 400, error: { type: 'index_closed_exception', reason: 'closed' } } })) }),
    'an index that has no room for another field': (texts) => ({ items: texts.map((text) => ({ create: { _id: idOf(text), status: 400, error: { type: 'illegal_argument_exception', reason: 'Limit of total fields [1000] has been exceeded while adding new fields [1]' } } })) }),
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
      await until('more tries than a line gets that is refused for good', () => place.requests.length > 12, 10_000)
      assert.deepEqual([sinks.state()[0]!.delivered, sinks.state()[0]!.dead, new Set(place.requests.map(({ lines }) => lines)).size], [0, 0, 1], 'nobody looked for the line that is to blame')
      mended = true
      await sinks.drain(10_000)
      assert.deepEqual([sinks.state()[0]!.delivered, sinks.state()[0]!.dead], [20, 0])
    })
  }
})

test('sink elastic: a document that quotes the limit of an index is refused for good like any other', async () => {
  using directory = temporaryDirectory()
  const reason = "failed to parse field [x], its value is 'Limit of total fields [1000]'"
  await using place = await startPlace({ ...elastic, answer: (texts) => ({ status: 200, body: { items: texts.map((text) => ({ create: { _id: idOf(text), status: 400, error: { type: 'illegal_argument_exception', reason } } })) } }) })
  await using journal = await open(directory.path)
  await using sinks = start(directory.path, journal, elasticOptions(place.url, 50, 1_000))
  await fill(journal, 2)
  await until('both refused', () => sinks.state()[0]!.dead >= 2, 10_000)
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


test('only a place whose certificate is of the authority that counts gets anything', async () => {
  using directory = temporaryDirectory()
  const tls = await makeTls(directory.path)
  let asked = 0
  const server = createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, (request, response) => {
    asked++
    request.resume().on('end', () => response.end('{}'))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `https://localhost:${(server.address() as AddressInfo).port}/in`
  const options: SinkOptions = { kind: 'http', name: 'place', url, body: 'ndjson', batchLines: 50, batchBytes: 1e6, timeoutMs: 2_000 }
  try {
    await using journal = await open(directory.path)
    await fill(journal, 5)
    {
      await using sinks = start(directory.path, journal, options)
      await until('an error', () => /certificate/.test(sinks.state()[0]!.lastError ?? ''))
      assert.equal(asked, 0)
    }
    await using sinks = start(directory.path, journal, { ...options, ca: readFileSync(tls.ca, 'utf8') })
    await sinks.drain(5_000)
    assert.deepEqual([sinks.state()[0]!.delivered, asked], [5, 1])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
