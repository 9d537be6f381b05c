import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import { defaultJsonRules, parseJson, parseJsonText } from '../../../../src/protocols/http/codec/json.ts'

const refused = (text: string | Uint8Array, rules = defaultJsonRules): void => assert.throws(() => (typeof text === 'string' ? parseJsonText(text, rules) : parseJson(text, rules)), (error) => error instanceof Refusal && error.code === 'malformed', String(text).slice(0, 100))
/** With ordinary prototypes, for comparison. */
const same = (text: string): void => assert.deepEqual(JSON.parse(JSON.stringify(parseJsonText(text, { ...defaultJsonRules, caseVariants: 'allow' }))), JSON.parse(text), text)

describe('strict JSON', () => {
  test('what everybody reads the same way', () => {
    for (const text of ['null', ' true ', 'false', '""', '"\\u00e9\\n\\"\\\\\\/\\ud83d\\ude00"', '[]', '{}', '[ 1 , -2 , 0 , 1.5 , 1e3, 1E-2, 1.0 ]', '{"a":{"b":[{"c":null}]},"d":""}', '\n\t\r {"a" : 1 }\n', '"\u2028\u00e9"']) same(text)
  })

  test('what is no JSON', () => {
    for (const text of ['', ' ', 'nul', 'nulll', 'undefined', '{', '[', '[1', '[1,', '[1,]', '[,1]', '{"a"}', '{"a":}', '{"a":1,}', '{,}', '{a:1}', "{'a':1}", '"', '"\\', '"\\x"', '"\\u12"', '"\t"', '"\u0000"', '01', '-', '+1', '1.', '.5', '1e', '1e+', '--1', '1-1', '0x1', 'NaN', 'Infinity', '-Infinity', '1 2', '{} {}', '[]x', '// c\n1', '/* */1', '\ufeff1', '\u00a01', '[1}', '{"a":1]', '1,']) refused(text)
  })

  test('keys that a reader could choose between', () => {
    for (const text of ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"x":{"id":1,"b":2,"id":1}}', '[{"":1,"":2}]', '{"__proto__":1,"__proto__":2}']) refused(text)
    for (const text of ['{"name":1,"Name":2}', '{"a":0,"b":0,"NAME":1,"name":2}', '{"k":1,"\u212a":2}', '{"s":1,"\u017f":2}', '{"\u00e9":1,"\u00c9":2}']) {
      refused(text)
      same(text)
    }
    same('{"a":1,"b":{"A":2}}')
  })

  test('no key is special', () => {
    const value = parseJsonText('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"a":1}') as Record<string, unknown>
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor', 'a'])
    assert.equal(({} as Record<string, unknown>)['admin'], undefined)
    assert.equal(value['admin'], undefined)
    assert.equal('toString' in (parseJsonText('{}') as object), false)
    assert.throws(() => Object.assign(Object.getPrototypeOf(value), { admin: true }))
  })

  test('numbers that a double keeps', () => {
    for (const text of ['9007199254740991', '-9007199254740991', '0.1', '1e30', '1E+2', '123456.789', '1.50', '100e-2', '5e-324', '1.7976931348623157e308', '-0', '0.0', '0e5', '1000000000000000000000', '-1000000000000000000000']) assert.equal(parseJsonText(text), Number(text))
    for (const text of ['9007199254740993', '9007199254740992', '-9007199254740993', '1e400', '-1e400', '1e-400', '0.1000000000000000055511151231257827', '1152921504606846977.0', '123456789012345678901234567890', `1${'0'.repeat(400)}`, '3.0000000000000000001']) refused(text)
  })

  test('bytes', () => {
    assert.equal(parseJson(Buffer.from('"\u00e9"')), '\u00e9')
    for (const bytes of [Buffer.from('\ufeff{}'), Buffer.from([0x22, 0xff, 0x22]), Buffer.from([0x22, 0xc0, 0xaf, 0x22]), Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), Buffer.from('{}', 'utf16le')]) refused(bytes)
    for (const text of ['"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}']) refused(text)
  })

  test('depth and size', () => {
    same(`${'['.repeat(64)}${']'.repeat(64)}`)
    refused(`${'['.repeat(65)}${']'.repeat(65)}`)
    refused('['.repeat(1_000_000))
    refused(`{"a":${'{"a":'.repeat(100_000)}`)
    refused(`[${'1,'.repeat(100_000)}1]`)
  })

  test('agrees with JSON.parse on everything it accepts', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'grapheme' }), (text) => {
        let value
        try {
          value = parseJsonText(text, { ...defaultJsonRules, caseVariants: 'allow' })
        } catch (error) {
          assert.ok(error instanceof Refusal)
          return
        }
        assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)))
      }),
      { numRuns: 300 },
    )
  })

  test('accepts nothing that JSON.parse refuses, and refuses only for a reason of its own', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '"A"', '"', '\\', 'u0061', '1', '-', '0', '.', 'e', '+', 'true', 'null', ' ', '\n', '\u00e9')
    let accepted = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const text = pieces.join('')
        const ours = attempt(() => parseJsonText(text))
        const theirs = attempt(() => JSON.parse(text) as unknown)
        if (ours !== undefined) {
          accepted++
          assert.equal(JSON.stringify(ours), JSON.stringify(theirs))
        } else if (theirs !== undefined) assert.match(text, /"a".*"a"|"a".*"A"|"A".*"a"|"A".*"A"|\de|\./is)
      }),
      { numRuns: 5000 },
    )
    assert.ok(accepted > 50)
  })
})

const attempt = (run: () => unknown): unknown => {
  try {
    return run()
  } catch {
    return undefined
  }
}
