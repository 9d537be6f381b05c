import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, heldFor, listHolds, vote, type Ask, type Reply } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'
import type { Replica } from './process.ts'
import { until } from '../support/until.ts'

/**
 * An approval works once, whoever repeats the request, wherever, and how often: three processes that share nothing but the store,
 * fifty clients at each.
 */
const clientsEach = 50

for (const kind of ['embedded', 'redis'] as const) {
  describe(`one approval, three replicas, ${kind} store`, () => {
    let world: Deployment
    let replicas: readonly Replica[]
    let agent: string
    let bob: string
    before(async () => {
      world = await startDeployment(kind)
      replicas = await Promise.all(['a', 'b', 'c'].map((name) => world.start(name)))
      agent = await world.agent()
      bob = await world.person('bob')
    })
    after(() => world[Symbol.asyncDispose]())

    const everywhere = (path: string, how: Ask): Promise<Reply>[] => replicas.flatMap((replica) => Array.from({ length: clientsEach }, () => ask(replica.http, path, agent, how)))

    /** One ran it; each other got that answer, or heard that the approval is used. */
    const judge = (path: string, replies: readonly Reply[]) => {
      assert.equal(world.upstream.executions(path), 1, 'executions at the service')
      const ran = replies.filter((reply) => reply.status === 200 && reply.headers.get('countersign-replayed') === null)
      assert.equal(ran.length, 1, 'answers that came from the service itself')
      const others = replies.filter((reply) => reply !== ran[0])
      for (const reply of others) {
        if (reply.status === 200) assert.equal(reply.text, ran[0]?.text)
        else assert.deepEqual([reply.status, reply.code], [409, 'hold-spent'], reply.text)
      }
      const records = world.records().filter((record) => record.type === 'started' && (record['action'] as { digest?: string }).digest === digestOf(path))
      assert.equal(records.length, 1, 'records of a start')
      return { spent: others.filter((reply) => reply.status === 409).length }
    }
    const digestOf = (path: string): string => {
      const held = world.records().find((record) => record.type === 'held' && JSON.stringify(record['action']).includes(path))
      return (held?.['action'] as { readonly digest: string } | undefined)?.digest ?? assert.fail(`nothing was held for ${path}`)
    }

    test('all wait, somebody approves: one execution, the same answer for everybody', async () => {
      const path = '/refunds/waiting'
      const asked = everywhere(path, { body: '{"amount":1}' })
      const hold = await heldFor(replicas[0]!, bob, path)
      await until('everybody to be on record', () => world.records().filter((record) => record.hold === hold.id && (record.type === 'held' || record.type === 'attached')).length === replicas.length * clientsEach, 20_000)
      assert.equal((await listHolds(replicas[1]!, bob)).filter((one) => one.preview.includes(path)).length, 1, 'one hold for all of them')
      assert.equal((await vote(replicas[2]!, hold.id, bob)).status, 200)
      assert.equal(judge(path, await Promise.all(asked)).spent, 0)
    })

    test('approved while nobody waits, then everybody at once', async () => {
      const path = '/refunds/at-once'
      const first = await ask(replicas[0]!.http, path, agent, { body: '{"amount":2}', headers: { prefer: 'wait=0' } })
      assert.deepEqual([first.status, first.code], [503, 'hold-pending'])
      assert.equal((await vote(replicas[1]!, first.hold!, bob)).status, 200)
      assert.equal(judge(path, await Promise.all(everywhere(path, { body: '{"amount":2}' }))).spent, 0)
    })

    test('all come back for the hold by its name: one runs it, all others hear that it is spent', async () => {
      const path = '/refunds/by-name'
      const first = await ask(replicas[1]!.http, path, agent, { body: '{"amount":3}', headers: { prefer: 'wait=0' } })
      assert.equal((await vote(replicas[2]!, first.hold!, bob)).status, 200)
      const { spent } = judge(path, await Promise.all(everywhere(path, { body: '{"amount":3}', headers: { 'countersign-hold': first.hold! } })))
      assert.equal(spent, replicas.length * clientsEach - 1)
    })

    test('run: when-approved, and nobody waits: one of the three runs each', async () => {
      const paths = Array.from({ length: 10 }, (_, at) => `/reports/${at}`)
      const ids = await Promise.all(paths.map(async (path, at) => (await ask(replicas[at % 3]!.http, path, agent, { body: '{}', headers: { prefer: 'respond-async' } })).hold ?? assert.fail('not held')))
      await Promise.all(ids.map((id, at) => vote(replicas[(at + 1) % 3]!, id, bob)))
      await until('all to have run', async () => (await listHolds(replicas[0]!, bob, 'executed')).filter((hold) => ids.includes(hold.id)).length === ids.length, 15_000)
      for (const path of paths) assert.equal(world.upstream.executions(path), 1, path)
      const started = world.records().filter((record) => record.type === 'started' && ids.includes(record.hold ?? ''))
      assert.equal(started.length, ids.length)
    })

    test('more ask while a slow service runs it: still once', async () => {
      const path = '/refunds/slow'
      const answer = Promise.withResolvers<void>()
      world.upstream.answer = async (_arrival, response) => {
        await answer.promise
        response.writeHead(200).end('slow')
      }
      const asked = everywhere(path, { body: '{"amount":4}' })
      const hold = await heldFor(replicas[0]!, bob, path)
      await vote(replicas[0]!, hold.id, bob)
      await until('the service to be asked', () => world.upstream.executions(path) > 0, 10_000)
      const late = everywhere(path, { body: '{"amount":4}' })
      answer.resolve()
      const replies = await Promise.all([...asked, ...late])
      world.upstream.answer = undefined
      judge(path, replies)
    })
  })
}
