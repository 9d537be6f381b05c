import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fullAssurance, isFreshEnough, isSureEnough, leastAssurance } from '../../src/approval/assurance.ts'
import { bob, caller, carol, requirement, terms } from './world.ts'

test('how sure we must be of somebody, for their yes to count at all and to count for everything', () => {
  assert.ok(isSureEnough('passkey', 'console') && isSureEnough('console', 'console') && !isSureEnough('chat', 'console') && !isSureEnough('console', 'passkey'))
  const both = terms([requirement({ assurance: 'chat' }), requirement({ groups: ['security'], assurance: 'passkey' })])
  assert.equal(leastAssurance(both), 'chat')
  assert.equal(leastAssurance(terms([requirement({ assurance: 'passkey' }), requirement()])), 'console')
  assert.equal(leastAssurance(terms([])), 'passkey')
  assert.equal(leastAssurance(terms([requirement({ assurance: 'chat', freshLoginMs: 10 })])), 'console')
  const fresh = (loggedInAt?: number) => isFreshEnough({ at: 100, ...(loggedInAt === undefined ? {} : { loggedInAt }) }, { freshLoginMs: 10 })
  assert.deepEqual([fresh(), fresh(89), fresh(90), fresh(100), isFreshEnough({ at: 100 }, {})], [false, false, true, true, true])
  assert.deepEqual([bob, carol, caller('dave')].map((who) => fullAssurance(both, who)), ['chat', 'passkey', 'chat'])
  assert.equal(fullAssurance(terms([requirement({ groups: [], users: [bob], assurance: 'passkey' })]), bob), 'passkey')
})
