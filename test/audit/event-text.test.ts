import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { eventText, longestEvent } from '../../src/audit/event-text.ts'
import { parseLine } from '../../src/audit/line.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { action, caller, finished, samples, started } from './audit-samples.ts'

const parsed = (event: AuditEvent): Record<string, unknown> => JSON.parse(`{${eventText(event)}`)
const plain = (event: AuditEvent): unknown => JSON.parse(JSON.stringify(event))
const vote = samples.flatMap((event) => (event.type === 'voted' ? [event.vote] : []))[0]!
const hold = { hold: 'hold_1', code: 'CS-7F3K', digest: action.digest }

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
