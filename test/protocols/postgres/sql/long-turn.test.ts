import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longTurn, shortText } from '../../../../src/protocols/postgres/sql/long-turn.ts'

/** In which turn of the loop each of them went on, in the order in which they did. */
const turnsOf = async (count: number, work: () => void): Promise<readonly { readonly which: number; readonly turn: number }[]> => {
  let turns = 0
  let isOver = false
  const next = (): void => {
    turns++
    if (!isOver) setImmediate(next)
  }
  setImmediate(next)
  const went: { readonly which: number; readonly turn: number }[] = []
  await Promise.all(Array.from({ length: count }, (_, which) => longTurn(shortText + 1)?.then(() => {
    work()
    went.push({ which, turn: turns })
  })))
  isOver = true
  return went
}

const busy = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('a short text goes on at once', () => {
  assert.equal(longTurn(shortText), undefined)
})

test('what takes long goes on in turns of the loop of its own, in the order in which it came', async () => {
  const went = await turnsOf(20, () => busy(3))
  assert.deepEqual(went.map(({ which }) => which), Array.from({ length: 20 }, (_, which) => which))
  assert.equal(new Set(went.map(({ turn }) => turn)).size, 20)
})

test('what takes next to nothing shares a turn, and leaves nobody out', async () => {
  const went = await turnsOf(1_000, () => {})
  assert.deepEqual(went.map(({ which }) => which), Array.from({ length: 1_000 }, (_, which) => which))
  assert.ok(new Set(went.map(({ turn }) => turn)).size < 500)
})
