import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, chownSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { openJournal } from '../../src/audit/file-journal.ts'
import { checkProof } from '../../src/audit/proof.ts'
import { linesOf, listSegments, segmentOf } from '../../src/audit/segment.ts'
import { searchFields, type SearchField } from '../../src/audit/search/fields.ts'
import type { AuditQuestion } from '../../src/audit/search/question.ts'
import { BadNote, noteSigner } from '../../src/audit/signed-note.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Vote } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { openAuditIndex, type AuditIndex } from '../../src/stores/embedded/audit-index/audit-index.ts'
import { openAuditSearch } from '../../src/stores/embedded/audit-index/audit-search.ts'
import { until } from '../support/until.ts'
import { action, caller, finished, open, options, started, temporaryDirectory } from './audit-samples.ts'

/* What the index finds is compared with what a plain look at every line of the log finds. */

type Data = Record<string, unknown>

const walOf = (directory: string): string => `${directory}/r1/wal`
const everyRecord = (directory: string): Data[] => listSegments(walOf(directory)).flatMap(({ name }) => [...linesOf(`${walOf(directory)}/${name}`)].filter(({ whole }) => whole).map(({ text }) => JSON.parse(text) as Data))

/** How far back each thread of this process stands, as Linux counts it. */
const nices = (): ReadonlyMap<string, number> =>
  new Map(readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    return [thread, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])]
  }))

const indexed = (directory: string): AuditIndex => {
  const index = openAuditIndex(`${directory}/search.db`, directory)
  while (!index.advance(5));
  return index
}

const idsOf = (index: AuditIndex, question: AuditQuestion): string[] => {
  const ids: string[] = []
  for (let after: string | undefined, pages = 0; pages < 1_000; pages++) {
    const { records, next } = index.search(question, { limit: 7, ...(after === undefined ? {} : { after }) })
    ids.push(...records.map(({ id }) => id))
    if (next === undefined) return ids
    after = next
  }
  throw new Error('no end')
}

const asked = (fields: AuditQuestion['fields'], more: Omit<AuditQuestion, 'fields'> = {}): AuditQuestion => ({ fields, ...more })

