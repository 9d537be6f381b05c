import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { stringify } from 'yaml'
import { until } from '../support/until.ts'
import { ask, heldFor, showHold, vote, type Reply } from './client.ts'
import { policy, startDeployment, type Deployment, type JournalRecord } from './deployment.ts'
import type { Replica } from './process.ts'

/** `run: when-approved`: the client asks and goes away, somebody approves, it runs once, and the reply is there for the one who asked. */
const secret = 'the-reply-4711'
const stopPoints = new URL('../crash/stop-points.ts', import.meta.url).href

for (const kind of ['embedded', 'redis'] as const) {
  describe(`runs when approved, ${kind} store`, () => {
    let world: Deployment
    let a: Replica
    let b: Replica
    let agent: string
    let bob: string
    before(async () => {
      world = await startDeployment(kind)
      ;[a, b] = await Promise.all([world.start('a'), world.start('b')])
      ;[agent, bob] = await Promise.all([world.agent(), world.person('bob')])
    })
    after(() => world[Symbol.asyncDispose]())
    afterEach(() => (world.upstream.answer = undefined))

    /** Asks, is told to come back, and leaves. */
    const leave = async (path: string, token = agent, at = a): Promise<string> => {
      const reply = await ask(at.http, path, token, { body: '{"what":"everything"}', headers: { prefer: 'respond-async', 'x-purpose': 'audit', 'idempotency-key': `key-${path}` } })
      assert.equal(reply.status, 202, reply.text)
      return reply.hold ?? assert.fail('no hold')
    }
    const stateOf = async (id: string, at = a): Promise<string> => (await showHold(at, id, bob)).state
    const becomes = (id: string, state: string, at = a) => until(`${id} to be ${state}`, async () => (await stateOf(id, at)) === state, 20_000)
    const result = (id: string, token: string, at = b): Promise<Reply> => ask(at.http, `/.countersign/holds/${id}/result`, token, { method: 'GET' })
    const reload = async (): Promise<void> => {
      for (const replica of [a, b]) assert.equal((await ask(replica.admin, '/-/reload', '', { headers: { 'countersign-admin': 'reload' } })).status, 200)
    }
    const recordsOf = (id: string): readonly JournalRecord[] => {
      const all = world.records()
      const attempt = all.find((record) => record.type === 'released' && record.hold === id)?.attempt
      return all.filter((record) => record.hold === id || (attempt !== undefined && record.attempt === attempt))
    }

    test('once, by one of two replicas, for the requester alone', async () => {
      world.upstream.answer = (_arrival, response) => void response.writeHead(201, { 'x-made': 'yes' }).end(secret)
      const id = await leave('/reports/1')
      const early = await result(id, agent)
      assert.deepEqual([early.status, early.code], [503, 'hold-pending'])
      assert.equal((await vote(b, id, bob)).status, 200)
      await becomes(id, 'executed')
      const status = await ask(b.http, `/.countersign/holds/${id}`, agent, { method: 'GET' })
      assert.deepEqual([status.json['state'], status.json['result']], ['executed', `/.countersign/holds/${id}/result`])
      const reply = await result(id, agent)
      assert.deepEqual([reply.status, reply.text, reply.headers.get('x-made'), reply.headers.get('countersign-replayed')], [201, secret, 'yes', 'true'])
      for (const other of [await world.agent('report-agent'), bob, await world.person('alice')]) assert.equal((await result(id, other)).status, 404)
      assert.equal((await result(id, 'nobody')).status, 401)

      assert.equal(world.upstream.executions('/reports/1'), 1)
      const arrival = world.upstream.arrivals.find(({ path }) => path === '/reports/1')
      assert.deepEqual([arrival?.body, arrival?.headers['x-purpose'], arrival?.headers['idempotency-key'], arrival?.headers['authorization'], arrival?.headers['x-countersign-user']], ['{"what":"everything"}', 'audit', 'key-/reports/1', undefined, 'invoice-agent'])

      const records = recordsOf(id)
      const count = (type: string): number => records.filter((record) => record.type === type).length
      for (const type of ['held', 'voted', 'released', 'started', 'finished']) assert.equal(count(type), 1, type)
      assert.equal(count('attached'), 0, 'nobody came back')
      assert.equal(records.find((record) => record.type === 'released')?.['unattended'], true)
      const [decided, released, started] = ['decided', 'released', 'started'].map((type) => records.findIndex((record) => record.type === type && record.attempt === records.find((one) => one.type === 'started')?.attempt))
      assert.ok(decided! >= 0 && decided! < released! && released! < started!, 'in their order')
    })

    test('the store never sees the reply', async () => {
      const bytes = kind === 'embedded' ? Buffer.concat(['', '-wal'].map((end) => readFileSync(join(world.directory, `holds.db${end}`)))) : Buffer.from(await everything(world))
      assert.ok(bytes.includes('hold_'), 'this looks where holds are')
      assert.ok(!bytes.includes(secret))
      assert.ok(!bytes.includes(agent.split('.')[2]!), 'nor the token')
    })

    test('a client that waits gets its answer itself', async () => {
      const asked = ask(a.http, '/reports/2', agent, { body: '{}' })
      const hold = await heldFor(a, bob, '/reports/2')
      await vote(b, hold.id, bob)
      const reply = await asked
      assert.deepEqual([reply.status, reply.headers.get('countersign-replayed')], [200, null])
      await becomes(hold.id, 'executed')
      assert.equal(world.upstream.executions('/reports/2'), 1)
      assert.equal(recordsOf(hold.id).find((record) => record.type === 'released')?.['unattended'], undefined)
    })

    test('a repeat while it runs gets the same answer', async () => {
      const answer = Promise.withResolvers<void>()
      world.upstream.answer = async (_arrival, response) => {
        await answer.promise
        response.writeHead(200).end('slow')
      }
      const id = await leave('/reports/3')
      await vote(a, id, bob)
      await until('the service to be asked', () => world.upstream.executions('/reports/3') > 0, 20_000)
      const repeat = ask(b.http, '/reports/3', agent, { body: '{"what":"everything"}', headers: { 'x-purpose': 'audit', 'idempotency-key': 'key-/reports/3' } })
      answer.resolve()
      const reply = await repeat
      assert.deepEqual([reply.status, reply.text, reply.headers.get('countersign-replayed')], [200, 'slow', 'true'])
      assert.equal(world.upstream.executions('/reports/3'), 1)
    })

    test('not once the token has expired: it waits for the requester, whose repeat runs it', async () => {
      const exp = Math.floor(Date.now() / 1_000) + 2
      const id = await leave('/reports/4', await world.agent('invoice-agent', { exp }))
      await until('the token to expire', () => Date.now() > exp * 1_000 + 100)
      await vote(a, id, bob)
      const refusal = await until('the refusal to be on record', () => world.records().find((record) => record.type === 'refused' && record.hold === id && record['code'] !== 'hold-pending'), 20_000)
      assert.deepEqual([refusal['code'], refusal['cause']], ['bad-identity', 'the token of the requester has expired'])
      await until('the requester to be told', async () => /repeat the identical request/.test(String((await ask(b.http, `/.countersign/holds/${id}`, agent, { method: 'GET' })).json['next'])), 10_000)
      assert.equal(await stateOf(id), 'approved')
      assert.equal(world.upstream.executions('/reports/4'), 0)
      const reply = await ask(b.http, '/reports/4', agent, { body: '{"what":"everything"}', headers: { 'x-purpose': 'audit' } })
      assert.deepEqual([reply.status, world.upstream.executions('/reports/4')], [200, 1])
    })

    test('a policy that denies by then', async () => {
      const id = await leave('/reports/5')
      const rules = policy['rules'] as object[]
      writeFileSync(world.policyFile, stringify({ ...policy, rules: [...rules, { name: 'stop', then: 'deny', paths: ['/reports/5'] }] }))
      await reload()
      await vote(a, id, bob)
      await until('the deny to be on record', () => world.records().some((record) => record.type === 'decided' && JSON.stringify(record).includes('/reports/5') && (record['decision'] as { verdict: string }).verdict === 'deny'), 20_000)
      assert.deepEqual([await stateOf(id), world.upstream.executions('/reports/5')], ['approved', 0])
      writeFileSync(world.policyFile, stringify(policy))
      await reload()
    })

    test('approved, and then every replica stops: it runs when one is back', async () => {
      const id = await leave('/reports/6')
      await vote(a, id, bob)
      await Promise.all([a.kill('SIGKILL'), b.kill('SIGKILL')])
      assert.equal(world.upstream.executions('/reports/6'), 0)
      a = await world.start('a')
      await becomes(id, 'executed')
      assert.equal(world.upstream.executions('/reports/6'), 1)
      b = await world.start('b')
      assert.equal((await result(id, agent, b)).status, 200)
    })

    for (const [at, state, asked] of [['before store running', 'executed', 1], ['after store running', 'failed', 0], ['after journal started', 'unknown', 0], ['at the service', 'unknown', 1], ['after store executed', 'executed', 1]] as const) {
      test(`killed ${at}`, async () => {
        const path = `/reports/${at.replaceAll(' ', '-')}`
        const stopFile = join(world.directory, 'stop')
        writeFileSync(stopFile, '')
        await Promise.all([a, b].map((replica) => replica[Symbol.asyncDispose]()))
        const stop = { node: ['--import', stopPoints], env: { COUNTERSIGN_STOP_FILE: stopFile } }
        a = await world.start('a', {}, stop)
        const id = await leave(path)
        await vote(a, id, bob)
        if (at === 'at the service') world.upstream.answer = () => void a.process.kill('SIGKILL')
        else writeFileSync(stopFile, at)
        assert.equal(await until(`the replica to die ${at}`, () => a.process.signalCode ?? undefined, 30_000), 'SIGKILL')
        writeFileSync(stopFile, '')
        world.upstream.answer = undefined
        ;[a, b] = await Promise.all([world.start('a', {}, stop), world.start('b')])
        await becomes(id, state)
        assert.equal(world.upstream.executions(path), asked)
        if (state === 'unknown') assert.equal((await ask(b.http, path, agent, { body: '{"what":"everything"}', headers: { 'x-purpose': 'audit' } })).code, 'hold-spent')
        assert.equal(world.upstream.executions(path), asked)
      })
    }
  })
}

/** Every value of this Redis, whatever its form. */
const everything = async ({ redis }: Deployment): Promise<Uint8Array> => {
  const { Redis } = await import('ioredis')
  const client = new Redis(redis!.url)
  try {
    const keys = await client.keys('*')
    const dumps = await Promise.all(keys.map(async (key) => ((await client.type(key)) === 'hash' ? Buffer.concat(await client.hvalsBuffer(key)) : ((await client.type(key)) === 'string' ? await client.getBuffer(key) : null) ?? Buffer.alloc(0))))
    return Buffer.concat(dumps)
  } finally {
    client.disconnect()
  }
}
