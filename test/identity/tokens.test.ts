import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportSPKI } from 'jose'
import { Refusal } from '../../src/model/refusal.ts'
import { claim, claimsOf, forge, inline, iss, issuerOptions, makeClock, makeKey, seconds, sign, start } from './world.ts'

const ec = await makeKey('a1')
const rsa = await makeKey('r1', 'RS256')
const attacker = await makeKey('x1')
const other = await makeKey('a1')
const options = issuerOptions(inline(ec, rsa))
const world = start([options, issuerOptions(inline(other), { name: 'b', issuers: ['https://idp-b.test'] })])

const refused = async (token: string, step: string, audience?: string): Promise<void> => {
  const before = world.failures.length
  await assert.rejects(world.identity.authenticate(claim(token, audience === undefined ? {} : { audience })), (error) => error instanceof Refusal && error.code === 'bad-identity' && !error.message.includes(step))
  const [event] = world.failures.slice(before)
  assert.equal(event?.step, step, event?.cause)
  const secret = token.split('.')[2] || token
  assert.ok(secret.length < 20 || !event?.cause.includes(secret), 'the token stays out of the record')
}
const accepted = (token: string, audience?: string) => world.identity.authenticate(claim(token, audience === undefined ? {} : { audience }))

describe('tokens', () => {
  test('a good token is its subject', async () => {
    const token = await sign(ec, { client_id: 'cli', name: 'Alice' })
    const caller = await accepted(token)
    assert.deepEqual(
      { ...caller, session: '', authenticatedAt: 0, expiresAt: 0 },
      { issuer: iss, subject: 'alice', kind: 'human', groups: ['dev'], name: 'Alice', clientId: 'cli', onBehalfOf: [], claims: {}, session: '', authenticatedAt: 0, expiresAt: 0, address: '192.0.2.1' },
    )
    assert.match(caller.session, /^[0-9a-f]{16}$/)
    assert.ok(Object.isFrozen(caller) && Object.isFrozen(caller.groups))
    assert.equal((await accepted(await sign(rsa))).subject, 'alice')
  })

  test('unsigned in any spelling', async () => {
    for (const alg of ['none', 'None', 'nOnE']) {
      await refused(forge({ alg, typ: 'at+jwt' }, claimsOf()), 'shape')
      await refused(forge({ alg, kid: 'a1', typ: 'at+jwt' }, claimsOf(), 'signature'), 'algorithm')
    }
    await refused(forge({ alg: '', typ: 'at+jwt' }, claimsOf(), 'x'), 'header')
    await refused(forge({ alg: 'ES256', kid: 'a1' }, claimsOf()), 'shape')
  })

  test('the public key is no HMAC secret', async () => {
    const secrets = [await exportSPKI(rsa.publicKey), `\n${await exportSPKI(rsa.publicKey)}`, JSON.stringify(rsa.jwk), '']
    for (const secret of secrets) {
      const [header = '', payload = ''] = forge({ alg: 'HS256', kid: 'r1', typ: 'at+jwt' }, claimsOf()).split('.')
      await refused(`${header}.${payload}.${createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')}`, 'algorithm')
    }
  })

  test('algorithms belong to the issuer, not to the token', async () => {
    await refused(forge({ alg: 'PS256', kid: 'r1' }, claimsOf(), 'x'), 'algorithm')
    await refused(forge({ alg: 'RS256', kid: 'a1' }, claimsOf(), 'x'), 'keys')
    for (const algorithms of [['RS256', 'none'], ['HS256'], []]) assert.throws(() => start([issuerOptions(inline(ec), { algorithms })]))
    assert.throws(() => start([issuerOptions(inline(ec), { audiences: [] })]), /audience is mandatory/)
  })

  test('headers that change the meaning, and odd key ids', async () => {
    for (const extra of [{ crit: ['x'], x: 1 }, { crit: ['b64'], b64: false }, { crit: [] }, { crit: 'exp' }, { b64: false }, { zip: 'DEF' }, { kid: 0 }, { kid: ['a1'] }, { kid: 'k'.repeat(10_240) }, { typ: 7 }])
      await refused(forge({ alg: 'ES256', kid: 'a1', ...extra }, claimsOf(), 'x'), 'header')
    for (const kid of ['../../../../dev/null', "' OR 1=1--", '__proto__', 'constructor']) await refused(await sign(attacker, {}, { kid }), 'keys')
    await refused(await sign(attacker, {}, { kid: 'a1' }), 'signature')
    await refused(await sign(attacker, {}, { jku: 'http://127.0.0.1:1/jwks', x5u: 'http://127.0.0.1:1/x' }), 'keys')
    await refused(await sign(attacker, {}, { jwk: attacker.jwk, kid: 'a1' }), 'signature')
  })

  test('a token without key id needs an issuer with one key that fits', async () => {
    const token = await sign(ec, {}, { kid: undefined })
    assert.equal((await accepted(token)).subject, 'alice')
    await using two = start([issuerOptions(inline(ec, await makeKey('a2')))])
    await assert.rejects(two.identity.authenticate(claim(token)), /not accepted/)
    assert.equal(two.failures[0]?.step, 'keys')
  })

  test('audience', async () => {
    for (const aud of [undefined, '', [], null, 'other', ['other', 'another'], 'countersign.evil.test', [['countersign']], ['countersign', 7]]) await refused(await sign(ec, { aud }), 'audience')
    assert.equal((await accepted(await sign(ec, { aud: ['countersign'] }))).subject, 'alice')
    // The documented rule for several audiences: one of them is ours, and it was not made for one of the others.
    await refused(await sign(ec, { aud: ['countersign', 'other'], azp: 'other' }), 'audience')
    assert.equal((await accepted(await sign(ec, { aud: ['countersign', 'account'], azp: 'cli' }))).subject, 'alice')
  })

  test('an answer for one audience is none for another', async () => {
    const token = await sign(ec)
    await accepted(token)
    await refused(token, 'audience', 'wide-only')
    assert.equal((await accepted(token)).subject, 'alice')
    assert.equal((await accepted(token, 'countersign')).subject, 'alice')
    assert.equal((await accepted(await sign(ec, { aud: ['countersign', 'wide-only'] }), 'wide-only')).subject, 'alice')
  })

  test('the issuer is compared exactly, and only its own keys speak for it', async () => {
    for (const wrong of [`${iss}/`, 'https://IDP-A.test', 'https://idp-aXtest', 'http://idp-a.test', [iss], undefined, 7]) await refused(await sign(ec, { iss: wrong }), 'issuer')
    await refused(await sign(other, {}), 'signature')
    await refused(await sign(ec, { iss: 'https://idp-b.test' }), 'signature')
    const same = await accepted(await sign(other, { iss: 'https://idp-b.test' }))
    assert.deepEqual([same.issuer, same.subject], ['https://idp-b.test', 'alice'])
  })

  test('times are there and make sense', async () => {
    const now = seconds()
    for (const changes of [{ exp: undefined }, { exp: now - 62 }, { nbf: now + 65 }, { iat: now + 65 }, { iat: undefined }, { exp: '9999999999' }, { exp: 1e300 }, { exp: -1 }, { iat: now - 172_800 }, { nbf: 'x' }, { auth_time: 1e300 }, { exp: now - 50, iat: now + 50 }]) await refused(await sign(ec, changes), 'time')
    assert.equal((await accepted(await sign(ec, { exp: now - 30, iat: now - 300 }))).subject, 'alice')
    assert.equal((await accepted(await sign(ec, { auth_time: now - 100 }))).authenticatedAt, (now - 100) * 1000)
    assert.equal((await accepted(await sign(ec, { auth_time: now + 1000 }))).authenticatedAt <= Date.now(), true)
  })

  test('token types', async () => {
    await using typed = start([issuerOptions(inline(ec), { tokenTypes: ['at+jwt'] })])
    assert.equal((await typed.identity.authenticate(claim(await sign(ec, {}, { typ: 'application/AT+JWT' })))).subject, 'alice')
    for (const typ of ['JWT', undefined]) await assert.rejects(typed.identity.authenticate(claim(await sign(ec, {}, { typ }))))
    assert.deepEqual(typed.failures.map(({ step }) => step), ['type', 'type'])
    await using untyped = start([issuerOptions(inline(ec), { tokenTypes: ['at+jwt', 'untyped'] })])
    for (const typ of ['at+jwt', undefined]) assert.equal((await untyped.identity.authenticate(claim(await sign(ec, {}, { typ })))).subject, 'alice')
    for (const typ of ['JWT', 'untyped']) await assert.rejects(untyped.identity.authenticate(claim(await sign(ec, {}, { typ }))))
    await assert.rejects(untyped.identity.authenticate(claim(await sign(ec, { at_hash: 'x' }, { typ: undefined }))))
    await refused(await sign(ec, { at_hash: 'x' }, { typ: 'JWT' }), 'type')
    await refused(await sign(ec, { typ: 'ID' }), 'type')
  })

  test('subjects that could pass for something else', async () => {
    for (const sub of [undefined, '', 7, ['alice'], null, 'a\nb', 'a\u0000', 'a\u202eb', 'x'.repeat(600)]) {
      const token = await sign(ec, { sub })
      await assert.rejects(accepted(token), { code: 'bad-identity' })
    }
  })

  test('a bound token without its proof', async () => refused(await sign(ec, { cnf: { jkt: 'x' } }), 'proof'))

  test('sizes and shapes come first', async () => {
    await refused(await sign(ec, { pad: 'a'.repeat(1 << 20) }), 'size')
    await refused(await sign(ec, { groups: Array.from({ length: 1000 }, (_, index) => `a-group-with-a-long-name-${index}`) }), 'size')
    for (const token of ['', 'a.'.repeat(8000), 'a.b.c', 'opaque', `${forge({ alg: 'RSA-OAEP', enc: 'A256GCM' }, {}, 'x')}.x.y`]) await refused(token, token === '' ? 'size' : 'shape')
    await refused(forge({ alg: 'ES256', kid: 'a1' }, '{"iss":"https://idp-a.test","iss":"https://idp-b.test"}', 'x'), 'shape')
    const token = await sign(ec)
    for (const bad of [`${token}=`, `${token} `, `${token}%00`, ` ${token}`, token.slice(0, -4), token.slice(0, -1) + (token.endsWith('A') ? 'Q' : 'A')]) await assert.rejects(accepted(bad), { code: 'bad-identity' })
  })

  test('a second spelling of one signature is not the token', async () => {
    const token = await sign(ec)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // 64 bytes leave four unused bits in the last character.
    const last = alphabet.indexOf(token.at(-1) ?? '')
    await refused(token.slice(0, -1) + alphabet[last ^ 1], 'shape')
  })
})

