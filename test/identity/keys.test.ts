import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startIdp } from '../support/idp.ts'
import { until } from '../support/until.ts'
import { claim, issuerOptions, json, makeClock, makeKey, sign, start, startServer } from './world.ts'

const a1 = await makeKey('a1')
const a2 = await makeKey('a2')
const x1 = await makeKey('x1')
const set = (...keys: readonly { readonly jwk: Record<string, unknown> }[]) => json({ keys: keys.map(({ jwk }) => jwk) })
const from = (url: string, changes = {}) => issuerOptions({ from: 'uri', url: `${url}/jwks` }, changes)

describe('key sets', () => {
  test('an unknown key id asks once, however many come', async () => {
    await using server = await startServer(set(a1))
    const clock = makeClock()
    await using world = start([from(server.url)], {}, clock.now)
    await Promise.all([world.identity.prefetch(), world.identity.prefetch(), world.identity.authenticate(claim(await sign(a1)))])
    assert.equal(server.hits.length, 1)
    server.answer(set(a1, a2))
    assert.equal((await world.identity.authenticate(claim(await sign(a2)))).subject, 'alice')
    assert.equal(server.hits.length, 2)
    const strangers = await Promise.all(Array.from({ length: 200 }, (_, index) => sign(x1, {}, { kid: `k${index}` })))
    const answers = await Promise.allSettled(strangers.map((token) => world.identity.authenticate(claim(token))))
    assert.ok(answers.every(({ status }) => status === 'rejected'))
    assert.deepEqual(new Set(world.failures.map(({ step }) => step)), new Set(['keys']))
    assert.equal(server.hits.length, 2)
    assert.equal((await world.identity.authenticate(claim(await sign(a1, { sub: 'bob' })))).subject, 'bob')
    clock.advance(30_001)
    await Promise.allSettled(strangers.slice(0, 20).map((token) => world.identity.authenticate(claim(token))))
    assert.equal(server.hits.length, 3)
  })

  test('a withdrawn key stops working, and so does what it had signed', async () => {
    await using server = await startServer(set(a1, a2))
    const clock = makeClock()
    await using world = start([from(server.url)], { cache: { entries: 10, maxAgeMs: 3_600_000 } }, clock.now)
    const [old, young] = [await sign(a1, { exp: Math.floor(Date.now() / 1000) + 7200 }), await sign(a2)]
    await world.identity.authenticate(claim(old))
    server.answer(set(a2))
    clock.advance(600_001)
    await assert.rejects(world.identity.authenticate(claim(young)), { code: 'bad-identity' }) // expired, and yet it made us look
    await assert.rejects(world.identity.authenticate(claim(old)), { code: 'bad-identity' })
    assert.deepEqual(world.failures.map(({ step }) => step), ['time', 'keys'])
  })

  test('the old keys outlive an outage, until they are too old', async () => {
    await using server = await startServer(set(a1))
    const clock = makeClock()
    await using world = start([from(server.url)], {}, clock.now)
    const ask = async () => world.identity.authenticate(claim(await sign(a1, { sub: crypto.randomUUID(), iat: Math.floor(clock.now() / 1000), nbf: undefined, exp: Math.floor(clock.now() / 1000) + 300 })))
    await ask()
    server.answer((response) => void response.destroy())
    clock.advance(1_800_000)
    await Promise.all(Array.from({ length: 20 }, ask))
    assert.equal(server.hits.length, 2)
    assert.deepEqual([world.identity.state()['a']?.stale, typeof world.identity.state()['a']?.lastError], [true, 'string'])
    clock.advance(5_001)
    await ask()
    await until('the retry', () => server.hits.length === 3)
    clock.advance(1_860_000)
    await assert.rejects(ask(), { code: 'bad-identity' })
    assert.equal(world.failures.at(-1)?.step, 'keys-stale')
    server.answer(set(a1))
    clock.advance(5_001)
    await ask()
    assert.deepEqual(world.identity.state()['a']?.lastError, undefined)
    // Idle for longer than keys live, and the issuer is well: nobody is refused.
    clock.advance(36_000_000)
    await ask()
  })

  test('a first load that fails is not tried again by every request', async () => {
    await using server = await startServer((response) => void response.writeHead(503).end())
    const clock = makeClock()
    await using world = start([from(server.url)], {}, clock.now)
    const token = await sign(a1)
    await Promise.allSettled(Array.from({ length: 20 }, () => world.identity.authenticate(claim(token))))
    await assert.rejects(world.identity.authenticate(claim(token)), { code: 'identity-unavailable' })
    assert.equal(world.failures.at(-1)?.step, 'keys-unavailable')
    assert.equal(server.hits.length, 1)
    server.answer(set(a1))
    clock.advance(5_001)
    assert.equal((await world.identity.authenticate(claim(token))).subject, 'alice')
  })

  test('what a key address may not answer', async () => {
    await using stranger = await startServer(set(x1))
    const answers = {
      redirect: (response: import('node:http').ServerResponse) => void response.writeHead(302, { location: `${stranger.url}/jwks` }).end(),
      endless: (response: import('node:http').ServerResponse) => {
        response.writeHead(200)
        const more = (): void => void (response.write('x'.repeat(65_536)) && !response.destroyed ? setImmediate(more) : response.once('drain', more))
        more()
      },
      text: (response: import('node:http').ServerResponse) => void response.end('<html>'),
      list: json([x1.jwk]),
      symmetric: json({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'x1', alg: 'HS256' }] }),
      encryption: json({ keys: [{ ...x1.jwk, use: 'enc' }] }),
    }
    for (const [name, answer] of Object.entries(answers)) {
      await using server = await startServer(answer)
      await using world = start([from(server.url)])
      await assert.rejects(world.identity.authenticate(claim(await sign(x1))), { code: 'bad-identity' }, name)
    }
    assert.deepEqual(stranger.hits, [])
  })

  test('an answer that does not come ends at the deadline', async () => {
    await using server = await startServer(() => {})
    await using world = start([from(server.url, { jwks: { ...issuerOptions({ from: 'uri', url: '' }).jwks, timeoutMs: 50 } })])
    await assert.rejects(world.identity.authenticate(claim(await sign(a1))), { code: 'identity-unavailable' })
  })

  test('discovery must speak for the issuer', async () => {
    await using server = await startServer((response, url) => (url === '/jwks' ? set(a1) : json({ issuer: 'https://idp-b.test', jwks_uri: `${server.url}/jwks` }))(response))
    await using world = start([issuerOptions({ from: 'discovery', url: `${server.url}/.well-known/openid-configuration` })])
    await assert.rejects(world.identity.authenticate(claim(await sign(a1))), { code: 'bad-identity' })
    assert.equal(world.failures[0]?.step, 'keys-refused')
  })
})

