import assert from 'node:assert/strict'
import { test } from 'node:test'
import { personKeys, type People } from '../../src/approval/people.ts'
import { resettle, settle } from '../../src/approval/settle.ts'
import type { Principal } from '../../src/model/caller.ts'
import type { Terms } from '../../src/model/decision.ts'
import type { Hold, Vote } from '../../src/model/hold.ts'
import { action, agent, alice, bob, caller, requirement, terms } from './world.ts'

const people: People = { person: personKeys([]), current: (principal) => principal }
const reviewer = caller('reviewer', { kind: 'workload', groups: ['dba'] })
const named = (over: Parameters<typeof requirement>[0] = {}) => requirement({ groups: [], automations: [reviewer], ...over })
const held = (needs: Terms, over: Partial<Hold> = {}): Hold => ({ id: 'hold_a', code: 'CS-0000', revision: 1, state: 'pending', caller: agent, action: action(), terms: needs, matched: [], policyVersion: 'v1', votes: [], openedAt: 0, deadline: 1_000, ...over })
const vote = (by: Principal, over: Partial<Vote> = {}): Vote => ({ verdict: 'approve', by, channel: 'automation', assurance: 'console', digest: action().digest, at: 10, ...over })
const said = (hold: Hold, by: Principal, over: Partial<Vote> = {}): string => {
  const result = settle(hold, vote(by, over), people, 10)
  return 'refused' in result ? result.refused : result.hold.state
}

test('a program that the rule names decides; one that it does not name never does, whatever its groups', () => {
  assert.equal(said(held(terms([named()])), reviewer), 'approved')
  assert.equal(said(held(terms([named()])), reviewer, { verdict: 'deny' }), 'denied')
  assert.equal(said(held(terms([named({ assurance: 'passkey' })])), reviewer), 'approved')
  assert.equal(said(held(terms([named()])), caller('another', { kind: 'workload', groups: ['dba'] })), 'not-eligible')
  assert.equal(said(held(terms([requirement({ users: [reviewer] })])), reviewer), 'not-eligible')
})

test('an agent never does, and neither does a person by a name that is meant for a program', () => {
  assert.equal(said(held(terms([named()])), { ...reviewer, kind: 'agent' }), 'not-eligible')
  assert.equal(said(held(terms([named()])), { ...reviewer, kind: 'human' }), 'not-eligible')
})

test('nobody approves by a program of their own, and no program its own action', () => {
  const needs = terms([named()])
  const mine = { ...reviewer, owner: alice }
  for (const requester of [alice, { ...agent, owner: alice }, caller('assistant', { kind: 'agent', onBehalfOf: [alice] }), mine, caller('assistant', { kind: 'agent', onBehalfOf: [mine] })]) assert.equal(said(held(needs, { caller: requester }), mine), 'self-approval')
  assert.equal(said(held(needs, { caller: { ...agent, owner: bob } }), mine), 'approved')
})

test('where a person is asked as well, the program is one of two and never both', () => {
  const needs = terms([named(), requirement()])
  const hold = settle(held(needs), vote(reviewer), people, 10)
  assert.ok('hold' in hold)
  assert.equal(hold.hold.state, 'pending')
  assert.equal(said(hold.hold, reviewer), 'already-voted')
  assert.equal(said(hold.hold, bob, { channel: 'console' }), 'approved')
  assert.equal(said(held(needs), bob), 'pending')
})

test('at release a vote of a program that the rule does not name any more is gone', () => {
  const approved = settle(held(terms([named()])), vote(reviewer), people, 10)
  assert.ok('hold' in approved)
  const release = (now: Terms) => resettle(approved.hold, { terms: now, policyVersion: 'v2', caller: agent }, people, 20)
  assert.equal(release(terms([named()])).hold.state, 'approved')
  const { hold, dropped } = release(terms([named({ automations: [caller('next', { kind: 'workload' })] })]))
  assert.deepEqual([hold.state, hold.votes.length, dropped.length], ['pending', 0, 1])
})
