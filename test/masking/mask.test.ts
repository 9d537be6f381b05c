import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { fitted, isMasked, LONGEST_MASK, LONGEST_MASKED, masked, stricter } from '../../src/masking/mask.ts'
import type { Mask } from '../../src/model/decision.ts'

const digest = (value: Uint8Array): string => hash('sha256', value)
const mask = (how: Exclude<Mask, 'none'>, text: string): string => masked(how, Buffer.from(text), digest)

test('what each mask makes of a value', () => {
  const of = (text: string): readonly string[] => [mask('redact', text), mask('partial', text)]
  assert.deepEqual(of('123-45-6789'), ['******', '****89'])
  assert.deepEqual(of('4111 1111 1111 1111'), ['******', '****1111'])
  assert.deepEqual(of('alice@example.com'), ['******', 'a****@e****.com'])
  assert.deepEqual(of('a@b'), ['******', '****'])
  assert.deepEqual(of(''), ['******', '****'])
  assert.deepEqual(of('12345'), ['******', '****'])
  assert.deepEqual(of('Jürgen Groß'), ['******', '****oß'])
})

test('equal values have equal hashes, and the key is the digest’s', () => {
  assert.equal(mask('hash', 'x'), mask('hash', 'x'))
  assert.notEqual(mask('hash', 'x'), mask('hash', 'y'))
  assert.match(mask('hash', 'x'), /^masked:[0-9a-f]{32}$/)
  assert.throws(() => masked('hash', Buffer.from('x'), () => 'short'))
})

test('a value that is too long is redacted, and a value in no encoding is masked too', () => {
  assert.equal(mask('hash', 'x'.repeat(LONGEST_MASKED + 1)), '******')
  assert.equal(mask('partial', 'x'.repeat(LONGEST_MASKED + 1)), '******')
  assert.equal(masked('partial', Buffer.from([0xff, 0xfe, 0x00]), digest), '****')
})

test('no mask shows more than four characters of the end or two of an address, keeps the length, or fails to be recognised', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.emailAddress()), fc.constantFrom('redact', 'hash', 'partial'), (text, how) => {
      const shown = mask(how, text)
      assert.ok(isMasked(shown), `${JSON.stringify(text)} became ${JSON.stringify(shown)}, which nobody recognises`)
      assert.ok(shown.length <= LONGEST_MASK)
      if (how === 'partial') assert.ok(shown.replaceAll('*', '').replace(/@|\.[A-Za-z]{2,16}$/g, '').length <= 8)
    }),
    { numRuns: 500 },
  )
})

test('a mask that does not fit is shortened to what is recognised still, or there is none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 40 }), fc.emailAddress()), fc.constantFrom('redact', 'hash', 'partial'), fc.integer({ min: 1, max: 60 }), (text, how, letters) => {
      const shown = fitted(mask(how, text), letters)
      assert.ok(shown === undefined ? letters < 4 : isMasked(shown) && [...shown].length <= letters)
    }),
    { numRuns: 500 },
  )
  assert.equal(fitted(mask('hash', 'x'), 30), mask('hash', 'x').slice(0, 30))
  assert.equal(fitted(mask('hash', 'x'), 22), '******')
})

test('what is no mask is not taken for one', () => {
  for (const text of ['', '*', '***', '**********', '5 ****', 'masked:', 'masked:ABC', 'SELECT ******', '*****', 'a@b.com']) assert.equal(isMasked(text), false, text)
  for (const text of ['******', ' ****** ', '****', '****89', 'a****@e****.com', `masked:${'0'.repeat(32)}`]) assert.equal(isMasked(text), true, text)
})

test('the stricter of two masks', () => {
  assert.equal(stricter('none', 'partial'), 'partial')
  assert.equal(stricter('hash', 'partial'), 'hash')
  assert.equal(stricter('hash', 'redact'), 'redact')
})
