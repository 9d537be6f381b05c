import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import { backend, backendRules } from '../../../../src/protocols/postgres/codec/backend.ts'
import { type FrameReader, makeFrameReader, makeFrameWalk } from '../../../../src/protocols/postgres/codec/frames.ts'
import { frontend, frontendRules } from '../../../../src/protocols/postgres/codec/frontend.ts'
import { message } from '../../../../src/protocols/postgres/codec/writing.ts'

const rules = frontendRules({ sqlBytes: 1_000, parameterBytes: 2_000 })
const serverRules = backendRules({ rowBytes: 5_000 })

const taken = (reader: FrameReader): string[] => {
  const found: string[] = []
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) found.push(`${String.fromCharCode(frame.type)}${frame.bytes.toString('hex')}`)
  return found
}

/** The bytes in pieces that end at the given places. */
const cut = (bytes: Buffer, places: readonly number[]): readonly Buffer[] => {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return ends.map((end, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], end))
}

const clientMessage = fc.oneof(
  fc.string({ maxLength: 200 }).map((sql) => message(frontend.query, `${sql.replaceAll('\0', '')}\0`)),
  fc.constant(message(frontend.sync)),
  fc.uint8Array({ maxLength: 900 }).map((bytes) => message(frontend.copyData, Buffer.from(bytes))),
)

const serverMessage = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => message(backend.dataRow, Buffer.from(bytes))),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => message(backend.copyData, Buffer.from(bytes))),
  fc.constant(message(backend.readyForQuery, 'I')),
  fc.constant(message(backend.commandComplete, 'SELECT 1\0')),
  fc.string({ maxLength: 100 }).map((text) => message(backend.notice, `M${text}\0\0`)),
)

const places = fc.array(fc.nat(100_000), { maxLength: 40 })

