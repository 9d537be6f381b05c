import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import type { Frame } from '../../../../src/protocols/postgres/codec/frame.ts'
import { decodeFrontend, frontend } from '../../../../src/protocols/postgres/codec/frontend.ts'
import { cancelRequest, startupPacket, takeFirstPacket } from '../../../../src/protocols/postgres/codec/greeting.ts'
import { passwordMessage, readBearer, readPassword, readSaslInitial, saslInitialResponse } from '../../../../src/protocols/postgres/codec/proof.ts'
import { readFields, readKeyData, readNegotiation, readParameterStatus, rowsOf } from '../../../../src/protocols/postgres/codec/backend.ts'
import { errorResponse, keyData, negotiateProtocolVersion, parameterStatus } from '../../../../src/protocols/postgres/codec/reply.ts'
import { int16, int32, joined, message } from '../../../../src/protocols/postgres/codec/writing.ts'
import { plainly, readAs } from './reading.ts'

interface Line {
  readonly from: 'first' | 'client' | 'password' | 'sasl' | 'server'
  readonly hex: string
  readonly means: unknown
}

/** Most of it has been recorded between node-postgres and PostgreSQL 15. */
const transcript = JSON.parse(readFileSync(join(import.meta.dirname, 'transcript.json'), 'utf8')) as readonly Line[]

const frameOf = (bytes: Buffer): Frame => ({ type: bytes[0] ?? 0, bytes })
const malformed = { name: 'Refusal', code: 'malformed' }

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', '').replaceAll('\ufffd', ''))

/** The same message with another body, its length put right. */
const withBody = (bytes: Buffer, body: Buffer): Buffer => message(bytes[0] ?? 0, body)

