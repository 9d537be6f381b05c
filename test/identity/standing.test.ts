import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../src/lib/secret.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { AgentOptions, IdentityOptions, IssuerOptions } from '../../src/identity/options.ts'
import { iss, issuerOptions, start } from './world.ts'

const keys: IssuerOptions['keys'] = { from: 'inline', jwks: { keys: [] } }
const agent: AgentOptions = { name: 'invoice-agent', issuer: 'a', subject: 'agent-1', kind: 'agent', owner: { issuer: iss, subject: 'alice' }, groups: ['agents'] }
const caller: Caller = { issuer: iss, subject: 'agent-1', kind: 'agent', name: 'invoice-agent', groups: ['agents'], owner: { issuer: iss, subject: 'alice' }, onBehalfOf: [], claims: {}, session: 's', authenticatedAt: 0, expiresAt: 0, address: '' }

const standing = (issuer: Partial<IssuerOptions> = {}, agents: readonly AgentOptions[] = [agent], who: Caller = caller): string | undefined => start([issuerOptions(keys, issuer)], { agents } as Partial<IdentityOptions>).identity.standing(who)

test('stands while the configuration says the same, in every process', () => {
  assert.equal(standing(), standing())
  assert.equal(standing({}, [agent, { ...agent, name: 'other', subject: 'agent-2' }]), standing(), 'another registration is none of its business')
})

test('falls with its registration, however it changes', () => {
  const before = standing()
  for (const agents of [[], [{ ...agent, groups: [] }], [{ ...agent, kind: 'workload' as const }], [{ ...agent, owner: { issuer: iss, subject: 'bob' } }], [{ ...agent, subject: 'agent-9' }]]) assert.notEqual(standing({}, agents), before, JSON.stringify(agents))
})

test('falls with what its issuer is trusted for', () => {
  const before = standing()
  for (const change of [{ audiences: ['other'] }, { kind: 'agent' as const }, { groupNames: { x: 'agents' } }, { required: { tenant: { equals: ['b'] } } }, { algorithms: ['ES256'] }]) assert.notEqual(standing(change), before, JSON.stringify(change))
  assert.equal(standing({ issuers: ['https://idp-b.test'] }), undefined, 'an issuer that is gone')
})

test('includes everybody it acts for', () => {
  const person = { issuer: iss, subject: 'agent-2', kind: 'human' as const, groups: [] }
  const chain: Caller = { ...caller, onBehalfOf: [person] }
  assert.notEqual(standing({}, [agent, { ...agent, name: 'second', subject: 'agent-2' }], chain), standing({}, [agent], chain))
})

test('says nothing where the issuer is to be asked again', () => {
  const introspection = { url: 'https://idp-a.test/introspect', clientId: 'c', clientSecret: new Secret('0123456789'), opaqueTokens: false, recheck: true }
  assert.equal(standing({ introspection }), undefined)
  assert.equal(standing({ introspection: { ...introspection, recheck: false, opaqueTokens: true } }), undefined)
  assert.notEqual(standing({ introspection: { ...introspection, recheck: false } }), undefined)
})
