import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { ReadingCache } from '../../../../src/protocols/postgres/sql/cache.ts'
import { makeParser, ParserFailure, SyntaxProblem } from '../../../../src/protocols/postgres/sql/parser.ts'
import { shortText } from '../../../../src/protocols/postgres/sql/long-turn.ts'
import { makeReader } from '../../../../src/protocols/postgres/sql/reader.ts'
import { nameBound, readWith } from '../../../../src/protocols/postgres/sql/read.ts'

const reader = await makeReader()
after(() => reader[Symbol.dispose]())

const chain = (terms: number): string => `SELECT 1${'+1'.repeat(terms)}`

describe('bounds of reading', () => {
  test('what takes too long, too much or too many is unknown, and everybody else is served', async () => {
    const hostile: Readonly<Record<string, string>> = {
      parentheses: `SELECT ${'('.repeat(10_000)}1${')'.repeat(10_000)}`,
      'too long a list': `SELECT * FROM t WHERE id IN (${'1,'.repeat(2_600_000)}1)`,
      'a list that takes too long': `SELECT * FROM t WHERE id IN (${'1,'.repeat(2_000_000)}1)`,
      negations: `SELECT ${'NOT '.repeat(20_000)}true`,
      concatenations: `SELECT 1${'||1'.repeat(50_000)}`,
      'many statements': 'SELECT 1;'.repeat(100_000),
    }
    for (const [name, sql] of Object.entries(hostile)) {
      const later = reader.readLater(sql)
      // The thread of this test is free meanwhile.
      assert.equal(reader.read('SELECT 1').problem, undefined)
      const { statements, problem } = await later
      assert.deepEqual([statements.length, statements[0]?.kinds, typeof problem], [1, ['unknown'], 'string'], name)
    }
    assert.equal((await reader.readLater(`SELECT ${'a, '.repeat(5_000)}b FROM t`)).statements[0]?.relations[0]?.name, 't')
  })

  test('each has a turn, and what nobody waits for is not read', async () => {
    using alone = await makeReader()
    const long = (name: string): string => `SELECT ${'a, '.repeat(5_000)}b FROM ${name}`
    const order: string[] = []
    const gone = new AbortController()
    const read = async (of: string, name: string, signal = new AbortController().signal) => {
      const reading = await alone.readLater(long(name), { of, gone: signal })
      order.push(name)
      return reading
    }
    const many = Array.from({ length: 12 }, (_, at) => read('many', `many_${at}`))
    const left = read('left', 'left', gone.signal)
    const few = read('few', 'few')
    gone.abort()
    const readings = await Promise.all(many)
    // One is being read, eight wait: the rest is turned away at once.
    assert.deepEqual(readings.map(({ problem }) => problem === undefined), [...Array.from({ length: 9 }, () => true), false, false, false])
    assert.match(readings.at(-1)!.problem ?? '', /too many/)
    assert.match((await left).problem ?? '', /nobody waits/)
    assert.equal((await few).problem, undefined)
    assert.ok(order.indexOf('few') < order.indexOf('many_2'), order.join())
  })

  test('a long text means what a short one means', async () => {
    const values = Array.from({ length: 3_000 }, (_, index) => `(${index}, 'a')`).join(', ')
    const { statements: [insert], problem } = await reader.readLater(`INSERT INTO t VALUES ${values}`)
    assert.deepEqual([insert?.kinds, insert?.relations, problem], [['insert'], [{ name: 't', access: 'write', whole: true }], undefined])
    const ids = Array.from({ length: 2_000 }, (_, index) => `id = ${index}`).join(' OR ')
    assert.equal((await reader.readLater(`DELETE FROM t WHERE ${ids}`)).statements[0]?.filtered, true)
    assert.equal((await reader.readLater(`DELETE FROM t WHERE ${ids} OR true`)).statements[0]?.filtered, false)
  })

  test('a long text is never read on the spot', () => {
    assert.equal(reader.read(`SELECT '${'x'.repeat(shortText)}'`).statements[0]?.kinds[0], 'unknown')
  })

  test('a text that names too much is not read', async () => {
    const parser = await makeParser()
    const columns = (many: number): string => `SELECT ${Array.from({ length: many }, (_, index) => `x${index}.id`).join(', ')} FROM t`
    assert.equal(readWith(parser, columns(nameBound - 1)).problem, undefined)
    await parser.ready()
    assert.match(readWith(parser, columns(nameBound)).problem ?? '', /names more than/)
    await parser.ready()
    assert.match(readWith(parser, Array.from({ length: 11 }, () => columns(1_000)).join('; ')).problem ?? '', /names more than/)
  })

  test('the deepest of the short texts are read by one parser for ever', async () => {
    const parser = await makeParser()
    for (let round = 0; round < 12; round++) {
      for (const deep of [chain((shortText - 10) / 2), `SELECT ${'NOT '.repeat((shortText - 16) / 4)}true`, `SELECT 1${'::int'.repeat((shortText - 10) / 5)}`, `SELECT ${'['.repeat(shortText - 10)}`, `SELECT ${'('.repeat(shortText - 10)}`]) {
        assert.ok(deep.length <= shortText)
        assert.doesNotThrow(() => readWith(parser, deep))
      }
    }
    // No instance was lost on the way: nobody waited for a spare.
    assert.deepEqual(readWith(parser, 'DELETE FROM t').statements[0]?.kinds, ['delete'])
  })

  test('a text that ruins its parser costs that instance and nobody else', async () => {
    const parser = await makeParser()
    for (let round = 0; round < 30; round++) {
      assert.throws(() => parser.statements(chain(20_000)), ParserFailure)
      assert.equal(parser.statements('SELECT 1').length, 1)
      await parser.ready()
    }
    assert.notEqual(process.exitCode, 1)
  })

  test('without a spare every text fails, until there is one', async () => {
    const parser = await makeParser()
    for (let spare = 0; spare < 3; spare++) assert.throws(() => parser.statements(chain(20_000)), ParserFailure)
    assert.throws(() => parser.statements('SELECT 1'), ParserFailure)
    assert.deepEqual(readWith(parser, 'SELECT 1').statements[0]?.kinds, ['unknown'])
    await parser.ready()
    assert.equal(parser.statements('SELECT 1').length, 1)
  })

  test("the parser's own errors cost nothing", async () => {
    const parser = await makeParser()
    for (let round = 0; round < 100; round++) assert.throws(() => parser.statements('SELECT FROM WHERE'), SyntaxProblem)
    assert.equal(parser.statements('SELECT 1').length, 1)
  })

  test('only so many long texts wait', async () => {
    using own = await makeReader()
    const readings = await Promise.all(Array.from({ length: 60 }, (_, index) => own.readLater(`SELECT ${'a,'.repeat(shortText)}${index}`)))
    const refused = readings.filter(({ problem }) => problem?.includes('too many long texts'))
    assert.ok(refused.length > 0 && refused.length < 60, String(refused.length))
    assert.ok(refused.every(({ statements }) => statements[0]?.kinds[0] === 'unknown'))
  })

  test('a reader that is closed reads no long texts', async () => {
    const own = await makeReader()
    const under = own.readLater(`SELECT ${'a,'.repeat(shortText)}1`)
    own[Symbol.dispose]()
    assert.match((await under).problem ?? '', /closed/)
    assert.match((await own.readLater(`SELECT ${'a,'.repeat(shortText)}1`)).problem ?? '', /closed/)
  })
})

