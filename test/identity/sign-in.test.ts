import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeIdentity } from '../../src/identity/make-identity.ts'
import { inline, iss, issuerOptions, makeKey, seconds, sign } from './world.ts'

const clientId = 'console'
const key = await makeKey('k1')
const identityWith = (changes: Parameters<typeof issuerOptions>[1] = {}) =>
  makeIdentity({ issuers: [issuerOptions(inline(key), { tokenTypes: ['at+jwt'], ...changes })], agents: [{ name: 'robot', issuer: 'a', subject: 'robot', kind: 'agent', owner: { issuer: 'a', subject: 'alice' }, groups: [] }], cache: { entries: 10, maxAgeMs: 60_000 }, maxTokenBytes: 16_384 }, { events: () => {} })
const idToken = (changes: Record<string, unknown> = {}) => sign(key, { aud: clientId, nonce: 'n', at_hash: 'h', sid: 's1', ...changes }, { typ: 'JWT' })
const report = (token: string) => ({ token, clientId, address: '192.0.2.1' })

describe('a login', () => {
  test('makes the person that a bearer token makes', async () => {
    await using identity = identityWith()
    const { caller, login } = await identity.person(report(await idToken({ groups: ['dev'], auth_time: 1_000 })))
    assert.deepEqual([caller.issuer, caller.subject, caller.kind, caller.groups, caller.authenticatedAt], [iss, 'alice', 'human', ['dev'], 1_000_000])
    assert.deepEqual(login, { issuer: iss, subject: 'alice', session: 's1' })
  })

  test('whose groups did not fit has unknown groups, not none', async () => {
    await using identity = identityWith()
    const { caller } = await identity.person(report(await idToken({ groups: undefined, _claim_names: { groups: 'src1' } })))
    assert.equal(caller.groups, undefined)
  })

  test('is what the configuration says it must be', async () => {
    await using identity = identityWith({ required: { tid: { equals: ['t1'] } } })
    await assert.rejects(identity.person(report(await idToken({ tid: 't2' }))), { code: 'bad-identity' })
  })

  test('of an agent says that it is one', async () => {
    await using identity = identityWith()
    assert.equal((await identity.person(report(await idToken({ sub: 'robot' })))).caller.kind, 'agent')
  })

  test('is believed from no other token', async () => {
    await using identity = identityWith()
    const other = await makeKey('k1')
    const wrong = [
      await idToken({ aud: 'countersign' }), // an access token's audience
      await idToken({ aud: 'another-client' }),
      await idToken({ aud: [clientId, 'another-client'], azp: 'another-client' }),
      await idToken({ azp: 'another-client' }),
      await idToken({ exp: seconds() - 3_600, iat: seconds() - 7_200 }),
      await idToken({ iss: 'https://elsewhere.test' }),
      await idToken({ events: {} }),
      await sign(other, { aud: clientId }, { typ: 'JWT' }),
    ]
    for (const token of wrong) await assert.rejects(identity.person(report(token)), { code: 'bad-identity' })
  })

  test('that has to be fresh is made since then, and as it has to be', async () => {
    await using identity = identityWith()
    const since = Date.now()
    const attempt = async (claims: Record<string, unknown>, acr: readonly string[] = []) => identity.person({ ...report(await idToken(claims)), fresh: { since, acr } })
    const at = seconds()
    for (const claims of [{ auth_time: at }, { auth_time: at - 30 }]) assert.equal((await attempt(claims)).caller.subject, 'alice')
    assert.equal((await attempt({ auth_time: at, acr: 'phr' }, ['mfa', 'phr'])).caller.subject, 'alice')
    for (const claims of [{}, { auth_time: at - 90 }, { auth_time: String(at) }, { auth_time: null }]) await assert.rejects(attempt(claims), { code: 'bad-identity' })
    for (const acr of [undefined, 'pwd', ['phr'], 'mfa phr']) await assert.rejects(attempt({ auth_time: at, acr }, ['mfa', 'phr']), { code: 'bad-identity' })
  })

  test('report is no bearer token', async () => {
    await using identity = identityWith({ tokenTypes: ['at+jwt', 'jwt'], audiences: ['countersign', clientId] })
    await assert.rejects(identity.authenticate({ token: await idToken(), from: 'authorization', address: '' }), { code: 'bad-identity' })
  })
})

describe('the end of a login', () => {
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  const logoutToken = (changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}) => sign(key, { aud: clientId, jti: 'j1', events, sid: 's1', groups: undefined, ...changes }, { typ: 'logout+jwt', ...header })

  test('is by account, by session or by both', async () => {
    await using identity = identityWith()
    assert.deepEqual(await identity.ended(report(await logoutToken())), { login: { issuer: iss, subject: 'alice', session: 's1' }, id: 'j1' })
    assert.deepEqual(await identity.ended(report(await logoutToken({ sub: undefined }))), { login: { issuer: iss, session: 's1' }, id: 'j1' })
    assert.deepEqual(await identity.ended(report(await logoutToken({ sid: undefined }, { typ: 'JWT' }))), { login: { issuer: iss, subject: 'alice' }, id: 'j1' })
  })

  test('is believed from a logout token alone', async () => {
    await using identity = identityWith()
    const wrong = [{ aud: 'another' }, { nonce: 'n' }, { events: undefined }, { events: { 'https://other.test': {} } }, { jti: undefined }, { sub: undefined, sid: undefined }, { iat: seconds() - 3_600, exp: seconds() + 60 }, { iss: 'https://elsewhere.test' }]
    for (const changes of wrong) await assert.rejects(identity.ended(report(await logoutToken(changes))), { code: 'bad-identity' })
    await assert.rejects(identity.ended(report(await logoutToken({}, { typ: 'at+jwt' }))), { code: 'bad-identity' })
  })
})
