import assert from 'node:assert/strict'
import { test } from 'node:test'
import { challengeOf, checkEvidence, reasonDigest, readStatement, statementOf, type SpokenYes } from '../../src/approval/spoken-yes.ts'
import { PasskeyProblem } from '../../src/lib/webauthn.ts'
import type { PasskeyEvidence, Vote } from '../../src/model/hold.ts'
import { softPasskey } from '../support/authenticator.ts'
import { alice, bob, digestOf } from './world.ts'

const console = 'https://approvals.example.org'
const reason = 'Agreed with finance.'
const yes: SpokenYes = { console, deployment: 'production', hold: 'hold_1', action: digestOf('a'), verdict: 'approve', reason: reasonDigest(reason)!, shown: 'console/1 sha256:x', voter: { issuer: bob.issuer, subject: bob.subject }, nonce: 'n', until: 1_000 }
const vote: Vote = { verdict: 'approve', by: bob, channel: 'console', assurance: 'passkey', digest: yes.action, reason, shown: yes.shown!, at: 5 }

const passkey = softPasskey()
const signed = (statement = statementOf(yes), over: Partial<Parameters<typeof passkey.get>[0]> = {}): PasskeyEvidence => {
  const { clientData, authenticatorData, signature } = passkey.get({ origin: console, challenge: challengeOf(statement), ...over })
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  return { statement, passkey: text(passkey.id), publicKey: text(passkey.publicKey), clientData: text(clientData), authenticatorData: text(authenticatorData), signature: text(signature) }
}
const refused = (work: () => unknown, why: RegExp) => assert.throws(work, (error) => error instanceof PasskeyProblem && why.test(error.message))

test('a signed yes is known again from what is in the vote alone', () => {
  passkey.counter = 9
  assert.deepEqual(checkEvidence(signed(), 'hold_1', vote), { yes, counter: 9 })
  const { reason: _reason, shown: _shown, ...bare } = yes
  const { reason: _given, shown: _seen, ...plain } = vote
  const grant = { times: 2, withinMs: 1_000 }
  assert.deepEqual(checkEvidence(signed(statementOf({ ...yes, grant })), 'hold_1', { ...vote, grant: { withinMs: 1_000, times: 2 } }).yes.grant, grant)
  assert.equal(checkEvidence(signed(statementOf(bare)), 'hold_1', plain).yes.reason, undefined)
})

test('it counts for nothing else', () => {
  const evidence = signed()
  const other = (over: Partial<Vote>, what: string, hold = 'hold_1') => refused(() => checkEvidence(evidence, hold, { ...vote, ...over }), new RegExp(`another ${what} was signed`))
  other({}, 'hold', 'hold_2')
  other({ digest: digestOf('b') }, 'action')
  other({ verdict: 'deny' }, 'verdict')
  other({ reason: 'Agreed with finance' }, 'reason')
  other({ shown: 'console/1 sha256:y' }, 'shown')
  other({ grant: { times: 2, withinMs: 1_000 } }, 'grant')
  other({ by: alice }, 'voter')
  other({ by: { ...bob, issuer: 'https://other.test' } }, 'voter')
  const { reason: _given, ...silent } = vote
  refused(() => checkEvidence(evidence, 'hold_1', silent), /another reason/)
})

test('a statement that was changed is not the one that was signed', () => {
  for (const over of [{ deployment: 'staging' }, { nonce: 'm' }, { until: 2_000 }]) refused(() => checkEvidence({ ...signed(), statement: statementOf({ ...yes, ...over }) }, 'hold_1', vote), /another challenge/)
  refused(() => checkEvidence({ ...signed(), statement: statementOf({ ...yes, console: 'https://evil.test' }) }, 'hold_1', vote), /another challenge|another origin/)
  refused(() => checkEvidence(signed(undefined, { origin: 'https://evil.test' }), 'hold_1', vote), /another origin/)
  refused(() => checkEvidence(signed(undefined, { challenge: Buffer.from(statementOf(yes)) }), 'hold_1', vote), /another challenge/)
  const good = statementOf(yes)
  for (const text of ['', '[]', 'null', '{}', ` ${good}`, good.replace('v1', 'v2'), good.replace('"approve"', '"deny"'), good.replace('"until":1000', '"until":"1000"'), good.replace(/,"voter":\{[^}]*\}/, ''), good.replace('https://approvals.example.org', 'x')]) refused(() => readStatement(text), /none of an approval/)
  assert.deepEqual(readStatement(good), yes)
})
