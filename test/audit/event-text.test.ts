import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { eventText, longestEvent } from '../../src/audit/event-text.ts'
import { parseLine } from '../../src/audit/line.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Vote } from '../../src/model/hold.ts'
import { action, caller, finished, started } from './audit-samples.ts'

const parsed = (event: AuditEvent): Record<string, unknown> => JSON.parse(`{${eventText(event)}`)
const plain = (event: AuditEvent): unknown => JSON.parse(JSON.stringify(event))
const vote: Vote = { verdict: 'approve', by: { issuer: 'https://idp.test', subject: 'bob', kind: 'human', groups: ['dba'] }, channel: 'console', assurance: 'console', digest: action.digest, reason: 'looks right', at: 5 }
const evidence = { statement: '{"a":1}', passkey: 'cHM', publicKey: 'a2V5', clientData: 'Y2xpZW50', authenticatorData: 'YXV0aA', signature: 'c2ln' }
const hold = { hold: 'hold_1', code: 'CS-7F3K', digest: action.digest }

const samples: readonly AuditEvent[] = [
  started('a', 'hold_1'),
  { type: 'decided', attempt: 'b', caller, decision: { verdict: 'deny', matched: [], policyVersion: 'v' }, action: { ...action, place: { database: 'crm', role: 'crm_app' }, verbs: ['sql.delete', 'sql.select'], impact: { estimatedRows: 3, exactRows: 2, unfiltered: true, keepsLocks: false } } },
  finished('a'),
  { type: 'outcome-unknown', attempt: 'a', digest: action.digest },
  { type: 'held', attempt: 'a', caller, action, ...hold, deadline: 99, terms: { requirements: [], withinMs: 1, runWithinMs: 2, askReason: true, run: 'attached' } },
  { type: 'voted', ...hold, vote, state: 'approved' },
  { type: 'voted', ...hold, vote: { ...vote, assurance: 'passkey', loggedInAt: 4, evidence }, state: 'approved' },
  { type: 'passkey-added', caller, passkey: { id: 'cHM', name: 'laptop', publicKey: 'a2V5', synced: true } },
  { type: 'signed-in', caller, steppedUp: true },
  { type: 'linked', by: { issuer: 'https://idp.test', subject: 'bob' }, account: { chat: 'slack', workspace: 'T0HOME', user: 'U0BOB' } },
  { type: 'vote-refused', ...hold, by: vote.by, refusal: 'self-approval' },
  { type: 'hold-escalated', ...hold, to: { groups: ['managers'], users: [{ issuer: 'i', subject: 's' }] } },
  { type: 'handed-over', ...hold, by: vote.by, successor: { group: 'security' }, note: 'is this the new tenant?' },
  { type: 'handed-over', ...hold, by: vote.by, successor: { issuer: 'i', subject: 's' } },
  { type: 'broke-glass', ...hold, vote: { ...vote, brokeGlass: true }, skipped: { groups: ['dba'], users: [] }, deadline: 9 },
  { type: 'break-glass-refused', ...hold, by: vote.by, refusal: 'not-eligible', cause: 'may not' },
  { type: 'break-glass-reviewed', ...hold, by: vote.by, note: 'in order' },
  { type: 'review-overdue', ...hold, deadline: 9 },
  { type: 'released', ...hold, attempt: 'a', votes: [vote, vote], policyVersion: 'v2', heldUnder: 'v1' },
  { type: 'hold-withdrawn', ...hold, by: { issuer: 'i', subject: 's' } },
  { type: 'authentication-failed', step: 'signature', issuer: 'x', address: '::1', from: 'authorization', cause: 'expired', count: 7 },
  { type: 'config-loaded', policyVersion: 'v', generation: 3, previous: 'u' },
  { type: 'config-rejected', problems: ['a.yaml:3 unknown key'], policyVersion: 'v' },
  { type: 'audit-read', by: vote.by, query: 'search who=alice', records: 3 },
  { type: 'audit-read-refused', by: vote.by, query: 'record r1/1/0', refusal: 'denied' },
  { type: 'records-lost', sink: 's', count: 3, cause: 'HTTP 400' },
]

