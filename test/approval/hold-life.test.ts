import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Approval } from '../../src/model/approval.ts'
import type { Hold } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { until } from '../support/until.ts'
import { action, agent, alice, allAnswered, allowed, ballot, bob, bothAnswered, caller, carol, decision, digestOf, makeWorld, obtain, refused, requirement, terms, type Replica, type World } from './world.ts'

const isApproval = (value: unknown): value is Approval => typeof value === 'object' && value !== null && 'hold' in value && !('result' in value)

const approved = async (world: World, text?: string, by = alice): Promise<Hold> => {
  const hold = await world.opened(text)
  return await world.a.life.vote(hold.id, ballot(by, hold))
}

const spendAt = (replica: Replica, hold: Hold, attempt = 'x', as = agent, given = allowed) => replica.life.spend({ hold }, attempt, as, given)

describe('obtaining', () => {
  it('opens one hold, tells of it once it is recorded, waits, and goes on when somebody at another replica says yes', async () => {
    await using world = await makeWorld()
    const b = await world.replica('b')
    const told: Hold[] = []
    const waiting = obtain(world.a, 'POST /x', agent, { onHeld: (hold) => told.push(hold), statedReason: 'month end' })
    const hold = await until('the hold', () => told[0])
    assert.deepEqual(world.events.map(({ type, durability }) => `${type}:${durability}`), ['held:synced'])
    assert.match(hold.id, /^hold_[a-z2-7]{26}$/)
    assert.match(hold.code, /^CS-[0-9BCDFGHJKMNPQRSTVWXYZ]{4}$/)
    await until('somebody seen waiting', async () => (await b.life.show(hold.id, alice)).waiting)
    const begun = performance.now()
    await b.life.vote(hold.id, ballot(alice, hold))
    const got = await waiting
    assert.ok(performance.now() - begun < 4_000)
    assert.ok(isApproval(got))
    assert.equal(got.hold.state, 'approved')
    assert.equal(got.hold.statedReason, 'month end')
    await until('nobody waiting', async () => (await b.life.show(hold.id, alice)).waiting === false, 2_000)
  })

  it('a vote is on record before anything that follows from it', async () => {
    await using world = await makeWorld()
    let looks = 0
    const b = await world.replica('b', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), latest: (ids) => (looks++, store.latest(ids)) }))
    const told: Hold[] = []
    let ended = false
    const waiting = obtain(b, 'POST /x', agent, { onHeld: (hold) => told.push(hold) }).finally(() => (ended = true))
    const hold = await until('the hold', () => told[0])
    const disk = Promise.withResolvers<void>()
    world.journalWaits = { type: 'voted', until: disk.promise }
    const vote = b.life.vote(hold.id, ballot(alice, hold))
    await until('the vote in the store', async () => (await world.a.life.show(hold.id, alice)).state === 'approved')
    const before = looks
    await until('the hold to be looked at, and once more', () => looks > before + 1)
    assert.equal(ended, false)
    disk.resolve()
    await vote
    assert.ok(isApproval(await waiting))
    assert.equal(world.count('voted'), 1)
  })

  it('joins a repeat to the waiting hold, at any replica and after a restart', async () => {
    await using world = await makeWorld()
    const hold = await world.opened()
    const b = await world.replica('b')
    const again = await refused(obtain(b, 'POST /exports', agent, { budgetMs: 0 }))
    assert.deepEqual([again.code, again.detail.hold?.id], ['hold-pending', hold.id])
    assert.match(again.message, /NOT EXECUTED/)
    assert.equal(world.count('attached'), 1)
    for (const other of [caller('other-agent', { kind: 'agent' }), { ...agent, onBehalfOf: [bob] }, { ...agent, issuer: 'https://b.test' }, { ...agent, clientId: 'z' }])
      assert.notEqual((await refused(obtain(b, 'POST /exports', other, { budgetMs: 0 }))).detail.hold?.id, hold.id)
    assert.notEqual((await refused(obtain(b, 'POST /exports2', agent, { budgetMs: 0 }))).detail.hold?.id, hold.id)
  })

  it('ends a wait with its budget, with its client, and with the process, and keeps the hold', async () => {
    await using world = await makeWorld()
    const hold = await world.opened()
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent, { budgetMs: 30 }))).code, 'hold-pending')
    const client = new AbortController()
    const waiting = refused(obtain(world.a, 'POST /exports', agent, {}, decision(), client.signal))
    await until('waiting', async () => (await world.a.life.show(hold.id, alice)).waiting)
    client.abort()
    assert.equal((await waiting).code, 'hold-pending')
    const many = Array.from({ length: 50 }, () => refused(obtain(world.a, 'POST /exports', agent)))
    await until('all waiting', () => world.count('attached') === 52)
    world.a.life.drain()
    for (const refusal of await Promise.all(many)) assert.equal(refusal.code, 'hold-pending')
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent))).code, 'hold-pending')
    const b = await world.replica('b')
    await b.life.vote(hold.id, ballot(alice, hold))
    const got = await obtain(world.a, 'POST /exports', agent)
    assert.equal((await refused(spendAt(world.a, got.hold))).code, 'draining')
    assert.equal((await spendAt(b, got.hold)).hold.state, 'running')
  })

  it('limits open holds and waiting connections', async () => {
    await using world = await makeWorld({ openPerCaller: 3, maxWaiting: 1 })
    const floods = await Promise.all(Array.from({ length: 10 }, (_, i) => refused(obtain(world.a, `POST /${i}`, agent, { budgetMs: 0 }))))
    assert.equal(floods.filter(({ code }) => code === 'hold-pending').length, 3)
    assert.equal(floods.filter(({ code }) => code === 'too-many-holds').length, 7)
    const other = caller('other', { kind: 'agent' })
    const first = refused(obtain(world.a, 'POST /exports', other))
    await until('the first held', () => world.count('held') === 4)
    await until('the second refused', async () => (await refused(obtain(world.a, 'POST /z', other, { budgetMs: 20 }))).code === 'too-many-waiting')
    world.a.life.drain()
    await first
  })

  it('lets no requester take all the room there is to wait in', async () => {
    await using world = await makeWorld({ maxWaiting: 10, maxWaitingPerCaller: 2 })
    const hold = await world.opened()
    const polls = [1, 2].map(() => world.a.life.follow(hold.id, agent, 60_000, new AbortController().signal))
    await until('two to wait', () => world.a.life.waiting() === 2)
    assert.equal((await world.a.life.follow(hold.id, agent, 60_000, new AbortController().signal)).state, 'pending', 'answered at once')
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent))).code, 'too-many-waiting')
    const other = obtain(world.a, 'POST /other', caller('other', { kind: 'agent' }))
    await until('another requester to wait', () => world.a.life.waiting() === 3)
    await world.a.life.vote(hold.id, ballot(alice, hold))
    await Promise.all(polls)
    assert.equal(world.a.life.waiting(), 1)
    world.a.life.drain()
    await refused(other)
  })

  it('refuses when the record cannot be written, and leaves no open hold behind', async () => {
    await using world = await makeWorld()
    world.journalFails = 'held'
    let told = 0
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent, { onHeld: () => told++ }))).code, 'journal-unavailable')
    assert.equal(told, 0)
    assert.equal((await world.a.life.list({ states: ['pending'], limit: 10 }, alice)).holds.length, 0)
  })

  it('refuses to hold what cannot be written down exactly', async () => {
    await using world = await makeWorld()
    assert.equal((await refused(obtain(world.a, 'POST /x \ud83d', agent))).code, 'malformed')
    assert.equal((await refused(obtain(world.a, 'POST /x', agent, { budgetMs: 0, statedReason: `${'x'.repeat(1_999)}\ud83d\ude00` }))).code, 'hold-pending')
  })

  it('a client that names its hold gets that one or a no, never a new one', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const named = (as = agent, text = 'POST /exports') => obtain(world.a, text, as, { hold: hold.id, budgetMs: 0 })
    assert.equal((await refused(named(bob))).code, 'not-found')
    assert.equal((await refused(named(agent, 'POST /other'))).code, 'wrong-digest')
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent, { hold: 'hold_nope' }))).code, 'not-found')
    const got = (await named()) as Approval
    const spent = await spendAt(world.a, got.hold)
    assert.equal((await refused(named())).code, 'hold-spent')
    await world.a.life.finish(spent, { result: 'executed', ms: 1 }, Buffer.from('answer'))
    assert.equal((await refused(named())).code, 'hold-spent')
    world.skewMs = 3_600_000
    assert.equal((await refused(named())).code, 'hold-spent')
    world.skewMs = 0
    const late = await approved(world, 'POST /late')
    world.skewMs = 31_000
    assert.equal((await refused(obtain(world.a, 'POST /late', agent, { hold: late.id }))).code, 'hold-expired')
    assert.equal(world.count('held'), 2)
  })

  it('ten thousand waiters are let go in slices, between which the loop turns', { timeout: 60_000 }, async () => {
    await using world = await makeWorld({ maxWaiting: 20_000, maxWaitingPerCaller: 20_000 })
    const hold = await world.opened()
    let gone = 0
    const many = Array.from({ length: 10_000 }, async () => {
      const found = await world.a.life.follow(hold.id, agent, 60_000, new AbortController().signal)
      gone++
      return found
    })
    await until('waiting', async () => (await world.a.life.show(hold.id, alice)).waiting)
    /** How many had gone at each turn of the loop. */
    const seen = new Set<number>()
    const look = (): void => {
      seen.add(gone)
      if (gone < many.length) setImmediate(look)
    }
    look()
    await world.a.life.vote(hold.id, ballot(alice, hold))
    const all = await Promise.all(many)
    assert.ok(all.every(({ state }) => state === 'approved'))
    assert.ok(seen.size >= 25, `the loop turned ${seen.size} times while they went`)
  })

  it('a change that nobody heard of is found by looking', async () => {
    await using world = await makeWorld()
    const deaf = await world.replica('deaf', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), changes: async function* (_after, signal) { await new Promise((resolve) => signal.addEventListener('abort', resolve)); yield* [] } }))
    const hold = await world.opened()
    const waiting = obtain(deaf, 'POST /exports', agent, { budgetMs: 20_000 })
    await until('waiting', async () => (await world.a.life.show(hold.id, alice)).waiting)
    await world.a.life.vote(hold.id, ballot(alice, hold))
    assert.equal((await waiting).hold.state, 'approved')
  })
})

