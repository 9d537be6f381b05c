import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { personKeys, within, type People } from '../../src/approval/people.ts'
import { resettle, settle } from '../../src/approval/settle.ts'
import { partyKey, type Caller, type Principal } from '../../src/model/caller.ts'
import type { Requirement, Terms } from '../../src/model/decision.ts'
import type { Hold, Vote } from '../../src/model/hold.ts'
import { action, agent, alice, bob, caller, carol, digestOf, issuer, requirement, terms } from './world.ts'

const plain: People = { person: personKeys([]), current: (principal) => principal }
const held = (over: Partial<Hold> = {}): Hold => ({ id: 'hold_a', code: 'CS-0000', revision: 1, state: 'pending', caller: agent, action: action(), terms: terms(), matched: [], policyVersion: 'v1', votes: [], openedAt: 0, deadline: 1_000, ...over })
const vote = (by: Principal, over: Partial<Vote> = {}): Vote => ({ verdict: 'approve', by, channel: 'console', assurance: 'console', digest: action().digest, at: 10, ...over })
const code = (result: ReturnType<typeof settle>): string => ('refused' in result ? result.refused : result.hold.state)
const after = (hold: Hold, ...votes: readonly Vote[]): Hold => votes.reduce((at, one) => {
  const result = settle(at, one, plain, one.at)
  if ('refused' in result) throw new Error(result.refused)
  return result.hold
}, hold)

test('a yes that meets the terms approves, and starts the time to run', () => {
  const hold = after(held(), vote(alice))
  assert.deepEqual([hold.state, hold.runBy, hold.revision], ['approved', 10 + 30_000, 2])
})

test('who may not vote', () => {
  const two = terms([requirement({ count: 2 })])
  assert.equal(code(settle(held(), vote(caller('mallory')), plain, 10)), 'not-eligible')
  assert.equal(code(settle(held(), vote(caller('dave', { groups: undefined })), plain, 10)), 'not-eligible')
  assert.equal(code(settle(held(), vote(caller('bot', { kind: 'agent', groups: ['dba'] })), plain, 10)), 'not-eligible')
  assert.equal(code(settle(held(), vote(caller('ci', { kind: 'workload', groups: ['dba'] })), plain, 10)), 'not-eligible')
  assert.equal(code(settle(held(), vote(alice, { assurance: 'chat' }), plain, 10)), 'assurance-too-low')
  assert.equal(code(settle(held(), vote(alice, { digest: digestOf('another') }), plain, 10)), 'wrong-digest')
  assert.equal(code(settle(held({ terms: terms([requirement()], { askReason: true }) }), vote(alice, { reason: '  ' }), plain, 10)), 'reason-required')
  assert.equal(code(settle(held(), vote(alice), plain, 1_001)), 'hold-expired')
  assert.equal(code(settle(held(), vote(alice), plain, 1_000)), 'approved')
  assert.equal(code(settle(after(held({ terms: two }), vote(alice)), vote(alice), plain, 20)), 'already-voted')
  assert.equal(code(settle(held({ terms: terms([requirement({ groups: [], users: [] })]) }), vote(alice), plain, 10)), 'not-eligible')
  assert.equal(code(settle(held({ terms: terms([requirement({ groups: [], users: [alice] })]) }), vote(alice), plain, 10)), 'approved')
  for (const state of ['denied', 'withdrawn', 'running', 'executed', 'failed', 'unknown'] as const) assert.equal(code(settle(held({ state }), vote(alice), plain, 10)), 'already-settled')
})

test('a yes counts through the channels that the rule names, and a no through each', () => {
  const needs = (...channels: NonNullable<Requirement['channels']>): Terms => terms([requirement({ assurance: 'chat', channels })])
  for (const [channel, end] of [['slack', 'approved'], ['cli', 'approved'], ['console', 'wrong-channel'], ['teams', 'wrong-channel'], ['api', 'wrong-channel']] as const) {
    const result = settle(held({ terms: needs('slack', 'cli') }), vote(alice, { channel }), plain, 10)
    assert.equal(code(result), end, channel)
    if ('refused' in result) assert.equal(result.cause, `the vote came by ${channel}, and the rule takes votes by cli, slack`)
    assert.equal(code(settle(held({ terms: needs('slack', 'cli') }), vote(alice, { channel, verdict: 'deny' }), plain, 10)), 'denied', channel)
  }
  // Less sure than asked is another matter than another channel.
  assert.equal(code(settle(held({ terms: terms([requirement({ channels: ['slack', 'console'] })]) }), vote(alice, { channel: 'slack', assurance: 'chat' }), plain, 10)), 'assurance-too-low')
  const program = caller('reviewer', { kind: 'workload', groups: undefined })
  assert.equal(code(settle(held({ terms: terms([requirement({ groups: [], automations: [program], channels: ['console'] })]) }), vote(program, { channel: 'automation' }), plain, 10)), 'approved')
  // Each rule by itself: one that takes it is served, the other is not.
  const two = after(held({ terms: terms([requirement({ rule: 'a', sharesPeople: true, assurance: 'chat', channels: ['slack'] }), requirement({ rule: 'b', sharesPeople: true })]) }), vote(alice, { channel: 'slack', assurance: 'chat' }))
  assert.equal(two.state, 'pending')
  // A rule that took it before and does not at release.
  const approved = after(held({ terms: needs('slack') }), vote(alice, { channel: 'slack', assurance: 'chat' }))
  const { hold, dropped } = resettle(approved, { terms: needs('console'), policyVersion: 'v2', caller: agent }, plain, 20)
  assert.deepEqual([hold.state, dropped.map(({ cause }) => cause)], ['pending', ['the rules take no votes by slack any more']])
})