describe('messages', () => {
  test('the transcript means what it meant', () => {
    for (const { from, hex, means } of transcript) assert.deepEqual(plainly(readAs(from, Buffer.from(hex, 'hex'))), means, hex)
  })

  test('a byte too many or too few is never overlooked', () => {
    for (const { from, hex } of transcript) {
      const bytes = Buffer.from(hex, 'hex')
      const body = bytes.subarray(5)
      const free = from === 'server' ? /^(?:52000000..0000000[abc]|4b|520000000800000007)/.test(hex) : bytes[0] === frontend.copyData || from === 'first'
      if (free) continue
      assert.throws(() => readAs(from, withBody(bytes, Buffer.concat([body, Buffer.from([1])]))), { name: 'Refusal' }, `${hex} and a byte`)
      if (body.length > 0) assert.throws(() => readAs(from, withBody(bytes, body.subarray(0, -1))), { name: 'Refusal' }, `${hex} without its last byte`)
    }
  })

  test('a Query, Parse, Bind means what was written', () => {
    fc.assert(
      fc.property(text, text, text, fc.array(fc.nat(2 ** 32 - 1), { maxLength: 5 }), fc.array(fc.option(fc.uint8Array({ maxLength: 20 })), { maxLength: 5 }), (name, other, sql, types, values) => {
        assert.deepEqual(decodeFrontend(frameOf(message(frontend.query, `${sql}\0`))), { type: 'query', sql })
        const parse = message(frontend.parse, `${name}\0${sql}\0`, int16(types.length), ...types.map(int32))
        assert.deepEqual(plainly(decodeFrontend(frameOf(parse))), { type: 'parse', name, sql, parameterTypes: types })
        const written = values.flatMap((value) => (value === null ? [int32(-1)] : [int32(value.length), Buffer.from(value)]))
        const bind = decodeFrontend(frameOf(message(frontend.bind, `${name}\0${other}\0`, int16(1), int16(1), int16(values.length), ...written, int16(0))))
        assert.deepEqual(plainly(bind), { type: 'bind', portal: name, statement: other, parameterFormats: [1], parameters: values.map((value) => value && Buffer.from(value).toString('hex')), resultFormats: [] })
      }),
    )
  })

  for (const [why, frame] of [
    ['text that is not UTF-8', message(frontend.query, Buffer.from('53454cff00', 'hex'))],
    ['UTF-8 of a surrogate', message(frontend.query, Buffer.from('eda08000', 'hex'))],
    ['an overlong NUL', message(frontend.query, Buffer.from('c08000', 'hex'))],
    ['a NUL inside the text', message(frontend.query, 'select 1\0; drop table t\0')],
    ['no NUL at the end', message(frontend.query, 'select 1')],
    ['a text that ends in the next message', message(frontend.query)],
    ['formats that do not fit', message(frontend.bind, '\0\0', int16(2), int16(0), int16(0), int16(1), int32(-1), int16(0))],
    ['a format that is none', message(frontend.bind, '\0\0', int16(1), int16(2), int16(0), int16(0))],
    ['a negative length', message(frontend.bind, '\0\0', int16(0), int16(1), int32(-2), int16(0))],
    ['a value longer than the message', message(frontend.bind, '\0\0', int16(0), int16(1), int32(0x7fffffff), int16(0))],
    ['more values than there are', message(frontend.bind, '\0\0', int16(0), int16(65_535), int16(0))],
    ['a target that is none', message(frontend.describe, 'X\0')],
    ['words behind Sync', message(frontend.sync, 'x')],
    ['an unknown type', message(0x7a)],
  ] as const)
    test(`malformed: ${why}`, () => assert.throws(() => decodeFrontend(frameOf(frame)), malformed))

  test('U+FFFD that was really sent stays', () => {
    assert.deepEqual(decodeFrontend(frameOf(message(frontend.query, "select '\ufffd'\0"))), { type: 'query', sql: "select '\ufffd'" })
    assert.deepEqual(decodeFrontend(frameOf(message(frontend.query, '\ufeffselect 1\0'))), { type: 'query', sql: '\ufeffselect 1' })
  })

  test('random bodies end in a message or in our own refusal', () => {
    const types = [...Object.values(frontend), 0x7a, 0]
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...(['first', 'client', 'password', 'sasl', 'server'] as const)), (type, body, from) => {
        try {
          readAs(from, from === 'first' ? Buffer.from(body) : message(type, Buffer.from(body)))
        } catch (error) {
          assert.ok(error instanceof Refusal)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('what we say to a client is read as it was meant', () => {
    fc.assert(
      fc.property(text, text, fc.uint8Array({ minLength: 4, maxLength: 256 }), (a, b, key) => {
        assert.deepEqual(readFields(frameOf(errorResponse(new Map([['M', a], ['H', b]])))), new Map([['M', a], ['H', b]]))
        assert.deepEqual(readParameterStatus(frameOf(parameterStatus(a, b))), { name: a, value: b })
        assert.deepEqual(plainly(readKeyData(frameOf(keyData(-5, Buffer.from(key))))), { pid: -5, key: Buffer.from(key).toString('hex') })
        assert.deepEqual(readNegotiation(frameOf(negotiateProtocolVersion(2, [a, b]))), { minor: 2, options: [a, b] })
        assert.equal(readPassword(frameOf(passwordMessage(a))), a)
        assert.deepEqual(plainly(readSaslInitial(frameOf(saslInitialResponse('X', b)))), { mechanism: 'X', data: Buffer.from(b).toString('hex') })
        assert.deepEqual(plainly(takeFirstPacket(cancelRequest(7, Buffer.from(key)))), { packet: { type: 'cancel', pid: 7, key: Buffer.from(key).toString('hex') }, end: 12 + key.length })
      }),
    )
  })

  test('no text of ours can hold a NUL that would begin another field', () => {
    assert.throws(() => errorResponse(new Map([['M', 'a\0Hb']])), Error)
    assert.throws(() => parameterStatus('a', 'b\0'), Error)
  })

  describe('first packets', () => {
    test('come whole or not yet', () => {
      const packet = startupPacket(2, [['user', 'a'], ['database', 'd']])
      for (let length = 0; length < packet.length; length++) assert.equal(takeFirstPacket(packet.subarray(0, length)), undefined)
      assert.equal(takeFirstPacket(Buffer.concat([packet, Buffer.from('rest')]))?.end, packet.length)
    })

    for (const [why, hex] of [
      ['too long', '7fffffff00030000'], ['longer than a server takes', '0000271100030000'], ['too short', '0000000700030000'], ['no end', '0000000c0003000061006200'], ['words behind the end', '0000000a000300000000'],
      ['a name without a value', '0000000a000300006100'], ['a request for TLS with more in it', '0000000904d2162f00'], ['a key of three bytes', '0000000f04d2162e0000007b010203'], ['an unknown request', '0000000804d21631'],
      ['one name twice', '0000000f000300006100620061006300'.replace('0000000f', '00000011') + '00'],
    ] as const)
      test(`malformed: ${why}`, () => assert.throws(() => takeFirstPacket(Buffer.concat([Buffer.from(hex, 'hex')])), malformed))

    test('a key that is longer than 256 bytes is none', () => assert.throws(() => takeFirstPacket(cancelRequest(1, Buffer.alloc(257))), malformed))
  })

  describe('OAUTHBEARER', () => {
    const read = (value: string): string => readBearer(Buffer.from(value.replaceAll('^', '\u0001')))
    test('carries one token, or asks where to get one', () => {
      assert.equal(read('n,,^auth=Bearer a.b-c_d==^^'), 'a.b-c_d==')
      assert.equal(read('y,,^host=h^port=1^auth=bearer x^^'), 'x')
      assert.equal(read('n,,^auth=^^'), '')
    })
    for (const wrong of ['', 'n,,', 'n,,^^', 'n,,^auth=Bearer x^', 'p=tls,,^auth=Bearer x^^', 'n,a=root,^auth=Bearer x^^', 'n,,^auth=Basic x^^', 'n,,^auth=Bearer x y^^', 'n,,^auth=Bearer x^auth=Bearer y^^', 'n,,^auth=Bearer x^^^', 'n,,^auth=Bearer x^9=1^^'])
      test(`malformed: ${wrong}`, () => assert.throws(() => read(wrong), malformed))
  })

  test('a command tag counts rows where it does', () => {
    assert.deepEqual(['UPDATE 3', 'INSERT 0 12', 'SELECT 0', 'BEGIN', 'CREATE TABLE', 'COPY 5'].map(rowsOf), [3, 12, 0, undefined, undefined, 5])
  })
})

test('what is joined is the same bytes in the same order, in as few pieces as lie apart', () => {
  const whole = Buffer.from('abcdefgh')
  const shown = (...pieces: readonly Buffer[]): readonly string[] => joined(pieces).map(String)
  assert.deepEqual(shown(), [])
  assert.deepEqual(shown(whole.subarray(0, 2), whole.subarray(2, 5), whole.subarray(5)), ['abcdefgh'])
  assert.deepEqual(shown(whole.subarray(0, 2), whole.subarray(3, 5), whole.subarray(5, 6)), ['ab', 'def'])
  assert.deepEqual(shown(whole.subarray(4), whole.subarray(0, 4)), ['efgh', 'abcd'])
  assert.deepEqual(shown(whole.subarray(0, 1), Buffer.from('x'), whole.subarray(1, 3), whole.subarray(3, 3), whole.subarray(3, 4)), ['a', 'x', 'bcd'])
})