const subject = (n: number) => ({ hold: `hold_${n}`, code: `CS-${n}AAA`, digest: action.digest })
const vote = (by: string, verdict: Vote['verdict'] = 'approve', reason?: string): Vote => ({ verdict, by: { issuer: 'https://idp.test', subject: by, kind: 'human', groups: ['oncall'], name: `${by} Example`, email: `${by}@example.org` }, channel: 'console', assurance: 'console', digest: action.digest, at: 1, ...(reason === undefined ? {} : { reason }) })
const terms = { requirements: [{ policy: 'orders', rule: 'delete', groups: ['oncall'], users: [], count: 1, assurance: 'console', sharesPeople: false }], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' } as const

const people = ['alice', 'bob', 'invoice-agent', 'Zoë', 'a.b@c', "x' OR 1=1 --", '"quoted"', 'AND', 'who : *', '\u202Eevil\u202C', '東京 太郎']
const tables = ['public.orders', 'public.customers', 'orders', '/v1/orders/7', 'public.order_items']

/** One action from its first record to its last, as far as it gets. */
const story = fc.record({ who: fc.constantFrom(...people), onBehalf: fc.option(fc.constantFrom(...people), { nil: undefined }), table: fc.constantFrom(...tables), tag: fc.constantFrom('pii', 'pii.email', 'public'), approver: fc.constantFrom(...people), held: fc.boolean(), steps: fc.integer({ min: 1, max: 5 }), reason: fc.constantFrom(undefined, 'ticket 4711', 'because; DROP TABLE found', 'naïve\u200B plan') })
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

const eventsOf = ({ who, onBehalf, table, tag, approver, held, steps, reason }: Story, n: number): AuditEvent[] => {
  const attempt = `try-${n}`
  const own = { attempt, caller: { ...caller, subject: who, onBehalfOf: onBehalf === undefined ? [] : [{ ...caller.onBehalfOf[0]!, subject: onBehalf }] }, action: { ...action, resources: [{ kind: 'table', name: table, access: 'write', tags: [tag] }], tags: [tag], shape: `orders sql.delete delete from ${table}` } } as const
  const decision = { verdict: held ? 'hold' : 'allow', matched: [{ policy: 'orders', rule: held ? 'delete' : 'read', then: held ? 'hold' : 'allow', at: 'orders.yaml:3', observed: false }], policyVersion: 'sha256:cd' } as const
  const all: AuditEvent[] = held
    ? [{ type: 'held', deadline: 1, terms, ...own, ...subject(n) }, { type: 'voted', vote: vote(approver, 'approve', reason), state: 'approved', ...subject(n) }, { type: 'released', attempt, votes: [vote(approver)], policyVersion: 'a', heldUnder: 'a', ...subject(n) }, { type: 'started', decision, hold: `hold_${n}`, ...own }, { type: 'finished', attempt, hold: `hold_${n}`, outcome: { result: 'executed', status: '200', ms: 1 } }]
    : [{ type: 'started', decision, ...own }, { type: 'finished', attempt, outcome: { result: 'failed', status: '500', ms: 1, cause: 'upstream said no' } }]
  return all.slice(0, steps)
}

/** Stories run into each other, each in its own order. */
const shuffled = (stories: readonly AuditEvent[][], order: readonly number[]): AuditEvent[] => {
  const left = stories.map((events) => [...events])
  const log: AuditEvent[] = []
  for (let at = 0; left.some((events) => events.length > 0); at++) {
    const open = left.filter((events) => events.length > 0)
    log.push(open[(order[at % order.length] ?? 0) % open.length]!.shift()!)
  }
  return log
}

/* The plain look. */

const simple = (text: string): string[] => text.normalize('NFKD').replace(/[\p{M}\p{Cf}]/gu, '').toLowerCase().split(/[^\p{L}\p{N}]+/u).flatMap((word) => (/\p{Script=Han}/u.test(word) ? [...word] : [word])).filter((word) => word !== '')
const stands = (value: string, question: string): boolean => ` ${simple(value).join(' ')} `.includes(` ${simple(question).join(' ')} `)
const strings = (value: unknown): string[] => (typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [])
const account = (value: Data | undefined): string[] => (value === undefined ? [] : ['issuer', 'subject', 'name', 'email'].flatMap((key) => strings(value[key])))

/** What one record says by itself. */
const saidBy = (record: Data, field: SearchField): string[] => {
  const [by, act, votes] = [record['caller'] as Data | undefined, record['action'] as Data | undefined, [record['vote'], ...((record['votes'] as Data[] | undefined) ?? [])].filter((one) => one !== undefined) as Data[]]
  const rules = [...(((record['decision'] as Data | undefined)?.['matched'] ?? []) as Data[]), ...(((record['terms'] as Data | undefined)?.['requirements'] ?? []) as Data[])]
  switch (field) {
    case 'who': return account(by)
    case 'for': return ((by?.['onBehalfOf'] ?? []) as Data[]).flatMap(account)
    case 'what': return strings([act?.['verb'], act?.['shape']])
    case 'service': return strings(act?.['service'])
    case 'on': return ((act?.['resources'] ?? []) as Data[]).flatMap(({ name }) => strings(name))
    case 'tag': return strings(act?.['tags'])
    case 'rule': return rules.map(({ policy, rule }) => `${String(policy)}/${String(rule)}`)
    case 'approver': return votes.flatMap((vote) => account(vote['by'] as Data))
    case 'case': return strings([record['attempt'], record['hold'], record['digest'], act?.['digest'], String(record['code']).startsWith('CS-') ? record['code'] : undefined])
    case 'type': return strings(record['type'])
    case 'outcome': return strings([(record['outcome'] as Data | undefined)?.['result'], (record['outcome'] as Data | undefined)?.['status'], (record['decision'] as Data | undefined)?.['verdict'], (record['vote'] as Data | undefined)?.['verdict'], record['state']])
  }
}

const inherited: readonly SearchField[] = ['who', 'for', 'what', 'service', 'on', 'tag', 'rule', 'approver', 'case']

const valuesOf = (records: readonly Data[], at: number, field: SearchField): string[] => {
  const record = records[at]!
  const before = records.slice(0, at).filter((other) => (record['hold'] !== undefined ? other['hold'] === record['hold'] : other['attempt'] === record['attempt']))
  const [own, earlier] = [saidBy(record, field), inherited.includes(field) ? before.flatMap((other) => saidBy(other, field)) : []]
  const actors = field === 'who' ? [record['vote'], ...((record['votes'] as Data[] | undefined) ?? [])].flatMap((vote) => account((vote as Data | undefined)?.['by'] as Data | undefined)) : []
  return [...own, ...earlier, ...actors]
}

const scan = (records: readonly Data[], { fields }: AuditQuestion): string[] =>
  records.flatMap((record, at) => (Object.entries(fields).every(([field, value]) => valuesOf(records, at, field as SearchField).some((one) => (value.startsWith('=') || field === 'case' ? simple(one).join() === simple(value).join() : stands(one, value)))) ? [String(record['id'])] : []))

const question = fc.dictionary(fc.constantFrom(...searchFields), fc.constantFrom(...people, ...tables, 'example', '=bob', '=public.orders', 'delete', 'pii', '=pii', 'orders/delete', '=hold_1', 'CS-2AAA', 'voted', 'executed', 'try-0', '=try-1', 'http.POST', 'delete from'), { minKeys: 1, maxKeys: 2 }).filter((fields) => Object.values(fields).every((value) => simple(value).length > 0))

const write = async (directory: string, events: readonly AuditEvent[]): Promise<void> => {
  await using journal = await open(directory, { segmentBytes: 6_000 })
  for (const event of events) await journal.append(event, 'written')
}

describe('searching the audit log', () => {
  test('finds what a plain look at every line finds, in the order of the log, page by page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(story, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }), fc.array(question, { minLength: 8, maxLength: 8 }), fc.nat(30), async (stories, order, questions, stop) => {
        using place = temporaryDirectory()
        const events = shuffled(stories.map(eventsOf), order)
        await write(place.path, events.slice(0, stop))
        { using _early = indexed(place.path) } // closed in the middle of the stories, and taken up again
        await write(place.path, events.slice(stop))
        using index = indexed(place.path)
        const records = everyRecord(place.path)
        for (const fields of questions) assert.deepEqual(idsOf(index, asked(fields)), scan(records, asked(fields)).toReversed(), JSON.stringify(fields))
        assert.equal(index.state().records, records.length)
      }),
      { numRuns: 40 },
    )
  })

  test('words stand anywhere, in quotes one after the other; a star is for how words go on', async () => {
    using place = temporaryDirectory()
    await write(place.path, eventsOf({ who: 'alice', onBehalf: undefined, table: 'public.orders', tag: 'pii', approver: 'bob', held: true, steps: 5, reason: 'ticket 4711' }, 1))
    using index = indexed(place.path)
    const types = (text: string): unknown[] => idsOf(index, asked({}, { text })).map((id) => (JSON.parse(index.record(id)!.text) as Data)['type'])
    assert.deepEqual(types('ticket 4711'), ['voted'])
    assert.deepEqual(types('"4711 ticket"'), [])
    assert.deepEqual(types('TICK* - orders'), ['voted'])
    assert.deepEqual(types('tick'), [])
    assert.deepEqual(types('bob@example.org executed'), ['finished'])
    assert.deepEqual(types('"unclosed'), [])
  })

  test('words that stand one after the other are told from words that are there, in few records and in many', async () => {
    using place = temporaryDirectory()
    const about = (n: number): string => (n % 3 === 0 ? 'public.orders.archive' : 'orders.public.archive')
    await write(place.path, Array.from({ length: 300 }, (_, n) => ({ ...started(`try-${n}`), action: { ...action, resources: [{ kind: 'table', name: about(n), access: 'read', tags: [] }] } }) as AuditEvent))
    using index = indexed(place.path)
    const count = (question: AuditQuestion): readonly number[] => [index.search(question, { limit: 200 }).count, idsOf(index, question).length]
    assert.deepEqual(count(asked({ on: 'public.orders' })), [100, 100])
    assert.deepEqual(count(asked({ on: 'public.ord*' })), [100, 100])
    assert.deepEqual(count(asked({ on: 'public.orders', case: 'try-3' })), [1, 1])
    assert.deepEqual(count(asked({ on: 'public.orders', case: 'try-4' })), [0, 0])
    assert.deepEqual(count(asked({ case: 'try-3' }, { text: '"public orders"' })), [1, 1])
    assert.deepEqual(count(asked({ case: 'try-4' }, { text: '"public orders"' })), [0, 0])
    assert.deepEqual(count(asked({ case: 'try-4' }, { text: '"public arch*"' })), [1, 1])
    assert.deepEqual(count(asked({ case: 'try-3' }, { text: '"public arch*"' })), [0, 0])
  })

  test('no text is anything but words to the index', async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a'), finished('a')])
    using index = indexed(place.path)
    for (const text of ['" OR "', 'f_who : alice', 'alice NEAR(bob)', "'; drop table entries; --", 'alice*bob', '^alice', 'a AND', '{f_who} : x', '\u202Ealice', '(((', 'x'.repeat(299), '_alice', 'rowid:1']) {
      try {
        index.search(asked({}, { text }), { limit: 5 })
        index.search(asked({ who: text }), { limit: 5 })
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === 'malformed', text)
      }
    }
    assert.equal(idsOf(index, asked({}, { text: '\u202Eali\u200Bce' })).length, 2)
    assert.equal(idsOf(index, asked({})).length, 2)
    for (const refused of [asked({}, { text: '---' }), asked({ who: '*' }), asked({}, { text: 'x'.repeat(301) }), asked({}, { text: 'a '.repeat(25) })]) assert.throws(() => index.search(refused, { limit: 5 }), { code: 'malformed' })
    assert.throws(() => index.search(asked({}), { limit: 5, after: '1 or 1=1' }), { code: 'malformed' })
  })

  test('from and to', async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a')])
    using index = indexed(place.path)
    const at = Date.parse(String(everyRecord(place.path)[0]!['time']))
    const count = (more: Omit<AuditQuestion, 'fields'>, fields: AuditQuestion['fields'] = {}): number => idsOf(index, asked(fields, more)).length
    assert.deepEqual([count({ from: at }), count({ from: at + 1 }), count({ to: at }), count({ to: at + 1 }), count({ from: at, to: at + 1 }, { who: 'invoice-agent' }), count({ to: at }, { who: 'invoice-agent' })], [1, 0, 0, 1, 1, 0])
  })

  test('a case is all that belongs together, in its order, by any of its names', async () => {
    using place = temporaryDirectory()
    const stories = [1, 2].map((n) => eventsOf({ who: 'alice', onBehalf: undefined, table: 'orders', tag: 'pii', approver: 'bob', held: true, steps: 5, reason: undefined }, n))
    await write(place.path, shuffled([...stories, [{ type: 'attached', attempt: 'again', caller, action, ...subject(1) }]], [0, 2, 1]))
    using index = indexed(place.path)
    const types = (name: string): unknown[] => index.caseOf(name).map(({ text }) => (JSON.parse(text) as Data)['type'])
    const whole = types('hold_1')
    assert.deepEqual(whole.toSorted(), ['attached', 'finished', 'held', 'released', 'started', 'voted'])
    assert.deepEqual([whole[0], whole.at(-1)], ['held', 'finished'])
    const [id] = index.caseOf('try-1').map((record) => record.id)
    for (const name of ['try-1', 'CS-1AAA', 'again', id!]) assert.deepEqual(types(name), whole, name)
    assert.deepEqual([types('try'), types('hold'), types('---'), types('no-such')], [[], [], [], []])
  })
})

