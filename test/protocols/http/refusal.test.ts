import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hold } from '../../../src/model/hold.ts'
import { Refusal, type RefusalCode } from '../../../src/model/refusal.ts'
import { answerOf, answerUnknown } from '../../../src/protocols/http/refusal.ts'

const hold = { id: 'hold_1', code: 'CS-7F3K', state: 'pending', deadline: 1_800_000_000_000, matched: [], action: {} } as unknown as Hold
const route = { errors: 'problem', hold: { waitMs: 1, pendingStatus: 503 } } as const
const value = (headers: readonly string[], name: string): string | undefined => headers[headers.indexOf(name) + 1 || headers.length]
const body = (answer: { readonly body: string | Buffer }): Record<string, unknown> => JSON.parse(String(answer.body)) as Record<string, unknown>

test('each situation has its status', () => {
  const statuses: Partial<Record<RefusalCode, number>> = { 'malformed': 400, 'too-large': 413, 'unsupported-media': 415, 'misdirected': 421, 'no-identity': 401, 'denied': 403, 'hold-denied': 403, 'hold-expired': 410, 'hold-spent': 409, 'hold-changed': 409, 'too-many-holds': 429, 'too-many-waiting': 429, 'store-unavailable': 503, 'journal-unavailable': 503, 'upstream-timeout': 504 }
  for (const [code, status] of Object.entries(statuses)) {
    const answer = answerOf(new Refusal(code as RefusalCode, 'text', { cause: new Error('SECRET') }))
    assert.equal(answer.status, status, code)
    assert.equal(body(answer)['status'], status)
    assert.doesNotMatch(`${answer.body}${answer.headers.join()}`, /SECRET/)
  }
})

test('a pending hold says first of all that nothing ran, and only who asked for 202 gets it', () => {
  const refusal = new Refusal('hold-pending', 'waiting', { hold, rule: 'prod-writes' })
  const plain = answerOf(refusal, { route })
  assert.equal(plain.status, 503)
  assert.match(body(plain)['detail'] as string, /^NOT EXECUTED, waiting for approval CS-7F3K \(rule prod-writes\)/)
  assert.equal(value(plain.headers, 'countersign-hold'), 'hold_1')
  assert.equal(plain.headers.includes('x-should-retry'), false)
  assert.equal(answerOf(refusal, { route: { ...route, hold: { waitMs: 1, pendingStatus: 409 } } }).status, 409)
  const accepted = answerOf(refusal, { route, respondAsync: true })
  assert.equal(accepted.status, 202)
  assert.equal(value(accepted.headers, 'location'), '/.countersign/holds/hold_1')
  assert.equal(answerOf(new Refusal('denied', 'no'), { route, respondAsync: true }).status, 403)
  assert.equal(value(answerOf(refusal, { route, draining: true }).headers, 'retry-after'), '1')
})

test('providers’ SDKs find the text where they look for it', () => {
  const refusal = new Refusal('hold-denied', 'Not this one.', { hold, instead: 'Ask for less.' })
  const openai = body(answerOf(refusal, { route: { ...route, errors: 'openai' } }))
  assert.deepEqual(openai['error'], { message: 'NOT EXECUTED. Not this one. Instead: Ask for less.', type: 'permission_error', param: null, code: 'hold-denied' })
  const anthropic = body(answerOf(refusal, { route: { ...route, errors: 'anthropic' } }))
  assert.equal(anthropic['type'], 'error')
  assert.deepEqual(anthropic['error'], { type: 'permission_error', message: 'NOT EXECUTED. Not this one. Instead: Ask for less.' })
})

test('an unknown outcome never says that nothing ran', () => {
  const answer = answerUnknown(502, false, { route })
  assert.match(String(answer.body), /OUTCOME UNKNOWN/)
  assert.doesNotMatch(String(answer.body), /NOT EXECUTED|"executed"/)
})
