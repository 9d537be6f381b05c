import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { recordLineOf } from '../../../src/audit/ocsf/line.ts'
import type { FoundPage } from '../../../src/audit/search/audit-search.ts'
import { makeAuditExports, type AuditExport } from '../../../src/channels/web/audit-export.ts'
import { makeExportStreams } from '../../../src/channels/web/export-stream.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import { finished } from '../../audit/audit-samples.ts'
import { until } from '../../support/until.ts'
import { auditLog } from './audit-log.ts'
import { person, startDesk } from './hold-desk.ts'

const start = async () => {
  await using making = new AsyncDisposableStack()
  const log = making.use(await auditLog(['auditors']))
  const desk = making.use(await startDesk({}, undefined, log.desk))
  desk.tokens.set('carol', person('carol', 'auditors'))
  const own = making.move()
  return { log, desk, get: (path: string, token = 'carol') => desk.call('GET', path, { token }), [Symbol.asyncDispose]: () => own.disposeAsync() }
}

const idsIn = (text: string): readonly string[] => text.trimEnd().split('\n').map((line) => (JSON.parse(line) as { id: string }).id)
const exportsIn = (events: readonly AuditEvent[]) => events.flatMap((event) => (event.type === 'audit-exported' ? [event] : []))

describe('an export of the audit log', () => {
  test('has every line that the question finds, as it stands, and its begin and its end are on record', async () => {
    await using world = await start()
    for (let at = 0; at < 450; at++) await world.log.events(finished(`try-more-${at}`))
    const all = await world.get('/api/audit/export')
    assert.deepEqual([all.status, all.headers.get('content-type'), all.headers.get('content-disposition')], [200, 'application/x-ndjson', 'attachment; filename="countersign-audit.ndjson"'])
    assert.deepEqual(idsIn(all.text), Array.from({ length: 456 }, (_, at) => `r1/1/${455 - at}`))
    const [begun, ended, ...more] = exportsIn(world.log.read)
    assert.deepEqual([more, begun?.by.subject, begun?.query, begun?.end, begun?.records], [[], 'carol', 'log everything', undefined, undefined])
    assert.deepEqual([ended?.export, ended?.records, ended?.end, ended?.cause], [begun?.export, 456, 'whole', undefined])
    const found = await world.get('/api/audit?approver=bob&on=orders')
    const some = await world.get('/api/audit/export?approver=bob&on=orders')
    assert.deepEqual(idsIn(some.text), (found.json['records'] as { record: { id: string } }[]).map(({ record }) => record.id))
    // Both records of an export are found by its name.
    const named = await world.get(`/api/audit?case=${begun?.export}`)
    assert.deepEqual((named.json['records'] as { summary: { outcome: string } }[]).map(({ summary }) => summary.outcome), ['whole', 'begun'])
  })

  test('as OCSF each event has the line in it', async () => {
    await using world = await start()
    const lines = (await world.get('/api/audit/export?who=invoice-agent')).text
    const { text, headers } = await world.get('/api/audit/export?who=invoice-agent&format=ocsf')
    assert.equal(headers.get('content-disposition'), 'attachment; filename="countersign-audit.ocsf.ndjson"')
    assert.equal(text.trimEnd().split('\n').map((line) => `${recordLineOf(line)}\n`).join(''), lines)
    assert.deepEqual(exportsIn(world.log.read).map(({ query }) => query), ['log who=invoice-agent', 'log who=invoice-agent', 'ocsf who=invoice-agent', 'ocsf who=invoice-agent'])
  })

  test('is for readers, refused to others on record, and of what cannot be recorded nothing leaves', async () => {
    await using world = await start()
    for (const token of ['alice', 'agent']) assert.equal((await world.get('/api/audit/export?who=alice', token)).status, 403)
    assert.deepEqual(world.log.read.map((event) => event.type === 'audit-read-refused' && event.query), ['export log who=alice', 'export log who=alice'])
    assert.equal((await world.desk.call('GET', '/api/audit/export')).status, 401)
    for (const query of ['limit=1', 'after=1', 'format=csv', 'who=a&who=b', 'text=---', 'whom=a', 'from=yesterday']) assert.equal((await world.get(`/api/audit/export?${query}`)).status, 400, query)
    assert.equal((await world.desk.call('HEAD', '/api/audit/export', { token: 'carol' })).status, 405)
    assert.deepEqual(exportsIn(world.log.read), [])
    await world.log.close()
    const { status, text } = await world.get('/api/audit/export')
    assert.deepEqual([status, text.includes('"type":"decided"')], [503, false])
  })
})

