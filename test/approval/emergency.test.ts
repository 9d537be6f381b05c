import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { reviewWithinMs } from '../../src/approval/marks.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Hold } from '../../src/model/hold.ts'
import { until } from '../support/until.ts'
import { agent, alice, allowed, ballot, bob, caller, carol, decision, makeWorld, obtain, refused, requirement, terms, type World } from './world.ts'

const ira = caller('ira', { groups: ['incident'] })
const kim = caller('kim', { groups: ['managers'] })
const reason = 'Incident 4711: production is down.'
const glassTerms = terms([requirement({ count: 2 })], { breakGlass: [{ policy: 'p', rule: 'r', groups: ['incident'], users: [], reason: 20 }] })

describe('escalation, handing over and the broken glass', () => {
  let world: World
  beforeEach(async () => { world = await makeWorld() })
  afterEach(async () => await world[Symbol.asyncDispose]())

  const eventsOf = <T extends AuditEvent['type']>(type: T) => world.events.filter((event): event is Extract<AuditEvent, { type: T }> & { durability: string } => event.type === type)
  const broken = (hold: Hold, by = ira, over = {}) => world.a.life.vote(hold.id, ballot(by, hold, { reason, brokeGlass: true, ...over }))
  const escalating = terms([requirement({ escalation: { afterMs: 20_000, groups: ['managers'], users: [] } })])

  test('a rule escalates: said once, and from then on the others see it and decide', async () => {
    const second = await world.replica('b')
    const hold = await world.opened('POST /exports', agent, escalating)
    assert.equal((await refused(world.a.life.show(hold.id, kim))).code, 'not-found')
    world.skewMs = 20_001
    await until('it to be said', () => world.count('hold-escalated') > 0)
    await until('it to be seen', async () => (await second.life.show(hold.id, kim)).marks?.length === 1)
    assert.equal(world.a.life.obstacle(await world.a.life.show(hold.id, kim), kim), undefined)
    assert.equal((await second.life.vote(hold.id, ballot(kim, hold))).state, 'approved')
    assert.deepEqual(eventsOf('hold-escalated').map(({ to, hold: id }) => [id, to]), [[hold.id, { groups: ['managers'], users: [] }]])
    assert.equal(world.count('hold-expired'), 0)
  })

  test('what has escalated still ends at its deadline', async () => {
    const hold = await world.opened('POST /exports', agent, escalating)
    world.skewMs = 20_001
    await until('it to be said', () => world.count('hold-escalated') === 1)
    world.skewMs = 60_001
    await until('its end', async () => (await world.a.life.show(hold.id, alice)).state === 'expired')
  })

  test('somebody releases it alone: it runs, and everything says so', async () => {
    const waiting = obtain(world.a, 'POST /exports', agent, {}, decision(glassTerms))
    await until('the hold', () => world.count('held') === 1)
    const { hold: id } = eventsOf('held')[0]!
    const shown = await world.a.life.show(id, ira)
    assert.equal(world.a.life.obstacle(shown, ira), 'not-eligible')
    assert.deepEqual([...world.a.life.offers(shown, ira)], ['break-glass'])
    const approval = await broken(shown).then(() => waiting)
    assert.ok(!('result' in approval))
    const running = await world.a.life.spend(approval, 'it', agent, decision(glassTerms))
    assert.ok(!('result' in running))
    await world.a.life.finish(running, { result: 'executed', ms: 1 })
    const [event] = eventsOf('broke-glass')
    assert.deepEqual([event?.vote.by.subject, event?.vote.brokeGlass, event?.vote.reason, event?.skipped, event?.durability], ['ira', true, reason, { groups: ['dba'], users: [] }, 'synced'])
    assert.equal(event!.deadline, event!.vote.at + reviewWithinMs)
    assert.deepEqual([world.count('voted'), eventsOf('released')[0]?.votes[0]?.brokeGlass], [0, true])
  })

  test('refused: recorded as what it is, and nothing has changed', async () => {
    const hold = await world.opened('POST /exports', agent, glassTerms)
    const own = await world.opened('POST /own', { ...agent, onBehalfOf: [ira] }, glassTerms)
    const short = await refused(broken(hold, ira, { reason: 'urgent' }))
    assert.deepEqual([short.code, short.message], ['reason-required', 'Say why, in at least 20 characters: everybody whom you pass over reads it.'])
    assert.equal((await refused(broken(hold, alice))).code, 'not-eligible')
    assert.equal((await refused(broken(hold, { ...agent, groups: ['incident'] }))).code, 'not-eligible')
    assert.equal((await refused(broken(hold, { ...ira, onBehalfOf: [bob] }))).code, 'not-eligible')
    assert.equal((await refused(broken(own))).code, 'self-approval')
    assert.deepEqual(eventsOf('break-glass-refused').map(({ refusal }) => refusal), ['reason-required', 'not-eligible', 'not-eligible', 'not-eligible', 'self-approval'])
    assert.deepEqual([(await world.a.life.show(hold.id, alice)).revision, world.count('broke-glass'), world.count('vote-refused')], [1, 0, 0])
  })

  test('deny wins: a policy that denies by then, and a no before it runs', async () => {
    const hold = await world.opened('POST /exports', agent, glassTerms)
    await broken(hold)
    assert.equal((await world.a.life.vote(hold.id, ballot(alice, hold, { verdict: 'deny' }))).state, 'denied')
    assert.equal((await refused(obtain(world.a, 'POST /exports', agent, { hold: hold.id, budgetMs: 0 }, decision(glassTerms)))).code, 'hold-denied')
  })

  test('the debt: kept until somebody else has looked, overdue is said once, and the looker is on record', async () => {
    const hold = await world.opened('POST /exports', agent, glassTerms)
    await broken(hold)
    world.skewMs = 31_000
    await until('the end of the time to run', async () => (await world.a.life.show(hold.id, alice)).state === 'expired')
    world.skewMs = reviewWithinMs + 60_000
    await until('it to be overdue', () => world.count('review-overdue') > 0)
    world.skewMs = reviewWithinMs * 3
    assert.ok(world.a.life.offers(await world.a.life.show(hold.id, alice), alice).has('review'))
    assert.equal((await refused(world.a.life.review(hold.id, ira, 'It was me.'))).code, 'not-eligible')
    assert.equal((await refused(world.a.life.review(hold.id, alice, ' '))).code, 'reason-required')
    await world.opened('POST /waits')
    const owed = async (): Promise<readonly string[]> => (await world.a.life.list({ unreviewed: true, limit: 10 }, alice)).holds.map(({ id }) => id)
    assert.deepEqual(await owed(), [hold.id])
    const reviewed = await world.a.life.review(hold.id, alice, 'In order.')
    assert.deepEqual(await owed(), [])
    assert.deepEqual(reviewed.marks?.map(({ what }) => what), ['broke-glass', 'review-overdue', 'reviewed'])
    assert.equal((await refused(world.a.life.review(hold.id, carol, 'Me, too.'))).code, 'already-settled')
    assert.deepEqual([world.count('review-overdue'), eventsOf('break-glass-reviewed').map(({ by, note }) => [by.subject, note])], [1, [['alice', 'In order.']]])
    world.skewMs = reviewWithinMs * 4
    await world.opened('POST /another') // the store sweeps when it writes
    await until('the record to go', async () => (await refused(world.a.life.show(hold.id, alice))).code === 'not-found')
  })

  test('a review of what has run finds no repeat again, and leaves its outcome', async () => {
    const waiting = obtain(world.a, 'POST /exports', agent, {}, decision(glassTerms))
    await until('the hold', () => world.count('held') === 1)
    const hold = await world.a.life.show(eventsOf('held')[0]!.hold, ira)
    await broken(hold)
    const approval = await waiting
    assert.ok(!('result' in approval))
    const running = await world.a.life.spend(approval, 'it', agent, allowed)
    assert.ok(!('result' in running))
    const early = await world.a.life.review(hold.id, alice, 'Looked while it ran.')
    assert.equal(early.state, 'running')
    await world.a.life.finish(running, { result: 'executed', ms: 1 })
    assert.deepEqual([(await world.a.life.show(hold.id, alice)).state, (await world.a.life.show(hold.id, alice)).marks?.at(-1)?.what], ['executed', 'reviewed'])
    world.skewMs = 120_000
    const again = await refused(obtain(world.a, 'POST /exports', agent, { budgetMs: 0 }, decision(glassTerms)))
    assert.deepEqual([again.code, again.detail.hold?.id === hold.id], ['hold-pending', false])
  })

  test('handing over asks somebody to look and gives nobody a right', async () => {
    const hold = await world.opened('POST /exports', agent, terms([requirement(), requirement({ rule: 's', groups: ['security'] })]))
    const over = await world.a.life.handOver(hold.id, bob, { group: 'security' }, 'Is this the new tenant?')
    const [mark] = over.marks ?? []
    assert.ok(mark?.what === 'handed-over')
    assert.deepEqual([mark.by.subject, mark.to, mark.note], ['bob', { group: 'security' }, 'Is this the new tenant?'])
    assert.equal((await world.a.life.handOver(hold.id, bob, { issuer: carol.issuer, subject: 'carol' })).marks?.length, 2)
    assert.deepEqual(eventsOf('handed-over').map(({ by, successor }) => [by.subject, successor]), [['bob', { group: 'security' }], ['bob', { issuer: carol.issuer, subject: 'carol' }]])
    await world.a.life.handOver(hold.id, alice, { issuer: 'https://idp.test', subject: 'mallory' })
    assert.equal((await refused(world.a.life.show(hold.id, caller('mallory')))).code, 'not-found', 'who may not decide sees no more than before')
    for (const [by, to, code] of [[bob, { group: 'incident' }, 'malformed'], [bob, { issuer: bob.issuer, subject: 'bob' }, 'malformed'], [bob, { issuer: agent.issuer, subject: agent.subject }, 'malformed'], [caller('mallory'), { group: 'dba' }, 'not-found'], [agent, { group: 'dba' }, 'not-eligible']] as const) assert.equal((await refused(world.a.life.handOver(hold.id, by, to))).code, code)
    await world.a.life.vote(hold.id, ballot(bob, hold, { verdict: 'deny' }))
    assert.equal((await refused(world.a.life.handOver(hold.id, alice, { group: 'security' }))).code, 'already-settled')
  })

  test('it can be handed over so often and no more', async () => {
    const hold = await world.opened()
    for (let times = 0; times < 20; times++) await world.a.life.handOver(hold.id, bob, { group: 'dba' })
    assert.equal((await refused(world.a.life.handOver(hold.id, bob, { group: 'dba' }))).code, 'too-many-holds')
  })
})