test('a group whose members are known has no others', () => {
  const members = new Map([['dba', new Set([partyKey(alice)])], ['oncall', new Set<string>()]])
  const of = (...groups: string[]): Principal => ({ ...bob, groups })
  assert.deepEqual(within({ ...alice, groups: ['dba', 'oncall', 'other'] }, members).groups, ['dba', 'other'])
  assert.deepEqual(within(of('dba', 'other'), members).groups, ['other'])
  const unchanged = of('other')
  assert.equal(within(unchanged, members), unchanged)
  assert.equal(within({ ...bob, groups: undefined }, members).groups, undefined)
})

test('nobody decides about their own action, by any route', () => {
  const second = { issuer: 'https://chat.test', subject: 'U-ALICE' }
  const third = { issuer: 'https://old.test', subject: 'alice' }
  const people: People = { ...plain, person: personKeys([[alice, third], [third, second]]) }
  const requesters: readonly Caller[] = [
    alice,
    caller('svc', { kind: 'workload', owner: alice }),
    caller('assistant', { kind: 'agent', onBehalfOf: [alice] }),
    caller('assistant', { kind: 'agent', onBehalfOf: [caller('other-agent', { kind: 'agent', owner: alice })] }),
    caller('assistant', { kind: 'agent', owner: { ...second } }),
    { ...alice, ...second },
  ]
  for (const requester of requesters) {
    assert.equal(code(settle(held({ caller: requester }), vote(alice), people, 10)), 'self-approval')
    assert.equal(code(settle(held({ caller: requester }), vote({ ...alice, ...second }), people, 10)), 'self-approval')
    assert.equal(code(settle(held({ caller: requester }), vote(bob), people, 10)), 'approved')
  }
})

test('people are counted, not accounts and not groups', () => {
  const linked: People = { ...plain, person: personKeys([[alice, { issuer, subject: 'alice-2' }]]) }
  const one = settle(held({ terms: terms([requirement({ count: 2 })]) }), vote(alice), linked, 10)
  assert.ok('hold' in one)
  assert.equal(code(settle(one.hold, vote(caller('alice-2', { groups: ['dba'] })), linked, 10)), 'already-voted')
  const dual = terms([requirement(), requirement({ rule: 'other', groups: ['security'] })])
  assert.equal(after(held({ terms: dual }), vote(carol)).state, 'pending')
  assert.equal(after(held({ terms: dual }), vote(carol), vote(alice)).state, 'approved')
})

test('deny wins: over a pending hold, an approved one, and the voter\'s own yes', () => {
  assert.equal(after(held(), vote(alice, { verdict: 'deny', assurance: 'chat' })).state, 'denied')
  assert.equal(after(held(), vote(alice), vote(bob, { verdict: 'deny' })).state, 'denied')
  const own = after(held(), vote(alice), vote(alice, { verdict: 'deny' }))
  assert.deepEqual([own.state, own.votes.length], ['denied', 1])
  assert.equal(code(settle(after(held(), vote(alice)), vote(caller('mallory'), { verdict: 'deny' }), plain, 20)), 'not-eligible')
  assert.equal(code(settle(after(held(), vote(alice)), vote(bob), plain, 20)), 'already-settled')
})

test('a vote whose author has lost the right falls away before the next is counted', () => {
  const first = after(held({ terms: terms([requirement({ count: 2 })]) }), vote(alice))
  const lost: People = { ...plain, current: (principal) => (principal.subject === 'alice' ? { ...principal, groups: [] } : principal) }
  const second = settle(first, vote(bob, { at: 20 }), lost, 20)
  assert.ok('hold' in second)
  assert.deepEqual([second.hold.state, second.hold.votes.length, second.dropped.length], ['pending', 1, 1])
})

