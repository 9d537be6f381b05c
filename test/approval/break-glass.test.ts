import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakGlass, review } from '../../src/approval/break-glass.ts'
import { nextMark, reviewDue, reviewWithinMs } from '../../src/approval/marks.ts'
import { personKeys, type People } from '../../src/approval/people.ts'
import { resettle, settle } from '../../src/approval/settle.ts'
import type { Party, Principal } from '../../src/model/caller.ts'
import type { BreakGlass, Terms } from '../../src/model/decision.ts'
import type { Hold, Vote } from '../../src/model/hold.ts'
import { action, agent, alice, bob, caller, carol, digestOf, requirement, terms } from './world.ts'

const plain: People = { person: personKeys([]), current: (principal) => principal }
const linked = (...accounts: Party[]): People => ({ ...plain, person: personKeys([accounts]) })
const glass = (over: Partial<BreakGlass> = {}): BreakGlass => ({ policy: 'p', rule: 'r', groups: ['incident'], users: [], reason: 20, ...over })
const withGlass = (...all: readonly BreakGlass[]): Terms => terms([requirement({ count: 2 })], { breakGlass: all.length > 0 ? all : [glass()] })
const held = (over: Partial<Hold> = {}): Hold => ({ id: 'hold_a', code: 'CS-0000', revision: 1, state: 'pending', caller: agent, action: action(), terms: withGlass(), matched: [], policyVersion: 'v1', votes: [], openedAt: 0, deadline: 60_000, ...over })
const ira = caller('ira', { groups: ['incident'] })
const reason = 'Incident 4711: production is down.'
const broken = (by: Principal, over: Partial<Vote> = {}) => ({ verdict: 'approve', by, channel: 'console', assurance: 'console', digest: action().digest, at: 10, reason, ...over, brokeGlass: true }) as const
const code = (result: ReturnType<typeof settle>): string => ('refused' in result ? result.refused : result.hold.state)
const done = (result: ReturnType<typeof settle>): Hold => {
  if ('refused' in result) throw new Error(`${result.refused}: ${result.cause}`)
  return result.hold
}

test('one of those who may releases it alone, with a reason, and it is marked', () => {
  const hold = done(breakGlass(held(), broken(ira), plain, 10))
  assert.deepEqual([hold.state, hold.runBy, hold.votes.length, hold.revision], ['approved', 30_010, 1, 2])
  assert.deepEqual(hold.marks, [{ what: 'broke-glass', at: 10, by: ira, reason, skipped: { groups: ['dba'], users: [] } }])
  assert.equal(resettle(hold, { terms: undefined, policyVersion: 'v1', caller: agent }, plain, 20).hold.state, 'approved')
})

test('who may not, and when not', () => {
  const say = (hold: Hold, vote: ReturnType<typeof broken>, people = plain): string => code(breakGlass(hold, vote, people, vote.at))
  assert.equal(say(held(), broken(alice)), 'not-eligible', 'an approver is not by that somebody who may')
  assert.equal(say(held({ terms: terms() }), broken(ira)), 'not-eligible', 'a rule that says nothing of it')
  assert.equal(say(held({ terms: terms(undefined, { breakGlass: [] }) }), broken(ira)), 'not-eligible')
  assert.equal(say(held(), broken(caller('bot', { kind: 'agent', groups: ['incident'] }))), 'not-eligible')
  assert.equal(say(held(), broken(caller('job', { kind: 'workload', groups: ['incident'] }))), 'not-eligible')
  assert.equal(say(held(), broken({ ...ira, groups: undefined })), 'not-eligible')
  assert.equal(say(held(), broken(ira, { assurance: 'chat' })), 'assurance-too-low')
  assert.equal(say(held({ terms: { ...withGlass(), requirements: [requirement({ assurance: 'passkey' })] } }), broken(ira)), 'assurance-too-low')
  assert.equal(say(held({ terms: { ...withGlass(), requirements: [requirement({ assurance: 'passkey' })] } }), broken(ira, { assurance: 'passkey' })), 'approved')
  assert.equal(say(held({ caller: ira }), broken(ira)), 'self-approval')
  assert.equal(say(held({ caller: { ...agent, onBehalfOf: [ira] } }), broken(ira)), 'self-approval')
  assert.equal(say(held({ caller: { ...agent, owner: bob } }), broken(ira), linked(ira, bob)), 'self-approval')
  for (const few of [undefined, '', ' '.repeat(40), 'urgent', `a${' '.repeat(40)}b`]) assert.equal(say(held(), broken(ira, few === undefined ? { reason: '' } : { reason: few })), 'reason-required', few)
  assert.equal(say(held(), broken(ira, { digest: digestOf('another') })), 'wrong-digest')
  assert.equal(say(held(), broken(ira, { at: 60_001 })), 'hold-expired')
  for (const state of ['approved', 'denied', 'executed', 'withdrawn'] as const) assert.equal(say(held({ state }), broken(ira)), 'already-settled')
})

