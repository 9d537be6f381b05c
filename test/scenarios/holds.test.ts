import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../support/until.ts'
import { ask, heldFor, showHold, vote, type Ask } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'
import type { Replica } from './process.ts'

/** What waiting looks like, promise by promise, over two replicas: requests go to one, votes to the other. */
describe('holds', { concurrency: 1 }, () => {
  let world: Deployment
  let a: Replica
  let b: Replica
  let agent: string
  let other: string
  let bob: string
  let carol: string
  before(async () => {
    world = await startDeployment('embedded', { issuers: { corp: { 'clock-tolerance': '1ms' } }, approvals: { 'replay-window': '2s' } })
    ;[a, b] = await Promise.all([world.start('a'), world.start('b')])
    ;[agent, other, bob, carol] = await Promise.all([world.agent(), world.agent('report-agent'), world.person('bob'), world.person('carol')])
  })
  after(() => world[Symbol.asyncDispose]())

  const post = (path: string, how: Ask = {}, token = agent) => ask(a.http, path, token, { body: '{}', ...how })
  const atOnce = { headers: { prefer: 'wait=0' } }
  const status = (id: string, token = agent, headers: Readonly<Record<string, string>> = {}, rest = '') => ask(a.http, `/.countersign/holds/${id}${rest}`, token, { method: 'GET', headers })
  const heldAtOnce = async (path: string, token = agent): Promise<string> => (await post(path, atOnce, token)).hold ?? assert.fail(`${path} was not held`)
  const executions = (path: string): number => world.upstream.executions(path)

  test('respond-async: accepted, followed by its URL, released by the repeat, answered again by its result', async () => {
    const path = '/refunds/async'
    const accepted = await post(path, { headers: { prefer: 'respond-async' } })
    assert.deepEqual([accepted.status, accepted.headers.get('location'), accepted.headers.get('preference-applied'), accepted.executed], [202, `/.countersign/holds/${accepted.hold}`, 'respond-async', false])
    const id = accepted.hold!
    assert.equal((await status(id)).json['state'], 'pending')

    const following = status(id, agent, { prefer: 'wait=20' })
    assert.equal((await vote(b, id, bob)).status, 200)
    assert.equal((await following).json['state'], 'approved')
    assert.equal(executions(path), 0, 'nobody is there to run it for')
    const ran = await post(path)
    assert.equal(ran.status, 200)
    const result = await until('the result to be kept', async () => {
      const found = await status(id, agent, {}, '/result')
      return found.status === 200 && found
    })
    assert.equal(result.text, ran.text)
    assert.equal(executions(path), 1)
  })

  test("somebody else's hold is not there: state, result, withdrawal", async () => {
    const id = await heldAtOnce('/refunds/private')
    const missing = await status('hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', other)
    assert.equal(missing.status, 404)
    for (const stranger of [other, carol, await world.agent('invoice-agent', { sub: 'alice', act: { sub: 'report-agent' } })]) {
      for (const rest of ['', '/result']) {
        const seen = await status(id, stranger, {}, rest)
        assert.deepEqual([seen.status, seen.text], [404, missing.text])
      }
      assert.equal((await ask(a.http, `/.countersign/holds/${id}`, stranger, { method: 'DELETE' })).status, 404)
    }
    assert.equal((await showHold(b, id, bob)).state, 'pending')
  })

  test('run: when-approved: it runs without the client, once, and the answer is kept for the requester alone', async () => {
    const path = '/reports/month'
    const accepted = await post(path, { headers: { prefer: 'respond-async' } })
    assert.equal(accepted.status, 202)
    const id = accepted.hold!
    assert.equal(executions(path), 0)
    assert.equal((await vote(b, id, bob)).status, 200)
    await until('it to have run', async () => (await status(id)).json['state'] === 'executed', 10_000)
    assert.equal(executions(path), 1)
    const result = await status(id, agent, {}, '/result')
    assert.deepEqual([result.status, result.json['path']], [200, path])
    assert.equal((await status(id, other, {}, '/result')).status, 404)
    const again = await post(path)
    assert.deepEqual([again.status, again.text, executions(path)], [200, result.text, 1])
  })

  test('a repeat within the replay window gets the stored answer; another idempotency key or a later repeat is a new question', async () => {
    const path = '/refunds/replay'
    const first = post(path, { headers: { 'idempotency-key': 'one' } })
    const { id } = await heldFor(b, bob, path)
    await vote(b, id, bob)
    const ran = await first
    const again = await post(path, { headers: { 'idempotency-key': 'one' } })
    assert.deepEqual([again.status, again.text, again.headers.get('countersign-replayed')], [200, ran.text, 'true'])
    const another = await post(path, { headers: { 'idempotency-key': 'two', prefer: 'wait=0' } })
    assert.ok(another.code === 'hold-pending' && another.hold !== id, another.text)
    assert.equal(executions(path), 1)

    const lapsing = '/refunds/lapsing'
    const one = await heldAtOnce(lapsing)
    await vote(b, one, bob)
    assert.equal((await post(lapsing)).status, 200)
    const later = await until('the window to end', async () => {
      const reply = await post(lapsing, atOnce)
      return reply.code === 'hold-pending' && reply
    })
    assert.notEqual(later.hold, one)
    assert.equal(executions(lapsing), 1)
  })

  test('a token that ends while its action is held releases nothing; a fresh one of the same caller does', async () => {
    const path = '/refunds/token'
    const exp = Math.floor(Date.now() / 1000) + 2
    const short = await world.agent('invoice-agent', { exp })
    const asked = post(path, {}, short)
    const { id } = await heldFor(b, bob, path)
    await until('the token to end', () => Date.now() > exp * 1000 + 50)
    await vote(b, id, bob)
    const reply = await asked
    assert.deepEqual([reply.status, reply.code], [401, 'bad-identity'], reply.text)
    assert.equal(executions(path), 0)
    assert.equal((await post(path)).status, 200)
    assert.equal(executions(path), 1)
  })

  test('an approver who loses the group before the second vote, or before the release, does not count', async () => {
    const path = '/payouts/1'
    const id = await heldAtOnce(path)
    assert.equal((await vote(b, id, bob)).status, 200)
    await ask(b.console, '/api/whoami', await world.person('bob', []), { method: 'GET' }) // bob's new token says that he left
    assert.equal((await vote(b, id, carol)).status, 200)
    assert.equal((await showHold(b, id, carol)).state, 'pending')
    await until('the vote that is gone on record', () => world.records('b').some((record) => record.type === 'vote-dropped' && record.hold === id))
    const dave = await world.person('dave')
    await vote(b, id, dave)
    assert.equal((await showHold(b, id, carol)).state, 'approved')

    await ask(a.console, '/api/whoami', await world.person('carol', []), { method: 'GET' })
    const reply = await post(path, atOnce)
    assert.deepEqual([reply.status, reply.code], [409, 'hold-changed'], reply.text)
    assert.equal(executions(path), 0)
  })

  test('who may not vote: the owner, the agent, somebody acting for an approver, a stranger; nor for anything else than was seen', async () => {
    const path = '/refunds/votes'
    const id = await heldAtOnce(path)
    const { action } = await showHold(b, id, bob)
    const cast = (token: string, digest = action.digest) => ask(b.console, `/api/holds/${id}/votes`, token, { body: JSON.stringify({ verdict: 'approve', digest }) })
    const alice = await cast(await world.person('alice'))
    assert.deepEqual([alice.status, alice.code], [403, 'self-approval'])
    for (const token of [agent, other, await world.person('bob', ['oncall'], { act: { sub: 'report-agent' } })]) {
      const refused = await cast(token)
      assert.deepEqual([refused.status, refused.code], [403, 'not-eligible'], refused.text)
    }
    assert.equal((await cast(await world.person('eve', ['sales']))).status, 404)
    const wrong = await cast(bob, `sha256:${'0'.repeat(64)}`)
    assert.deepEqual([wrong.status, wrong.code], [409, 'wrong-digest'])
    assert.equal((await showHold(b, id, bob)).state, 'pending')
    assert.equal((await vote(b, id, bob, 'deny', 'not today')).status, 200)
    const late = await cast(carol)
    assert.deepEqual([late.status, late.code], [409, 'already-settled'])
  })

  test('a no: at once, with the reason; and a later repeat is a new question', async () => {
    const path = '/refunds/denied'
    const asked = post(path)
    const { id } = await heldFor(b, bob, path)
    await vote(b, id, bob, 'deny', 'ask the customer first')
    const reply = await asked
    assert.deepEqual([reply.status, reply.code, reply.executed, reply.headers.get('x-should-retry')], [403, 'hold-denied', false, 'false'])
    assert.match(reply.text, /ask the customer first/)
    assert.notEqual(await heldAtOnce(path), id)
    assert.equal(executions(path), 0)
  })

  test('nobody answers in time: expired for the client, too late for the voter', async () => {
    const path = '/soon/1'
    const asked = post(path)
    const { id } = await heldFor(b, bob, path)
    const { action } = await showHold(b, id, bob)
    const reply = await asked
    assert.deepEqual([reply.status, reply.code, reply.executed], [410, 'hold-expired', false])
    const late = await ask(b.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: action.digest }) })
    assert.deepEqual([late.status, late.code], [410, 'hold-expired'], late.text)
    assert.equal(executions(path), 0)
  })

  test('approved, and not used in time: expired', async () => {
    const path = '/soon/2'
    const id = await heldAtOnce(path)
    await vote(b, id, bob)
    await until('the approval to lapse', async () => (await showHold(b, id, bob)).state === 'expired')
    const named = await post(path, { headers: { 'countersign-hold': id } })
    assert.deepEqual([named.status, named.code], [410, 'hold-expired'])
    assert.equal(executions(path), 0)
  })

  test('the requester takes it back', async () => {
    const path = '/refunds/withdrawn'
    const asked = post(path)
    const { id } = await heldFor(b, bob, path)
    const { action } = await showHold(b, id, bob)
    assert.equal((await ask(a.http, `/.countersign/holds/${id}`, agent, { method: 'DELETE' })).json['state'], 'withdrawn')
    const reply = await asked
    assert.deepEqual([reply.status, reply.code], [403, 'hold-withdrawn'])
    assert.equal((await ask(b.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: action.digest }) })).status, 409)
    assert.equal(executions(path), 0)
  })

  test('an approval is for these bytes and this caller', async () => {
    const path = '/refunds/bytes'
    const id = await heldAtOnce(path)
    await vote(b, id, bob)
    const named = { headers: { 'countersign-hold': id, prefer: 'wait=0' } }
    for (const [change, token] of [[{ ...named, body: '{} ' }, agent], [{ ...named, method: 'DELETE' }, agent], [named, other]] as const) {
      const reply = await post(path, change, token)
      assert.ok([404, 409].includes(reply.status), reply.text)
    }
    assert.equal((await post(`${path}?x=1`, named)).status, 409)
    const anew = await post(path, { ...atOnce, body: '{"amount":1}' })
    assert.equal(anew.code, 'hold-pending', 'other bytes without a name are another question')
    assert.equal(executions(path) + executions(`${path}?x=1`), 0)
    assert.equal((await post(path)).status, 200, 'and the approval is still good for what it was given')
    assert.equal(executions(path), 1)
  })

  test('so many open holds of one caller, and no more', async () => {
    const c = await world.start('c', { approvals: { 'open-per-caller': 3 } })
    const asked = (at: number) => ask(c.http, `/refunds/flood/${at}`, other, { body: '{}', headers: { prefer: 'wait=0' } })
    for (let at = 0; at < 3; at++) assert.equal((await asked(at)).code, 'hold-pending')
    const over = await asked(3)
    assert.deepEqual([over.status, over.code], [429, 'too-many-holds'])
    assert.equal((await asked(1)).code, 'hold-pending', 'a repeat is no new one')
    await c.kill('SIGTERM')
  })
})
