import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cardOf, offers, shownOn, type Card } from '../../../src/channels/teams/card.ts'
import type { Payload } from '../../../src/channels/options.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { action, agent, bob, caller, requirement, terms } from '../../approval/world.ts'
import { cardProblems, textsOf } from './card-rules.ts'
import { held } from './holds.ts'

const cardFor = (hold: Hold, payload: Payload = 'full'): Card => cardOf({ hold, payload, consoleUrl: 'https://approvals.example.org', decides: true })
const written = (hold: Hold, over: Parameters<typeof action>[1] = {}): Hold => ({ ...hold, action: { ...hold.action, ...over } })
const text = (sql: string, over: Parameters<typeof action>[1] = {}): Hold => written(held(), { protocol: 'postgres', verb: 'sql.delete', verbs: ['sql.delete'], text: sql, ...over })
const runs = (card: Card): readonly string[] => textsOf(card).filter(({ where }) => where === 'TextRun.text').map(({ text: one }) => one)
/** The texts in monospace: what will run, line by line. */
const code = (card: Card): readonly string[] => card.body.filter((part) => part['type'] === 'Container' && part['style'] === 'emphasis').map((part) => (part['items'] as { inlines: [{ text: string }] }[]).map(({ inlines: [one] }) => one.text.replaceAll('\u00a0', ' ')).join('\n'))
const buttons = (card: Card): string => `${offers(card, 'approve') ? 'approve ' : ''}${offers(card, 'deny') ? 'deny' : ''}`.trim()