describe('the index beside the log', () => {
  const searched = (directory: string): string[] => {
    using index = indexed(directory)
    return idsOf(index, asked({}))
  }
  const logged = (directory: string): string[] => everyRecord(directory).map(({ id }) => String(id)).toReversed()

  test('is made anew when it is deleted, damaged, or asked to', async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a'), finished('a'), started('b')])
    assert.deepEqual(searched(place.path), logged(place.path))
    for (const name of readdirSync(place.path).filter((one) => one.startsWith('search.db'))) unlinkSync(`${place.path}/${name}`)
    assert.deepEqual(searched(place.path), logged(place.path))
    writeFileSync(`${place.path}/search.db`, 'this is no database, and long enough to be taken for one'.repeat(200))
    assert.deepEqual(searched(place.path), logged(place.path))
    using index = indexed(place.path)
    index.rebuild()
    assert.deepEqual(idsOf(index, asked({})), [])
    while (!index.advance(5));
    assert.deepEqual(idsOf(index, asked({})), logged(place.path))
  })

  test('waits for the end of a line, passes what does not read, and follows a log that was cut', async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a'), finished('a')])
    const [segment] = listSegments(walOf(place.path))
    const path = `${walOf(place.path)}/${segment!.name}`
    using index = indexed(place.path)
    const [line] = [...linesOf(path)]
    const next = line!.text.replace('"id":"r1/1/0","seq":0', '"id":"r1/1/7","seq":7')
    appendFileSync(path, next.slice(0, 50))
    while (!index.advance(5));
    assert.equal(index.state().records, 2)
    appendFileSync(path, `${next.slice(50)}\nnot a record\n`)
    while (!index.advance(5));
    assert.deepEqual([index.state().records, index.state().unreadable, idsOf(index, asked({})).toSorted()], [3, 1, ['r1/1/0', 'r1/1/1', 'r1/1/7']])
    truncateSync(path, line!.text.length + 1)
    while (!index.advance(5));
    assert.deepEqual([idsOf(index, asked({})), index.state().unreadable], [['r1/1/0'], 0])
  })

  test('nothing that somebody wrote into the file ends the reading of it', async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a')])
    const path = `${walOf(place.path)}/${listSegments(walOf(place.path))[0]!.name}`
    const [line] = [...linesOf(path)]
    const as = (seq: number, more: string): string => `${line!.text.replace('"id":"r1/1/0","seq":0', `"id":"r1/1/${seq}","seq":${seq}`).slice(0, -1)},${more}}`
    const deep = `${'['.repeat(20_000)}1${']'.repeat(20_000)}`
    const poison = [as(1, '"time":5'), as(2, '"seq":"2"'), as(3, '"id":7'), as(4, '"prev":{}'), as(5, '"time":"9999-01-01T00:00:00.000Z"'), as(6, '"type":["x"]'), as(7, `"note":${deep}`), as(0, '"note":"again"'), as(8, '"caller":7,"action":[],"decision":"x","vote":[[]],"votes":{"a":1},"by":null,"outcome":3,"hold":{}')]
    appendFileSync(path, `${poison.join('\n')}\n${as(9, '"note":"after all of it"')}\n`)
    using index = indexed(place.path)
    assert.deepEqual(idsOf(index, asked({}, { text: '"after all of it"' })), ['r1/1/9'])
    assert.equal(index.state().unreadable, 8)
    assert.equal(index.search(asked({}), { limit: 50 }).records.length, 3)
    assert.equal(index.caseOf('a').length > 0, true)
  })

  test('forgets what was moved away', async () => {
    using place = temporaryDirectory()
    await write(place.path, Array.from({ length: 20 }, (_, n) => started(`try-${n}`)))
    using index = indexed(place.path)
    const segments = listSegments(walOf(place.path))
    assert.ok(segments.length > 2)
    rmSync(`${walOf(place.path)}/${segments[0]!.name}`)
    while (!index.advance(5));
    assert.deepEqual(idsOf(index, asked({})), logged(place.path))
    assert.deepEqual(idsOf(index, asked({ case: 'try-0' })), [])
  })

  test('replicas that share the directory are found together, and what one says of an action is known of what the other does', async () => {
    using place = temporaryDirectory()
    const [held, voted, released, ran, end] = eventsOf({ who: 'alice', onBehalf: undefined, table: 'public.orders', tag: 'pii', approver: 'bob', held: true, steps: 5, reason: undefined }, 1)
    await using one = await open(place.path, { replica: 'r1' })
    await using other = await open(place.path, { replica: 'r0' })
    for (const [journal, event] of [[one, held], [other, voted], [one, released], [one, ran], [one, end]] as const) {
      await journal.append(event!, 'written')
      const { time } = JSON.parse([...linesOf(`${place.path}/${journal === one ? 'r1' : 'r0'}/wal/${segmentOf(1, 0).name}`)].at(-1)!.text) as { time: string }
      await until('the next millisecond', () => Date.now() > Date.parse(time))
    }
    using index = indexed(place.path)
    await until('all of it', () => index.advance(5) && index.state().records === 5)
    assert.deepEqual(idsOf(index, asked({ approver: 'bob', on: 'public.orders' })), ['r1/1/3', 'r1/1/2', 'r1/1/1', 'r0/1/0'])
    assert.deepEqual(index.caseOf('CS-1AAA').map(({ id }) => id), ['r1/1/0', 'r0/1/0', 'r1/1/1', 'r1/1/2', 'r1/1/3'])
  })

  test('an index that root makes belongs to whom the log belongs to', { skip: process.getuid?.() !== 0 }, async () => {
    using place = temporaryDirectory()
    await write(place.path, [started('a')])
    chownSync(place.path, 65_534, 65_534)
    using index = indexed(place.path)
    for (const name of readdirSync(place.path).filter((file) => file.startsWith('search.db'))) assert.equal(statSync(`${place.path}/${name}`).uid, 65_534, name)
    assert.equal(index.state().records, 1)
  })

  test('two that read the same log do not do it twice', async () => {
    using place = temporaryDirectory()
    await write(place.path, eventsOf({ who: 'alice', onBehalf: undefined, table: 'orders', tag: 'pii', approver: 'bob', held: true, steps: 2, reason: undefined }, 1))
    using one = indexed(place.path)
    await write(place.path, eventsOf({ who: 'alice', onBehalf: undefined, table: 'orders', tag: 'pii', approver: 'bob', held: true, steps: 5, reason: undefined }, 1).slice(2, 3))
    using other = indexed(place.path)
    await write(place.path, [finished('try-1')])
    while (!one.advance(5));
    while (!other.advance(5));
    assert.equal(one.state().records, everyRecord(place.path).length)
    assert.equal(idsOf(one, asked({ approver: 'bob', type: 'finished' })).length, 1)
  })
})