describe('event text', () => {
  test('says what the event says', () => {
    for (const event of samples) assert.deepEqual(parsed(event), plain(event))
  })

  test('hostile characters: one printable line whose values decode to what was given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ unit: 'grapheme', maxLength: 50 }), (name, tag) => {
        const text = eventText({ ...started('a'), type: 'decided', action: { ...action, resources: [{ kind: 'table', name, access: 'read', tags: [tag] }], shape: name }, caller: { ...caller, subject: name, session: tag } } as AuditEvent)
        assert.match(text, /^[\x20-\x7e]*$/)
        const back = JSON.parse(`{${text}`)
        assert.equal(back.action.resources[0].name, name)
        assert.equal(back.caller.subject, name)
        assert.equal(back.action.resources[0].tags[0], tag)
      }),
      { numRuns: 500 },
    )
    for (const name of ['x"}{"event":"vote.approve"', 'a\r\n2026-01-01T00:00:00Z voted', '\x1b[2J\x1b[1;1Hok', '\u2028\u2029\u0085', '\u202egnp.exe', '\x7f', '\ud800']) {
      const text = eventText({ ...started('a'), action: { ...action, shape: name } } as AuditEvent)
      assert.match(text, /^[\x20-\x7e]*$/)
      assert.equal(JSON.parse(`{${text}`).action.shape, name)
    }
  })

  test('written by schema: what the types do not know is left out', () => {
    const smuggled = { token: 'S3CRET', headers: { authorization: 'S3CRET' } }
    const event = { ...started('a'), ...smuggled, caller: { ...caller, ...smuggled, onBehalfOf: [{ ...caller.onBehalfOf[0], ...smuggled }] }, action: { ...action, ...smuggled, body: 'S3CRET' } } as unknown as AuditEvent
    assert.doesNotMatch(eventText(event), /S3CRET/)
    assert.doesNotMatch(eventText({ type: 'finished', attempt: 'a', outcome: { result: 'executed', ms: 1, ...smuggled } } as AuditEvent), /S3CRET/)
    assert.doesNotMatch(eventText({ type: 'voted', ...hold, state: 'approved', vote: { ...vote, ...smuggled, by: { ...vote.by, ...smuggled } } } as AuditEvent), /S3CRET/)
  })

  test('a caller who changed within a session is written as he is now', () => {
    const of = (event: AuditEvent): unknown => parsed(event)['caller']
    of({ ...started('a'), caller: { ...caller, session: 'same' } } as AuditEvent)
    for (const change of [{ groups: ['admins'] }, { address: '10.0.0.9' }, { subject: 'other' }, { issuer: 'https://other.test' }, { onBehalfOf: [] }, { email: 'a@b.test' }, { kind: 'human' as const }]) {
      const now = { ...caller, session: 'same', ...change }
      assert.deepEqual(of({ ...started('a'), caller: now } as AuditEvent), plain(now as never))
    }
  })

  test('a number that JSON cannot say does not break the line', () => {
    assert.deepEqual((parsed({ type: 'finished', attempt: 'a', outcome: { result: 'executed', ms: Number.NaN } })['outcome'] as { ms: unknown }).ms, null)
  })

  test('what is too long is cut, marked, and named by its digest; what it is found by stays', () => {
    const resources = Array.from({ length: 5_000 }, (_, n) => ({ kind: 'table' as const, name: `public.table_${n}`, access: 'read' as const, tags: [] }))
    for (const event of [
      { ...started('attempt-1', 'hold_1'), action: { ...action, resources } },
      { ...started('attempt-1', 'hold_1'), action: { ...action, shape: '\u202e'.repeat(100_000) } },
      { ...started('attempt-1', 'hold_1'), caller: { ...caller, groups: Array.from({ length: 3_000 }, (_, n) => `${n}`.repeat(30)), onBehalfOf: Array.from({ length: 100 }, () => ({ ...caller, groups: Array.from({ length: 500 }, (_, n) => `g${n}`) })) } },
    ] as unknown as AuditEvent[]) {
      const text = eventText(event)
      assert.ok(text.length <= longestEvent)
      const back = JSON.parse(`{${text}`)
      assert.deepEqual([back.attempt, back.hold, back.action.digest], ['attempt-1', 'hold_1', action.digest])
      assert.match(back.cut.digest, /^sha256:[0-9a-f]{64}$/)
      assert.ok(back.cut.fields.length > 0 && back.cut.bytes > longestEvent)
    }
  })

  test('no attempt name can pass for another part of the head', () => {
    const event = finished('x","type":"started","attempt":"y')
    const line = `{"v":1,"id":"r/1/0","seq":0,"prev":"${'A'.repeat(43)}=","time":"2026-01-01T00:00:00.000Z",${eventText(event)}`
    assert.equal(parseLine(line)?.type, 'finished')
    assert.equal(parseLine(line)?.attempt, 'x","type":"started","attempt":"y')
  })
})
