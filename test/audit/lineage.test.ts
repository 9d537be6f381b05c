import assert from 'node:assert/strict'
import { unlinkSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { openJournal } from '../../src/audit/file-journal.ts'
import { lineageOf, type Lineage } from '../../src/audit/lineage/lineage.ts'
import { pathBetween } from '../../src/audit/lineage/path.ts'
import type { TraceQuestion, TraceSearch } from '../../src/audit/lineage/trace.ts'
import { listSegments, linesOf } from '../../src/audit/segment.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { openAuditIndex } from '../../src/stores/embedded/audit-index/audit-index.ts'
import { options, temporaryDirectory } from './audit-samples.ts'
import { callerOf, carol, day, denied, held, invoiceAgent, ran, reportAgent, requestOf, statement, voteOf } from './lineage-story.ts'

/* What the index knows of lineage is compared with what a plain look at every line of the log says. */

const hour = 3_600_000
const noon = Date.UTC(2026, 0, 1, 12)

const write = async (directory: string, events: readonly AuditEvent[], at = noon): Promise<void> => {
  let now = at
  await using journal = await openJournal({ ...options(directory), segmentBytes: 8_000 }, { now: () => now++ })
  for (const event of events) await journal.append(event, 'written')
}

const opened = (directory: string) => {
  const index = openAuditIndex(`${directory}/search.db`, directory)
  while (!index.advance(5));
  const search: TraceSearch = { traces: async (question, limit) => index.traces(question, limit), nodes: async (name, limit) => index.nodes(name, limit) }
  const ask = (fields: TraceQuestion['fields'], more: Omit<TraceQuestion, 'fields'> = {}): Promise<Lineage> => lineageOf(search, { fields, ...more })
  return { index, search, ask, [Symbol.dispose]: () => index[Symbol.dispose]() }
}

type Data = Record<string, unknown>
const part = (value: unknown): Data => (value ?? {}) as Data
const everyRecord = (directory: string): Data[] => listSegments(`${directory}/r1/wal`).flatMap(({ name }) => [...linesOf(`${directory}/r1/wal/${name}`)].map(({ text }) => JSON.parse(text) as Data))

/** `who|verb|tables` with what became of it and who voted, line by line. */
const scanned = (records: readonly Data[]): Record<string, Data> => {
  const [subjects, found] = [new Map<unknown, string>(), {} as Record<string, Record<string, number>>]
  for (const record of records) {
    const [action, caller] = [part(record['action']), part(record['caller'])]
    const resources = ((action['resources'] ?? []) as Data[]).filter(({ kind, name }) => kind !== 'column' && name !== 'pg_catalog.count')
    const own = record['action'] === undefined ? undefined : `${String(caller['subject'])}|${String(action['verb'])}|${resources.map(({ kind, name, access }) => `${kind === 'function' ? 'calls' : access === 'write' ? 'writes' : 'reads'} ${kind === 'path' ? String(action['shape']).split(' ')[2] : String(name)}`).join(',')}`
    const key = own ?? subjects.get(record['hold']) ?? subjects.get(record['attempt'])
    if (key === undefined) continue
    for (const name of ['hold', 'attempt']) if (record[name] !== undefined) subjects.set(record[name], key)
    const counts = (found[key] ??= {})
    const add = (name: string): void => void (counts[name] = (counts[name] ?? 0) + 1)
    if (record['type'] === 'started') add('ran')
    if (record['type'] === 'outcome-unknown') add('unknown')
    if (record['type'] === 'held') add('held')
    if (record['type'] === 'refused' || (record['type'] === 'decided' && part(record['decision'])['verdict'] === 'deny')) add('refused')
    if (record['type'] === 'finished') add(String(part(record['outcome'])['result']))
    if (record['type'] === 'voted') add(`${part(record['vote'])['verdict'] === 'approve' ? 'yes' : 'no'} ${String(part(part(record['vote'])['by'])['subject'])}`)
  }
  return Object.fromEntries(Object.entries(found).filter(([, counts]) => Object.keys(counts).length > 0))
}

const namesOf = ({ nodes }: Lineage): ReadonlyMap<string, string> => new Map(nodes.map(({ id, name }) => [id, name]))

const told = (lineage: Lineage): Record<string, Data> => {
  const names = namesOf(lineage)
  return Object.fromEntries(lineage.deeds.map(({ who, action, touches, tallies, says }) => [
    `${names.get(who)}|${String(names.get(action)).split(' ')[0]}|${touches.map(({ node, access }) => `${access} ${names.get(node)}`).join(',')}`,
    { ...Object.fromEntries(Object.entries(tallies).filter(([, count]) => count > 0)), ...Object.fromEntries(says.map(({ by, say, count }) => [`${say} ${names.get(by)}`, count])) },
  ]))
}

const actions = [statement('sql.select', { 'public.customers': 'read' }, ['public.customers.email']), statement('sql.delete', { 'public.orders': 'write' }), statement('sql.insert', { 'reports.daily': 'write', 'public.customers': 'read' }, [], ['reports.refresh']), requestOf('POST', '/v1/orders/o-1/refund', '/v1/orders/*/refund')]
const callers = [invoiceAgent, reportAgent, carol, { ...invoiceAgent, session: 's-2' }]
const some = fc.array(fc.tuple(fc.constantFrom(...callers), fc.constantFrom(...actions), fc.constantFrom('ran', 'held', 'no', 'denied')), { minLength: 1, maxLength: 15 })

describe('lineage from the log', () => {
  test('counts what a plain look at every line counts, wherever reading was interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(some, fc.nat(40), async (steps, stop) => {
        using place = temporaryDirectory()
        const stories = steps.map(([caller, action, how]) => (how === 'ran' ? ran(caller, action) : how === 'denied' ? denied(caller, action) : held(caller, action, voteOf('bob', how === 'no' ? 'deny' : 'approve'))))
        // All of them at once: their records are mixed.
        const events = Array.from({ length: Math.max(...stories.map(({ length }) => length)) }, (_, at) => stories.flatMap((story) => story[at] ?? [])).flat()
        await write(place.path, events.slice(0, stop))
        { using _early = opened(place.path) }
        await write(place.path, events.slice(stop), noon + hour)
        using at = opened(place.path)
        assert.deepEqual(told(await at.ask({})), scanned(everyRecord(place.path)))
        at.index.rebuild()
        while (!at.index.advance(5));
        assert.deepEqual(told(await at.ask({})), scanned(everyRecord(place.path)))
      }),
      { numRuns: 25 },
    )
  })

  test('what an agent touched and who said yes; who touched a table; what somebody approved', async () => {
    using place = temporaryDirectory()
    await write(place.path, day())
    using at = opened(place.path)
    const mine = await at.ask({ who: 'invoice-agent' })
    assert.deepEqual([...new Set(mine.deeds.map(({ who }) => namesOf(mine).get(who)))], ['invoice-agent'])
    assert.deepEqual(told(mine)['invoice-agent|http.POST|writes /v1/orders/*/refund'], { ran: 2, executed: 2, held: 2, 'yes bob': 2 })
    const touched = await at.ask({ on: 'public.customers' })
    assert.deepEqual(new Set(touched.deeds.map(({ who }) => namesOf(touched).get(who))), new Set(['report-agent', 'invoice-agent']))
    assert.ok(touched.deeds.every(({ touches }) => touches.some(({ node }) => namesOf(touched).get(node) === 'public.customers')))
    assert.deepEqual(Object.keys(told(await at.ask({ approver: '=bob', on: 'orders' }))).toSorted(), ['invoice-agent|http.POST|writes /v1/orders/*/refund', 'invoice-agent|sql.delete|writes public.orders'])
    assert.deepEqual(Object.keys(told(await at.ask({ for: 'carol', what: 'sql.insert', service: 'crm-db' }))), ['report-agent|sql.insert|writes reports.daily,reads public.orders'])
    assert.deepEqual((await at.ask({ who: 'invoice-a' })).deeds, [])
    assert.equal((await at.ask({ who: 'invoice-a*' })).deeds.length, mine.deeds.length)
    for (const fields of [{ who: '---' }, { on: 'x'.repeat(301) }]) await assert.rejects(at.ask(fields), (error) => error instanceof Refusal && error.code === 'malformed')
  })

  test('each edge names records that say so, and how sure it is', async () => {
    using place = temporaryDirectory()
    await write(place.path, [...ran(reportAgent, statement('sql.select', { 'public.customers': 'read' }, ['public.customers.email', 'public.customers.id'], ['count'])), ...ran(reportAgent, statement('sql.select', { 'public.orders': 'read' }, ['public.orders.*'], ['reports.refresh'])), ...ran(reportAgent, statement('sql.call', { 'a.b': 'read' })), ...held(invoiceAgent, statement('sql.update', { 'public.orders': 'write' }), voteOf('bob'))])
    using at = opened(place.path)
    const lineage = await at.ask({})
    const names = namesOf(lineage)
    const edges = lineage.edges.map(({ from, to, kind, confidence, columns }) => [names.get(from), kind, names.get(to), confidence, columns?.toSorted()])
    assert.deepEqual(edges.filter(([, kind]) => ['reads', 'writes', 'calls', 'yes'].includes(String(kind))).toSorted(), [
      ['a.b', 'reads', 'sql.call a.b', 'least', undefined],
      ['bob', 'yes', 'sql.update public.orders', 'named', undefined],
      ['public.customers', 'reads', 'sql.select public.customers', 'named', ['email', 'id']],
      ['public.orders', 'reads', 'sql.select public.orders and 1 more', 'least', undefined],
      ['sql.select public.orders and 1 more', 'calls', 'reports.refresh', 'least', undefined],
      ['sql.update public.orders', 'writes', 'public.orders', 'least', undefined],
    ])
    for (const { records, kind } of lineage.edges) for (const id of records) assert.match(String(part(JSON.parse(at.index.record(id)!.text))['type']), kind === 'yes' ? /^voted$/ : /^(started|finished|held|voted)$/)
  })

  test('a session may have carried what it read into what it wrote later, and not the other way round', async () => {
    using place = temporaryDirectory()
    await write(place.path, [...ran(invoiceAgent, statement('sql.insert', { 'reports.early': 'write' })), ...ran(invoiceAgent, statement('sql.select', { 'public.customers': 'read' })), ...denied(invoiceAgent, statement('sql.insert', { 'reports.never': 'write' })), ...ran(invoiceAgent, requestOf('POST', '/v1/exports')), ...ran(reportAgent, statement('sql.insert', { 'reports.other': 'write' }))])
    using at = opened(place.path)
    for (const fields of [{}, { on: 'public.customers' }, { on: 'exports' }]) {
      const lineage = await at.ask(fields)
      const names = namesOf(lineage)
      assert.deepEqual(lineage.flows.map(({ from, to, through, confidence, records }) => [names.get(from), names.get(to), names.get(through), confidence, records.length]), [['public.customers', '/v1/exports', 's-invoice-1', 'inferred: session', 2]])
    }
    assert.deepEqual((await at.ask({ on: 'reports.other' })).flows, [])
  })

  test('from any node to its neighbours, and the way between two', async () => {
    using place = temporaryDirectory()
    const stranger = callerOf('stranger', 'agent', 's-x')
    await write(place.path, [...held(invoiceAgent, statement('sql.update', { 'public.orders': 'write' }), voteOf('bob')), ...ran(reportAgent, statement('sql.insert', { 'reports.daily': 'write', 'public.orders': 'read' })), ...ran(carol, statement('sql.select', { 'reports.daily': 'read' })), ...ran(stranger, statement('sql.select', { 'else.where': 'read' }))])
    using at = opened(place.path)
    const whole = await at.ask({})
    const names = namesOf(whole)
    for (const { id } of whole.nodes) {
      const around = await at.ask({}, { nodes: [id] })
      const expected = whole.deeds.filter(({ who, chain, sessions, action, touches, says }) => [who, ...chain, ...sessions, action, ...touches.map(({ node }) => node), ...says.map(({ by }) => by)].includes(id))
      // Of somebody who voted it is what they voted on, from their vote on.
      const voted = whole.deeds.some(({ says }) => says.some(({ by }) => by === id))
      if (voted) assert.deepEqual(around.deeds.map(({ action, says, tallies: { executed, held: waited } }) => [action, says, executed, waited]), expected.map(({ action, says, tallies: { executed } }) => [action, says, executed, 0]))
      else assert.deepEqual(around.deeds, expected, names.get(id))
    }
    // As many as are looked at in one round of a path.
    assert.deepEqual((await at.ask({}, { nodes: [...whole.nodes.map(({ id }) => id), ...Array.from({ length: 290 }, (_, n) => `who-${String(n).padStart(20, '0')}`)] })).deeds, whole.deeds)
    const between = async (start: string, end: string) => pathBetween(at.search, await at.search.nodes(start, 9), await at.search.nodes(end, 9), {})
    const path = await between('alice', 'reports.daily')
    assert.deepEqual(path.steps.map(({ from, to, who }) => [from.name, to.name, who.name]), [['alice', 'public.orders', 'invoice-agent'], ['public.orders', 'reports.daily', 'report-agent']])
    for (const { records } of path.steps) assert.ok(records.length > 0 && records.every((id) => at.index.record(id) !== undefined))
    assert.deepEqual(await between('alice', 'else.where'), { steps: [], looked: 'all' })
  })

  test('time counts by whole hours; what is not in the log any more is not known any more', async () => {
    using place = temporaryDirectory()
    await write(place.path, ran(invoiceAgent, statement('sql.select', { 'public.a': 'read' }), 40))
    await write(place.path, held(reportAgent, statement('sql.update', { 'public.b': 'write' }), voteOf('bob')), noon + 3 * hour)
    using at = opened(place.path)
    const within = async (from?: number, to?: number) => Object.keys(told(await at.ask({}, { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) })))
    const [a, b] = ['invoice-agent|sql.select|reads public.a', 'report-agent|sql.update|writes public.b']
    assert.deepEqual([await within(noon, noon + hour), await within(noon + hour), await within(noon + hour, noon + 3 * hour), await within(undefined, noon)], [[a], [b], [], []])
    const [first, ...rest] = listSegments(`${place.path}/r1/wal`)
    assert.ok(rest.length > 2)
    unlinkSync(`${place.path}/r1/wal/${first!.name}`)
    while (!at.index.advance(5));
    assert.deepEqual(told(await at.ask({})), scanned(everyRecord(place.path)))
  })

  test('an answer has a bound, and says so', async () => {
    using place = temporaryDirectory()
    await write(place.path, Array.from({ length: 8 }, (_, n) => ran(callerOf(`agent-${n}`, 'agent', `s-${n}`), statement('sql.select', { [`public.t${n}`]: 'read' }))).flat())
    using at = opened(place.path)
    const few = await lineageOf(at.search, { fields: {} }, 3)
    const found = Object.keys(told(few))
    assert.deepEqual([few.counted, found], ['more', [7, 6, 5].slice(0, found.length).map((n) => `agent-${n}|sql.select|reads public.t${n}`)])
    assert.ok(found.length > 1)
    assert.equal((await at.ask({})).counted, 'all')
  })

  test('what strangers call themselves changes nothing', async () => {
    using place = temporaryDirectory()
    const names = ['<img src=x onerror=alert(1)>', '\u202Egnp.exe', `x'); drop table traces; --`, 'a'.repeat(5_000), '"quoted".name', '\ud800 half', 'who match *']
    await write(place.path, names.flatMap((name) => ran(callerOf(name, 'agent', name), statement('sql.select', { [name]: 'read' }))))
    using at = opened(place.path)
    const lineage = await at.ask({})
    assert.equal(lineage.deeds.length, names.length)
    for (const { who } of lineage.deeds) assert.equal((await at.ask({}, { nodes: [who] })).deeds.length, 1)
    assert.equal((await at.ask({ who: names[2]! })).deeds.length, 1)
  })
})
