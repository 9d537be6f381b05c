import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../support/until.ts'
import { ask, heldFor, showHold, vote, type Reply } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'
import type { Replica } from './process.ts'

/** The protected service fails. Nothing sent: it says so and may be asked again. Something sent: nobody claims to know, and it never runs a second time. */
describe('the protected service fails', { concurrency: 1 }, () => {
  let world: Deployment
  let replica: Replica
  let agent: string
  let bob: string
  before(async () => {
    world = await startDeployment('embedded')
    replica = await world.start('a', { services: { orders: { 'headers-timeout': '500ms', 'connect-timeout': '1s' } } })
    ;[agent, bob] = [await world.agent(), await world.person('bob')]
  })
  after(() => world[Symbol.asyncDispose]())

  const approved = async (path: string): Promise<{ readonly id: string; readonly reply: Reply }> => {
    const asked = ask(replica.http, path, agent, { body: '{}' })
    const { id } = await heldFor(replica, bob, path)
    assert.equal((await vote(replica, id, bob)).status, 200)
    return { id, reply: await asked }
  }
  const repeat = (path: string) => ask(replica.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })
  /** Soon after the client has its answer. */
  const comesTo = (id: string, state: string) => until(`the hold to be ${state}`, async () => (await showHold(replica, id, bob)).state === state)

  test('it cannot be reached: said apart, nothing ran, and a new request is a new question', async () => {
    await world.upstream.goAway()
    const read = await ask(replica.http, '/orders', agent, { method: 'GET' })
    assert.deepEqual([read.status, read.code], [502, 'upstream-unavailable'])
    const { id, reply } = await approved('/refunds/away')
    assert.deepEqual([reply.status, reply.code, reply.executed], [502, 'upstream-unavailable', false])
    await comesTo(id, 'failed')
    await world.upstream.comeBack()
    const again = await repeat('/refunds/away')
    assert.equal(again.code, 'hold-pending')
    assert.notEqual(again.hold, id, 'the approval was for one try')
    assert.equal(world.upstream.executions('/refunds/away'), 0)
  })

  test('it takes the request and does not answer in time: unknown, and the repeat is refused', async () => {
    world.upstream.answer = () => {}
    const { id, reply } = await approved('/refunds/silent')
    assert.deepEqual([reply.status, reply.code, reply.executed], [504, 'outcome-unknown', undefined], reply.text)
    await comesTo(id, 'unknown')
    world.upstream.answer = undefined
    const again = await repeat('/refunds/silent')
    assert.deepEqual([again.status, again.code], [409, 'hold-spent'])
    assert.equal(world.upstream.executions('/refunds/silent'), 1)
  })

  test('it cuts the connection in mid answer: what came is delivered broken, and the repeat does not run', async () => {
    world.upstream.answer = (_arrival, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half of it', () => response.destroy())
    }
    const asked = ask(replica.http, '/refunds/half', agent, { body: '{}' }).then((reply) => `whole: ${reply.text}`, () => 'broken')
    const { id } = await heldFor(replica, bob, '/refunds/half')
    await vote(replica, id, bob)
    assert.equal(await asked, 'broken')
    world.upstream.answer = undefined
    const again = await repeat('/refunds/half')
    assert.deepEqual([again.status, again.code], [409, 'hold-spent'], again.text)
    assert.equal(world.upstream.executions('/refunds/half'), 1)
  })

  test('it answers with an error of its own: that is the answer, it ran, and the repeat gets the same', async () => {
    world.upstream.answer = (_arrival, response) => void response.writeHead(500, { 'content-type': 'text/plain' }).end('no luck')
    const { id, reply } = await approved('/refunds/broken')
    assert.deepEqual([reply.status, reply.text], [500, 'no luck'])
    await comesTo(id, 'executed')
    world.upstream.answer = undefined
    const again = await repeat('/refunds/broken')
    assert.deepEqual([again.status, again.text, again.headers.get('countersign-replayed')], [500, 'no luck', 'true'])
    assert.equal(world.upstream.executions('/refunds/broken'), 1)
  })
})
