import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fieldMask } from '../../../../src/protocols/postgres/rows/field-mask.ts'
import { MaskingWriter, type FieldMask } from '../../../../src/protocols/postgres/rows/masking-writer.ts'
import { CountingWriter, type RowWriter } from '../../../../src/protocols/postgres/rows/writer.ts'
import { maskedSlowly, rowOf } from './rows-of.ts'

const end = Buffer.from('C\0\0\0\x0dSELECT 1\0')
const digest = (value: Uint8Array): string => Buffer.from(value).toString('hex').padEnd(32, '0').slice(0, 32)
const redact = fieldMask('redact', 25, -1, digest)
const partial = fieldMask('partial', 25, -1, digest)
const hash = fieldMask('hash', 1043, 16, digest)
const nothing = fieldMask('redact', 23, -1, digest)

/** What the client gets, and what the writer left. As soon as the client has it, nothing of a chunk is there any more. */
const through = (writer: RowWriter, chunks: readonly Buffer[]): { readonly shown: Buffer; readonly left: Buffer } => {
  const [shown, left]: [Buffer[], Buffer[]] = [[], []]
  for (const bytes of chunks) {
    const chunk = Buffer.from(bytes)
    const out: Buffer[] = []
    const at = left.length > 0 ? 0 : writer.push(chunk, 0, out)
    shown.push(Buffer.concat(out))
    if (at < chunk.length) left.push(bytes.subarray(at))
    chunk.fill(0xee)
    if (writer.made !== undefined) new Uint8Array(writer.made).fill(0xee)
  }
  return { shown: Buffer.concat(shown), left: Buffer.concat(left) }
}

const cut = (bytes: Buffer, cuts: readonly number[]): readonly Buffer[] => {
  const places = [...new Set([0, ...cuts.map((place) => place % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b)
  return places.slice(1).map((place, at) => bytes.subarray(places[at], place))
}

const field = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)), { freq: 5 })
const masks = fc.constantFrom<FieldMask>(undefined, redact, partial, hash, nothing)
const results = fc.integer({ min: 0, max: 5 }).chain((width) =>
  fc.record({ masks: fc.array(masks, { minLength: width, maxLength: width }), rows: fc.array(fc.array(field, { minLength: width, maxLength: width }), { maxLength: 12 }), cuts: fc.array(fc.nat(), { maxLength: 30 }) }),
)

test('however the bytes are cut, the client gets what a slow implementation makes of them', () => {
  fc.assert(
    fc.property(results, ({ masks, rows, cuts }) => {
      const stream = Buffer.concat([...rows.map(rowOf), end])
      const writer = new MaskingWriter(masks, { left: Infinity })
      const { shown, left } = through(writer, cut(stream, cuts))
      assert.deepEqual(shown, maskedSlowly(rows, masks))
      assert.deepEqual(left, end)
      assert.equal(writer.rows, rows.length)
      assert.equal(writer.masked, rows.flat().length === 0 ? 0 : rows.reduce((sum, row) => sum + row.filter((value, at) => value !== null && masks[at] !== undefined).length, 0))
      assert.deepEqual([writer.open, writer.over], [false, false])
    }),
    { numRuns: 2000 },
  )
})

test('byte by byte', () => {
  const rows = [[Buffer.from('a'), Buffer.from('secret')], [null, Buffer.from('x'.repeat(300))], [Buffer.alloc(0), null]]
  const writer = new MaskingWriter([undefined, redact], { left: Infinity })
  const stream = Buffer.concat([...rows.map(rowOf), end])
  const { shown, left } = through(writer, Array.from(stream, (_, at) => stream.subarray(at, at + 1)))
  assert.deepEqual(shown, maskedSlowly(rows, [undefined, redact]))
  assert.deepEqual(left, end)
})

test('a row limit lets exactly so many rows pass and swallows the rest, however the bytes are cut', () => {
  fc.assert(
    fc.property(results, fc.nat({ max: 6 }), fc.boolean(), ({ masks, rows, cuts }, limit, masking) => {
      const stream = Buffer.concat([...rows.map(rowOf), end])
      const writer = masking ? new MaskingWriter(masks, { left: limit }) : new CountingWriter({ left: limit })
      const { shown, left } = through(writer, cut(stream, cuts))
      assert.deepEqual(shown, maskedSlowly(rows.slice(0, limit), masking ? masks : masks.map(() => undefined)))
      assert.deepEqual(left, end)
      assert.equal(writer.over, rows.length > limit)
      assert.equal(writer.rows, Math.min(rows.length, limit))
      assert.equal(writer.open, false)
    }),
    { numRuns: 1000 },
  )
})

test('results that share a limit share it', () => {
  const allowance = { left: 3 }
  const bytes = Buffer.concat([rowOf([Buffer.from('a')]), rowOf([Buffer.from('b')])])
  const [first, second] = [new CountingWriter(allowance), new MaskingWriter([redact], allowance)]
  first.push(bytes, 0, [])
  assert.equal(first.over, false)
  second.push(bytes, 0, [])
  assert.deepEqual([second.over, second.rows], [true, 1])
})

