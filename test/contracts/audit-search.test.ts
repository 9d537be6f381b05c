import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { openJournal } from '../../src/audit/file-journal.ts'
import { lineageOf, type Lineage } from '../../src/audit/lineage/lineage.ts'
import { checkProof } from '../../src/audit/proof.ts'
import type { AuditSearch } from '../../src/audit/search/audit-search.ts'
import type { AuditQuestion } from '../../src/audit/search/question.ts'
import { noteSigner } from '../../src/audit/signed-note.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { openAuditIndex } from '../../src/stores/embedded/audit-index/audit-index.ts'
import { openPostgresIndex } from '../../src/stores/postgres/audit-index/audit-index.ts'
import { openFleetSearch } from '../../src/stores/postgres/audit-index/audit-search.ts'
import { options, temporaryDirectory } from '../audit/audit-samples.ts'
import { carol, day, denied, held, invoiceAgent, ran, reportAgent, requestOf, statement, voteOf } from '../audit/lineage-story.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { until } from '../support/until.ts'

const noon = Date.UTC(2026, 0, 1, 12)
const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)

let server: TestPostgres
before(async () => void (server = await startPostgres({ settings: { log_statement: 'none' } })))
after(() => server[Symbol.asyncDispose]())

let count = 0
const freshSchema = (): string => `audit_${++count}`

const write = async (directory: string, events: readonly AuditEvent[], { at = noon, replica = 'r1' } = {}): Promise<void> => {
  let now = at
  await using journal = await openJournal({ ...options(directory), replica, segmentBytes: 8_000 }, { now: () => now++, signer, checkpointMs: 1e6 })
  for (const event of events) await journal.append(event, 'written')
}

interface Opened extends AsyncDisposable {
  readonly search: AuditSearch
  /** Reads all that is there. */
  readAll(): Promise<void>
}

const embedded = async (directory: string): Promise<Opened> => {
  const index = openAuditIndex(`${directory}/search.db`, directory)
  const search = Object.fromEntries((['search', 'record', 'caseOf', 'prove', 'traces', 'nodes', 'state'] as const).map((name) => [name, async (...args: readonly unknown[]) => (index[name] as (...given: readonly unknown[]) => unknown)(...args)])) as unknown as AuditSearch
  return { search, readAll: async () => { while (!index.advance(5)); }, [Symbol.asyncDispose]: async () => index[Symbol.dispose]() }
}

const fleet = async (directory: string, schema = freshSchema(), replica = 'r1'): Promise<Opened> => {
  const search = openPostgresIndex({ url: server.url, schema, directory, replica })
  return { search, readAll: async () => { while (!(await search.advance(5))); }, [Symbol.asyncDispose]: () => search[Symbol.asyncDispose]() }
}

/** A way to the server that can be cut. */
const startRelay = async (target: number) => {
  let isAway = false
  const sockets = new Set<Socket>()
  const relay = createServer((client) => {
    if (isAway) return void client.destroy()
    const upstream = connect(target, '127.0.0.1')
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other)
    }
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  return {
    port: (relay.address() as AddressInfo).port,
    away: () => { isAway = true; cut() },
    back: () => { isAway = false },
    [Symbol.asyncDispose]: async () => { relay.close(); cut(); await once(relay, 'close') },
  }
}

const idsOf = async (search: AuditSearch, question: AuditQuestion): Promise<string[]> => {
  const ids: string[] = []
  for (let after: string | undefined, pages = 0; pages < 100; pages++) {
    const { records, next } = await search.search(question, { limit: 7, ...(after === undefined ? {} : { after }) })
    ids.push(...records.map(({ id }) => id))
    if (next === undefined) return ids
    after = next
  }
  throw new Error('no end')
}

