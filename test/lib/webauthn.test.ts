import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { canHavePasskeys, checkAssertion, checkRegistration, PasskeyProblem } from '../../src/lib/webauthn.ts'
import { softPasskey, type How } from '../support/authenticator.ts'

const origin = 'https://approvals.example.org'
const challenge = randomBytes(32)
const here = { origin, challenge }
const refused = (work: () => unknown, why: RegExp): void => assert.throws(work, (error) => error instanceof PasskeyProblem && why.test(error.message))

describe('a new passkey', () => {
  for (const kind of ['ES256', 'EdDSA', 'RS256'] as const)
    test(`of ${kind} is taken, and its signatures are known again`, () => {
      const passkey = softPasskey(kind)
      const made = checkRegistration(passkey.create(here), here)
      assert.deepEqual([Buffer.from(made.id), made.counter, made.synced], [passkey.id, 1, false])
      assert.equal(checkRegistration(passkey.create({ ...here, flags: 0xdd, extensions: Buffer.from('a16b6372656450726f7465637402', 'hex') }), here).synced, true)
      passkey.counter = 7
      assert.deepEqual(checkAssertion(passkey.get(here), passkey.publicKey, here), { counter: 7 })
      assert.deepEqual(checkAssertion(passkey.get({ ...here, flags: 0x85, extensions: Buffer.of(0xa0) }), passkey.publicKey, here), { counter: 7 })
    })

  test('is refused where anything is not as it must be', () => {
    const passkey = softPasskey()
    const attempt = (how: Partial<How>, why: RegExp) => refused(() => checkRegistration(passkey.create({ ...here, ...how }), here), why)
    attempt({ client: { type: 'webauthn.get' } }, /not for webauthn\.create/)
    attempt({ challenge: randomBytes(32) }, /another challenge/)
    for (const other of ['https://approvals.example.org.evil.test', 'http://approvals.example.org', 'https://approvals.example.org:444', 'https://APPROVALS.example.org', 'null']) attempt({ client: { origin: other } }, /another origin/)
    attempt({ client: { crossOrigin: true } }, /inside of a page/)
    attempt({ client: { topOrigin: origin } }, /inside of a page/)
    attempt({ rpId: 'example.org' }, /another site/)
    attempt({ flags: 0x44 }, /nobody was there/)
    attempt({ flags: 0x41 }, /did not check who/)
    attempt({ flags: 0x55 }, /contradicts itself/)
    attempt({ flags: 0x05 }, /names no passkey/)
    attempt({ flags: 0xc5 }, /does not end where/)
    attempt({ extensions: Buffer.of(1) }, /does not end where/)
    const good = passkey.create(here)
    refused(() => checkRegistration({ ...good, publicKey: softPasskey().publicKey }, here), /not the one that the authenticator made/)
    for (let end = 0; end < good.authenticatorData.length; end++) refused(() => checkRegistration({ ...good, authenticatorData: good.authenticatorData.subarray(0, end) }, here), /./)
    refused(() => checkRegistration({ ...good, clientData: Buffer.from('[]') }, here), /not a JSON object/)
    refused(() => checkRegistration({ ...good, clientData: Buffer.from('{') }, here), /not a JSON object/)
    refused(() => checkRegistration({ ...good, clientData: Buffer.from(good.clientData.toString().replace('{', '{"type":"webauthn.create",')) }, here), /not a JSON object/)
    refused(() => checkRegistration({ ...good, clientData: Buffer.concat([good.clientData, Buffer.alloc(4_000, ' ')]) }, here), /too long/)
  })

  test('has a key of a kind that we read', () => {
    const good = softPasskey().create(here)
    const keys = [generateKeyPairSync('ec', { namedCurve: 'P-384' }), generateKeyPairSync('rsa', { modulusLength: 1_024 }), generateKeyPairSync('rsa', { modulusLength: 2_048, publicExponent: 3 }), generateKeyPairSync('x25519')]
    for (const { publicKey } of keys) refused(() => checkRegistration({ ...good, publicKey: publicKey.export({ format: 'der', type: 'spki' }) }, here), /none of ES256/)
    refused(() => checkRegistration({ ...good, publicKey: Buffer.concat([good.publicKey, Buffer.of(0)]) }, here), /none of ES256/)
    refused(() => checkRegistration({ ...good, publicKey: randomBytes(91) }, here), /none of ES256/)
  })
})