describe('the index in its own thread', () => {
  test('answers with what was written a moment ago, refuses in words, and ends', async () => {
    using place = temporaryDirectory()
    await using journal = await open(place.path)
    const search = openAuditSearch(place.path, assert.fail)
    for (let n = 0; n < 20; n++) {
      await journal.append(started(`try-${n}`), 'written')
      const { records } = await search.search(asked({ case: `try-${n}` }), { limit: 5 })
      assert.deepEqual(records.map(({ id }) => id), [`r1/1/${n}`])
    }
    assert.equal((await search.caseOf('try-3')).length, 1)
    assert.equal(await search.record('r1/1/99'), undefined)
    assert.equal((await search.state()).records, 20)
    await assert.rejects(search.search(asked({}, { text: '---' }), { limit: 5 }), { code: 'malformed' })
    await search[Symbol.asyncDispose]()
    await assert.rejects(search.state(), { code: 'store-unavailable' })
  })

  test('gives way to the threads that serve actions', { skip: !existsSync('/proc/self/task') || getPriority() >= 10 }, async () => {
    using place = temporaryDirectory()
    const before = nices()
    await using search = openAuditSearch(place.path, assert.fail)
    await search.state()
    const began = [...nices()].filter(([thread]) => !before.has(thread))
    assert.deepEqual(began.filter(([, nice]) => nice !== getPriority()).map(([, nice]) => nice), [10])
    for (const [thread, nice] of before) assert.equal(nices().get(thread) ?? nice, nice)
  })

  test('a place that it cannot write to costs nothing but the answers', async () => {
    using place = temporaryDirectory()
    writeFileSync(`${place.path}/file`, '')
    const warned = Promise.withResolvers<string>()
    await using search = openAuditSearch(`${place.path}/file`, (_fields, message) => warned.resolve(message))
    assert.match(await warned.promise, /stopped/)
    await assert.rejects(search.state(), { code: 'store-unavailable' })
  })
})