describe('readings that come again', () => {
  const reading = { statements: [] }

  test('are kept from their second sight on', () => {
    const cache = new ReadingCache(1_000_000)
    cache.offer('SELECT 1', reading)
    assert.equal(cache.get('SELECT 1'), undefined)
    cache.offer('SELECT 1', reading)
    assert.equal(cache.get('SELECT 1'), reading)
    const [, second, third] = [1, 2, 3].map(() => reader.read('SELECT 5'))
    assert.equal(second, third)
  })

  test('are not pushed out by texts that come once', () => {
    const cache = new ReadingCache(20_000)
    for (const _ of [1, 2]) cache.offer('SELECT 1', reading)
    for (let index = 0; index < 5_000; index++) cache.offer(`SELECT ${index} FROM t`, reading)
    assert.equal(cache.get('SELECT 1'), reading)
  })

  test('take no more memory than they may, and those in use stay', () => {
    const cache = new ReadingCache(20_000)
    for (const _ of [1, 2]) cache.offer('SELECT 1', reading)
    for (let index = 0; index < 500; index++) {
      for (const _ of [1, 2]) cache.offer(`SELECT ${index} FROM t`, reading)
      assert.equal(cache.get('SELECT 1'), reading)
      assert.ok(cache.bytes <= 20_000)
    }
    assert.equal(cache.get('SELECT 0 FROM t'), undefined)
  })

  test('problems and long texts are never kept', () => {
    const cache = new ReadingCache(10_000_000)
    const long = 'x'.repeat(70_000)
    for (const _ of [1, 2, 3]) {
      cache.offer('SELECT', { statements: [], problem: 'no parser is ready' })
      cache.offer(long, reading)
    }
    assert.deepEqual([cache.get('SELECT'), cache.get(long)], [undefined, undefined])
  })
})