test('what is not changed is not copied', () => {
  const chunk = Buffer.concat([rowOf([Buffer.from('a'), null]), rowOf([Buffer.from('b'), null])])
  for (const writer of [new MaskingWriter([undefined, redact], { left: Infinity }), new CountingWriter({ left: Infinity })]) {
    const out: Buffer[] = []
    writer.push(chunk, 0, out)
    assert.equal(out.length, 1)
    assert.equal(out[0], chunk)
  }
})

test('memory of its own is told, so that it can be given back; what others have a part of is not', () => {
  const rowsOf = (many: number): Buffer => Buffer.concat(Array.from({ length: many }, () => rowOf([Buffer.from('alice@example.com'), Buffer.alloc(60, 'x')])))
  const writer = new MaskingWriter([redact, undefined], { left: Infinity })
  const out: Buffer[] = []
  writer.push(rowsOf(500), 0, out)
  assert.equal(out.length, 1)
  assert.equal(out[0]?.buffer, writer.made)
  writer.push(rowsOf(2), 0, out)
  assert.deepEqual([out.length, writer.made], [2, undefined])
})

test('runs of every length are copied whole', () => {
  for (let length = 0; length < 300; length++) {
    const rows = [1, 2].map((seed) => [Buffer.from('secret'), Buffer.from(Array.from({ length }, (_, at) => (at * 7 + seed) % 251)), Buffer.from('another'), null])
    const masks = [redact, undefined, hash, undefined]
    assert.deepEqual(through(new MaskingWriter(masks, { left: Infinity }), [Buffer.concat(rows.map(rowOf))]).shown, maskedSlowly(rows, masks))
  }
})

test('a cut row and those behind it become one piece', () => {
  const bytes = Buffer.concat([rowOf([Buffer.from('alice')]), rowOf([Buffer.from('bob')]), rowOf([Buffer.from('carol')])])
  const writer = new MaskingWriter([redact], { left: Infinity })
  const out: Buffer[] = []
  writer.push(bytes.subarray(0, 20), 0, [])
  writer.push(bytes.subarray(20), 0, out)
  assert.deepEqual(out, [maskedSlowly([[Buffer.from('bob')], [Buffer.from('carol')]], [redact])])
})

test('a row of any length passes without being kept; one that must be masked has a bound', () => {
  const head = Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff])
  const counting = new CountingWriter({ left: Infinity })
  const out: Buffer[] = []
  counting.push(head, 0, out)
  assert.deepEqual([counting.open, out.length], [true, 1])
  assert.throws(() => new MaskingWriter([redact], { left: Infinity }).push(head, 0, []), { code: 'too-large' })
  const swallowing = new MaskingWriter([redact], { left: 0 })
  swallowing.push(head, 0, [])
  assert.deepEqual([swallowing.over, swallowing.open], [true, true])
})

test('rows that are not well formed end it', () => {
  const other = rowOf([Buffer.from('a'), Buffer.from('b')])
  assert.throws(() => new MaskingWriter([redact], { left: Infinity }).push(other, 0, []), { code: 'upstream-unavailable' })
  const long = rowOf([Buffer.from('abc')])
  long.writeInt32BE(40, 7)
  assert.throws(() => new MaskingWriter([redact], { left: Infinity }).push(long, 0, []), { code: 'upstream-unavailable' })
  long.writeInt32BE(-2, 7)
  assert.throws(() => new MaskingWriter([redact], { left: Infinity }).push(long, 0, []), { code: 'upstream-unavailable' })
  for (const length of [0, 5]) assert.throws(() => new CountingWriter({ left: Infinity }).push(Buffer.from([0x44, 0, 0, 0, length]), 0, []), { code: 'upstream-unavailable' })
})

test('masks fit the type of their column', () => {
  const shown = (mask: FieldMask, value = 'alice@example.com'): string | null => {
    const bytes = typeof mask === 'function' ? mask(Buffer.from(value)) : mask
    return bytes === undefined || bytes.readInt32BE(0) === -1 ? null : bytes.toString('utf8', 4)
  }
  assert.equal(shown(fieldMask('redact', 25, -1, digest)), '******')
  assert.equal(shown(fieldMask('redact', 1043, 7, digest)), null, 'no mask has three letters')
  assert.equal(shown(fieldMask('redact', 1043, 8, digest)), '****')
  assert.equal(shown(fieldMask('redact', 1042, 13, digest)), '******   ')
  assert.equal(shown(fieldMask('partial', 1043, 9, digest)), '****')
  assert.equal(shown(fieldMask('partial', 25, -1, digest)), 'a****@e****.com')
  for (const type of [23, 17, 114, 3802, 1009, 1700, 18, 2249, 99_999]) assert.equal(shown(fieldMask('partial', type, -1, digest)), null, String(type))
  assert.equal(fieldMask('none', 25, -1, digest), undefined)
})