/** A map by names, whatever stands in which order. */
const told = ({ nodes, deeds, flows }: Lineage) => {
  const names = new Map(nodes.map(({ id, name }) => [id, name]))
  return {
    deeds: deeds.map(({ who, chain, action, touches, tallies, says, sessions }) => JSON.stringify([names.get(who), chain.map((id) => names.get(id)), names.get(action), touches.map(({ node, ...rest }) => [names.get(node), ...Object.values(rest)]), tallies, says.map(({ by, say, count: times, record }) => [names.get(by), say, times, record]).toSorted(), sessions.map((id) => names.get(id)).toSorted()])).toSorted(),
    flows: flows.map(({ from, to, through }) => [from, to, through].map((id) => names.get(id)).join(' ')).toSorted(),
  }
}

const questions: readonly AuditQuestion[] = [{ fields: {} }, { fields: { who: 'invoice-agent' } }, { fields: { who: '=invoice' } }, { fields: { who: 'inv*' } }, { fields: { for: 'alice', on: 'public.orders' } }, { fields: { approver: 'bob' } }, { fields: { on: 'orders' } }, { fields: { on: 'ord*' } }, { fields: { rule: '=customer-data/delete' } }, { fields: { type: 'voted' } }, { fields: { outcome: 'executed' } }, { fields: { case: 'CS-2AAA' } }, { fields: {}, text: 'ticket 4711' }, { fields: {}, text: '"4711 ticket"' }, { fields: {}, text: 'tick*' }, { fields: { what: 'sql.delete' }, text: 'DELETE' }, { fields: {}, from: noon + 3, to: noon + 9 }, { fields: { who: `x'); drop table records; --` } }, { fields: { who: `' | 'a` } }]

for (const [kind, make] of [['embedded', embedded], ['postgres', fleet]] as const) {
  describe(`the index of the audit log: ${kind}`, { concurrency: 1 }, () => {
    test('finds records by what is said of their action, page by page, with the whole of it', async () => {
      using place = temporaryDirectory()
      await write(place.path, day())
      await using at = await make(place.path)
      await at.readAll()
      const found = await at.search.search({ fields: { approver: 'bob', on: 'public.orders' } }, { limit: 50 })
      assert.deepEqual(found.records.map(({ text }) => (JSON.parse(text) as { type: string }).type), ['finished', 'started', 'released', 'voted'])
      assert.ok(found.records.every(({ summary }) => summary.who === 'invoice-agent' && summary.for === 'alice' && summary.outcome === 'executed' && summary.approvers[0]?.name === 'bob'))
      assert.deepEqual((await at.search.caseOf(found.records[0]!.id)).map(({ text }) => (JSON.parse(text) as { type: string }).type), ['decided', 'held', 'voted', 'released', 'started', 'finished'])
      const { records, bytes, ofBytes, unreadable } = await at.search.state()
      assert.deepEqual([records, bytes === ofBytes, unreadable], [day().length, true, 0])
      for (const fields of [{ who: '---' }, { on: 'x'.repeat(301) }]) await assert.rejects(at.search.search({ fields }, { limit: 1 }), (error) => error instanceof Refusal && error.code === 'malformed')
      assert.equal(await at.search.record('r1/1/99999'), undefined)
      assert.deepEqual(await at.search.caseOf('nothing-like-this'), [])
    })

    test('a record is proved to be one of those that were signed, and one that is not is not', async () => {
      using place = temporaryDirectory()
      await write(place.path, ran(invoiceAgent, statement('sql.select', { 'public.a': 'read' }), 350))
      await using at = await make(place.path)
      await at.readAll()
      for (const seq of [0, 1, 255, 256, 511, 512, 699]) {
        const proved = await at.search.prove(`r1/1/${seq}`)
        assert.ok(proved !== undefined && proved !== 'unsigned')
        assert.deepEqual(checkProof(proved.proof, proved.record.text, [signer]), { id: `r1/1/${seq}`, origin: 'prod/r1/1', size: 700 })
      }
      assert.equal(await at.search.prove('r1/1/701'), undefined)
      assert.equal(await at.search.prove('r1/1/700'), 'unsigned')
    })

    test('lineage: who touched what and who said yes', async () => {
      using place = temporaryDirectory()
      await write(place.path, day())
      await using at = await make(place.path)
      await at.readAll()
      const lineage = await lineageOf(at.search, { fields: { approver: 'bob', what: 'sql.delete' } })
      const names = new Map(lineage.nodes.map(({ id, name }) => [id, name]))
      assert.deepEqual(lineage.deeds.map(({ who, tallies, says }) => [names.get(who), tallies.executed, says.map(({ by, say }) => [names.get(by), say])]), [['invoice-agent', 1, [['bob', 'yes']]]])
      const [table] = await at.search.nodes('public.orders', 5)
      assert.ok(table !== undefined && (await at.search.nodes(table.id, 5))[0]?.name === table.name)
    })
  })
}