test('a real provider: people, agents, delegation', async () => {
  await using idp = await startIdp()
  const options = issuerOptions({ from: 'discovery', url: `${idp.issuer}/.well-known/openid-configuration` }, { issuers: [idp.issuer], tokenTypes: ['at+jwt'], emailDomains: ['example.org'], delegation: { allowed: true, actorIssuers: [] } })
  const owner = { issuer: idp.issuer, subject: 'alice' }
  await using world = start([options], { agents: [{ name: 'invoices', issuer: 'a', subject: 'invoice-agent', kind: 'agent', owner, groups: ['bots'] }] })
  await world.identity.prefetch()
  assert.deepEqual([world.identity.state()['a']?.stale, world.identity.state()['a']?.lastError], [false, undefined])
  const agent = await world.identity.authenticate(claim(await idp.agentToken()))
  assert.deepEqual([agent.subject, agent.kind, agent.groups, agent.owner], ['invoice-agent', 'agent', ['agents', 'bots'], owner])
  const bob = await idp.userToken('bob')
  const person = await world.identity.authenticate(claim(bob))
  assert.deepEqual([person.subject, person.kind, person.groups], ['bob', 'human', ['developers', 'dba']])
  const acting = await world.identity.authenticate(claim(await idp.delegatedToken(bob)))
  assert.deepEqual([acting.subject, acting.kind, acting.groups, acting.onBehalfOf.map(({ subject, kind }) => [subject, kind])], ['invoice-agent', 'agent', ['bots'], [['bob', 'human']]])
  await world.identity.recheck(acting, claim(await idp.delegatedToken(bob)))
})
