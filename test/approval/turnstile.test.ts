import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeTurnstile } from '../../src/approval/turnstile.ts'
import { until } from '../support/until.ts'

test('lets a number through, then the next when they have left, and is held up by nobody for long', async () => {
  const turnstile = makeTurnstile()
  const most = turnstile.free()
  assert.ok(most > 0)
  for (let n = 0; n < most; n++) turnstile.enter(`hold ${n}`)
  turnstile.enter('hold 0')
  assert.equal(turnstile.free(), 0)
  for (let n = 0; n < 3; n++) turnstile.leave('hold 1')
  assert.equal(turnstile.free(), 1)
  turnstile.leave('a stranger')
  assert.equal(turnstile.free(), 1)
  await turnstile.more()
  await until('those who take long not to count', async () => turnstile.free() === most)
})
