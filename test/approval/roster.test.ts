import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeRoster } from '../../src/approval/roster.ts'
import type { Principal } from '../../src/model/caller.ts'

const bob: Principal = { issuer: 'https://idp.test', subject: 'bob', kind: 'human', groups: ['oncall'], clientId: 'cli' }

test('an agent with a token of a person does not take their votes away', () => {
  const roster = makeRoster(() => 1)
  roster.see({ ...bob, kind: 'agent', clientId: 'assistant' })
  assert.equal(roster.last(bob), undefined)
  roster.see(bob)
  roster.see({ ...bob, kind: 'agent', clientId: 'assistant', groups: [] })
  assert.deepEqual(roster.last(bob)?.principal, bob)
})

test('an account that is an agent\'s from now on is seen as one', () => {
  for (const clientId of ['cli', undefined]) {
    const roster = makeRoster(() => 1)
    const { clientId: _own, ...account } = bob
    roster.see(bob)
    roster.see({ ...account, kind: 'agent', ...(clientId === undefined ? {} : { clientId }) })
    assert.equal(roster.last(bob)?.principal.kind, 'agent')
  }
})