describe('voting', () => {
  it('refuses with a reason, and records the refusal', async () => {
    await using world = await makeWorld({ people: [[alice, { issuer: alice.issuer, subject: 'alice-2' }]] })
    const hold = await world.opened('POST /exports', { ...agent, onBehalfOf: [alice] })
    const codes: string[] = []
    for (const by of [alice, caller('alice-2', { groups: ['dba'] }), caller('bot', { kind: 'agent', groups: ['dba'] }), caller('mallory'), { ...bob, onBehalfOf: [carol] }]) codes.push((await refused(world.a.life.vote(hold.id, ballot(by, hold)))).code)
    assert.deepEqual(codes, ['self-approval', 'self-approval', 'not-eligible', 'not-eligible', 'not-eligible'])
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(bob, hold, { digest: digestOf('other') })))).code, 'wrong-digest')
    assert.equal(world.count('vote-refused'), 6)
    assert.equal((await refused(world.a.life.vote(`hold_${'a'.repeat(26)}`, ballot(bob, hold)))).code, 'not-found')
    assert.deepEqual((await world.a.life.show(hold.id, bob)).votes, [])
    assert.equal((await world.a.life.vote(hold.id, ballot(bob, hold))).state, 'approved')
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(carol, hold)))).code, 'already-settled')
  })

  it('loses no vote of two that come at once at two replicas', async () => {
    await using world = await makeWorld()
    const b = await world.replica('b')
    for (let i = 0; i < 30; i++) {
      const hold = await world.opened(`POST /${i}`, agent, terms([requirement({ count: 2 })]))
      await Promise.all([world.a.life.vote(hold.id, ballot(alice, hold)), b.life.vote(hold.id, ballot(bob, hold))])
      assert.equal((await world.a.life.show(hold.id, alice)).state, 'approved')
    }
    assert.equal(world.count('voted'), 60)
  })

  it('a no ends a waiting client, and an approval that is not spent', async () => {
    await using world = await makeWorld()
    const told: Hold[] = []
    const waiting = refused(obtain(world.a, 'POST /x', agent, { onHeld: (hold) => told.push(hold) }))
    const hold = await until('held', () => told[0])
    await world.a.life.vote(hold.id, ballot(alice, hold, { verdict: 'deny', reason: 'not on a Friday' }))
    const refusal = await waiting
    assert.equal(refusal.code, 'hold-denied')
    assert.match(refusal.message, /not on a Friday/)
    const second = await approved(world, 'POST /y')
    await world.a.life.vote(second.id, ballot(bob, second, { verdict: 'deny' }))
    assert.equal((await refused(spendAt(world.a, second))).code, 'hold-denied')
  })

  it('drops the vote of somebody who has left the approvers', async () => {
    await using world = await makeWorld()
    const hold = await world.opened('POST /x', agent, terms([requirement({ count: 2 })]))
    await world.a.life.vote(hold.id, ballot(alice, hold))
    await until('the clock to move', () => Date.now() > hold.openedAt + 5)
    world.a.roster.see({ ...alice, groups: [], session: 'a new login' })
    await world.a.life.show(hold.id, alice) // a page of hers is still open
    const after = await world.a.life.vote(hold.id, ballot(bob, hold))
    assert.equal(after.state, 'pending')
    assert.equal(world.count('vote-dropped'), 1)
  })

  it('the store\'s clock ends it, whatever ours says; one event over all replicas', async () => {
    await using world = await makeWorld()
    await world.replica('b')
    await world.replica('c')
    const edge = await world.opened('POST /edge')
    world.skewMs = edge.deadline - Date.now() - 500
    assert.equal((await world.a.life.vote(edge.id, ballot(alice, edge))).state, 'approved')
    const hold = await world.opened()
    world.skewMs += 61_000
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(alice, hold)))).code, 'hold-expired')
    await until('expired', async () => (await world.a.life.show(hold.id, alice)).state === 'expired', 2_000)
    await until('both expired', () => world.count('hold-expired') === 2)
    assert.equal(world.events.filter((event) => event.type === 'hold-expired' && event.hold === hold.id).length, 1)
  })
})

