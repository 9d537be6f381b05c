import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { SinkOptions } from '../../src/sinks/options.ts'
import { runIdOf } from '../../src/sinks/run-events.ts'
import { open, temporaryDirectory } from '../audit/audit-samples.ts'
import { day, denied, held, invoiceAgent, ran, statement, voteOf } from '../audit/lineage-story.ts'
import { start } from '../contracts/sink-contract.ts'
import { until } from '../support/until.ts'
import { wrongIn } from './openlineage-schema.ts'

interface RunEvent {
  readonly eventType: string
  readonly run: { readonly runId: string; readonly facets: { readonly countersign_gateDecision: { readonly state: string; readonly votes: readonly { readonly by: string; readonly verdict: string }[]; readonly confidence: string; readonly record: string } } }
  readonly job: { readonly namespace: string; readonly name: string; readonly facets: { readonly lineage: { readonly entries: readonly { readonly name: string; readonly inputs: readonly { readonly name: string }[] }[] } } }
  readonly inputs: readonly { readonly namespace: string; readonly name: string }[]
  readonly outputs: readonly { readonly namespace: string; readonly name: string }[]
}

/** A place that takes events as consumers do, one a request, and complains of each that is not one. `answers`: what to say to the next ones; `bad`: the run of which it takes nothing. */
const startConsumer = async () => {
  const [events, complaints, answers] = [[] as RunEvent[], [] as string[], [] as number[]]
  const place = { bad: '' }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk)
    const event = JSON.parse(text) as RunEvent
    const status = answers.shift() ?? (event.run.runId === place.bad ? 422 : 201)
    if (status === 201) {
      const wrong = wrongIn(event)
      if (wrong !== '' || request.headers.authorization !== 'Bearer lineage' || request.url !== '/api/v1/lineage') complaints.push(`${wrong} ${request.url}`)
      events.push(event)
    }
    response.writeHead(status, status === 429 ? { 'retry-after': '0' } : {}).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const options: SinkOptions = { kind: 'openlineage', name: 'lineage', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/lineage`, authorization: new Secret('Bearer lineage'), timeoutMs: 2_000, namespaces: [['crm-db', 'postgres://db.example.org:5432'], ['orders-api', 'https://orders.example.org']] }
  return { events, complaints, answers, place, options, [Symbol.asyncDispose]: async () => { server.closeAllConnections(); server.close(); await once(server, 'close') } }
}

const told = (events: readonly RunEvent[]): string[] => events.map(({ eventType, run: { facets: { countersign_gateDecision: gate } } }) => `${eventType} ${gate.state}`)

const delivered = async (events: readonly AuditEvent[]): Promise<readonly RunEvent[]> => {
  using directory = temporaryDirectory()
  await using consumer = await startConsumer()
  await using journal = await open(directory.path)
  await using sinks = start(directory.path, journal, consumer.options)
  for (const event of events) await journal.append(event, 'written')
  await sinks.drain(10_000)
  assert.deepEqual(consumer.complaints, [])
  return [...consumer.events]
}

const ends = ['COMPLETE', 'ABORT', 'FAIL']

describe('openlineage', () => {
  test('a day in the log is a day of runs: each begins, ends once, and is what consumers take', async () => {
    const events = await delivered(day())
    const runs = Map.groupBy(events, ({ run }) => run.runId)
    assert.equal(runs.size, day().filter(({ type }, at, all) => type === 'started' || (type === 'decided' && all[at + 1]?.type !== 'held') || (type === 'held' && all[at + 2]?.type !== 'released')).length)
    for (const own of runs.values()) {
      assert.equal(own.filter(({ eventType }) => ends.includes(eventType)).length, 1)
      assert.ok(ends.includes(own.at(-1)!.eventType))
      assert.ok(own.every(({ inputs, outputs }) => inputs.length > 0 && outputs.length > 0))
    }
  })

  test('what waits begins, tells its votes, runs and ends; what is denied, refused, expired or taken back is aborted', async () => {
    const about = statement('sql.delete', { 'public.orders': 'write' })
    assert.deepEqual(told(await delivered(held(invoiceAgent, about, voteOf('bob')))), ['START pending', 'OTHER approved', 'RUNNING running', 'COMPLETE executed'])
    assert.deepEqual(told(await delivered(held(invoiceAgent, about, voteOf('bob', 'deny')))), ['START pending', 'OTHER denied', 'ABORT denied'])
    assert.deepEqual(told(await delivered(denied(invoiceAgent, about))), ['ABORT denied'])
    assert.deepEqual(told(await delivered(ran(invoiceAgent, about, 1, 'failed'))), ['START running', 'FAIL failed'])
    const [, waits] = held(invoiceAgent, about, voteOf('bob')) as unknown as [AuditEvent, Extract<AuditEvent, { type: 'held' }>]
    const { hold, code, digest, attempt, caller, action } = waits
    assert.deepEqual(told(await delivered([waits, { type: 'hold-expired', hold, code, digest, from: 'pending' }, { type: 'refused', attempt, caller, action, code: 'hold-expired', hold }])), ['START pending', 'ABORT expired'])
    assert.deepEqual(told(await delivered([waits, { type: 'hold-withdrawn', hold, code, digest, by: caller }])), ['START pending', 'ABORT withdrawn'])
    assert.deepEqual(told(await delivered([waits, { type: 'replica-started', version: 'v', policyVersion: 'v' }])), ['START pending', 'ABORT withdrawn'])
    const [begun, finished] = ran(invoiceAgent, about) as unknown as [Extract<AuditEvent, { type: 'started' }>, AuditEvent]
    assert.deepEqual(told(await delivered([begun, finished, { type: 'refused', attempt: begun.attempt, caller, action, code: 'upstream-failed' as never }])), ['START running', 'COMPLETE executed'])
    assert.deepEqual(told(await delivered([begun, { type: 'outcome-unknown', attempt: begun.attempt, digest }])), ['START running', 'FAIL unknown'])
  })

  test('names, the session between what is read and what is written, and who said yes', async () => {
    const events = await delivered([...ran(invoiceAgent, statement('sql.select', { 'public.customers': 'read' })), ...held(invoiceAgent, statement('sql.insert', { 'reports.daily': 'write', 'public.orders': 'read' }), voteOf('bob'))])
    const [read, write] = events.filter(({ eventType }) => eventType === 'COMPLETE')
    const session = { namespace: 'agent://login.example.org', name: 'invoice-agent/s-invoice-1' }
    assert.deepEqual([read!.inputs, read!.outputs], [[{ namespace: 'postgres://db.example.org:5432', name: 'crm.public.customers' }], [session]])
    assert.deepEqual([write!.inputs.map(({ name }) => name), write!.outputs.map(({ name }) => name)], [['crm.public.orders', session.name], ['crm.reports.daily', session.name]])
    assert.deepEqual(write!.job.facets.lineage.entries.map(({ name, inputs }) => [name, inputs.map((input) => input.name)]), [['crm.reports.daily', ['crm.public.orders', session.name]], [session.name, ['crm.public.orders']]])
    assert.deepEqual([write!.job.namespace, write!.job.name], ['https://login.example.org', 'invoice-agent/crm-db/sql.insert'])
    const gate = write!.run.facets.countersign_gateDecision
    assert.deepEqual([gate.votes.map(({ by, verdict }) => [by, verdict]), gate.confidence, read!.run.facets.countersign_gateDecision.confidence], [[['bob', 'approve']], 'least', 'named'])
    assert.equal(runIdOf('0b0e7f6e-1111-4222-8333-000000000000'), '0b0e7f6e-1111-4222-8333-000000000000')
    assert.notEqual(runIdOf('try-1'), runIdOf('try-2'))
  })

  test('an end is told of what began before a restart; a crash before the position was saved makes the same events again', async () => {
    using directory = temporaryDirectory()
    await using consumer = await startConsumer()
    await using journal = await open(directory.path)
    const story = held(invoiceAgent, statement('sql.delete', { 'public.orders': 'write' }), voteOf('bob'))
    const cursors = `${directory.path}/r1/cursors`
    {
      await using sinks = start(directory.path, journal, consumer.options)
      for (const event of story.slice(0, 2)) await journal.append(event, 'written')
      await sinks.drain(5_000)
    }
    cpSync(`${cursors}/lineage.json`, `${directory.path}/early.json`)
    {
      await using sinks = start(directory.path, journal, consumer.options)
      for (const event of story.slice(2)) await journal.append(event, 'written')
      await sinks.drain(5_000)
    }
    assert.deepEqual(told(consumer.events), ['START pending', 'OTHER approved', 'RUNNING running', 'COMPLETE executed'])
    // The position of before, with what is known of runs of later: what has ended does not end again.
    cpSync(`${directory.path}/early.json`, `${cursors}/lineage.json`)
    await using sinks = start(directory.path, journal, consumer.options)
    await sinks.drain(5_000)
    assert.equal(consumer.events.filter(({ eventType }) => ends.includes(eventType)).length, 1)
    assert.deepEqual(consumer.complaints, [])
  })

  test('a place that fails for a while gets everything, in order; what it will never take is put aside', async () => {
    using directory = temporaryDirectory()
    await using consumer = await startConsumer()
    await using journal = await open(directory.path)
    await using sinks = start(directory.path, journal, consumer.options)
    consumer.answers.push(500, 201, 503, 429, 401)
    for (const event of held(invoiceAgent, statement('sql.delete', { 'public.orders': 'write' }), voteOf('bob'))) await journal.append(event, 'written')
    await until('the end', () => consumer.events.find(({ eventType }) => eventType === 'COMPLETE'))
    const first = new Map(consumer.events.map((event) => [event.eventType, event]))
    assert.deepEqual([...first.keys()], ['START', 'OTHER', 'RUNNING', 'COMPLETE'])
    await sinks.drain(5_000)
    const selects = ran(invoiceAgent, statement('sql.select', { 'public.a': 'read' }), 2)
    consumer.place.bad = runIdOf((selects[0] as Extract<AuditEvent, { type: 'started' }>).attempt)
    for (const event of selects) await journal.append(event, 'written')
    await until('a dead letter', () => sinks.state()[0]!.dead === 1)
    await sinks.drain(5_000)
    assert.equal(consumer.events.filter(({ eventType, job }) => eventType === 'COMPLETE' && job.name.endsWith('sql.select')).length, 1)
    assert.deepEqual(consumer.complaints, [])
  })
})
