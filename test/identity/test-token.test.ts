import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testToken, whoIs } from '../../src/cli/identity.ts'
import { inline, issuerOptions, json, makeKey, sign, start, startServer } from './world.ts'

const key = await makeKey('a1')
const options = { issuers: [issuerOptions(inline(key), { required: { team: { equals: ['blue'] } } })], agents: [], cache: { entries: 10, maxAgeMs: 60_000 }, maxTokenBytes: 16_384 }

const print = async (look: typeof testToken, token: string, audience?: string) => {
  let text = ''
  const accepted = await look(options, token, (part) => (text += part), audience === undefined ? {} : { audience })
  for (const part of token.split('.').filter(({ length }) => length > 8)) assert.ok(!text.includes(part), 'no part of the token is printed')
  return { accepted, text }
}

test('a good token passes every step', async () => {
  const { accepted, text } = await print(testToken, await sign(key, { team: 'blue' }))
  assert.ok(accepted && !text.includes('✗'))
  assert.deepEqual(text.match(/(?<=✓ )\S+/g), ['size', 'shape', 'header', 'issuer', 'algorithm', 'keys', 'signature', 'type', 'audience', 'time', 'required', 'proof', 'subject', 'delegation'])
  assert.match(text, /accepted as human alice/)
})

test('a bad one ends where it failed, with what was found and what was expected', async () => {
  const wrong = await print(testToken, await sign(key, { team: 'red\u001b[2J' }))
  assert.ok(!wrong.accepted)
  assert.match(wrong.text, /✓ time [^]*✗ required +team \S*red[^]*expected +\S*blue[^]*not accepted/)
  assert.ok(!wrong.text.includes('\u001b'))
  const audience = await print(testToken, await sign(key, { team: 'blue' }), 'other')
  assert.match(audience.text, /✓ signature[^]*✗ audience/)
})

test('keys that have to be fetched are waited for', async () => {
  await using server = await startServer(json({ keys: [key.jwk] }))
  const issuers = [issuerOptions({ from: 'uri', url: server.url })]
  assert.ok(await testToken({ ...options, issuers }, await sign(key), () => {}))
  assert.equal(server.hits.length, 1)
})

test('the explanation and the proxy never disagree', async () => {
  await using world = start(options.issuers)
  for (const claims of [{ team: 'blue' }, { team: 'blue', aud: 'x' }, { team: 'blue', exp: 5 }, { team: 'blue', act: { sub: 'x' } }, { team: 'blue', cnf: {} }, { team: 'blue', iss: 'x' }]) {
    const token = await sign(key, claims)
    const { accepted, steps } = await world.identity.verifyExplained(token)
    const before = world.failures.length
    const proxy = await world.identity.authenticate({ token, from: 'authorization', address: '192.0.2.1' }).then(() => true, () => false)
    assert.equal(accepted, proxy)
    assert.equal(world.failures[before]?.step, accepted ? undefined : steps.at(-1)?.step)
  }
})

test('whoami shows the caller as policies see it', async () => {
  const { text } = await print(whoIs, await sign(key, { team: 'blue' }))
  assert.match(text, /^human: alice\nissuer: https:\/\/idp-a\.test\ngroups: dev\n/)
  assert.match((await print(whoIs, await sign(key))).text, /nobody: the token fails at required/)
})
