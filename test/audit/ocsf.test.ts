import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { eventText } from '../../src/audit/event-text.ts'
import { ocsfLine, recordLineOf } from '../../src/audit/ocsf/line.ts'
import { ocsfOf } from '../../src/audit/ocsf/mapping.ts'
import { parseLine } from '../../src/audit/line.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { samples, started } from './audit-samples.ts'

const validate = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true }).compile(JSON.parse(readFileSync(new URL('ocsf-1.8.0.schema.json', import.meta.url), 'utf8')) as object)
const head = `"v":1,"id":"proxy-0/12/4711","seq":4711,"prev":"${'A'.repeat(43)}=","time":"2026-01-01T12:00:00.000Z",`
const lineOf = (event: AuditEvent): string => `{${eventText(event, head)}`
const told = (event: AuditEvent): Record<string, unknown> => ocsfOf(parseLine(lineOf(event)) ?? assert.fail('no record')) as unknown as Record<string, unknown>
const valid = (event: unknown, says: string): void => assert.ok(validate(event), `${says}: ${JSON.stringify(validate.errors?.slice(0, 5))}`)

/** The same event with every text of it replaced, but for those that are written as they are. */
const withTexts = <T>(value: T, text: (was: string, key: string) => string, key = ''): T => {
  if (typeof value === 'string') return (key === 'type' || key === 'result' ? value : text(value, key)) as T
  if (Array.isArray(value)) return value.map((one: unknown) => withTexts(one, text, key)) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withTexts(member, text, name)])) as T
}

describe('OCSF', () => {
  test('every kind of record is a valid event of 1.8.0, with the whole record in it', () => {
    for (const sample of samples) {
      const event = told(sample)
      valid(event, sample.type)
      assert.notEqual(event['class_uid'], 0, sample.type)
      assert.deepEqual(event['unmapped'], { countersign: JSON.parse(lineOf(sample)) })
      const { uid, sequence, log_name, event_code } = event['metadata'] as Record<string, unknown>
      assert.deepEqual([uid, sequence, log_name, event_code, event['time']], ['proxy-0/12/4711', 4711, 'proxy-0/12', sample.type, Date.UTC(2026, 0, 1, 12)])
    }
  })

  test('classes, activities and dispositions are those that the table in docs/audit.md names', () => {
    const row = (type: string, at = 0): readonly unknown[] => {
      const { class_uid, activity_id, action_id, disposition_id } = told(samples.filter((one) => one.type === type)[at] ?? assert.fail(type))
      return [class_uid, activity_id, action_id, disposition_id]
    }
    assert.deepEqual(row('decided'), [6003, 1, 4, 14])
    assert.deepEqual(row('decided', 1), [6005, 7, 2, 2])
    assert.deepEqual(row('decided', 2), [6003, 99, 1, 1])
    assert.deepEqual(row('started'), [6003, 1, 1, 1])
    assert.deepEqual(row('started', 1), [6005, 7, 1, 8])
    assert.deepEqual(row('held'), [3004, 1, 4, 14])
    assert.deepEqual([row('voted'), row('voted', 1), row('voted', 2)], [[3004, 3, 1, 8], [3004, 3, 2, 25], [3004, 3, 4, 14]])
    assert.deepEqual(row('hold-expired'), [3004, 11, 2, 2])
    assert.deepEqual(row('signed-in'), [3002, 1, 1, 1])
    assert.deepEqual(row('replica-started'), [6002, 3, undefined, undefined])
    const correlation = (type: string): unknown => (told(samples.find((one) => one.type === type) ?? assert.fail(type))['metadata'] as Record<string, unknown>)['correlation_uid']
    assert.deepEqual([correlation('held'), correlation('decided'), correlation('outcome-unknown'), correlation('grant-ended')], ['hold_1', 'a', 'a', 'hold_1'])
  })

  test('an agent is the application, whom it acts for the user; a person is the user', () => {
    const actors = samples.filter(({ type }) => type === 'started').map((sample) => told(sample)['actor'])
    assert.deepEqual(actors[0], { user: { type_id: 1, uid: 'alice', domain: 'https://idp.test', groups: [{ name: 'dev' }] }, app_uid: 'invoice-agent', app_name: 'invoice-agent', session: { uid: 'session-1', issuer: 'https://idp.test' } })
    assert.deepEqual(Object.keys(actors[2] as object), ['user', 'session'])
  })

  test('what no version of ours wrote is an event as well, whatever its members are', () => {
    const strange = fc.oneof(fc.jsonValue(), fc.constantFrom('constructor', '__proto__', 'toString'))
    const members = ['id', 'seq', 'time', 'type', 'caller', 'action', 'decision', 'outcome', 'vote', 'by', 'hold', 'attempt', 'cause', 'problems', 'account', 'passkey', 'session', 'address']
    fc.assert(
      fc.property(fc.constantFrom(...samples.map(({ type }) => type), 'damaged-line', 'constructor'), fc.dictionary(fc.constantFrom(...members), strange), (type, record) => {
        const event = ocsfOf({ type, ...record })
        valid(event, JSON.stringify(record))
      }),
      { numRuns: 2_000 },
    )
    assert.deepEqual(ocsfOf({ type: 'damaged-line', bytes: 3 }).class_uid, 0)
  })

  test('the line of the log comes back byte for byte, also where texts are hostile and have passed through another JSON writer', () => {
    const hostile = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 20 }), fc.constantFrom('\ud800', '\x7f', '\u2028\u2029\u0085', '"}{"', '\\u0041', '1', '__proto__', '\x1b[2J', '\u202egnp.exe', ''))
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.array(hostile, { minLength: 1, maxLength: 5 }), fc.double({ noNaN: false }), (sample, texts, number) => {
        let at = 0
        const event = withTexts(sample, () => texts[at++ % texts.length] ?? '')
        const line = lineOf(event.type === 'finished' ? { ...event, outcome: { ...event.outcome, ms: number } } : event)
        const record = parseLine(line)
        if (record === undefined) return // a head that does not read is no record
        const ocsf = ocsfLine(record)
        assert.match(ocsf, /^[\x20-\x7e]*$/)
        assert.equal(recordLineOf(ocsf), line)
        assert.equal(recordLineOf(JSON.stringify(JSON.parse(ocsf), null, 2)), line)
        valid(JSON.parse(ocsf), line)
      }),
      { numRuns: 2_000 },
    )
    const long = lineOf({ ...started('a'), action: { ...(started('a') as Extract<AuditEvent, { type: 'started' }>).action, shape: '\u202e'.repeat(100_000) } } as AuditEvent)
    assert.equal(recordLineOf(ocsfLine(parseLine(long) ?? {})), long)
    for (const none of ['', 'x', '[]', '{}', '{"unmapped":1}', '{"unmapped":{"countersign":[]}}', 'null']) assert.equal(recordLineOf(none), undefined)
  })
})
