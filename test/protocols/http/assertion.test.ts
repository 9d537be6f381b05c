import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Caller } from '../../../src/model/caller.ts'
import { makeAssertions } from '../../../src/protocols/http/assertion.ts'

const now = Date.now()
const caller: Caller = { issuer: 'https://idp.test', subject: 'invoice-agent', kind: 'agent', groups: ['agents'], onBehalfOf: [{ issuer: 'https://idp.test', subject: 'alice', kind: 'human', groups: [] }], claims: {}, session: 's', authenticatedAt: now, expiresAt: now + 3_600_000, address: '127.0.0.1' }

test('an upstream can check who calls, for itself alone and for a short time', async () => {
  const assertions = makeAssertions(generateKeyPairSync('ed25519').privateKey, 'https://countersign.test')
  const keys = createLocalJWKSet(JSON.parse(assertions.jwks) as JSONWebKeySet)
  const { payload } = await jwtVerify(assertions.assertionFor(caller, 'orders', now), keys, { issuer: 'https://countersign.test', audience: 'orders', typ: 'countersign-assertion+jwt' })
  assert.equal(payload.sub, 'invoice-agent')
  assert.equal(payload['caller_iss'], 'https://idp.test')
  assert.ok((payload.exp ?? 0) - (payload.iat ?? 0) <= 60)
  await assert.rejects(jwtVerify(assertions.assertionFor(caller, 'orders', now), keys, { audience: 'billing' }))
  assert.doesNotMatch(assertions.jwks, /"d":/)
})

test('it is signed once for a session and anew when anything about it changed', () => {
  const assertions = makeAssertions(generateKeyPairSync('ed25519').privateKey, 'https://countersign.test')
  const first = assertions.assertionFor(caller, 'orders', now)
  assert.equal(assertions.assertionFor({ ...caller }, 'orders', now + 1_000), first)
  assert.notEqual(assertions.assertionFor({ ...caller, groups: ['others'] }, 'orders', now + 2_000), first)
  assert.notEqual(assertions.assertionFor(caller, 'billing', now), first)
  assert.notEqual(assertions.assertionFor(caller, 'orders', now + 40_000), first)
})
