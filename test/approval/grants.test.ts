import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Ballot } from '../../src/approval/approvals.ts'
import type { Channel } from '../../src/approval/channel.ts'
import type { Action } from '../../src/model/action.ts'
import type { Approval } from '../../src/model/approval.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { Decision } from '../../src/model/decision.ts'
import type { Hold } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { until } from '../support/until.ts'
import { action, agent, alice, ballot, bob, caller, decision, makeWorld, refused, requirement, terms, type Replica, type World } from './world.ts'

const hour = 3_600_000
const most = { times: 5, withinMs: hour }
const lets = decision(terms([requirement()], { grant: most }))
const counting = decision(terms([requirement()], { grant: { ...most, rows: 100 } }))

/** One of a kind: the text is what differs. */
const like = (text: string, over: Partial<Action> = {}): Action => action(text, { pattern: { same: 'send an invoice', text: (path) => `POST ${path}` }, ...over })
const rows = (text: string, exactRows: number): Action => like(text, { impact: { exactRows, notes: [] } })

describe('grants', () => {
  let world: World
  let attempts = 0
  beforeEach(async () => {
    world = await makeWorld()
    world.pinned = { policyVersion: 'v1', path: '/invoices/*', values: '' }
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const ask = (what: Action, given: Decision = lets, as: Caller = agent, replica: Replica = world.a) =>
    replica.life.obtain({ attempt: `ask-${++attempts}`, caller: as, action: what, decision: given, wait: { budgetMs: 0 } }, new AbortController().signal)

  /** Held, approved with what the ballot says beside it, and run. */
  const approved = async (what: Action, over: Partial<Ballot>, given: Decision = lets, voters: readonly Caller[] = [alice]): Promise<Hold> => {
    const { detail } = await refused(ask(what, given))
    const hold = detail.hold!
    for (const voter of voters) await world.a.life.vote(hold.id, ballot(voter, hold, over))
    const approval = await ask(what, given)
    assert.ok(!('result' in approval) && approval.grant === undefined, 'what was approved runs by its own approval')
    const spent = await world.a.life.spend(approval, `first-${++attempts}`, agent, given)
    assert.ok(!('result' in spent))
    await world.a.life.finish(spent, { result: 'executed', ms: 1 }, Buffer.from('done'))
    return await world.a.life.show(hold.id, alice)
  }

  const use = async (what: Action, given: Decision = lets, replica: Replica = world.a): Promise<Approval> => {
    const approval = await ask(what, given, agent, replica)
    assert.ok(!('result' in approval) && approval.grant !== undefined, 'it runs by a grant')
    const used = await replica.life.spend(approval, `use-${++attempts}`, agent, given)
    assert.ok(!('result' in used) && used.grant !== undefined)
    return used
  }

  const grantOf = async (hold: Hold) => (await world.a.life.grants.show(hold.id.replace('hold_', 'grant_'), alice)).grant
  const isHeld = async (what: Action, given: Decision = lets, as: Caller = agent): Promise<void> => assert.equal((await refused(ask(what, given, as))).code, 'hold-pending')

  test('lets as many more through as the approver said, each on record with who gave it, and then waits again', async () => {
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 2, withinMs: hour } })
    assert.equal(hold.pattern?.text, 'POST /invoices/*')
    assert.deepEqual([hold.granted?.times, hold.granted?.ended], [2, undefined])
    for (const id of [2, 3]) await world.a.life.finish(await use(like(`POST /invoices/${id}`)), { result: 'executed', status: '200', ms: 1 })
    await isHeld(like('POST /invoices/4'))
    const grant = await grantOf(hold)
    assert.deepEqual(grant.uses.map(({ outcome }) => outcome?.status), ['200', '200'])
    assert.equal(grant.ended?.why, 'used-up')
    const after = await world.a.life.show(hold.id, alice)
    assert.equal(after.granted?.ended, 'used-up')
    assert.deepEqual(after.marks?.map(({ what }) => what), ['granted', 'grant-ended'])
    const [used] = world.events.filter(({ type }) => type === 'grant-used')
    assert.ok(used?.type === 'grant-used' && used.durability === 'synced')
    assert.deepEqual([used.grant, used.approval, used.votes.map(({ by }) => by.subject), used.action.digest], [grant.id, hold.id, ['alice'], like('POST /invoices/2').digest])
    assert.ok(!('hold' in used))
    assert.deepEqual(world.events.map(({ type }) => type).filter((type) => type.startsWith('grant')), ['grant-made', 'grant-used', 'grant-used', 'grant-ended'])
  })

  test('is never exceeded, however many ask at once and wherever', async () => {
    const b = await world.replica('b')
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: hour } })
    const tries = await Promise.allSettled(Array.from({ length: 24 }, (_, at) => use(like(`POST /invoices/${at + 2}`), lets, at % 2 === 0 ? world.a : b)))
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 5)
    assert.equal((await grantOf(hold)).uses.length, 5)
    assert.equal(world.count('grant-used'), 5)
  })

  test('is for this caller, this chain, this kind, these rules and this policy only', async () => {
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: hour } })
    await isHeld(like('POST /invoices/2'), lets, caller('other-agent', { kind: 'agent' }))
    await isHeld(like('POST /invoices/2'), lets, { ...agent, onBehalfOf: [bob] })
    await isHeld(like('POST /invoices/2', { service: 'ledger' }))
    await isHeld(action('POST /invoices/3'))
    await isHeld(like('POST /invoices/4', { pattern: { same: 'send a reminder', text: String } }))
    await isHeld(like('POST /invoices/5', { verb: 'http.DELETE', verbs: ['http.DELETE'] }))
    await isHeld(like('POST /invoices/6'), { ...lets, matched: [...lets.matched, { policy: 'p', rule: 'two', then: 'hold', at: 'p.yaml:9', observed: false }] })
    await isHeld(like('POST /invoices/7'), decision())
    world.pinned = { ...world.pinned!, values: 'amount 5' }
    await isHeld(like('POST /invoices/8'))
    world.pinned = { ...world.pinned, values: '' }
    await use(like('POST /invoices/9'))
    world.pinned = { ...world.pinned, policyVersion: 'v2' }
    await isHeld(like('POST /invoices/10'), { ...lets, policyVersion: 'v2' })
    assert.equal((await grantOf(hold)).ended?.cause, 'the policy has changed')
    world.pinned = { ...world.pinned, policyVersion: 'v1' }
    await isHeld(like('POST /invoices/11'))
  })

  test('takes as many people as the approval, and the least of what they say', async () => {
    const two = decision(terms([requirement({ count: 2 })], { grant: most }))
    const { detail } = await refused(ask(like('POST /invoices/1'), two))
    await world.a.life.vote(detail.hold!.id, ballot(alice, detail.hold!, { grant: { times: 5, withinMs: hour } }))
    const half = await world.a.life.vote(detail.hold!.id, ballot(bob, detail.hold!))
    assert.deepEqual([half.state, half.granted], ['approved', undefined])
    await isHeld(like('POST /invoices/2'), two)

    const other = await refused(ask(like('POST /invoices/3'), two))
    await world.a.life.vote(other.detail.hold!.id, ballot(alice, other.detail.hold!, { grant: { times: 5, withinMs: 60_000 } }))
    const both = await world.a.life.vote(other.detail.hold!.id, ballot(bob, other.detail.hold!, { grant: { times: 2, withinMs: hour } }))
    assert.deepEqual([both.granted?.times, both.granted?.withinMs], [2, 60_000])
    await use(like('POST /invoices/4'), two)
  })

  test('ends at once with the right of somebody who gave it', async () => {
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: hour } })
    const approval = await ask(like('POST /invoices/2'))
    assert.ok(!('result' in approval) && approval.grant)
    await world.a.life.list({ limit: 1 }, { ...alice, groups: [] }) // seen without the group
    const refusal = await refused(world.a.life.spend(approval, 'late', agent, lets))
    assert.equal(refusal.code, 'hold-changed')
    assert.equal((await grantOf(hold)).uses.length, 0)
    assert.match((await grantOf(hold)).ended?.cause ?? '', /may not any more/)
    await isHeld(like('POST /invoices/3'))
  })

  test('ends with a group of the requester, or of somebody it acts for', async () => {
    const delegated = { ...agent, onBehalfOf: [caller('olga', { groups: ['sales', 'emea'] })] }
    const hold = await (async () => {
      const { detail } = await refused(ask(like('POST /invoices/1'), lets, delegated))
      return await world.a.life.vote(detail.hold!.id, ballot(alice, detail.hold!, { grant: { times: 5, withinMs: hour } }))
    })()
    const approval = await ask(like('POST /invoices/2'), lets, { ...delegated, onBehalfOf: [{ ...delegated.onBehalfOf[0]!, groups: ['emea', 'sales', 'more'] }] })
    assert.ok(!('result' in approval) && approval.grant)
    await isHeld(like('POST /invoices/3'), lets, { ...delegated, onBehalfOf: [{ ...delegated.onBehalfOf[0]!, groups: ['sales'] }] })
    assert.equal((await grantOf(hold)).ended?.cause, 'the requester has lost a group')
    await isHeld(like('POST /invoices/4'), lets, delegated)
  })

  test('can be revoked by whoever may see it, and by nobody else', async () => {
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: hour } })
    const { grants } = world.a.life
    const [listed] = (await grants.list({ limit: 10 }, bob)).grants
    assert.equal(listed?.hold.id, hold.id)
    const stranger = caller('mallory')
    assert.deepEqual((await grants.list({ limit: 10 }, stranger)).grants, [])
    assert.equal((await refused(grants.revoke(listed.grant.id, stranger))).code, 'not-found')
    const approval = await ask(like('POST /invoices/2'))
    assert.equal((await grants.revoke(listed.grant.id, bob)).grant.ended?.by?.subject, 'bob')
    assert.ok(!('result' in approval))
    assert.match((await refused(world.a.life.spend(approval, 'late', agent, lets))).message, /revoked/)
    assert.equal((await refused(grants.revoke(listed.grant.id, bob))).code, 'already-settled')
    await isHeld(like('POST /invoices/3'))
    assert.equal((await world.a.life.show(hold.id, alice)).granted?.ended, 'revoked')
  })

  test('is over when its time is', async () => {
    await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: 60_000 } })
    const approval = await ask(like('POST /invoices/2'))
    assert.ok(!('result' in approval) && approval.grant)
    world.skewMs = 61_000
    assert.match((await refused(world.a.life.spend(approval, 'late', agent, lets))).message, /time is over/)
    await isHeld(like('POST /invoices/3'))
  })

  test('counts rows over all uses: those that may be changed before, those that were after', async () => {
    const hold = await approved(rows('UPDATE 1', 1), { grant: { times: 5, rows: 100, withinMs: hour } }, counting)
    const first = await use(rows('UPDATE 2', 60), counting)
    await isHeld(rows('UPDATE 3', 60), counting)
    await world.a.life.finish(first, { result: 'executed', rows: 20, ms: 1 })
    await world.a.life.finish(await use(rows('UPDATE 4', 60), counting), { result: 'unknown', ms: 1, cause: 'a long story' })
    assert.doesNotMatch(JSON.stringify(await grantOf(hold)), /long story/)
    assert.deepEqual((await grantOf(hold)).uses.map((one) => one.rows), [20, 60])
    await isHeld(rows('UPDATE 5', 21), counting)
    await isHeld(like('UPDATE 6'), counting)
    await world.a.life.finish(await use(rows('UPDATE 7', 20), counting), { result: 'executed', rows: 20, ms: 1 })
    assert.equal((await grantOf(hold)).ended?.why, 'used-up')
  })

  test('is refused where the rule does not let it, and nothing is decided then', async () => {
    const { detail } = await refused(ask(like('POST /invoices/1')))
    const hold = detail.hold!
    for (const grant of [{ times: 6, withinMs: hour }, { times: 0, withinMs: hour }, { times: 1.5, withinMs: hour }, { times: 1, withinMs: hour + 1 }, { times: 1, rows: 5, withinMs: hour }])
      assert.equal((await refused(world.a.life.vote(hold.id, ballot(alice, hold, { grant })))).code, 'malformed', JSON.stringify(grant))
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(alice, hold, { verdict: 'deny', grant: { times: 1, withinMs: hour } })))).code, 'malformed')
    const plain = (await refused(ask(like('POST /invoices/2'), decision()))).detail.hold!
    assert.equal(plain.pattern, undefined)
    assert.equal((await refused(world.a.life.vote(plain.id, ballot(alice, plain, { grant: { times: 1, withinMs: hour } })))).code, 'malformed')
    assert.deepEqual([(await world.a.life.show(hold.id, alice)).state, (await world.a.life.show(plain.id, alice)).state], ['pending', 'pending'])
  })

  test('gives nobody a second run of the very action that ran', async () => {
    await approved(like('POST /invoices/1'), { grant: { times: 5, withinMs: hour } })
    const again = await ask(like('POST /invoices/1'))
    assert.ok('result' in again && Buffer.from(again.result).toString() === 'done')
  })

  test('ends with an approval that was denied or taken back before it ran', async () => {
    const { detail } = await refused(ask(like('POST /invoices/1')))
    await world.a.life.vote(detail.hold!.id, ballot(alice, detail.hold!, { grant: { times: 5, withinMs: hour } }))
    await world.a.life.vote(detail.hold!.id, ballot(bob, detail.hold!, { verdict: 'deny', reason: 'no' }))
    await isHeld(like('POST /invoices/2'))
    assert.match((await grantOf(detail.hold!)).ended?.cause ?? '', /taken back/)
  })

  test('that somebody gave who may not any more is nobody else\'s, though the same approval is given anew', async () => {
    const { detail } = await refused(ask(like('POST /invoices/1')))
    const hold = detail.hold!
    await world.a.life.vote(hold.id, ballot(alice, hold, { grant: { times: 5, withinMs: hour } }))
    const approval = await ask(like('POST /invoices/1'))
    assert.ok(!('result' in approval) && approval.grant === undefined)
    await world.a.life.list({ limit: 1 }, { ...alice, groups: [] }) // seen without the group
    assert.equal((await refused(world.a.life.spend(approval, 'late', agent, lets))).code, 'hold-changed')
    assert.equal((await world.a.life.show(hold.id, bob)).state, 'pending')
    assert.equal((await refused(world.a.life.vote(hold.id, ballot(bob, hold, { grant: { times: 1, withinMs: 60_000 } })))).code, 'malformed')
    assert.equal((await world.a.life.vote(hold.id, ballot(bob, hold))).state, 'approved')
    await isHeld(like('POST /invoices/2'))
    assert.match((await world.a.life.grants.show(hold.id.replace('hold_', 'grant_'), bob)).grant.ended?.cause ?? '', /may not any more/)
  })

  test('is not believed when somebody put back what it was before', async () => {
    const hold = await approved(like('POST /invoices/1'), { grant: { times: 2, withinMs: hour } })
    const id = hold.id.replace('hold_', 'grant_')
    const before = (await world.a.store.grants.read(id))!
    await use(like('POST /invoices/2'))
    world.tamper('update grants set revision = ?, sealed = ? where id = ?', before.revision, before.sealed, id)
    assert.equal((await refused(ask(like('POST /invoices/3')))).code, 'store-unavailable')
    world.tamper('update grants set revision = ?, sealed = ? where id = ?', before.revision + 1, before.sealed, id)
    assert.equal((await refused(ask(like('POST /invoices/3')))).code, 'store-unavailable')
    assert.ok(world.count('store-tampered') > 0)
  })

  test('a store that is away when it is given takes nothing from the yes, and lets nothing through before it is written', async () => {
    let away = true
    const flaky = await world.replica('flaky', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), grants: { ...store.grants, add: async (...asked) => (away ? Promise.reject(new Refusal('store-unavailable', 'away')) : await store.grants.add(...asked)) } }))
    const { detail } = await refused(ask(like('POST /invoices/1')))
    const voted = await flaky.life.vote(detail.hold!.id, ballot(alice, detail.hold!, { grant: { times: 1, withinMs: hour } }))
    assert.equal(voted.state, 'approved')
    await isHeld(like('POST /invoices/2'))
    away = false
    await until('it to be written', async () => (await world.a.store.grants.read(voted.granted!.id)) !== undefined)
    await use(like('POST /invoices/3'))
  })

  test('lets nothing through while the store cannot say, or the journal', async () => {
    await approved(like('POST /invoices/1'), { grant: { times: 2, withinMs: hour } })
    const away = await world.replica('away', {}, (store) => ({ ...store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](), grants: { ...store.grants, find: () => Promise.reject(new Refusal('store-unavailable', 'away')) } }))
    assert.equal((await refused(ask(like('POST /invoices/2'), lets, agent, away))).code, 'store-unavailable')
    world.journalFails = 'grant-used'
    const approval = await ask(like('POST /invoices/2'))
    assert.ok(!('result' in approval))
    assert.equal((await refused(world.a.life.spend(approval, 'unrecorded', agent, lets))).code, 'journal-unavailable')
    world.journalFails = undefined
    await use(like('POST /invoices/2'))
    await isHeld(like('POST /invoices/3'))
  })

  test('channels hear that it was given, and that it is used up', async () => {
    const heard: string[] = []
    const channel: Channel = {
      name: 'chat', kind: 'test', retriesMs: [], timeoutMs: 1_000, concerns: () => true,
      show: async ({ hold, occasion }) => { heard.push(occasion === 'change' ? hold.state : occasion); return undefined },
      [Symbol.asyncDispose]: async () => {},
    }
    const told = await world.replica('told', {}, (store) => store, [channel])
    await using _announcer = told.life.announce({ beatMs: 20, leaseMs: 500, storeRetryMs: 50, gatherMs: 50, handOnMs: 50 })
    const { detail } = await refused(ask(like('POST /invoices/1')))
    await until('the hold to be told', () => heard.includes('pending'))
    await world.a.life.vote(detail.hold!.id, ballot(alice, detail.hold!, { grant: { times: 1, withinMs: hour } }))
    await until('the approval to be told', () => heard.includes('approved'))
    await use(like('POST /invoices/2'))
    await until('the end of the grant to be told', () => heard.includes('grant-ended'))
    assert.deepEqual(heard, ['pending', 'granted', 'approved', 'grant-ended'])
  })
})