const actions = [statement('sql.select', { 'public.customers': 'read' }, ['public.customers.email']), statement('sql.delete', { 'public.orders': 'write' }), requestOf('POST', '/v1/orders/o-1/refund', '/v1/orders/*/refund')]
const some = fc.array(fc.tuple(fc.constantFrom(invoiceAgent, reportAgent, carol), fc.constantFrom(...actions), fc.constantFrom('ran', 'held', 'no', 'denied')), { minLength: 1, maxLength: 8 })

describe('the index of a fleet', { concurrency: 1 }, () => {
  test('both kinds answer the same, wherever reading was interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(some, fc.nat(30), async (steps, stop) => {
        using place = temporaryDirectory()
        const stories = steps.map(([caller, action, how]) => (how === 'ran' ? ran(caller, action) : how === 'denied' ? denied(caller, action) : held(caller, action, voteOf('bob', how === 'no' ? 'deny' : 'approve'))))
        const events = Array.from({ length: 6 }, (_, at) => stories.flatMap((story) => story[at] ?? [])).flat()
        const schema = freshSchema()
        await write(place.path, events.slice(0, stop))
        { await using early = await fleet(place.path, schema); await early.readAll() }
        await write(place.path, events.slice(stop), { at: noon + 3_600_000 })
        await using one = await embedded(place.path)
        await using other = await fleet(place.path, schema)
        for (const each of [one, other]) await each.readAll()
        for (const question of questions) assert.deepEqual(await idsOf(other.search, question), await idsOf(one.search, question), JSON.stringify(question))
        for (const fields of [{}, { who: 'invoice-agent' }, { on: 'public.orders' }, { approver: '=bob' }, { for: 'alice', what: 'sql.delete' }, { service: 'crm-db' }]) assert.deepEqual(told(await lineageOf(other.search, { fields })), told(await lineageOf(one.search, { fields })), JSON.stringify(fields))
      }),
      { numRuns: 12 },
    )
  })

  test('what one replica says of an action is known of what the other does, in whatever order it comes', async () => {
    using a = temporaryDirectory()
    using b = temporaryDirectory()
    const [decided, waits, voted, released, started, finished] = held(invoiceAgent, statement('sql.delete', { 'public.orders': 'write' }), voteOf('bob'))
    await write(a.path, [decided!, waits!], { replica: 'a' })
    await write(b.path, [voted!, released!, started!, finished!], { replica: 'b', at: noon + 100 })
    const schema = freshSchema()
    await using second = await fleet(b.path, schema, 'b')
    await second.readAll()
    assert.equal((await second.search.search({ fields: { who: 'invoice-agent', type: 'voted' } }, { limit: 9 })).count, 0)
    await using first = await fleet(a.path, schema, 'a')
    await first.readAll()
    for (const { search } of [first, second]) {
      const { records } = await search.search({ fields: { who: 'invoice-agent', on: 'public.orders' } }, { limit: 9 })
      assert.deepEqual(records.map(({ id }) => id), ['b/1/3', 'b/1/2', 'b/1/1', 'b/1/0', 'a/1/1', 'a/1/0'])
      const lineage = await lineageOf(search, { fields: { approver: 'bob' } })
      assert.deepEqual(lineage.deeds.map(({ tallies, says }) => [tallies.ran, tallies.executed, says.length]), [[1, 1, 1]])
    }
    const whole = await lineageOf(first.search, { fields: {} })
    assert.deepEqual([whole.deeds.length, whole.deeds[0]!.tallies], [1, { ran: 1, executed: 1, failed: 0, unknown: 0, held: 1, refused: 0 }])
    // Both at once, and again: nothing is counted twice.
    await Promise.all([first.readAll(), second.readAll()])
    assert.equal((await first.search.state()).records, 6)
  })

  test('what was taken away is made anew from the logs; what comes twice is there once', async () => {
    using place = temporaryDirectory()
    const schema = freshSchema()
    await write(place.path, day())
    await using at = await fleet(place.path, schema)
    await at.readAll()
    const before = told(await lineageOf(at.search, { fields: {} }))
    await server.query(`delete from ${schema}.positions`)
    await at.readAll()
    assert.deepEqual([told(await lineageOf(at.search, { fields: {} })), (await at.search.search({ fields: {} }, { limit: 200 })).count], [before, day().length])
    await server.query(`drop schema ${schema} cascade`)
    await assert.rejects(at.readAll())
    await at.readAll()
    assert.deepEqual(told(await lineageOf(at.search, { fields: {} })), before)
    await server.query(`update ${schema}.meta set version = 0`)
    await assert.rejects(at.readAll()) // somebody else is at it
    await using next = await fleet(place.path, schema)
    await next.readAll()
    assert.deepEqual(told(await lineageOf(next.search, { fields: {} })), before)
    // Replicas of an older version leave alone what a newer one has made.
    await server.query(`update ${schema}.meta set version = 1000`)
    await assert.rejects(next.readAll(), /newer version/)
    await using older = await fleet(place.path, schema)
    await assert.rejects(older.readAll(), /newer version/)
    assert.equal((await older.search.search({ fields: {} }, { limit: 200 })).count, day().length)
  })

  test('a role that owns its schema and may do nothing else is enough', async () => {
    using place = temporaryDirectory()
    await write(place.path, day())
    await server.query(`create role indexer login password 'x'; create schema owned authorization indexer; revoke create on schema public from public`)
    await using index = openPostgresIndex({ url: `postgres://indexer:x@127.0.0.1:${server.port}/postgres`, schema: 'owned', directory: place.path, replica: 'r1' })
    while (!(await index.advance(100)));
    assert.equal((await index.state()).records, day().length)
    assert.throws(() => openPostgresIndex({ url: server.url, schema: 'a"b', directory: place.path, replica: 'r1' }), /schema/)
  })

  test('nothing that somebody wrote into the file ends the reading of it', async () => {
    using place = temporaryDirectory()
    await write(place.path, [...ran(invoiceAgent, statement('sql.select', { 'nul\0name': 'read', '\ud800 half': 'read', ['x'.repeat(5_000)]: 'read' })), ...day()])
    await using at = await fleet(place.path)
    await at.readAll()
    assert.equal((await at.search.state()).records, day().length + 2)
    assert.equal((await lineageOf(at.search, { fields: { on: 'nul name' } })).deeds.length, 1)
  })

  test('a database that is away delays nobody, is told, and is read on into when it is back', async () => {
    using place = temporaryDirectory()
    using copy = temporaryDirectory()
    await using relay = await startRelay(server.port)
    await write(place.path, day())
    cpSync(place.path, copy.path, { recursive: true })
    const warnings: string[] = []
    await using search = openFleetSearch({ url: `postgres://postgres:postgres@127.0.0.1:${relay.port}/postgres`, schema: 'countersign_audit', directory: copy.path, replica: 'r1' }, (_fields, message) => void warnings.push(message))
    await until('all records', async () => (await search.state()).records === day().length)
    await assert.rejects(search.search({ fields: { who: '---' } }, { limit: 1 }), (error) => error instanceof Refusal && error.code === 'malformed')
    relay.away()
    await assert.rejects(search.state(), (error) => error instanceof Refusal && error.code === 'store-unavailable')
    relay.back()
    await until('an answer', () => search.state().then(({ records }) => records === day().length, () => false), 30_000)
  })
})
