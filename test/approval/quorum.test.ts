import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { filled, isMet } from '../../src/approval/quorum.ts'
import type { Requirement } from '../../src/model/decision.ts'
import { work } from '../support/work.ts'
import { requirement } from './world.ts'

/** Every way to seat people, tried without any cleverness. */
const bruteForce = (needs: readonly { count: number; sharesPeople: boolean }[], people: readonly ReadonlySet<number>[]): boolean => {
  const counts = needs.map(() => 0)
  const assign = (person: number): boolean => {
    if (person === people.length) return needs.every(({ count }, at) => counts[at]! >= count)
    const may = [...people[person]!]
    const shared = may.filter((at) => needs[at]!.sharesPeople)
    for (const choice of [...may.map((at) => [at]), shared]) {
      for (const at of choice) counts[at]!++
      const met = assign(person + 1)
      for (const at of choice) counts[at]!--
      if (met) return true
    }
    return may.length === 0 && assign(person + 1)
  }
  return needs.length > 0 && assign(0)
}

test('agrees with trying every seating', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ count: fc.integer({ min: 1, max: 3 }), sharesPeople: fc.boolean() }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 3 })), { maxLength: 6 }),
      (needs, votes) => {
        const people = votes.map((may) => new Set(may.filter((at) => at < needs.length)))
        assert.equal(isMet(needs.map((need) => requirement(need)), people), bruteForce(needs, people))
      },
    ),
    { numRuns: 1_500 },
  )
})

test('one person in two groups is one person', () => {
  const both = [requirement({ groups: ['dba'] }), requirement({ groups: ['security'] })]
  assert.equal(isMet(both, [new Set([0, 1])]), false)
  assert.equal(isMet(both, [new Set([0, 1]), new Set([0])]), true)
  assert.equal(isMet(both.map((need) => ({ ...need, sharesPeople: true })), [new Set([0, 1])]), true)
  assert.equal(isMet([{ ...both[0]!, sharesPeople: true }, both[1]!], [new Set([0, 1])]), false)
})

test('terms that ask for nobody are met by nobody', () => {
  for (const count of [0, -1, 0.5, Number.NaN]) assert.equal(isMet([requirement({ count })], [new Set([0])]), false)
  assert.equal(isMet([], [new Set([0])]), false)
  assert.equal(isMet([requirement({ count: 1e9 })], [new Set([0])]), false)
})

test('more choices than can be tried count as not met, and soon', () => {
  const needs = [...Array.from({ length: 12 }, () => requirement({ count: 2 })), requirement({ sharesPeople: true, count: 40 }), requirement({ sharesPeople: true, count: 40 })]
  const people = Array.from({ length: 40 }, (_, i) => new Set([i % 12, (i * 5 + 1) % 12, (i * 7 + 2) % 12, 12, 13]))
  assert.ok(work(() => assert.equal(isMet(needs, people), false)) < 4_000)
})

test('how far it is: each person counts in one place, where they help most', () => {
  const need = (count: number, over: Partial<Requirement> = {}) => requirement({ count, ...over })
  const person = (...may: number[]) => new Set(may)
  assert.deepEqual(filled([need(1), need(1)], [person(0), person(0)]), [1, 0])
  assert.deepEqual(filled([need(1), need(1)], [person(0, 1), person(0)]), [1, 1])
  assert.deepEqual(filled([need(1), need(2)], [person(0, 1), person(1)]), [1, 1])
  assert.deepEqual(filled([need(2), need(1)], []), [0, 0])
  assert.deepEqual(filled([need(1, { sharesPeople: true }), need(1, { sharesPeople: true })], [person(0, 1)]), [1, 1])
  assert.deepEqual(filled([need(1, { sharesPeople: true }), need(2, { sharesPeople: true }), need(1)], [person(0, 1)]), [1, 1, 0])
})