describe('cards', () => {
  test('every state, from the opening to the result, at each payload', () => {
    const votes = [{ verdict: 'approve' as const, by: { ...bob, name: 'Bob' }, channel: 'teams' as const, assurance: 'chat' as const, digest: action().digest, at: 1 }, { verdict: 'approve' as const, by: caller('reviewer', { kind: 'workload' }), channel: 'automation' as const, assurance: 'console' as const, digest: action().digest, at: 2 }]
    for (const payload of ['none', 'summary', 'full'] as const) {
      for (const state of ['pending', 'approved', 'denied', 'expired', 'withdrawn', 'running', 'executed', 'failed', 'unknown'] as const) {
        const card = cardFor(held({ state, votes, statedReason: 'For finance.' }), payload)
        assert.deepEqual(cardProblems(card), [], `${payload} ${state}`)
        assert.equal(buttons(card), state !== 'pending' || payload === 'none' ? '' : payload === 'full' ? 'approve deny' : 'deny', `${payload} ${state}`)
      }
    }
    const said = runs(cardFor(held({ state: 'executed', votes, outcome: { result: 'executed', status: '204', rows: 3, ms: 41 } }))).join('\n')
    for (const wanted of ['✓ Executed', 'CS-7F3K', 'agent invoice-agent', 'orders/refunds: Money moves.', '1 of dba', '1 of 1', 'Bob (bob), by teams', 'reviewer, decided by an automation', 'executed, 204, 3 rows, 41 ms']) assert.ok(said.includes(wanted), `${wanted} in\n${said}`)
  })

  test('a payload keeps what it says it keeps', () => {
    const hold = { ...text('DELETE FROM s3cret'), statedReason: 's3cret', action: { ...text('DELETE FROM s3cret').action, resources: [{ kind: 'table' as const, name: 'public.s3cret', access: 'write' as const, tags: [] }] } }
    assert.doesNotMatch(JSON.stringify(cardFor(hold, 'none')), /s3cret|DELETE|invoice-agent|orders|dba/)
    assert.doesNotMatch(JSON.stringify(cardFor(hold, 'summary')), /s3cret/)
    assert.ok(runs(cardFor(hold)).includes('public.s3cret'))
    assert.match(JSON.stringify(cardFor(hold, 'full')), /s3cret/)
  })

  test('an opinion of a machine is a text that counts for nothing', () => {
    const opinions = [{ advisor: 'risk-model', text: 'APPROVE **now** {{DATE(x)}}' }]
    const card = cardFor({ ...text('DELETE FROM t'), opinions })
    assert.match(runs(card).join('|'), /A machine's opinion \(risk-model\): It counts for nothing\.[^]*\|APPROVE \*\*now\*\* \\u\{7b\}\{DATE/)
    assert.deepEqual(cardProblems(card), [])
    assert.equal(shownOn({ ...text('DELETE FROM t'), opinions }, 'full'), shownOn(text('DELETE FROM t'), 'full'))
    assert.doesNotMatch(JSON.stringify(cardFor({ ...text('DELETE FROM t'), opinions }, 'summary')), /APPROVE/)
  })

  test('values are hidden one by one, and hidden is not shown', () => {
    const secret = { ...text("DELETE FROM t WHERE name = 's3cret'", { outline: "DELETE FROM t WHERE name = '•••'", resources: [{ kind: 'path', name: '/s3cret', access: 'write', tags: [] }, { kind: 'table', name: 'public.t', access: 'write', tags: [] }] }), statedReason: 's3cret' }
    const card = cardFor(secret, 'outline')
    assert.doesNotMatch(JSON.stringify(card), /s3cret/)
    assert.deepEqual(cardProblems(card), [])
    assert.equal(code(card).join(), "DELETE FROM t WHERE name = '•••'")
    assert.match(runs(card).join(), /public\.t.*Its values are hidden here\. Open the full review/)
    assert.equal(buttons(card), 'deny')
    assert.equal(buttons(cardFor(text('TRUNCATE t', { outline: 'TRUNCATE t' }), 'outline')), 'approve deny')
    assert.equal(buttons(cardFor(text('TRUNCATE t'), 'outline')), 'deny')
    assert.doesNotMatch(JSON.stringify(cardFor(text('TRUNCATE t'), 'outline')), /TRUNCATE t/)
  })

  test('a yes only where all of it is seen, and where the rule takes a chat for it', () => {
    for (const [hold, wanted, hint] of [
      [text(`DELETE FROM t WHERE id IN (${'1,'.repeat(2_000)}1)`), 'deny', 'This is not all of it: of 4029 characters'],
      [text(`SELECT '${'a'.repeat(2_985)}'; DROP TABLE t`), 'deny', '; DROP TABLE t'],
      [text('UPDATE t SET a=1;'.repeat(2_000), { parts: Array.from({ length: 2_000 }, () => action()) }), 'deny', '2000 statements, sql.delete'],
      [text('SELECT 1\n'.repeat(40)), 'deny', 'This is not all of it'],
      [text('DELETE FROM t', { textCut: true }), 'deny', 'There is more to this action'],
      [{ ...text('DELETE FROM t'), terms: terms([requirement()]) }, 'deny', 'login at the console'],
      [{ ...text('DELETE FROM t'), terms: terms([requirement({ assurance: 'passkey' })]) }, 'deny', 'needs a passkey'],
      [{ ...text('DELETE FROM t'), terms: terms([requirement({ assurance: 'chat', channels: ['slack'] })]) }, 'deny', 'takes no approval from Teams'],
      [text('DELETE FROM t'), 'approve deny', ''],
    ] as const) {
      const card = cardFor(hold)
      assert.equal(buttons(card), wanted, hint)
      assert.ok(JSON.stringify(card).includes(hint), hint)
      assert.deepEqual(cardProblems(card), [])
      assert.ok(hold.action.text.startsWith(code(card)[0]?.slice(0, 5) ?? '?'))
      for (const line of code(card).flatMap((block) => block.split('\n'))) assert.ok(line.split(' ').every((one) => one.length <= 33), 'it would go out of view')
    }
    const both = cardFor({ ...text('DELETE FROM t'), terms: terms([requirement({ assurance: 'chat' }), requirement({ groups: ['security'] })]) })
    assert.equal(buttons(both), 'approve deny')
    assert.ok(runs(both).join('').includes(text('DELETE FROM t').action.digest))
    assert.deepEqual(code(cardFor(text(`SELECT '${'a'.repeat(40)}\\\\'`))), [`SELECT '${'a'.repeat(31)}\\\n${'a'.repeat(9)}\\\\'`])
  })

  test('what misleads is spelled out, with a warning; what a renderer would replace stays as it is', () => {
    for (const [sql, seen] of [
      ['DELETE FROM t WHERE id = 1 \u202e-- 1 = di EREHW\u202c', 'id = 1 \\u{202e}-- 1 = di EREHW\\u{202c}'],
      ['DELETE FROM us\u200bers', 'us\\u{200b}ers'],
      ['DELETE FROM \u0443sers', '\\u{443}sers'],
      [`SELECT 1${' '.repeat(2_000)}; DROP TABLE t`, 'SELECT 1\\{2000 spaces}; DROP TABLE t'],
    ] as const) {
      const card = cardFor(text(sql))
      assert.ok(code(card)[0]?.includes(seen), JSON.stringify(card))
      assert.ok(runs(card).some((one) => one.includes('is spelled out')))
    }
    assert.deepEqual(code(cardFor(text("SELECT '{{DATE(2017-02-14)}}'"))), ["SELECT '\\u{7b}{DATE(2017-02-14)}}'"])
    assert.ok(!runs(cardFor(text('DELETE FROM t'))).some((one) => one.includes('is spelled out')))
  })

  test('reasons are asked for where the rule does', () => {
    assert.equal(JSON.stringify(cardFor(held())).includes('"isRequired":true'), false)
    const card = cardFor({ ...held(), terms: terms([requirement({ assurance: 'chat' })], { askReason: true }) })
    assert.equal(JSON.stringify(card).match(/"isRequired":true/g)?.length, 2)
  })

  test('no text of anybody stands where markup is read, whatever it is', () => {
    const hostile = fc.oneof(fc.string({ maxLength: 80 }), fc.constantFrom('**ok** [open](https://evil.test) <at>All</at>', '```\n*Approved*', '{{DATE(2017-02-14T06:08:00Z)}}', '${data}', '\u202e\0'))
    fc.assert(
      fc.property(hostile, fc.constantFrom('none', 'summary', 'full'), (words, payload) => {
        const mark = `MARK${words}`
        const card = cardFor(held({ statedReason: mark, caller: { ...agent, subject: mark, name: mark, onBehalfOf: [caller(mark)] }, action: action(mark, { service: mark, tags: [mark], verbs: [mark], resources: [{ kind: 'path', name: mark, access: 'write', tags: [] }], text: mark }), outcome: { result: 'failed', status: mark, ms: 1 }, marks: [{ what: 'broke-glass', at: 1, by: caller(mark, { name: mark }), reason: mark, skipped: { groups: [mark], users: [] } }, { what: 'handed-over', at: 1, by: caller(mark, { name: mark }), to: { group: mark } }] }), payload)
        assert.deepEqual(cardProblems(card), [])
        for (const { where, text: one } of textsOf(card)) {
          if (where === 'TextRun.text') assert.ok(!one.includes('{{'))
          else assert.ok(!one.includes('MARK'), `${where}: ${one}`)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('long names in every place leave a card that fits and decides nothing', () => {
    const long = '\u{1f600}'.repeat(200)
    const card = cardFor(held({ caller: { ...agent, subject: long, onBehalfOf: Array.from({ length: 40 }, () => caller(long)) }, matched: Array.from({ length: 40 }, () => ({ policy: long, rule: long, then: 'hold' as const, at: 'x', because: long, observed: false })), votes: Array.from({ length: 60 }, () => ({ verdict: 'approve' as const, by: caller(long), channel: 'teams' as const, assurance: 'chat' as const, digest: action().digest, at: 1 })) }))
    assert.deepEqual(cardProblems(card), [])
    assert.equal(buttons(card), '')
  })

  test('what a vote says was shown depends on the action alone', () => {
    assert.equal(shownOn(held(), 'full'), shownOn(held({ state: 'approved', revision: 7 }), 'full'))
    assert.notEqual(shownOn(held(), 'full'), shownOn(written(held(), { text: 'POST /other' }), 'full'))
    assert.match(shownOn(held(), 'full'), /^teams\/1 sha256:[0-9a-f]{64}$/)
  })
})
