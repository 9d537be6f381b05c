import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../support/until.ts'
import { ask, heldFor, listHolds, showHold, vote } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'

/** A hold is a record in the store. Processes come and go around it. */
for (const kind of ['embedded', 'redis'] as const) {
  describe(`replicas that end while actions are held, ${kind} store`, { concurrency: 1 }, () => {
    let world: Deployment
    let agent: string
    let bob: string
    before(async () => {
      world = await startDeployment(kind)
      ;[agent, bob] = [await world.agent(), await world.person('bob')]
    })
    after(() => world[Symbol.asyncDispose]())

    test('after a crash the repeat attaches to the same hold; a vote at another replica releases it within a second', async () => {
      const path = '/refunds/restart'
      let a = await world.start('a')
      const b = await world.start('b')
      const first = ask(a.http, path, agent, { body: '{}' }).then(() => 'answered', () => 'cut')
      const hold = await heldFor(b, bob, path)
      assert.equal(await a.kill('SIGKILL'), 'SIGKILL')
      assert.equal(await first, 'cut')

      a = await world.start('a')
      const pending = await ask(a.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })
      assert.deepEqual([pending.status, pending.code, pending.hold, pending.json['hold_code']], [503, 'hold-pending', hold.id, hold.code])
      assert.match(pending.headers.get('retry-after') ?? '', /^\d+$/)
      assert.equal(world.upstream.executions(path), 0)

      let answered: number | undefined
      const again = ask(a.http, path, agent, { body: '{}', headers: { 'countersign-hold': hold.id } }).finally(() => (answered = performance.now()))
      await until('the repeat to wait', () => world.records('a').filter((record) => record.type === 'attached' && record.hold === hold.id).length === 2)
      assert.equal((await vote(b, hold.id, bob)).status, 200)
      const voted = performance.now()
      const reply = await again
      assert.deepEqual([reply.status, reply.headers.get('countersign-replayed')], [200, null])
      assert.ok((answered ?? Infinity) - voted < 4_000, `released ${(answered ?? Infinity) - voted} ms after the vote`)
      assert.equal(world.upstream.executions(path), 1)
      await Promise.all([a.kill('SIGKILL'), b.kill('SIGKILL')])
    })

    test('approved while every replica is down or away: the next repeat runs it once', async () => {
      const path = '/refunds/away'
      let a = await world.start('a')
      const { hold = '' } = await ask(a.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })
      assert.equal((await vote(a, hold, bob)).status, 200)
      await a.kill('SIGKILL')
      a = await world.start('a')
      assert.equal((await showHold(a, hold, bob)).state, 'approved')
      assert.equal(world.upstream.executions(path), 0, 'nothing runs for a caller who is not there')
      assert.equal((await ask(a.http, path, agent, { body: '{}' })).status, 200)
      assert.equal(world.upstream.executions(path), 1)
      await a.kill('SIGKILL')
    })

    test('a replica that is told to go answers 100 held requests at once, starts nothing any more, and ends well', async () => {
      const held = 100
      const [a, b] = await Promise.all([world.start('a'), world.start('b')])
      const release = Promise.withResolvers<void>()
      world.upstream.answer = async ({ path }, response) => {
        if (path === '/refunds/running') await release.promise
        response.writeHead(200).end('done')
      }
      // One action is running when the signal comes: it is let run.
      const running = ask(a.http, '/refunds/running', agent, { body: '{}' })
      await vote(b, (await heldFor(b, bob, '/refunds/running')).id, bob)
      await until('the action to run', () => world.upstream.executions('/refunds/running') === 1)

      const waiting = Array.from({ length: held }, (_, at) => ask(a.http, `/refunds/drain/${at}`, agent, { body: '{}' }).then((reply) => ({ reply, at: performance.now() })))
      const holds = await until('all to be held', async () => {
        const found = await listHolds(b, bob)
        return found.length === held && found
      }, 15_000)

      const told = performance.now()
      a.process.kill('SIGTERM')
      const approving = holds.map((hold) => vote(b, hold.id, bob))
      const answers = await Promise.all(waiting)
      for (const { reply, at } of answers) {
        assert.deepEqual([reply.status, reply.executed], [503, false], reply.text)
        assert.ok(['hold-pending', 'draining'].includes(reply.code ?? ''), reply.text)
        assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/)
        assert.ok(holds.some((hold) => hold.id === reply.hold), 'names its hold')
        assert.ok(at - told < 10_000, `answered ${at - told} ms after the signal`)
      }
      for (const reply of await Promise.all(approving)) assert.equal(reply.status, 200)
      assert.equal(world.upstream.arrivals.filter(({ path }) => path.startsWith('/refunds/drain/')).length, 0, 'nothing was started by the replica that goes')
      await assert.rejects(ask(a.http, '/refunds/drain/0', agent, { body: '{}', deadlineMs: 2_000 }), 'takes no new connections')

      release.resolve()
      assert.equal((await running).status, 200, 'what ran was let run')
      assert.equal(await a.ended(), 0)

      // Every approval is still good, once, elsewhere.
      const later = await Promise.all(holds.map((_, at) => ask(b.http, `/refunds/drain/${at}`, agent, { body: '{}' })))
      assert.deepEqual(new Set(later.map((reply) => reply.status)), new Set([200]))
      for (let at = 0; at < held; at++) assert.equal(world.upstream.executions(`/refunds/drain/${at}`), 1)
      world.upstream.answer = undefined
    })
  })
}