describe('proofs by the index', () => {
  test('each record of a log is proved by subtrees that are kept, as by all leaves', async () => {
    using place = temporaryDirectory()
    const key = generateKeyPairSync('ed25519')
    const signer = noteSigner('prod', key.privateKey)
    const write = async (count: number): Promise<void> => {
      await using journal = await openJournal(options(place.path, { segmentBytes: 100_000 }), { now: Date.now, signer, checkpointMs: 1e6 })
      await Promise.all(Array.from({ length: count }, (_, n) => journal.append(started(`try-${n}`), 'written')))
    }
    await write(1_100)
    { using _early = indexed(place.path) }
    await write(300)
    using index = indexed(place.path)
    for (const id of ['r1/1/0', 'r1/1/1', 'r1/1/255', 'r1/1/256', 'r1/1/700', 'r1/1/1099', 'r1/2/0', 'r1/2/299']) {
      const found = index.prove(id)
      assert.ok(found !== undefined && found !== 'unsigned', id)
      assert.equal(checkProof(found.proof, found.record.text, [signer]).id, id)
    }
    assert.equal(index.prove('r1/1/1100'), 'unsigned') // the last checkpoint is of what stands before it
    assert.equal(index.prove('r1/9/0'), undefined)
  })

  test('what is missing or was changed proves nothing', async () => {
    using place = temporaryDirectory()
    const signer = noteSigner('prod', generateKeyPairSync('ed25519').privateKey)
    {
      await using journal = await openJournal(options(place.path), { now: Date.now, signer, checkpointMs: 1e6 })
      for (let n = 0; n < 5; n++) await journal.append(started(`try-${n}`), 'written')
    }
    const path = `${walOf(place.path)}/${listSegments(walOf(place.path))[0]!.name}`
    writeFileSync(path, readFileSync(path, 'latin1').replace('"attempt":"try-2"', '"attempt":"try-9"'))
    using index = indexed(place.path)
    for (const id of ['r1/1/1', 'r1/1/2']) {
      const found = index.prove(id)
      assert.ok(found !== undefined && found !== 'unsigned')
      assert.throws(() => checkProof(found.proof, found.record.text, [signer]), BadNote)
    }
    writeFileSync(path, readFileSync(path, 'latin1').split('\n').filter((_, at) => at !== 3).join('\n'))
    index.rebuild()
    while (!index.advance(5));
    assert.throws(() => index.prove('r1/1/1'), { code: 'not-found' })
  })
})
