import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { ask, heldFor, vote } from './client.ts'
import { startDeployment, type Part } from './deployment.ts'
import { openDoor } from './door.ts'

/** The identity provider does not answer. Who was known stays known within limits; nobody becomes known by its absence. */
const keysBehind = (url: string, jwks: Part = {}): Part => ({ issuers: { corp: { keys: { 'jwks-url': `${url}/jwks` }, jwks } } })

test('its keys were fetched: callers go on, with a cached token, a new token, and old keys', async () => {
  await using world = await startDeployment('embedded')
  await using door = await openDoor(world.issuer.issuer)
  const replica = await world.start('a', keysBehind(door.url, { 'max-age': '1ms', 'error-backoff': '1ms' }))
  const [known, bob] = [await world.agent(), await world.person('bob')]
  const read = async (token: string) => (await ask(replica.http, '/orders', token, { method: 'GET' })).status
  assert.equal(await read(known), 200)
  await door.close()
  assert.equal(await read(known), 200, 'a token that was seen')
  assert.equal(await read(await world.agent('report-agent')), 200, 'a token that is new')

  // What is risky is held as ever, and released: the keys are old, within their limit, and the token is looked at afresh.
  const asked = ask(replica.http, '/refunds/1', known, { body: '{}' })
  assert.equal((await vote(replica, (await heldFor(replica, bob, '/refunds/1')).id, bob)).status, 200)
  assert.equal((await asked).status, 200)
  assert.equal(world.upstream.executions('/refunds/1'), 1)
})

test('its keys are too old: nobody new gets in, nothing held is released, nobody votes', async () => {
  await using world = await startDeployment('embedded')
  await using door = await openDoor(world.issuer.issuer)
  const replica = await world.start('a', keysBehind(door.url, { 'max-age': '1s', 'max-stale': '1s', 'error-backoff': '1ms' }))
  const [known, bob] = [await world.agent(), await world.person('bob')]
  const post = () => ask(replica.http, '/refunds/1', known, { body: '{}', headers: { prefer: 'wait=0' } })
  const { hold } = await post()
  assert.equal((await vote(replica, hold!, bob)).status, 200)
  await door.close()
  await until('the keys to be too old', async () => {
    const { json } = await ask(replica.admin, '/readyz', '', { method: 'GET' })
    return ((json['issuers'] as { readonly corp?: { readonly keysAgeMs?: number } } | undefined)?.corp?.keysAgeMs ?? 0) > 1_000
  })
  assert.equal((await ask(replica.http, '/orders', known, { method: 'GET' })).status, 200, 'who was seen a moment ago still reads')
  const reply = await post()
  assert.deepEqual([reply.status, reply.code], [401, 'bad-identity'], reply.text)
  const stranger = await ask(replica.http, '/orders', await world.agent('report-agent'), { method: 'GET' })
  assert.equal(stranger.status, 401)
  const voting = await ask(replica.console, `/api/holds/${hold}/votes`, await world.person('carol'), { body: JSON.stringify({ verdict: 'deny', digest: `sha256:${'0'.repeat(64)}` }) })
  assert.equal(voting.status, 401)
  // The record tells it from a bad token.
  const steps = world.records('a').filter((record) => record.type === 'authentication-failed').map((record) => record['step'])
  assert.deepEqual(new Set(steps), new Set(['keys-stale']))
  assert.equal(world.upstream.executions('/refunds/1'), 0)

  await door.open()
  assert.equal((await post()).status, 200, 'the approval was not lost')
  assert.equal(world.upstream.executions('/refunds/1'), 1)
})

test('it was never there: the replica starts, and knows nobody until it comes', async () => {
  await using world = await startDeployment('embedded')
  await using door = await openDoor(world.issuer.issuer)
  await door.close()
  const replica = await world.start('a', keysBehind(door.url, { 'error-backoff': '1ms' }))
  const agent = await world.agent()
  for (const how of [{ method: 'GET' }, { method: 'POST', body: '{}' }]) {
    const reply = await ask(replica.http, '/refunds/1', agent, how)
    assert.deepEqual([reply.status, reply.code], [503, 'identity-unavailable'], reply.text)
  }
  assert.equal(world.upstream.arrivals.length, 0)
  await door.open()
  assert.equal((await ask(replica.http, '/orders', agent, { method: 'GET' })).status, 200)
})

test('it is asked again before a release: without an answer nothing runs, and after a no neither', async () => {
  await using world = await startDeployment('embedded')
  let active = true
  let subject = 'invoice-agent'
  const introspection = createServer((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ active, iss: world.issuer.issuer, sub: subject, aud: 'countersign', groups: ['oncall'] }))
  })
  await new Promise<void>((resolve) => introspection.listen(0, '127.0.0.1', resolve))
  await using _end = {
    async [Symbol.asyncDispose]() {
      introspection.closeAllConnections()
      await new Promise((resolve) => introspection.close(resolve))
    },
  }
  await using door = await openDoor(`http://127.0.0.1:${(introspection.address() as AddressInfo).port}`)
  const replica = await world.start('a', { issuers: { corp: { introspection: { url: `${door.url}/introspect`, 'client-id': 'countersign', 'client-secret': '${env:SCENARIO_KEY}' } } } })
  const [agent, bob] = [await world.agent(), await world.person('bob')]
  const post = (path: string) => ask(replica.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })
  const { hold } = await post('/refunds/1')
  subject = 'bob' // whom it is asked about when somebody votes
  assert.equal((await vote(replica, hold!, bob)).status, 200)
  subject = 'invoice-agent'

  await door.close()
  const unknown = await post('/refunds/1')
  assert.deepEqual([unknown.status, unknown.code], [503, 'identity-unavailable'], unknown.text)
  await door.open()
  active = false
  const revoked = await post('/refunds/1')
  assert.deepEqual([revoked.status, revoked.code], [401, 'bad-identity'], revoked.text)
  assert.equal(world.upstream.executions('/refunds/1'), 0)
  active = true
  assert.equal((await post('/refunds/1')).status, 200)
  assert.equal(world.upstream.executions('/refunds/1'), 1)
})

test('whoever tries again and again does not fill the log: each try is counted', async () => {
  await using world = await startDeployment('embedded')
  const replica = await world.start('a')
  for (let tries = 0; tries < 30; tries++) assert.equal((await ask(replica.http, '/orders', 'e30.e30.e30', { method: 'GET' })).status, 401)
  await replica.kill('SIGTERM')
  const failures = world.records('a').filter(({ type }) => type === 'authentication-failed')
  assert.deepEqual(failures.map((record) => record['count']), [...Array.from({ length: 20 }, () => undefined), 10])
})
