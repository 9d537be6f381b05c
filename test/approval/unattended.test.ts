import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { KeptAction, Unattended, UnattendedTiming } from '../../src/approval/unattended.ts'
import type { Decision } from '../../src/model/decision.ts'
import type { Hold } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { until } from '../support/until.ts'
import { action, agent, alice, allowed, ballot, bob, caller, decision, digestOf, makeWorld, obtain, refused, requirement, terms, type Replica, type World } from './world.ts'

const quick: UnattendedTiming = { graceMs: 20, patienceMs: 60_000, staggerMs: 20, sweepMs: 50 }
const alone = terms([requirement()], { run: 'when-approved' })
const request = Buffer.from('POST /exports, as it was sent')

describe('actions without their client', () => {
  let world: World
  let watchers: Unattended[]
  let given: { readonly by: string; readonly kept: KeptAction }[]
  let ended: number
  beforeEach(async () => {
    world = await makeWorld()
    watchers = []
    given = []
    ended = 0
  })
  afterEach(async () => {
    for (const watcher of watchers) await watcher[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  /** What the gate does, without the rest of it. */
  const runs = (replica: Replica, by: string, at: { readonly decided?: Decision; readonly before?: (kept: KeptAction) => Promise<void> } = {}, timing = quick): void => {
    watchers.push(replica.life.runUnattended(async (kept) => {
      given.push({ by, kept })
      try {
        await at.before?.(kept)
        const attempt = `alone-${given.length}`
        const approval = await replica.life.obtain({ attempt, caller: kept.caller, action: kept.hold.action, decision: at.decided ?? decision(alone), wait: { budgetMs: 0, hold: kept.hold.id, unattended: true } }, new AbortController().signal)
        if ('result' in approval) throw new Error('a replay')
        const spent = await replica.life.spend(approval, attempt, kept.caller, at.decided ?? decision(alone))
        await replica.life.finish(spent, { result: 'executed', ms: 1 }, Buffer.from('the reply'))
      } finally {
        ended++
      }
    }, timing))
  }
  const left = async (text = 'POST /exports', needs = alone, keep: () => Uint8Array | undefined = () => request): Promise<Hold> =>
    (await refused(obtain(world.a, text, agent, { budgetMs: 0, keep }, decision(needs)))).detail.hold!
  const approve = (hold: Hold, by = bob) => world.a.life.vote(hold.id, ballot(by, hold))
  const becomes = (id: string, what: (hold: Hold) => boolean): Promise<Hold> => until('the hold to become so', async () => {
    const hold = await world.a.life.show(id, agent)
    return what(hold) && hold
  })
  const executed = (hold: Hold): boolean => hold.state === 'executed'
  /** A later one has run alone: whatever was to be done about earlier ones has been done. */
  const laterOneRan = async (): Promise<void> => {
    const later = await left('POST /later')
    await approve(later)
    await becomes(later.id, executed)
  }
  const givenFor = (hold: Pick<Hold, 'id'>): number => given.filter(({ kept }) => kept.hold.id === hold.id).length

  test('two replicas, one execution, with the request as it was kept; then nothing of it is left', async () => {
    const b = await world.replica('b')
    runs(world.a, 'a', {}, { ...quick, staggerMs: 0 })
    runs(b, 'b', {}, { ...quick, staggerMs: 0 })
    const holds = await Promise.all(Array.from({ length: 10 }, (_, n) => left(`POST /exports/${n}`)))
    await Promise.all(holds.map((hold) => approve(hold)))
    for (const hold of holds) await becomes(hold.id, executed)
    assert.equal(world.count('released'), holds.length)
    assert.equal(world.count('attached'), 0)
    assert.ok(world.events.every((event) => event.type !== 'released' || event.unattended === true))
    assert.ok(given.every(({ kept }) => Buffer.from(kept.request).equals(request)))
    for (const { id } of holds) await until('the request to go', async () => (await b.store.getAttachment(id, 'request')) === undefined)
  })

  test('the reply is the requester\'s alone, for its time', async () => {
    runs(world.a, 'a')
    const hold = await left()
    assert.equal((await refused(world.a.life.result(hold.id, agent))).code, 'hold-pending')
    await approve(hold)
    await becomes(hold.id, executed)
    assert.equal(Buffer.from(await world.a.life.result(hold.id, agent)).toString(), 'the reply')
    for (const other of [bob, alice, caller('report-agent', { kind: 'agent' }), { ...agent, onBehalfOf: [alice] }]) assert.equal((await refused(world.a.life.result(hold.id, other))).code, 'not-found')
    world.skewMs = 60_001
    assert.equal((await refused(world.a.life.result(hold.id, agent))).code, 'hold-expired')
  })

  test('what is kept is sealed, for this hold and this purpose', async () => {
    const [one, two] = [await left('POST /one'), await left('POST /two')]
    const sealed = Buffer.from((await world.a.store.getAttachment(one.id, 'request'))!)
    assert.ok(!sealed.includes(request))
    await world.a.store.putAttachment(two.id, 'request', sealed, 60_000)
    runs(world.a, 'a')
    await approve(two)
    await becomes(two.id, (hold) => hold.awaitsCaller === true)
    assert.deepEqual([given.length, world.count('store-tampered')], [0, 1])
    await world.a.store.putAttachment(one.id, 'result', sealed, 60_000)
    assert.equal((await refused(world.a.life.result(one.id, agent))).code, 'store-unavailable')
  })

  test('whoever waits, at any replica, runs it themselves', async () => {
    const b = await world.replica('b')
    const asked = obtain(b, 'POST /exports', agent, { keep: () => request }, decision(alone))
    const { holds } = await until('the hold', async () => { const page = await world.a.life.list({ limit: 1 }, bob); return page.holds[0]?.waiting === true && page })
    runs(world.a, 'a', {}, { ...quick, graceMs: 200 })
    await approve(holds[0]!)
    const approval = await asked
    assert.ok(!('result' in approval))
    await b.life.spend(approval, 'attended', agent, decision(alone))
    await laterOneRan()
    assert.deepEqual([givenFor(approval.hold), world.count('released')], [0, 2])
  })

  test('a rule that does not say so runs nothing alone, and keeps nothing', async () => {
    runs(world.a, 'a')
    const hold = await left('POST /exports', terms())
    assert.equal(await world.a.store.getAttachment(hold.id, 'request'), undefined)
    await approve(hold)
    await laterOneRan()
    assert.deepEqual([givenFor(hold), (await world.a.life.show(hold.id, agent)).state], [0, 'approved'])
  })

  test('a policy that no longer says so at release leaves it to the requester', async () => {
    runs(world.a, 'a', { decided: decision(terms(), 'v2') })
    const hold = await left()
    await approve(hold)
    const after = await becomes(hold.id, ({ awaitsCaller }) => awaitsCaller === true)
    assert.deepEqual([after.state, world.count('released'), given.length], ['approved', 0, 1])
    const approval = await obtain(world.a, 'POST /exports', agent, {}, decision(terms(), 'v2'))
    assert.ok(!('result' in approval))
    assert.equal((await world.a.life.spend(approval, 'own', agent, decision(terms(), 'v2'))).hold.state, 'running')
  })

  test('a policy that does not hold it any more lets the approval count', async () => {
    runs(world.a, 'a', { decided: allowed })
    const hold = await left()
    await approve(hold)
    await becomes(hold.id, executed)
    assert.equal(world.count('released'), 1)
  })

  test('a policy that asks for more asks, and the request is kept for as long', async () => {
    const more = terms([requirement({ count: 2 })], { run: 'when-approved', withinMs: 3_600_000 })
    runs(world.a, 'a', { decided: decision(more, 'v2') })
    const hold = await left()
    await approve(hold)
    const waiting = await becomes(hold.id, ({ state, terms: asked }) => state === 'pending' && asked.requirements[0]?.count === 2)
    await until('the try to end', () => ended === 1)
    world.skewMs = 30 * 60_000
    await world.a.life.vote(hold.id, ballot(alice, waiting))
    await becomes(hold.id, executed)
    assert.equal(world.count('released'), 1)
  })

  test('a no that stays is heard once; one that passes is tried again', async () => {
    const hold = await left()
    let tries = 0
    runs(world.a, 'a', { before: async () => { if (++tries < 3) throw new Refusal('journal-unavailable', 'Nothing can be recorded.') } })
    await approve(hold)
    await becomes(hold.id, executed)
    assert.equal(tries, 3)
    const other = await left('POST /other')
    tries = -100
    watchers.push(...[await world.replica('b')].map((b) => b.life.runUnattended(async ({ hold: { id } }) => { if (id === other.id) throw new Refusal('bad-identity', 'expired') }, quick)))
    await watchers.shift()![Symbol.asyncDispose]()
    await approve(other)
    await becomes(other.id, ({ awaitsCaller }) => awaitsCaller === true)
    runs(world.a, 'a')
    const before = givenFor(other)
    await laterOneRan()
    assert.equal(givenFor(other), before, 'no replica tries again')
  })

  test('approved while no replica looked: the sweep finds it, until its time is over', async () => {
    const [first, late] = [await left('POST /first'), await left('POST /late')]
    await approve(first)
    runs(world.a, 'a')
    await becomes(first.id, executed)
    await watchers.pop()![Symbol.asyncDispose]()
    await approve(late)
    world.skewMs = 31_000
    runs(world.a, 'a')
    await becomes(late.id, ({ state }) => state === 'expired')
    assert.ok(given.every(({ kept }) => kept.hold.id === first.id))
    await until('its request to go', async () => (await world.a.store.getAttachment(late.id, 'request')) === undefined)
  })

  test('the requester is judged as they were last seen', async () => {
    const person = caller('dave', { groups: ['reports'] })
    const { hold } = (await refused(world.a.life.obtain({ attempt: 'x', caller: person, action: action('POST /dave'), decision: decision(alone), wait: { budgetMs: 0, keep: () => request } }, new AbortController().signal))).detail
    await until('a later moment', () => Date.now() > hold!.openedAt + 2)
    world.a.roster.see({ ...person, groups: [] })
    runs(world.a, 'a')
    await world.a.life.vote(hold!.id, { ...ballot(bob, hold!), digest: digestOf('POST /dave') })
    await until('it to be given', () => given.length === 1)
    assert.deepEqual(given[0]!.kept.caller.groups, [])
  })

  test('nothing begins while the replica drains', async () => {
    let sweeps = 0
    const b = await world.replica('b', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), list: (query) => (sweeps++, store.list(query)) }))
    b.life.drain()
    runs(b, 'b')
    const hold = await left()
    await approve(hold)
    const before = sweeps
    await until('some sweeps over it', () => sweeps > before + 5)
    assert.deepEqual([given.length, (await world.a.life.show(hold.id, agent)).state], [0, 'approved'])
  })
})
