import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import { claim, claimsOf, inline, iss, issuerOptions, json, makeClock, makeKey, sign, start, startServer } from './world.ts'

const key = await makeKey('a1')
const options = (url: string) => issuerOptions(inline(key), { introspection: { url: `${url}/introspect`, clientId: 'countersign', clientSecret: new Secret('s:e c'), opaqueTokens: true, recheck: true } })
const text = (body: string) => (response: import('node:http').ServerResponse): void => void response.writeHead(200).end(body)

describe('introspection', () => {
  test('an opaque token is what its issuer says, asked once in a while', async () => {
    let asked = ''
    await using server = await startServer((response, _url, body) => {
      asked = new URLSearchParams(body).get('token') ?? ''
      json(asked === 'cs.opaque-1' ? { active: true, ...claimsOf() } : { active: false })(response)
    })
    const clock = makeClock()
    await using world = start([options(server.url)], {}, clock.now)
    const caller = await world.identity.authenticate(claim('cs.opaque-1'))
    assert.deepEqual([caller.subject, caller.groups], ['alice', ['dev']])
    await world.identity.authenticate(claim('cs.opaque-1'))
    assert.equal(server.hits.length, 1)
    clock.advance(60_001)
    await world.identity.authenticate(claim('cs.opaque-1'))
    assert.equal(server.hits.length, 2)
    for (const token of ['cs.opaque-', 'cs.opaque-1x', 'cs.o', 'CS.OPAQUE-1']) await assert.rejects(world.identity.authenticate(claim(token)), { code: 'bad-identity' })
    for (const token of ['cs.opaque-1%00', 'cs opaque', 'cs.opaque-1\n']) await assert.rejects(world.identity.authenticate(claim(token)), { code: 'bad-identity' })
    assert.equal(server.hits.length, 6)
  })

  test('answers are read strictly', async () => {
    const good = { active: true, ...claimsOf() }
    const answers = ['{}', '{"active":true}', JSON.stringify({ ...good, active: 'true' }), JSON.stringify({ ...good, iss: 'https://idp-b.test' }), JSON.stringify({ ...good, iss: undefined }), JSON.stringify({ ...good, aud: 'other' }), JSON.stringify({ ...good, aud: undefined }), JSON.stringify({ ...good, sub: undefined }), JSON.stringify({ ...good, exp: undefined }), JSON.stringify({ ...good, exp: 1 }), `{"active":false,${JSON.stringify(good).slice(1)}`, '', 'null', '[]', JSON.stringify({ ...good, cnf: {} })]
    await using server = await startServer(text(''))
    await using world = start([options(server.url)])
    for (const answer of answers) {
      server.answer(text(answer))
      await assert.rejects(world.identity.authenticate(claim('opaque')), { code: 'bad-identity' }, answer)
    }
    server.answer(json(good))
    assert.equal((await world.identity.authenticate(claim('opaque'))).issuer, iss)
  })

  test('an issuer that is away is another thing than a bad token', async () => {
    await using server = await startServer((response) => void response.writeHead(500).end())
    await using world = start([options(server.url)])
    await assert.rejects(world.identity.authenticate(claim('opaque')), { code: 'identity-unavailable' })
    server.answer((response) => void response.writeHead(401).end())
    await assert.rejects(world.identity.authenticate(claim('opaque')), { code: 'identity-unavailable' })
    server.answer(text(`{"active":true,"pad":"${'x'.repeat(300_000)}"}`))
    await assert.rejects(world.identity.authenticate(claim('opaque')), { code: 'identity-unavailable' })
  })

  test('a recheck sees what the issuer says now', async () => {
    await using server = await startServer(json({ active: true, ...claimsOf({ groups: ['dev', 'new'] }) }))
    const clock = makeClock()
    await using world = start([options(server.url)], {}, clock.now)
    const token = await sign(key)
    const caller = await world.identity.authenticate(claim(token))
    assert.equal(server.hits.length, 0)
    assert.deepEqual((await world.identity.recheck(caller, claim(token))).groups, ['dev', 'new'])
    await Promise.all(Array.from({ length: 50 }, () => world.identity.recheck(caller, claim(token))))
    assert.equal(server.hits.length, 1, 'one look for all who ask within a second')
    server.answer(json({ active: true, ...claimsOf({ groups: undefined }) }))
    clock.advance(1_000)
    assert.equal((await world.identity.recheck(caller, claim(token))).groups, undefined)
    for (const changed of [{ active: false }, { active: true, ...claimsOf({ sub: 'bob' }) }]) {
      server.answer(json(changed))
      clock.advance(1_000)
      await assert.rejects(world.identity.recheck(caller, claim(token)), { code: 'bad-identity' })
    }
    assert.notEqual(await world.identity.authenticate(claim(token)), caller, 'a failed recheck forgets what was remembered')
    assert.equal(world.failures[0]?.issuer, 'a')
    server.answer((response) => void response.destroy())
    await assert.rejects(world.identity.recheck(caller, claim(token)), { code: 'identity-unavailable' })
  })

  test('opaque tokens belong to one issuer', () => {
    const second = { ...options('http://127.0.0.1:1'), name: 'b', issuers: ['https://idp-b.test'] }
    assert.throws(() => start([options('http://127.0.0.1:1'), second]), /opaque/)
  })
})
