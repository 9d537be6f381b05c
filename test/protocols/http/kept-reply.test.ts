import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeKeeper, readKept } from '../../../src/protocols/http/kept-reply.ts'

test('an answer is kept as it came, in whatever pieces, or not at all', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(3), fc.nat(300), fc.nat(20_000)), { maxLength: 60 }), (sizes) => {
      const pieces = sizes.map((size) => randomBytes(size))
      const body = Buffer.concat(pieces)
      const keeper = makeKeeper(100_000)
      keeper.head(201, ['Content-Length', String(body.length), 'X', '1'])
      for (const piece of pieces) keeper.data(piece)
      const kept = keeper.close()
      assert.equal(kept !== undefined, body.length <= 100_000)
      if (kept !== undefined) assert.deepEqual(readKept(kept), { status: 201, headers: ['X', '1'], body })
    }),
  )
})

test('what comes byte by byte takes no more room than what comes at once', () => {
  const keeper = makeKeeper(4 << 20)
  keeper.head(200, [])
  const before = process.memoryUsage()
  for (let n = 0; n < 1 << 20; n++) keeper.data(Buffer.of(n))
  const after = process.memoryUsage()
  assert.equal(keeper.useful(), true)
  const more = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  assert.ok(more < 64 << 20, `${more} bytes for a million`)
  assert.equal(readKept(keeper.close()!).body.length, 1 << 20)
})
