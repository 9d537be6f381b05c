import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { eventText } from '../../src/audit/event-text.ts'
import { freeText } from '../../src/audit/free-text.ts'
import { work } from '../support/work.ts'
import { action } from './audit-samples.ts'

const canary = 'zQ7CANARYx9'

/** Where drivers, clients and people put secrets into their sentences. */
const places: readonly ((secret: string) => string)[] = [
  (secret) => `connect ECONNREFUSED postgres://app:${secret}@db.internal:5432/crm`,
  (secret) => `connect ECONNREFUSED postgres://app:p/w@${secret}@db.internal:5432/crm`,
  (secret) => `Invalid URL: redis://:${secret}@cache`,
  (secret) => `GET https://api.test/v1/x?access_token=${secret}&b=1 answered 500`,
  (secret) => `GET /public/x?q=${secret} answered 500`,
  (secret) => `https://api.test/cb#id=${secret}`,
  (secret) => `upstream refused Authorization: Bearer ${secret}`,
  (secret) => `header "cookie": "sid=${secret}; other=${secret}"`,
  (secret) => `bearer ${secret} is expired`,
  (secret) => `basic ${secret}`,
  (secret) => `{"password":"${secret}","user":"app"}`,
  (secret) => `password=${secret}`,
  (secret) => `PGPASSWORD=${secret} psql`,
  (secret) => `ALTER ROLE x PASSWORD '${secret}'`,
  (secret) => `client_secret: ${secret}`,
  (secret) => `x-api-key: ${secret}`,
  (secret) => `api key '${secret}' is not known`,
  (secret) => `jwt eyJhbGciOiJIUzI1NiJ9.${secret}.${secret} does not verify`,
  (secret) => `key sk-${secret} is not valid`,
  (secret) => `ghp_${secret}`,
  (secret) => `unexpected ${secret.repeat(4)} at position 0`,
]

describe('free text', () => {
  test('secrets in the places where they stand are masked, in a cause, a reason and a problem', () => {
    for (const place of places) {
      const cause = place(canary)
      assert.doesNotMatch(freeText(cause), /CANARY/, cause)
      const events = [
        eventText({ type: 'session-ended', session: 's', cause }),
        eventText({ type: 'finished', attempt: 'a', outcome: { result: 'failed', ms: 1, cause } }),
        eventText({ type: 'config-rejected', problems: [cause], policyVersion: 'v' }),
        eventText({ type: 'voted', hold: 'h', code: 'c', digest: action.digest, state: 'denied', vote: { verdict: 'deny', by: { issuer: 'i', subject: 's', kind: 'human', groups: [] }, channel: 'api', assurance: 'console', digest: action.digest, reason: cause, at: 1 } }),
      ]
      for (const text of events) assert.doesNotMatch(text, /CANARY/, cause)
    }
  })

  test('two causes in one sentence', () => {
    fc.assert(fc.property(fc.constantFrom(...places), fc.constantFrom(...places), (a, b) => !freeText(`${a('first')}: ${b(canary)}`).includes('CANARY')), { numRuns: 300 })
  })

  test('ordinary causes stay readable', () => {
    for (const cause of ['connect ECONNREFUSED 127.0.0.1:5432', 'token expired', 'no key for kid a1', 'HTTP 503', `digest sha256:${'ab'.repeat(32)} does not match`, 'https://idp.test/keys answered 500', 'session is over', 'The change is fine, go on.']) assert.equal(freeText(cause), cause)
  })

  test('long and adversarial texts are cut, in bounded time', () => {
    for (const text of ['a'.repeat(1e6), 'a://'.repeat(1e5), 'password'.repeat(1e5), '?'.repeat(1e6), 'eyJ'.repeat(1e5), 'bearer '.repeat(1e5), `password${' '.repeat(1e6)}`, '"'.repeat(1e6)]) {
      assert.ok(work(() => assert.ok(freeText(text).length <= 510)) < 2_000)
    }
  })
})
