import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { startIdp } from './idp.ts'

test('people, agents and delegation get tokens of the shapes a company sends', async () => {
  await using idp = await startIdp()
  const agent = decodeJwt(await idp.agentToken())
  assert.deepEqual([agent.iss, agent.sub, agent.aud, agent['groups']], [idp.issuer, 'invoice-agent', 'countersign', ['agents']])

  const token = await idp.userToken('alice')
  assert.equal(decodeProtectedHeader(token).typ, 'at+jwt')
  const alice = decodeJwt(token)
  assert.deepEqual([alice.sub, alice['groups'], alice['email'], alice['act']], ['alice', ['developers', 'dba'], 'alice@example.org', undefined])

  const delegated = decodeJwt(await idp.delegatedToken(token))
  assert.deepEqual([delegated.sub, delegated['act']], ['alice', { sub: 'invoice-agent' }])
  await assert.rejects(idp.delegatedToken(await idp.agentToken()), /no token/)

  idp.setGroups('alice', [])
  assert.deepEqual(decodeJwt(await idp.userToken('alice'))['groups'], [])
})