test('at release the votes are counted by the terms of then', () => {
  const approved = after(held(), vote(alice))
  const release = (needs: Terms | undefined, by: Caller = agent) => resettle(approved, { terms: needs, policyVersion: 'v2', caller: by }, plain, 500)
  assert.equal(release(undefined).hold.state, 'approved')
  assert.equal(release(terms([requirement()], { runWithinMs: 100 })).hold.runBy, 110)
  const stricter = release(terms([requirement({ count: 2 })])).hold
  assert.deepEqual([stricter.state, stricter.deadline, stricter.runBy, stricter.votes.length, stricter.policyVersion], ['pending', 60_500, undefined, 1, 'v2'])
  const own = release(undefined, { ...agent, onBehalfOf: [alice] })
  assert.deepEqual([own.hold.state, own.dropped.length, own.hold.deadline], ['pending', 1, 1_000])
  assert.equal(resettle(approved, { terms: undefined, policyVersion: 'v2', caller: { ...agent, onBehalfOf: [alice] } }, plain, 2_000).hold.state, 'expired')
})

test('whatever is voted in whatever order: never approved without enough distinct people, never after a no', () => {
  const voters = [alice, bob, carol, agent, caller('mallory'), caller('alice-2', { groups: ['dba', 'security'] }), caller('ci', { kind: 'workload', groups: ['dba'] })]
  const people: People = { ...plain, person: personKeys([[alice, { issuer, subject: 'alice-2' }]]) }
  fc.assert(
    fc.property(
      fc.array(fc.record({ who: fc.nat(voters.length - 1), verdict: fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'deny' as const), assurance: fc.constantFrom('chat' as const, 'console' as const, 'passkey' as const) }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      (cast, count, second) => {
        let hold = held({ caller: caller('worker', { kind: 'agent', onBehalfOf: [bob] }), terms: terms([requirement({ count }), ...(second ? [requirement({ rule: 's', groups: ['security'] })] : [])]) })
        for (const { who, ...rest } of cast) {
          const before = hold
          const result = settle(hold, vote(voters[who]!, rest), people, 10)
          if ('hold' in result) hold = result.hold
          if (before.state === 'denied') assert.equal(hold, before)
        }
        const yes = new Set(hold.votes.filter(({ verdict }) => verdict === 'approve').map(({ by }) => people.person(by)))
        assert.ok(!yes.has(people.person(bob)))
        if (hold.state === 'approved') assert.ok(yes.size >= count + (second ? 1 : 0) && hold.votes.every(({ verdict, by }) => verdict === 'approve' && by.kind === 'human'))
        if (hold.votes.some(({ verdict }) => verdict === 'deny')) assert.equal(hold.state, 'denied')
      },
    ),
    { numRuns: 1_000 },
  )
})

const escalating = (afterMs: number) => requirement({ escalation: { afterMs, groups: ['managers'], users: [] } })
const kim = caller('kim', { groups: ['managers'] })

test('from its time on the people it escalates to may serve the requirement, by the time of their vote', () => {
  const hold = held({ openedAt: 1_000, deadline: 2_000, terms: terms([escalating(500)]) })
  assert.equal(code(settle(hold, vote(kim, { at: 1_499 }), plain, 1_499)), 'not-eligible')
  assert.equal(code(settle(hold, vote(kim, { at: 1_500 }), plain, 1_500)), 'approved')
  assert.equal(code(settle(hold, vote(kim, { at: 1_500, verdict: 'deny' }), plain, 1_500)), 'denied')
  assert.equal(code(settle(hold, vote(alice, { at: 1_600 }), plain, 1_600)), 'approved', 'who was asked first still may')
  assert.equal(code(settle({ ...hold, caller: { ...agent, onBehalfOf: [kim] } }, vote(kim, { at: 1_500 }), plain, 1_500)), 'self-approval')
  assert.equal(code(settle(hold, vote({ ...kim, kind: 'agent' }, { at: 1_500 }), plain, 1_500)), 'not-eligible')
})

test('each rule escalates its own requirements, and a person is counted once', () => {
  const hold = held({ deadline: 2_000, terms: terms([escalating(500), requirement({ rule: 's', groups: ['security'] })]) })
  assert.equal(after(hold, vote(kim, { at: 600 })).state, 'pending')
  assert.equal(after(hold, vote(kim, { at: 600 }), vote(caller('lee', { groups: ['managers'] }), { at: 700 })).state, 'pending')
  assert.equal(after(hold, vote(kim, { at: 600 }), vote(carol, { at: 700 })).state, 'approved')
  const both = held({ deadline: 2_000, terms: terms([escalating(500), { ...escalating(600), rule: 's' }]) })
  assert.equal(after(both, vote(kim, { at: 700 })).state, 'pending')
  assert.equal(after(both, vote(kim, { at: 700 }), vote(caller('lee', { groups: ['managers'] }), { at: 700 })).state, 'approved')
})

test('at release a vote counts by the time at which it was given', () => {
  const hold = after(held({ deadline: 2_000, terms: terms([escalating(500)]) }), vote(kim, { at: 600 }))
  const release = (needs: Terms) => resettle(hold, { terms: needs, policyVersion: 'v2', caller: agent }, plain, 800).hold.state
  assert.equal(release(terms([escalating(500)])), 'approved')
  assert.equal(release(terms([escalating(700)])), 'pending')
  assert.equal(release(terms()), 'pending')
})