describe('spending', () => {
  it('works once: of fifty at three replicas one wins', async () => {
    await using world = await makeWorld()
    const replicas = [world.a, await world.replica('b'), await world.replica('c')]
    const hold = await approved(world)
    const tries = await Promise.all(Array.from({ length: 50 }, (_, i) => spendAt(replicas[i % 3]!, hold, `try-${i}`).then(() => 'won', (error: Refusal) => error.code)))
    assert.equal(tries.filter((one) => one === 'won').length, 1)
    assert.equal(tries.filter((one) => one === 'hold-spent').length, 49)
    assert.equal(world.count('released'), 1)
  })

  it('who comes while it runs waits for the result; a repeat in the window gets it; then a new hold', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const spent = await spendAt(world.a, hold)
    const waiting = obtain(world.a, 'POST /exports', agent)
    await until('waiting', async () => (await world.a.life.show(hold.id, alice)).waiting)
    await world.a.life.finish(spent, { result: 'executed', status: '200', ms: 5 }, Buffer.from('answer'))
    const replay = await waiting
    assert.ok('result' in replay)
    assert.equal(Buffer.from(replay.result).toString(), 'answer')
    assert.ok('result' in (await obtain(world.a, 'POST /exports', agent)))
    assert.equal((await refused(obtain(world.a, 'POST /exports', caller('another', { kind: 'agent' }), { budgetMs: 0 }))).code, 'hold-pending')
    const wish = await refused(obtain(world.a, 'POST /exports', agent, { budgetMs: 0, idempotencyKey: 'k2' }))
    assert.notEqual(wish.detail.hold?.id, hold.id)
    assert.equal(Buffer.from(await world.a.life.result(hold.id, agent)).toString(), 'answer')
    for (const other of [alice, bob]) assert.equal((await refused(world.a.life.result(hold.id, other))).code, 'not-found')
    world.skewMs = 61_000
    assert.equal((await refused(world.a.life.result(hold.id, agent))).code, 'hold-expired')
  })

  it('two clients that wait for one approval: one runs it, the other gets its result', async () => {
    await using world = await makeWorld()
    const b = await world.replica('b')
    await bothAnswered(world.a, b, 'POST /both')
    await allAnswered(world.a, b, 'POST /many')
    assert.equal(world.count('released'), 2)
  })

  it('the slower one waits no longer than its client, and not at all for a hold that it named', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const [short, leaving] = [await obtain(world.a, 'POST /exports', agent, { budgetMs: 300 }), new AbortController()]
    const left = await obtain(world.a, 'POST /exports', agent, {}, decision(), leaving.signal)
    const named = await obtain(world.a, 'POST /exports', agent, { hold: hold.id })
    await spendAt(world.a, hold)
    assert.equal((await refused(world.a.life.spend(named, 'named', agent, allowed))).code, 'hold-spent')
    assert.equal((await refused(world.a.life.spend(short, 'short', agent, allowed))).code, 'hold-spent')
    const gone = refused(world.a.life.spend(left, 'left', agent, allowed))
    await until('it to wait', () => world.a.life.waiting() === 1)
    leaving.abort()
    assert.equal((await gone).code, 'hold-spent')
    assert.equal(world.count('released'), 1)
  })

  it('the slower one hears that it is spent when the run of the other one left no result', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const slow = await obtain(world.a, 'POST /exports', agent)
    const spent = await spendAt(world.a, hold)
    const slower = refused(world.a.life.spend(slow, 'slow', agent, allowed))
    await until('it to wait', () => world.a.life.waiting() === 1)
    await world.a.life.finish(spent, { result: 'unknown', ms: 1 })
    assert.equal((await slower).code, 'hold-spent')
  })

  it('after the replay window a repeat opens a new hold', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    await world.a.life.finish(await spendAt(world.a, hold), { result: 'executed', ms: 5 }, Buffer.from('answer'))
    world.skewMs = 60_500
    assert.notEqual((await refused(obtain(world.a, 'POST /exports', agent, { budgetMs: 0 }))).detail.hold?.id, hold.id)
    assert.equal((await world.a.life.show(hold.id, alice)).state, 'executed')
  })

  it('an unknown end is not tried again by a repeat; a failure may be asked for anew', async () => {
    await using world = await makeWorld()
    const one = await approved(world, 'POST /one')
    await world.a.life.finish(await spendAt(world.a, one), { result: 'unknown', ms: 5 })
    assert.equal((await refused(obtain(world.a, 'POST /one', agent))).code, 'hold-spent')
    const two = await approved(world, 'POST /two')
    await world.a.life.finish(await spendAt(world.a, two), { result: 'failed', ms: 5 })
    assert.equal((await refused(obtain(world.a, 'POST /two', agent, { budgetMs: 0 }))).code, 'hold-pending')
  })

  it('an approval not used in time is gone, also when time passes between the look and the step', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const slow = await world.replica('slow', {}, (store) => ({
      ...store,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      replace: async (entry, ...rest) => {
        if (entry.state === 'running') world.skewMs = 31_000
        return await store.replace(entry, ...rest)
      },
    }))
    assert.equal((await refused(spendAt(slow, hold))).code, 'hold-expired')
    assert.equal(world.count('released'), 0)
    assert.equal((await world.a.life.show(hold.id, alice)).state, 'expired')
  })

  it('other requirements at release send it back to waiting; its votes still count', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    const stricter = decision(terms([requirement({ count: 2 })]), 'v2')
    assert.equal((await refused(spendAt(world.a, hold, 'x', agent, stricter))).code, 'hold-changed')
    const back = await world.a.life.show(hold.id, alice)
    assert.deepEqual([back.state, back.votes.length, back.policyVersion], ['pending', 1, 'v2'])
    await world.a.life.vote(hold.id, ballot(bob, hold))
    const spent = await spendAt(world.a, hold, 'y', agent, stricter)
    assert.equal(spent.hold.state, 'running')
    assert.equal(world.count('released'), 1)
  })

  it('a voter who lost the group, or turns out to be behind the caller, does not release', async () => {
    await using world = await makeWorld()
    const one = await approved(world, 'POST /one')
    await until('the clock to move', () => Date.now() > one.votes[0]!.at + 2)
    world.a.roster.see({ ...alice, groups: ['gardeners'] })
    assert.equal((await refused(spendAt(world.a, one))).code, 'hold-changed')
    assert.equal(world.count('vote-dropped'), 1)
    assert.equal((await world.a.life.show(one.id, bob)).state, 'pending')
    const two = await approved(world, 'POST /two', bob)
    assert.equal((await refused(spendAt(world.a, two, 'x', { ...agent, owner: bob }))).code, 'hold-changed')
  })

  it('without the record of the release nothing runs, and the approval is used up', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    world.journalFails = 'released'
    assert.equal((await refused(spendAt(world.a, hold))).code, 'journal-unavailable')
    world.journalFails = undefined
    assert.equal((await world.a.life.show(hold.id, alice)).state, 'failed')
  })

  it('who waits without a limit of its own does not wait for ever for a store that is gone', async () => {
    await using world = await makeWorld()
    let gone = false
    const failing = <Args extends unknown[], T>(step: (...args: Args) => Promise<T>) => async (...args: Args): Promise<T> => {
      if (gone) throw new Refusal('store-unavailable', 'gone')
      return await step(...args)
    }
    const alone = await world.replica('alone', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), now: failing(store.now), read: failing(store.read), latest: failing(store.latest), revisions: failing(store.revisions), replace: failing(store.replace), due: failing(store.due) }), [], 50)
    await world.a.life[Symbol.asyncDispose]() // nobody else ends it
    const waiting = obtain(alone, 'POST /exports', agent, { budgetMs: Infinity, onHeld: () => (gone = true) }, decision(terms([requirement()], { withinMs: 100 })))
    assert.equal((await refused(waiting)).code, 'hold-pending')
    gone = false
  })

  it('a spend that the store did not confirm is refused, and closed as never started when the store is back', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    let lost = false
    const flaky = await world.replica('flaky', {}, (store) => ({
      ...store,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
      replace: async (entry, ...rest) => {
        const result = await store.replace(entry, ...rest)
        if (entry.state !== 'running') return result
        lost = true
        throw new Refusal('store-unavailable', 'lost')
      },
    }))
    assert.equal((await refused(spendAt(flaky, hold))).code, 'store-unavailable')
    assert.ok(lost)
    await until('closed', async () => (await world.a.life.show(hold.id, alice)).state === 'failed')
    assert.equal(world.count('released'), 0)
  })
})

