import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCrowds } from '../../src/approval/crowds.ts'
import type { Action } from '../../src/model/action.ts'
import type { Hold } from '../../src/model/hold.ts'
import { action, agent, caller } from './world.ts'

const hold = (id: string, openedAt: number, over: Partial<Action> = {}, more: Partial<Hold> = {}): Hold => ({ id, openedAt, caller: agent, action: action(`POST /${id}`, over), matched: [{ policy: 'p', rule: 'r', then: 'hold', at: 'p.yaml:1', observed: false }], ...more }) as unknown as Hold

test('what comes upon each other of one kind has one speaker, whatever else comes between', () => {
  const crowds = makeCrowds(10_000, 1_000, () => 0)
  const speaker = (one: Hold): string => crowds.speakerFor(one, undefined)
  assert.equal(speaker(hold('a', 0)), 'a')
  assert.equal(speaker(hold('b', 9_000)), 'a')
  assert.equal(speaker(hold('c', 18_000)), 'a') // after the one before it
  assert.deepEqual([crowds.othersOf('a'), crowds.othersOf('b')], [2, 0])
  for (const [other, why] of [
    [hold('other-1', 1, { shape: 'another' }), 'shape'], [hold('other-2', 1, { service: 'another' }), 'service'], [hold('other-3', 1, {}, { caller: caller('another') }), 'caller'],
    [hold('other-4', 1, {}, { caller: { ...agent, onBehalfOf: [caller('alice')] } }), 'for somebody else'],
    [hold('other-5', 1, {}, { matched: [{ policy: 'p', rule: 'graver', then: 'hold', at: 'p.yaml:1', observed: false }] }), 'rule'],
    [hold('other-6', 1, { impact: { unfiltered: true, notes: [] } }), 'every row'],
  ] as const) assert.equal(speaker(other), other.id, why)
  assert.equal(speaker(hold('late', 28_001)), 'late')
  assert.equal(speaker(hold('later', 28_002)), 'late')
  assert.equal(speaker(hold('b', 9_000)), 'a', 'it stays where it is')
})

test('others are waited for once, and only before a new one is told', () => {
  let now = 100
  const crowds = makeCrowds(10_000, 1_000, () => now)
  crowds.speakerFor(hold('a', 0), undefined)
  assert.equal(crowds.gatheringMs('a'), 1_000)
  now = 1_100
  assert.equal(crowds.gatheringMs('a'), 0)
  crowds.speakerFor(hold('known', 0, { shape: 'known' }), { revision: 1, at: 0 })
  assert.equal(crowds.gatheringMs('known'), 0)
})

test('when the speaker is decided another one speaks, the first that came', () => {
  const crowds = makeCrowds(10_000, 0)
  for (const id of ['a', 'b', 'c', 'd']) crowds.speakerFor(hold(id, 0), undefined)
  assert.equal(crowds.leave('b'), undefined)
  assert.equal(crowds.leave('a'), 'c')
  assert.deepEqual([crowds.speakerFor(hold('d', 0), undefined), crowds.othersOf('c')], ['c', 1])
  assert.equal(crowds.leave('a'), undefined)
  assert.deepEqual([crowds.leave('c'), crowds.leave('d')], ['d', undefined])
  assert.equal(crowds.speakerFor(hold('e', 0), undefined), 'e')
})

test('another replica goes on with the crowds that there are', () => {
  const crowds = makeCrowds(10_000, 1_000)
  const told = { revision: 1, at: 0 }
  assert.equal(crowds.speakerFor(hold('c', 2), { ...told, with: 'a' }), 'a') // before its speaker is looked at
  assert.equal(crowds.speakerFor(hold('new', 3), undefined), 'a')
  assert.equal(crowds.speakerFor(hold('a', 0), told), 'a')
  assert.deepEqual([crowds.othersOf('a'), crowds.gatheringMs('a')], [2, 0])
  crowds.forget()
  assert.equal(crowds.othersOf('a'), 0)
})

test('where each has its own message there are none', () => {
  const crowds = makeCrowds(0, 1_000)
  assert.equal(crowds.speakerFor(hold('a', 0), undefined), 'a')
  assert.deepEqual([crowds.speakerFor(hold('b', 0), undefined), crowds.gatheringMs('b')], ['b', 0])
})
