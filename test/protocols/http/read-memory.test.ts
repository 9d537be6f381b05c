import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeReadMemory } from '../../../src/protocols/http/read-memory.ts'

test('small pieces are copies, and what many connections read into is the same', () => {
  const [one, other] = [makeReadMemory(), makeReadMemory()]
  assert.equal(one.buffer, other.buffer)
  one.buffer.fill('a', 0, 100)
  const { piece, alone } = one.take(one.buffer.subarray(0, 100))
  one.turn(100)
  other.buffer.fill('b', 0, 100)
  assert.deepEqual([piece.toString(), alone], ['a'.repeat(100), false])
})

test('a large piece keeps its memory, and nobody reads into it again', () => {
  const memory = makeReadMemory()
  const shared = memory.buffer
  const first = memory.take(memory.buffer.subarray(0, 60_000))
  assert.equal(first.alone, false, 'all others read into it, too')
  memory.turn(60_000)
  const own = memory.buffer
  assert.notEqual(own.buffer, shared.buffer)
  const small = memory.take(own.subarray(0, 1_000))
  const large = memory.take(own.subarray(1_000, 51_000))
  assert.deepEqual([small.alone, large.alone], [false, true])
  assert.notEqual(small.piece.buffer, own.buffer)
  memory.turn(51_000)
  assert.notEqual(memory.buffer.buffer, own.buffer)
  assert.notEqual(memory.buffer.buffer, shared.buffer)
  const unused = memory.buffer
  memory.turn(40_000)
  assert.equal(memory.buffer, unused, 'nobody was given it')
  memory.turn(10)
  assert.equal(memory.buffer, shared)
})

test('no two pieces of one buffer are large', () => {
  const memory = makeReadMemory()
  memory.turn(memory.buffer.length)
  const { buffer } = memory
  for (const cut of [1, 1_000, buffer.length / 2, buffer.length - 1_000]) {
    const [one, two] = [memory.take(buffer.subarray(0, cut)), memory.take(buffer.subarray(cut))]
    assert.ok(!(one.alone && two.alone))
  }
})