const reader = person('carol', 'auditors')
const by = { issuer: reader.issuer, subject: 'carol', kind: 'human', groups: ['auditors'] } as const
const page = (id: string, next?: string): FoundPage => ({ records: [{ id, text: `{"id":"${id}"}`, summary: { on: [], rules: [], approvers: [] } }], count: 2, counted: 'all', ...(next === undefined ? {} : { next }) })

describe('what an export may take', () => {
  test('one for each person, four in all, and a place is free again when one ends or does not begin', async () => {
    const recorded: AuditEvent[] = []
    const state = { fails: false }
    const exports = makeAuditExports({ mayRead: () => true, record: async (event) => void recorded.push(event), search: { search: async () => (state.fails ? Promise.reject(new Error('no index')) : page('r1/1/0')) } })
    const open = (key: string): Promise<AuditExport> => exports.open({ key, by }, { fields: {} }, 'log')
    const first = await open('a')
    await assert.rejects(open('a'), /not done yet/)
    for (const key of ['b', 'c', 'd']) await open(key)
    await assert.rejects(open('e'), /Too many exports/)
    await first.end('the client went away')
    state.fails = true
    for (let at = 0; at < 3; at++) await assert.rejects(open('a'), /no index/)
    state.fails = false
    await open('a')
    assert.deepEqual(exportsIn(recorded).map(({ end }) => end), [undefined, undefined, undefined, undefined, 'cut-short', undefined])
  })

  test('who is no reader any more gets no further page', async () => {
    const recorded: AuditEvent[] = []
    const state = { readers: true }
    const exports = makeAuditExports({ mayRead: () => state.readers, record: async (event) => void recorded.push(event), search: { search: async (_question, { after }) => page(after ?? 'r1/1/1', after === undefined ? 'r1/1/0' : undefined) } })
    const taken = await exports.open({ key: 'a', by }, { fields: {} }, 'log')
    assert.equal(await taken.page(reader), '{"id":"r1/1/1"}\n')
    state.readers = false
    await assert.rejects(taken.page(reader), /no reader/)
    await taken.end('no reader')
    assert.deepEqual(exportsIn(recorded).map(({ records, end, cause }) => [records, end, cause]), [[undefined, undefined, undefined], [1, 'cut-short', 'no reader']])
  })
})

/** An export that has one page, and then waits for ever. */
const endless = async () => {
  const streams = makeExportStreams()
  const ends: (string | undefined)[] = []
  const more = Promise.withResolvers<string>()
  let pages = 0
  const taken: AuditExport = { page: async () => (pages++ === 0 ? 'one\n' : more.promise), end: async (cause) => void ends.push(cause) }
  const state = { isGood: true, isLeft: false }
  const server = createServer((_request, response) => {
    response.once('close', () => (state.isLeft = true))
    void streams.serve(taken, { format: 'log', still: async () => (state.isGood ? reader : Promise.reject(new Error('the token ended'))) }, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const abort = new AbortController()
  const first = async () => {
    const body = (await fetch(url, { signal: abort.signal })).body!.getReader()
    assert.equal(Buffer.from((await body.read()).value!).toString(), 'one\n')
    return body
  }
  return {
    streams, ends, state, first, abort,
    go: () => more.resolve('two\n'),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('an export that does not reach its end', () => {
  test('ends with its client, and says so', async () => {
    await using place = await endless()
    await place.first()
    place.abort.abort()
    await until('the server to see it', () => place.state.isLeft)
    place.go()
    await until('the end', () => place.ends.length === 1)
    assert.deepEqual(place.ends, ['the client went away'])
  })

  test('looks cut off to whoever takes it, when the replica drains or the login is over', async () => {
    for (const [why, cause] of [['drain', 'the replica shuts down'], ['login', 'the token ended']] as const) {
      await using place = await endless()
      const body = await place.first()
      if (why === 'drain') place.streams.end()
      else place.state.isGood = false
      place.go()
      await assert.rejects(async () => {
        while (!(await body.read()).done);
      })
      assert.deepEqual(place.ends, [cause], why)
    }
  })
})