describe('crashes', () => {
  it('closes at boot what this replica was running, by its journal, and runs nothing again', async () => {
    await using world = await makeWorld()
    const holds = []
    for (const name of ['never', 'started', 'ended']) holds.push((await spendAt(world.a, await approved(world, `POST /${name}`), name)).hold)
    const other = await world.replica('other')
    assert.deepEqual(await other.life.reconcile(() => 'started'), [])
    const reborn = await world.replica('a')
    const closed = await reborn.life.reconcile((attempt) => (attempt === 'never' ? 'never-started' : attempt === 'started' ? 'started' : { result: 'executed', ms: 3 }))
    assert.deepEqual(closed.map(({ attempt, result }) => `${attempt} ${result}`).toSorted(), ['ended executed', 'never failed', 'started unknown'])
    for (const [at, state] of (['failed', 'unknown', 'executed'] as const).entries()) assert.equal((await reborn.life.show(holds[at]!.id, alice)).state, state)
    assert.equal((await refused(obtain(reborn, 'POST /started', agent, { hold: holds[1]!.id }))).code, 'hold-spent')
    assert.equal((await refused(spendAt(reborn, holds[1]!, 'again'))).code, 'hold-spent')
  })
})

describe('looking', () => {
  it('shows a hold to its requester and to those who may decide, and to nobody else', async () => {
    await using world = await makeWorld()
    const owned = await world.opened('POST /x', { ...agent, owner: { issuer: agent.issuer, subject: 'olga' }, onBehalfOf: [caller('omar')] })
    const { life } = world.a
    for (const by of [alice, caller('olga'), caller('omar'), { ...agent, onBehalfOf: [caller('omar')] }]) {
      assert.equal((await life.show(owned.id, by)).id, owned.id)
      assert.deepEqual((await life.list({ limit: 10 }, by)).holds.map(({ id }) => id), [owned.id])
    }
    for (const by of [caller('mallory'), agent, { ...agent, onBehalfOf: [alice] }, caller('bot', { kind: 'agent', groups: ['dba'] }), { ...alice, onBehalfOf: [bob] }]) {
      assert.equal((await refused(life.show(owned.id, by))).code, 'not-found')
      assert.deepEqual((await life.list({ limit: 10 }, by)).holds, [])
      assert.equal((await refused(life.withdraw(owned.id, by))).code, 'not-found')
    }
    assert.equal(life.obstacle(owned, alice), undefined)
    assert.equal(life.obstacle(owned, caller('olga', { groups: ['dba'] })), 'self-approval')
    assert.equal((await refused(life.withdraw(owned.id, alice))).code, 'not-eligible')
    assert.equal((await life.withdraw(owned.id, caller('olga'))).state, 'withdrawn')
    assert.equal((await refused(life.withdraw(owned.id, caller('olga')))).code, 'already-settled')
  })
})