describe('frames', () => {
  test('any segmentation gives the same messages', () => {
    fc.assert(
      fc.property(fc.array(clientMessage, { maxLength: 12 }), places, (messages, at) => {
        const reader = makeFrameReader(rules)
        const found: string[] = []
        for (const piece of cut(Buffer.concat(messages), at)) {
          reader.feed(piece)
          found.push(...taken(reader))
        }
        assert.deepEqual(found, messages.map((one) => `${String.fromCharCode(one[0] ?? 0)}${one.toString('hex')}`))
        assert.equal(reader.kept, 0)
      }),
    )
  })

  test('byte by byte gives the same messages', () => {
    const messages = [message(frontend.query, 'SELECT 1\0'), message(frontend.sync), message(frontend.query, `${'x'.repeat(900)}\0`)]
    const reader = makeFrameReader(rules)
    const found: string[] = []
    for (const byte of Buffer.concat(messages)) {
      reader.feed(Buffer.from([byte]))
      found.push(...taken(reader))
    }
    assert.equal(found.length, 3)
  })

  for (const rowByRow of [false, true]) {
    test(`a walk ${rowByRow ? 'row by row' : 'in runs'} passes every byte once and in order, knows where messages end, and counts rows`, () => {
      fc.assert(
        fc.property(fc.array(serverMessage, { maxLength: 15 }), places, (messages, at) => {
          const walk = makeFrameWalk(serverRules, true)
          walk.rowByRow = rowByRow
          const all = Buffer.concat(messages)
          const edges = new Set(messages.reduce<number[]>((ends, one) => [...ends, (ends.at(-1) ?? 0) + one.length], []))
          const passed: Buffer[] = []
          let [rows, position] = [0, 0]
          const others: string[] = []
          for (const piece of cut(all, at)) {
            walk.feed(piece)
            while (walk.next()) {
              const step = Buffer.from(walk.chunk.subarray(walk.start, walk.end))
              assert.ok(step.length > 0)
              passed.push(step)
              position += step.length
              assert.equal(walk.whole, edges.has(position))
              const isRow = walk.type === backend.dataRow || walk.type === backend.copyData
              if (isRow && walk.type === backend.dataRow) rows += walk.rows
              if (!isRow) others.push(step.toString('hex'))
              if (rowByRow || !isRow) assert.ok(messages.some((one) => one.equals(step)))
            }
          }
          assert.deepEqual(Buffer.concat(passed), all)
          assert.equal(rows, messages.filter((one) => one[0] === backend.dataRow).length)
          assert.deepEqual(others, messages.filter((one) => one[0] !== backend.dataRow && one[0] !== backend.copyData).map((one) => one.toString('hex')))
        }),
      )
    })
  }

  test('a chunk of whole messages is passed on as it is, without a copy', () => {
    const chunk = Buffer.concat([message(backend.dataRow, Buffer.alloc(100)), message(backend.readyForQuery, 'I')])
    const walk = makeFrameWalk(serverRules, true)
    walk.feed(chunk)
    while (walk.next()) assert.equal(walk.chunk, chunk)
  })

  test('of a chunk that has been walked nothing is held', () => {
    const bytes = Buffer.concat([message(backend.dataRow, Buffer.alloc(100)), message(backend.commandComplete, 'SELECT 1\0'), message(backend.readyForQuery, 'I')])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const walk = makeFrameWalk(serverRules, true)
      const seen: Buffer[] = []
      for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        const chunk = Buffer.from(piece)
        walk.feed(chunk)
        while (walk.next()) seen.push(Buffer.from(walk.chunk.subarray(walk.start, walk.end)))
        assert.equal(walk.chunk.length, 0)
        chunk.fill(0xee)
      }
      assert.deepEqual(Buffer.concat(seen), bytes)
    }
  })

  test('behind whole rows one that cannot be is found, and they pass first', () => {
    const rows = Buffer.concat(Array.from({ length: 3 }, () => message(backend.dataRow, Buffer.alloc(20))))
    for (const impossible of ['4400000003', '44ffffffff']) {
      const walk = makeFrameWalk(serverRules, true)
      walk.feed(Buffer.concat([rows, Buffer.from(impossible, 'hex')]))
      assert.throws(() => walk.next(), { code: 'upstream-unavailable' })
      assert.equal(walk.end, rows.length)
    }
  })

  test('a row that only passes may be longer than one that is read', () => {
    const header = Buffer.from('4400800000', 'hex')
    const walk = makeFrameWalk(serverRules, true)
    walk.feed(header)
    assert.equal(walk.next(), true)
    assert.equal(walk.whole, false)
    const strict = makeFrameWalk(serverRules, true)
    strict.rowByRow = true
    strict.feed(header)
    assert.throws(() => strict.next(), { code: 'upstream-unavailable' })
  })

  for (const hex of ['5100000000', '510000000353', '51ffffffff', '5180000000', '5140000000', '7a00000004', '0000000008', '5300000005', '50ffffffff'])
    test(`an impossible beginning is malformed at once: ${hex}`, () => {
      const reader = makeFrameReader(rules)
      reader.feed(Buffer.from(hex, 'hex'))
      assert.throws(() => reader.next(), { code: 'malformed' })
    })

  test('an announced length is not believed before its bytes are here', () => {
    const reader = makeFrameReader(frontendRules({ sqlBytes: 2 ** 30, parameterBytes: 2 ** 30 }))
    const before = process.memoryUsage().arrayBuffers
    for (let n = 0; n < 64; n++) {
      const one = makeFrameReader(frontendRules({ sqlBytes: 2 ** 30, parameterBytes: 2 ** 30 }))
      one.feed(Buffer.from('5120000000', 'hex'))
      assert.equal(one.next(), undefined)
      assert.equal(one.kept, 5)
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 26)
    assert.equal(reader.kept, 0)
  })

  test('what is not read yet can be taken back', () => {
    const reader = makeFrameReader(rules)
    const bytes = Buffer.concat([message(frontend.sync), message(frontend.query, 'a\0'), Buffer.from('51', 'hex')])
    reader.feed(bytes)
    reader.next()
    assert.deepEqual(reader.rest(), bytes.subarray(5))
    const other = makeFrameReader(rules)
    other.feed(Buffer.from('5100', 'hex'))
    assert.equal(other.next(), undefined)
    assert.deepEqual(other.rest(), Buffer.from('5100', 'hex'))
  })

  test('random bytes end in messages or in our own refusal', () => {
    for (const [name, theirs, code] of [['client', rules, 'malformed'], ['server', serverRules, 'upstream-unavailable']] as const)
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 10 }), (pieces) => {
          const walk = makeFrameWalk(theirs, name === 'server')
          try {
            for (const piece of pieces) {
              walk.feed(Buffer.from(piece))
              while (walk.next()) assert.ok(walk.end > walk.start)
            }
          } catch (error) {
            assert.ok(error instanceof Refusal && error.code === code)
          }
        }),
      )
  })
})
