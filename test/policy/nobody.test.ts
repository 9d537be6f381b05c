import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { partyKey, type Caller } from '../../src/model/caller.ts'
import type { Decision } from '../../src/model/decision.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import { agent, http, policy, world } from './world.ts'

const issuer = 'https://idp.test'
const keys = (...subjects: string[]): ReadonlySet<string> => new Set(subjects.map((subject) => partyKey({ issuer, subject })))

const decided = (approval: string, members: Readonly<Record<string, ReadonlySet<string>>>, by: Caller = agent): Decision => {
  const text = policy(`- { name: write, then: hold, methods: [POST], approval: { ${approval} }, break-glass: { who: { groups: [security] } } }\n- { name: read, then: allow, methods: [GET] }`)
  const { policies } = loadPolicies([{ file: 'p.yaml', text }], { ...world, members: new Map(Object.entries(members)), hash: (source) => createHash('sha256').update(source).digest('hex') })
  assert.ok(policies)
  assert.equal(policies.decide(by, http('GET', '/x'), 0).verdict, 'allow')
  return policies.decide(by, http('POST', '/x'), 0)
}

test('what would wait for nobody is denied at once, by the rule that asks for them', () => {
  const nobody = decided('from: { groups: [oncall] }', { oncall: keys() })
  assert.equal(nobody.verdict, 'deny')
  assert.deepEqual(nobody.matched.map(({ rule, then }) => [rule, then]), [['write', 'deny']])
  assert.match(nobody.matched[0]?.because ?? '', /needs an approval, and too few people are left/)
  assert.ok(!('terms' in nobody))
})

test('only what is known counts against it', () => {
  const verdicts: readonly (readonly [string, Readonly<Record<string, ReadonlySet<string>>>, Decision['verdict']])[] = [
    ['from: { groups: [oncall] }', {}, 'hold'],
    ['from: { groups: [oncall] }', { dba: keys() }, 'hold'],
    ['from: { groups: [oncall] }', { oncall: keys('bob') }, 'hold'],
    ['from: { groups: [oncall, dba] }', { oncall: keys() }, 'hold'], // nobody knows who is in dba
    ['from: { groups: [oncall, dba] }', { oncall: keys(), dba: keys() }, 'deny'],
    ['from: { groups: [oncall] }, count: 2', { oncall: keys('bob') }, 'deny'],
    ['from: { groups: [oncall], users: [{ issuer: https://idp.test, subject: carol }] }, count: 2', { oncall: keys('bob') }, 'hold'],
    ['from: { groups: [oncall], users: [{ issuer: https://idp.test, subject: bob }] }, count: 2', { oncall: keys('bob') }, 'deny'],
    ['from: [{ groups: [oncall] }, { groups: [dba] }]', { oncall: keys('bob'), dba: keys() }, 'deny'],
    ['from: { groups: [oncall], automations: [{ issuer: ci, subject: reviewer }] }', { oncall: keys() }, 'hold'],
    ['from: { groups: [oncall] }, escalate: { after: 5m, to: { groups: [dba] } }', { oncall: keys() }, 'hold'],
    ['from: { groups: [oncall] }, escalate: { after: 5m, to: { groups: [dba] } }', { oncall: keys(), dba: keys('kim') }, 'hold'],
    ['from: { groups: [oncall] }, escalate: { after: 5m, to: { groups: [dba] } }', { oncall: keys(), dba: keys() }, 'deny'],
  ]
  for (const [approval, members, verdict] of verdicts) assert.equal(decided(approval, members).verdict, verdict, `${approval} ${JSON.stringify(Object.keys(members))}`)
})

test('who is behind the action is nobody for it', () => {
  const bob: Caller = { ...agent, subject: 'bob', kind: 'human' }
  assert.equal(decided('from: { groups: [oncall] }', { oncall: keys('bob') }, bob).verdict, 'deny')
  assert.equal(decided('from: { groups: [oncall] }', { oncall: keys('bob') }, { ...agent, onBehalfOf: [bob] }).verdict, 'deny')
  assert.equal(decided('from: { groups: [oncall] }', { oncall: keys('bob') }, { ...agent, owner: { issuer, subject: 'bob' } }).verdict, 'deny')
  assert.equal(decided('from: { groups: [oncall] }', { oncall: keys('bob', 'kim') }, bob).verdict, 'hold')
})