describe('somebody writes into the store', () => {
  const other = action('POST /other')
  const edits: Record<string, (world: World, victim: Hold, approvedOne: Hold) => void> = {
    'the state column': (world, { id }) => world.tamper("update holds set state = 'approved' where id = ?", id),
    'the state inside': (world, { id }) => world.tamper(`update holds set sealed = replace(sealed, '"state":"pending"', '"state":"approved"') where id = ?`, id),
    'both': (world, { id }) => world.tamper(`update holds set state = 'approved', sealed = replace(sealed, '"state":"pending"', '"state":"approved"') where id = ?`, id),
    'the record of an approved hold': (world, { id }, { id: from }) => world.tamper('update holds set (revision, state, caller_key, service, due_at, open_key, sealed) = (select revision, state, caller_key, service, due_at, open_key, sealed from holds where id = ?) where id = ?', from, id),
    'a vote': (world, { id }) => world.tamper(`update holds set sealed = replace(sealed, '"votes":[]', '"votes":[{}]') where id = ?`, id),
    'the deadline inside': (world, { id, deadline }) => world.tamper('update holds set sealed = replace(sealed, ?, ?) where id = ?', String(deadline), String(deadline + 86_400_000), id),
    'the deadline column': (world, { id }) => world.tamper('update holds set due_at = due_at + 86400000 where id = ?', id),
    'the action': (world, { id, action: { digest } }) => world.tamper('update asked set asked = replace(asked, ?, ?) where seq = (select seq from holds where id = ?)', digest, other.digest, id),
    'what another asked': (world, { id }, { id: from }) => world.tamper('update asked set asked = (select asked from asked join holds using (seq) where id = ?) where seq = (select seq from holds where id = ?)', from, id),
    'nothing asked': (world, { id }) => world.tamper('delete from asked where seq = (select seq from holds where id = ?)', id),
    'the number needed': (world, { id }) => world.tamper(`update holds set sealed = replace(sealed, '"count":1', '"count":0') where id = ?`, id),
    'the revision': (world, { id }) => world.tamper('update holds set revision = 9 where id = ?', id),
    'no seal at all': (world, { id }) => world.tamper("update holds set sealed = '{}' where id = ?", id),
  }
  for (const [what, edit] of Object.entries(edits))
    it(`${what}: refused, recorded, alarmed, not repaired`, async () => {
      await using world = await makeWorld()
      const second = await world.replica('b') // has not seen the record before
      const donor = await approved(world, 'POST /donor')
      const victim = await world.opened()
      edit(world, victim, donor)
      for (const replica of [world.a, second]) {
        assert.equal((await refused(replica.life.vote(victim.id, ballot(alice, victim)))).code, 'store-unavailable')
        assert.equal((await refused(spendAt(replica, victim))).code, 'store-unavailable')
        assert.equal((await refused(replica.life.show(victim.id, alice))).code, 'store-unavailable')
        assert.equal((await refused(obtain(replica, 'POST /exports', agent, { budgetMs: 50 }))).code, 'store-unavailable')
        assert.deepEqual((await replica.life.list({ limit: 10 }, alice)).holds.map(({ id }) => id), [donor.id])
        assert.ok(replica.warnings.length > 0)
      }
      assert.ok(world.count('store-tampered') > 0)
      assert.equal(world.count('released'), 0)
    })

  it('an older, once true record put back is not believed by who saw a newer one', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    world.tamper('create table old as select * from holds where id = ?', hold.id)
    const spent = await spendAt(world.a, hold)
    await world.a.life.finish(spent, { result: 'executed', ms: 1 })
    world.tamper('delete from holds where id = ?', hold.id)
    world.tamper('insert into holds select * from old')
    assert.equal((await refused(spendAt(world.a, hold, 'again'))).code, 'store-unavailable')
    assert.equal(world.count('store-tampered'), 1)
  })

  it('a key that leads to another caller\'s hold is not followed', async () => {
    await using world = await makeWorld()
    const rich = await approved(world, 'POST /exports')
    const poor = (await refused(obtain(world.a, 'POST /poor', agent, { budgetMs: 0 }))).detail.hold!
    world.tamper('update open_keys set id = ? where id = ?', rich.id, poor.id)
    assert.equal((await refused(obtain(world.a, 'POST /poor', agent))).code, 'store-unavailable')
  })

  it('a record that was deleted does not run', async () => {
    await using world = await makeWorld()
    const hold = await approved(world)
    world.tamper('delete from holds where id = ?', hold.id)
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(bob, hold)))).code, 'not-found')
    assert.equal((await refused(spendAt(world.a, hold))).code, 'not-found')
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent, { hold: hold.id }))).code, 'not-found')
  })

  it('a result of another hold is not handed out', async () => {
    await using world = await makeWorld()
    const holds = []
    for (const name of ['one', 'two']) {
      const spent = await spendAt(world.a, await approved(world, `POST /${name}`), name)
      await world.a.life.finish(spent, { result: 'executed', ms: 1 }, Buffer.from(`answer ${name}`))
      holds.push(spent.hold)
    }
    world.tamper('update attachments set sealed = (select sealed from attachments where id = ?) where id = ?', holds[0]!.id, holds[1]!.id)
    assert.equal((await refused(world.a.life.result(holds[1]!.id, agent))).code, 'store-unavailable')
    assert.equal(world.count('store-tampered'), 1)
  })
})
