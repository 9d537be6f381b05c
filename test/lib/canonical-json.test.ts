import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson } from '../../src/lib/canonical-json.ts'
import { Secret } from '../../src/lib/secret.ts'

describe('canonical JSON', () => {
  test('numbers, literals and strings as in section 3.2.2', () => {
    const value = { numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001], string: '\u20ac$\u000f\nA\'B"\\\\"/', literals: [null, true, false] }
    assert.equal(canonicalJson(value), '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}')
  })

  test('members by UTF-16 code units as in section 3.2.3', () => {
    const value = { '\u20ac': 'Euro Sign', '\r': 'Carriage Return', '\ufb33': 'Hebrew Letter Dalet With Dagesh', '1': 'One', '\ud83d\ude00': 'Emoji: Grinning Face', '\u0080': 'Control', '\u00f6': 'Latin Small Letter O With Diaeresis' }
    assert.deepEqual([...canonicalJson(value).matchAll(/:"([^"]*)"/g)].map((match) => match[1]), ['Carriage Return', 'One', 'Control', 'Latin Small Letter O With Diaeresis', 'Euro Sign', 'Emoji: Grinning Face', 'Hebrew Letter Dalet With Dagesh'])
  })

  test('doubles as in appendix B', () => {
    const doubles: readonly (readonly [string, string])[] = [
      ['0000000000000000', '0'], ['8000000000000000', '0'], ['0000000000000001', '5e-324'], ['8000000000000001', '-5e-324'], ['7fefffffffffffff', '1.7976931348623157e+308'], ['4340000000000000', '9007199254740992'],
      ['4430000000000000', '295147905179352830000'], ['44b52d02c7e14af5', '9.999999999999997e+22'], ['44b52d02c7e14af6', '1e+23'], ['444b1ae4d6e2ef4e', '999999999999999700000'], ['444b1ae4d6e2ef50', '1e+21'], ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'], ['3eb0c6f7a0b5ed8d', '0.000001'], ['41b3de4355555553', '333333333.3333332'],
    ]
    for (const [bits, text] of doubles) assert.equal(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE()), text)
  })

  test('refuses what would share a text with something else', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    const refused = [Number.NaN, Infinity, 1n, () => 1, Symbol('a'), undefined, new Date(0), new Map(), new Uint8Array(1), new ArrayBuffer(1), new Secret('x'), /a/, [undefined], Array(1), '\ud800', { '\udc00': 1 }, cycle]
    for (const [index, value] of refused.entries()) assert.throws(() => canonicalJson({ value: [value] }), Error, `item ${index}`)
    assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}')
  })

  test('says every JSON value, and the same whatever the order of its members', () => {
    const strings = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), fc.dictionary(strings, fc.integer()), (value, members) => {
        assert.equal(JSON.stringify(JSON.parse(canonicalJson(value))), JSON.stringify(value, (_, v: unknown) => (typeof v === 'object' && v !== null && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).toSorted(([a], [b]) => (a < b ? -1 : 1))) : v)))
        assert.equal(canonicalJson(Object.fromEntries(Object.entries(members).toReversed())), canonicalJson(members))
      }),
      { numRuns: 200 },
    )
  })
})
