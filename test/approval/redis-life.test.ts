import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reviewWithinMs } from '../../src/approval/marks.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Hold } from '../../src/model/hold.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { startRedis } from '../stores/redis-server.ts'
import { until } from '../support/until.ts'
import { agent, alice, allAnswered, allowed, ballot, bothAnswered, caller, decision, makeWorld, obtain, refused, requirement, terms } from './world.ts'

const overRedis = async (port: number, clockSkewMs: () => number = () => 0) => openRedisStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://127.0.0.1:${port}`) }, prefix: 'cs', acknowledgingReplicas: 0 }, { clockSkewMs })

test('over Redis: held at one replica, decided at another, spent once, replayed, expired', { timeout: 30_000 }, async () => {
  await using server = await startRedis()
  const [first, second] = [await overRedis(server.port), await overRedis(server.port)]
  await using world = await makeWorld()
  const a = await world.replica('ra', {}, () => first)
  const b = await world.replica('rb', {}, () => second)
  const told: Hold[] = []
  const waiting = obtain(a, 'POST /x', agent, { onHeld: (hold) => told.push(hold) })
  const hold = await until('held', () => told[0])
  await until('seen waiting', async () => (await b.life.show(hold.id, alice)).waiting, 2_000)
  const begun = performance.now()
  await b.life.vote(hold.id, ballot(alice, hold))
  await waiting
  assert.ok(performance.now() - begun < 4_000)
  const tries = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? a : b).life.spend({ hold }, `try-${i}`, agent, allowed).catch(() => undefined)))
  const won = tries.filter((one) => one !== undefined)
  assert.equal(won.length, 1)
  await b.life.finish(won[0]!, { result: 'executed', ms: 1 }, Buffer.from('answer'))
  const replay = await obtain(a, 'POST /x', agent)
  assert.ok('result' in replay)
  assert.equal(Buffer.from(replay.result).toString(), 'answer')
  await server.command('HSET', '{cs}:holds', hold.id, 'v1.00000000.forged.{}')
  assert.equal((await refused(a.life.show(hold.id, alice))).code, 'store-unavailable')
  assert.ok(world.count('store-tampered') > 0)
})

test('two clients that wait for one approval: one runs it, the other gets its result, over Redis too', { timeout: 30_000 }, async () => {
  await using server = await startRedis()
  const [first, second] = [await overRedis(server.port), await overRedis(server.port)]
  await using world = await makeWorld()
  const a = await world.replica('ra', {}, () => first)
  const b = await world.replica('rb', {}, () => second)
  await bothAnswered(a, b, 'POST /both')
  await allAnswered(a, b, 'POST /many')
  assert.equal(world.count('released'), 2)
})

test('over Redis: what time brings about is said once by two replicas, and what is owed is kept until it is paid', { timeout: 30_000 }, async () => {
  await using server = await startRedis()
  let skew = 0
  const [first, second] = [await overRedis(server.port, () => skew), await overRedis(server.port, () => skew)]
  await using world = await makeWorld()
  const a = await world.replica('ra', {}, () => first)
  const b = await world.replica('rb', {}, () => second)
  const needs = terms([requirement({ count: 2, escalation: { afterMs: 20_000, groups: ['managers'], users: [] } })], { breakGlass: [{ policy: 'p', rule: 'r', groups: ['incident'], users: [], reason: 20 }] })
  const [kim, ira] = [caller('kim', { groups: ['managers'] }), caller('ira', { groups: ['incident'] })]
  const hold = (await refused(obtain(a, 'POST /x', agent, { budgetMs: 0 }, decision(needs)))).detail.hold!
  skew = 20_001
  await until('it to escalate', async () => (await b.life.show(hold.id, kim).catch(() => undefined))?.marks?.length === 1)
  await a.life.vote(hold.id, ballot(ira, hold, { brokeGlass: true, reason: 'Incident 4711: production is down.' }))
  skew = 60_000
  await until('its end', async () => (await b.life.show(hold.id, alice)).state === 'expired')
  skew = reviewWithinMs * 2
  await until('it to be overdue', () => world.count('review-overdue') > 0)
  await refused(obtain(b, 'POST /y', agent, { budgetMs: 0 }, decision(needs))) // the store sweeps when it writes
  assert.deepEqual((await b.life.list({ unreviewed: true, limit: 10 }, alice)).holds.map(({ id }) => id), [hold.id])
  await b.life.review(hold.id, kim, 'In order.')
  assert.deepEqual((await a.life.list({ unreviewed: true, limit: 10 }, alice)).holds, [])
  assert.deepEqual((['hold-escalated', 'broke-glass', 'review-overdue', 'break-glass-reviewed', 'hold-expired'] as const).map((type) => world.events.filter((event) => event.type === type && event.hold === hold.id).length), [1, 1, 1, 1, 1])
})

test('the store is down: nothing is held, voted or spent; the end of what ran is written when it is back', { timeout: 60_000 }, async () => {
  await using server = await startRedis()
  const store = await overRedis(server.port)
  await using world = await makeWorld()
  const a = await world.replica('ra', {}, () => store)
  const open = async (text: string) => (await refused(obtain(a, text, agent, { budgetMs: 0 }))).detail.hold!
  const [one, two, three] = [await open('POST /one'), await open('POST /two'), await open('POST /three')]
  for (const hold of [one, two]) await a.life.vote(hold.id, ballot(alice, hold))
  const running = await a.life.spend({ hold: one }, 'one', agent, allowed)
  await server.kill('SIGSTOP')
  const begun = performance.now()
  const codes = await Promise.all([
    refused(obtain(a, 'POST /new', agent)), refused(a.life.vote(three.id, ballot(alice, three))), refused(a.life.spend({ hold: two }, 'two', agent, allowed)), refused(a.life.check()),
  ])
  assert.ok(codes.every(({ code }) => code === 'store-unavailable'))
  assert.ok(performance.now() - begun < 9_000)
  await a.life.finish(running, { result: 'executed', ms: 1 })
  await server.kill('SIGCONT')
  await until('the end to be written', async () => (await a.life.show(one.id, alice).catch(() => undefined))?.state === 'executed', 15_000)
  assert.equal(world.count('released'), 1)
})
