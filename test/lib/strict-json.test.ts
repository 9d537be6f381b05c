import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonProblem, parseStrictJson } from '../../src/lib/strict-json.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('what JSON can say once is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }).filter((value) => !JSON.stringify(value).includes('__proto__') && JSON.stringify(value).isWellFormed()), (value) => {
      const text = JSON.stringify(value)
      fc.pre(!/\d{16}/.test(text)) // such a number may be read as another one
      // An escaped lone surrogate is well-formed text for something that is not.
      fc.pre(!/\\ud[89a-f]/i.test(text))
      assert.deepEqual(parseStrictJson(bytes(text)), JSON.parse(text))
    }),
    { numRuns: 300 },
  )
})

test('a key twice is refused wherever it stands and however it is spelled', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 5 }).filter((key) => key !== '__proto__' && key.isWellFormed()), fc.jsonValue({ maxDepth: 2 }), fc.nat(5), (key, between, depth) => {
      const escaped = `"${[...key].map((c) => [...Array(c.length).keys()].map((at) => `\\u${c.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')).join('')}"`
      const text = `${'[{"a":'.repeat(depth)}{${JSON.stringify(key)}:1,"between${key.length}x":${JSON.stringify(between)},${escaped}:2}${'}]'.repeat(depth)}`
      assert.throws(() => parseStrictJson(bytes(text)), JsonProblem)
    }),
    { numRuns: 200 },
  )
})

test('what parsers disagree on is refused', () => {
  for (const text of ['', ' ', '{"a":1', "{'a':1}", '[1,]', '{"__proto__":1}', '\uFEFF{}', '"\\ud800"', '{"a":1}{"b":2}', '[NaN]', '['.repeat(40) + ']'.repeat(40), '[9007199254740993]', '{"n":-9007199254740992}', '[123456789012345678901234567890]', '{"a":{"n":1e400}}', `1${'0'.repeat(400)}`]) assert.throws(() => parseStrictJson(bytes(text)), JsonProblem, text)
  assert.throws(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22)), JsonProblem)
  assert.deepEqual(parseStrictJson(bytes('[{"a":1},{"a":2},{"b":{"a":["a","a"]}}]')), [{ a: 1 }, { a: 2 }, { b: { a: ['a', 'a'] } }])
  assert.deepEqual(parseStrictJson(bytes('{"a":9007199254740991,"b":1000000000000000000000,"c":[1.5e3,-0,0.1],"d":"9007199254740993"}')), { a: 9007199254740991, b: 1e21, c: [1500, -0, 0.1], d: '9007199254740993' })
})
