import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import { defaultTargetRules, parseTarget, segmentsOf, stripPrefix } from '../../../../src/protocols/http/codec/target.ts'
import { work } from '../../../support/work.ts'

const keep = { ...defaultTargetRules, encodedSlash: 'keep' as const }
const refused = (raw: string, rules = defaultTargetRules): void => assert.throws(() => parseTarget(raw, rules), (error) => error instanceof Refusal && (error.code === 'malformed' || error.code === 'too-large'), JSON.stringify(raw))

/** Everything a decoder that undoes escapes once, or twice, could make of a path, with and without parameters. */
const steps = (path: string): boolean => path.split(/[/\\]/).some((segment) => ['.', '..'].includes((segment.split(';')[0] ?? '').trim()))

describe('request target', () => {
  test('an ordinary one is taken as it is', () => {
    assert.deepEqual(parseTarget('/v1/a.b/.well-known/...?x=%20&y=../..'), { raw: '/v1/a.b/.well-known/...?x=%20&y=../..', path: '/v1/a.b/.well-known/...', query: 'x=%20&y=../..' })
    assert.deepEqual(parseTarget('/'), { raw: '/', path: '/', query: '' })
    assert.deepEqual(parseTarget('/a?'), { raw: '/a?', path: '/a', query: '' })
    assert.deepEqual(parseTarget('/a?b?c'), { raw: '/a?b?c', path: '/a', query: 'b?c' })
  })

  test('only origin-form', () => {
    for (const raw of ['', '*', 'a', 'a/b', 'http://h/a', 'https://u@h/a', 'h:443', '?a', '#', '\\\\h\\a']) refused(raw)
  })

  test('dot segments in every spelling', () => {
    for (const dots of ['.', '..', '%2e', '%2E%2e', '.%2e', '%2e.', '..;', '..;a=b', '.;', '..%3bx', '%2e%2e%3B', '..%20', '.%20%20;x'])
      for (const shape of ['/a/@/b', '/@/b', '/a/@', '/@', '//@//b', '/a/@?q']) refused(shape.replace('@', dots))
    for (const raw of ['/a/..%2fb', '/a%2f..', '/a%2F%2e%2e%2Fb', '/..%2f..%2fb']) refused(raw, keep)
    for (const raw of ['/a..', '/..a', '/a./b', '/...', '/a;..', '/a;../b', '/.a', '/a/.;b.c'.replace('.;', 'x;')]) parseTarget(raw)
  })

  test('bytes that parsers disagree about', () => {
    for (const raw of ['/a\\b', '/a%5cb', '/a%5Cb', '/a b', '/a\tb', '/a\0b', '/a\x7fb', '/a\xe9', '/a\u0100', '/a#b', '/a?b#c', '/a?b\\c', '/a%00', '/a%0a', '/a%0D', '/a%7f', '/a?b=%00']) refused(raw)
    for (const raw of ['/a%2fb', '/a%2Fb', '/a%23b', '/a%3fb']) {
      refused(raw)
      assert.equal(parseTarget(raw, keep).raw, raw)
    }
    refused('/a%5cb', keep)
  })

  test('escapes that are no escapes or no UTF-8', () => {
    for (const tail of ['%', '%2', '%zz', '%u002e', '%c0%ae', '%e0%80%ae', '%ff', '%c3', '%ed%a0%80', '%f5%80%80%80']) {
      refused(`/a/${tail}`)
      refused(`/a?b=${tail}`)
    }
  })

  test('rules see each escape undone at most once, and one spelling of it', () => {
    assert.equal(parseTarget('/%41%2d%7e/%c3%a9/%253f').path, '/A-~/%C3%A9/%253f')
    assert.equal(parseTarget('/a/%252e%252e/b').raw, '/a/%252e%252e/b')
    assert.deepEqual(segmentsOf('//a//b/'), ['', 'a', '', 'b', ''])
  })

  test('a prefix goes at a segment boundary, and the rest is read again', () => {
    const strip = (raw: string) => stripPrefix(parseTarget(raw), '/api')?.raw
    assert.deepEqual(['/api/a?b', '/api', '/api?x', '/apix', '/api../a', '/%61pi/a', '/other'].map(strip), ['/a?b', '/', '/?x', undefined, undefined, undefined, undefined])
    assert.equal(stripPrefix(parseTarget('/api/a'), '/')?.raw, '/api/a')
    assert.equal(strip('/api//h/a'), '//h/a')
  })

  test('length is bounded, and work is linear in it', () => {
    refused(`/${'a'.repeat(8192)}`)
    const rules = { ...defaultTargetRules, maxBytes: 1_000_000 }
    const took = work(() => {
      for (const part of ['a/', '%61', '.a/', '..;'.slice(2), '%20', '/.a%20']) parseTarget(`/x${part.repeat(100_000)}`, rules)
    })
    assert.ok(took < 2_000)
  })

  const piece = fc.constantFrom('/', '//', '.', '..', '%2e', '%2E', ';', '%3b', 'a', 'B', '%41', '%2f', '%5c', '\\', '%', '%25', '%252e', '?', '#', '%20', 'x=y', '%c3%a9', '%00', '*', '{', '~')

  test('whatever is accepted holds no dot segment for any decoder that undoes it once, and both views are of the same bytes', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom(defaultTargetRules, keep), (pieces, rules) => {
        const raw = `/${pieces.join('')}`
        let target
        try {
          target = parseTarget(raw, rules)
        } catch (error) {
          assert.ok(error instanceof Refusal)
          return
        }
        assert.equal(target.raw, raw)
        const [rawPath = ''] = raw.split('?', 1)
        assert.equal(steps(target.path), false)
        assert.equal(steps(decodeURIComponent(rawPath)), false)
        assert.equal(decodeURIComponent(target.path), decodeURIComponent(rawPath))
        assert.equal(target.query, raw.includes('?') ? raw.slice(raw.indexOf('?') + 1) : '')
        // The view is a fixed point: reading it again changes nothing.
        assert.equal(parseTarget(target.path, rules).path, target.path)
      }),
      { numRuns: 3000 },
    )
  })
})