describe('a signature', () => {
  test('counts for what it was made for, and for nothing else', () => {
    const passkey = softPasskey()
    const attempt = (how: Partial<How>, why: RegExp) => refused(() => checkAssertion(passkey.get({ ...here, ...how }), passkey.publicKey, here), why)
    attempt({ client: { type: 'webauthn.create' } }, /not for webauthn\.get/)
    attempt({ challenge: Buffer.concat([challenge, Buffer.of(0)]) }, /another challenge/)
    attempt({ client: { origin: 'https://evil.test' } }, /another origin/)
    attempt({ rpId: 'evil.test' }, /another site/)
    attempt({ flags: 0x04 }, /nobody was there/)
    attempt({ flags: 0x01 }, /did not check who/)
    attempt({ flags: 0x45 }, /does not end where/)
    attempt({ flags: 0x85 }, /does not end where/)
    attempt({ extensions: Buffer.of(1) }, /does not end where/)
    refused(() => checkAssertion(softPasskey().get(here), passkey.publicKey, here), /not of this passkey/)
    refused(() => checkAssertion(softPasskey('EdDSA').get(here), passkey.publicKey, here), /not of this passkey/)
  })

  test('is lost with any byte of what was signed', () => {
    for (const kind of ['ES256', 'EdDSA', 'RS256'] as const) {
      const passkey = softPasskey(kind)
      const good = passkey.get(here)
      for (const member of ['clientData', 'authenticatorData', 'signature'] as const)
        for (let at = 0; at < good[member].length; at++) {
          const bytes = Buffer.from(good[member])
          bytes[at] = (bytes[at] ?? 0) ^ 1
          refused(() => checkAssertion({ ...good, [member]: bytes }, passkey.publicKey, here), /./)
        }
      refused(() => checkAssertion({ ...good, signature: Buffer.alloc(0) }, passkey.publicKey, here), /not of this passkey/)
      refused(() => checkAssertion({ ...good, signature: Buffer.alloc(600) }, passkey.publicKey, here), /not of this passkey/)
    }
  })
})

test('browsers make passkeys for names, where nobody can listen', () => {
  assert.deepEqual(['https://approvals.example.org', 'http://localhost:8081', 'http://a.localhost', 'https://console'].map(canHavePasskeys), [true, true, true, true])
  assert.deepEqual(['http://127.0.0.1:8081', 'https://10.0.0.7', 'https://[2001:db8::1]', 'http://approvals.example.org'].map(canHavePasskeys), [false, false, false, false])
})

test('whatever comes is taken or refused, and nothing else', () => {
  const passkey = softPasskey()
  const good = { ...passkey.create(here), signature: passkey.get(here).signature }
  const bytes = fc.uint8Array({ maxLength: 400 })
  const damaged = (whole: Uint8Array) => fc.tuple(fc.nat(whole.length), bytes, fc.nat(40)).map(([at, put, dropped]) => Buffer.concat([whole.subarray(0, at), put, whole.subarray(at + dropped)]))
  const any = (whole: Uint8Array) => fc.oneof(bytes, damaged(whole), fc.constant(whole))
  const onlyRefuses = (work: () => unknown): void => {
    try {
      work()
    } catch (error) {
      if (!(error instanceof PasskeyProblem)) throw error
    }
  }
  fc.assert(
    fc.property(any(good.clientData), any(good.authenticatorData), any(good.publicKey), any(good.signature), (clientData, authenticatorData, publicKey, signature) => {
      onlyRefuses(() => checkRegistration({ clientData, authenticatorData, publicKey }, here))
      onlyRefuses(() => checkAssertion({ clientData, authenticatorData, signature }, publicKey, here))
    }),
    { numRuns: 2_000 },
  )
})