describe('the cache', () => {
  test('answers without looking again, for a minute, from where the client is', async () => {
    const clock = makeClock()
    await using cached = start([options], {}, clock.now)
    const token = await sign(ec)
    const first = await cached.identity.authenticate(claim(token))
    assert.equal(await cached.identity.authenticate(claim(token)), first)
    const moved = await cached.identity.authenticate(claim(token, { address: '192.0.2.9' }))
    assert.deepEqual(moved, { ...first, address: '192.0.2.9' })
    assert.equal(first.address, '192.0.2.1')
    assert.equal(await cached.identity.authenticate(claim(token, { address: '192.0.2.9' })), moved)
    clock.advance(60_001)
    assert.notEqual(await cached.identity.authenticate(claim(token)), first)
    clock.advance(400_000)
    await assert.rejects(cached.identity.authenticate(claim(token)), { code: 'bad-identity' })
  })

  test('never holds an answer longer than the token lives, nor more answers than it may', async () => {
    const clock = makeClock()
    await using cached = start([{ ...options, clockToleranceMs: 0 }], { cache: { entries: 4, maxAgeMs: 60_000 } }, clock.now)
    const token = await sign(ec, { exp: seconds() + 20 })
    await cached.identity.authenticate(claim(token))
    clock.advance(21_000)
    await assert.rejects(cached.identity.authenticate(claim(token)), { code: 'bad-identity' })
  })

  test('a recheck is never answered from it', async () => {
    const clock = makeClock()
    await using cached = start([{ ...options, clockToleranceMs: 0 }], {}, clock.now)
    const token = await sign(ec)
    const first = await cached.identity.authenticate(claim(token))
    assert.notEqual(await cached.identity.recheck(first, claim(token)), first)
    await assert.rejects(cached.identity.recheck({ ...first, subject: 'bob' }, claim(token)), { code: 'bad-identity' })
    await assert.rejects(cached.identity.recheck(first, claim(await sign(ec, { sub: 'bob' }))), { code: 'bad-identity' })
    clock.advance(301_000)
    await assert.rejects(cached.identity.recheck(first, claim(token)), { code: 'bad-identity' })
  })
})
