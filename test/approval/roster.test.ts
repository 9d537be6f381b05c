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

test('a session that is older than what was seen since does not bring a lost group back', () => {
  let at = 0
  const roster = makeRoster(() => ++at)
  const groups = (): readonly string[] | undefined => roster.last(bob)?.principal.groups
  roster.see({ ...bob, session: 'a browser' })
  roster.see({ ...bob, session: 'a new login', groups: [] })
  const seenAt = roster.last(bob)?.at
  roster.see({ ...bob, session: 'a browser' }) // a page of it is still open
  assert.deepEqual([groups(), roster.last(bob)?.at], [[], seenAt])
  roster.see({ ...bob, session: 'a browser', groups: [] })
  roster.see({ ...bob, session: 'another login' })
  assert.deepEqual(groups(), ['oncall'])
})

test('what says less always counts, and takes no newer login away for good', () => {
  const roster = makeRoster(() => 1)
  const groups = (): readonly string[] | undefined => roster.last(bob)?.principal.groups
  roster.see({ ...bob, session: 'one', groups: [] })
  roster.see({ ...bob, session: 'two' })
  roster.see({ ...bob, session: 'one', groups: [] })
  assert.deepEqual(groups(), [])
  roster.see({ ...bob, session: 'two' })
  assert.deepEqual(groups(), ['oncall'])
})

test('what was outdated is remembered for so many, not for ever', () => {
  const roster = makeRoster(() => 1)
  for (let session = 0; session < 40; session++) roster.see({ ...bob, session: `session ${session}`, groups: [String(session)] })
  roster.see({ ...bob, session: 'session 30', groups: ['30'] })
  assert.deepEqual(roster.last(bob)?.principal.groups, ['39'])
  roster.see({ ...bob, session: 'session 1', groups: ['1'] })
  assert.deepEqual(roster.last(bob)?.principal.groups, ['1'])
})
