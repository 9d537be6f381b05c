import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longTurn, shortText } from '../../../../src/protocols/postgres/sql/long-turn.ts'

test('a short text goes on at once', () => {
  assert.equal(longTurn(shortText), undefined)
})

test('of many long texts each goes on in a turn of the loop of its own, in the order in which they came', async () => {
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const went: { readonly which: number; readonly turn: number }[] = []
  await Promise.all(Array.from({ length: 20 }, (_, which) => longTurn(shortText + 1)?.then(() => went.push({ which, turn: turns }))))
  isOver = true
  assert.deepEqual(went.map(({ which }) => which), Array.from({ length: 20 }, (_, which) => which))
  assert.equal(new Set(went.map(({ turn }) => turn)).size, 20)
})