test('of several rules each must let them: one more rule never makes it easier', () => {
  const both = held({ terms: withGlass(glass(), glass({ rule: 's', groups: ['security'], reason: 60 })) })
  assert.equal(code(breakGlass(both, broken(ira), plain, 10)), 'not-eligible')
  const sam = caller('sam', { groups: ['incident', 'security'] })
  assert.equal(code(breakGlass(both, broken(sam), plain, 10)), 'reason-required')
  assert.equal(code(breakGlass(both, broken(sam, { reason: reason.repeat(2) }), plain, 10)), 'approved')
})

test('a no still ends it, and at release it is looked at again; the mark stays', () => {
  const hold = done(breakGlass(held(), broken(ira), plain, 10))
  const no = settle(hold, { ...broken(alice, { at: 20 }), verdict: 'deny', brokeGlass: undefined } as unknown as Vote, plain, 20)
  assert.equal(code(no), 'denied')
  const left: People = { ...plain, current: (who) => ({ ...who, groups: [] }) }
  for (const [now, people] of [[undefined, left], [terms([requirement({ count: 2 })]), plain]] as const) {
    const released = resettle(hold, { terms: now, policyVersion: 'v2', caller: agent }, people, 20)
    assert.deepEqual([released.hold.state, released.dropped.length, reviewDue(released.hold)], ['pending', 1, 10 + reviewWithinMs])
  }
})

test('a review is owed until somebody else among the approvers has looked', () => {
  const hold = done(breakGlass(held(), broken(ira), plain, 10))
  assert.deepEqual(nextMark(hold), { what: 'review-overdue', at: 10 + reviewWithinMs })
  const may = (who: Principal, people = plain, on = hold): string => {
    const result = review(on, who, 'It was in order.', people, 50)
    return 'refused' in result ? result.refused : 'reviewed'
  }
  assert.equal(may(carol), 'reviewed')
  assert.equal(may(ira), 'not-eligible')
  assert.equal(may({ ...ira, groups: ['incident', 'dba'] }), 'self-approval')
  assert.equal(may(bob, linked(ira, bob)), 'self-approval')
  assert.equal(may(bob, plain, { ...hold, caller: { ...agent, onBehalfOf: [bob] } }), 'self-approval')
  assert.equal(may({ ...agent, groups: ['dba'] }), 'not-eligible')
  assert.equal(code(review(hold, carol, '  ', plain, 50)), 'reason-required')
  assert.equal(may(carol, plain, held()), 'already-settled')
  const reviewed = done(review({ ...hold, state: 'executed' }, carol, 'It was in order.', plain, 50))
  assert.deepEqual([reviewed.state, reviewDue(reviewed), nextMark(reviewed)], ['executed', undefined, undefined])
  assert.equal(may(bob, plain, reviewed), 'already-settled')
})

test('what is due first is said first, and an escalation far away delays nothing', () => {
  const slow = terms([requirement({ escalation: { afterMs: reviewWithinMs * 2, groups: ['managers'], users: [] } })], { withinMs: reviewWithinMs * 3, breakGlass: [glass()] })
  const hold: Hold = { ...done(breakGlass(held({ terms: slow }), broken(ira), plain, 10)), state: 'pending' }
  assert.deepEqual(nextMark(hold), { what: 'review-overdue', at: 10 + reviewWithinMs })
  assert.deepEqual(nextMark({ ...hold, marks: [...hold.marks ?? [], { what: 'review-overdue', at: 10 + reviewWithinMs }] }), { what: 'escalated', at: reviewWithinMs * 2 })
  assert.equal(nextMark({ ...hold, state: 'denied', marks: [] }), undefined)
})

test('overdue is said once', () => {
  const hold = done(breakGlass(held(), broken(ira), plain, 10))
  const overdue: Hold = { ...hold, marks: [...hold.marks ?? [], { what: 'review-overdue', at: 99 }] }
  assert.equal(nextMark(overdue), undefined)
  assert.equal(reviewDue(overdue), 10 + reviewWithinMs)
})
