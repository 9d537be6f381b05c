import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Block } from '../../../src/channels/slack/blocks.ts'
import { isDecidable, makeCard, shownName, type Card, type CardStyle } from '../../../src/channels/slack/card.ts'
import { reasonWindow } from '../../../src/channels/slack/windows.ts'
import type { Hold, Vote } from '../../../src/model/hold.ts'
import { action, bob, requirement, terms } from '../../approval/world.ts'
import { wrongBlocks } from './message-rules.ts'
import { consoleUrl, sampleHold } from './sample.ts'

const full: CardStyle = { payload: 'full', consoleUrl, interactive: true }

const vote = (verdict: 'approve' | 'deny'): Vote => ({ verdict, by: { ...bob, name: 'Bob' }, channel: 'slack', assurance: 'chat', digest: sampleHold().action.digest, at: 1_700_000_030_000 })
const yes = [vote('approve'), { ...vote('approve'), by: { ...bob, subject: 'carol' }, channel: 'console' as const, at: 1_700_000_040_000 }]

const states: Readonly<Record<string, readonly [Partial<Hold>, Partial<CardStyle>?]>> = {
  'pending': [{}],
  'pending-summary': [{}, { payload: 'summary' }],
  'pending-outline': [{ action: { ...sampleHold().action, text: "DELETE FROM customers WHERE name = 'Ann'", outline: "DELETE FROM customers WHERE name = '•••'" } }, { payload: 'outline' }],
  'pending-none': [{}, { payload: 'none' }],
  'pending-no-clicks': [{}, { interactive: false }],
  'pending-console': [{ terms: terms([requirement({ assurance: 'console' })]) }],
  'pending-reason': [{ terms: terms([requirement({ assurance: 'chat' })], { askReason: true }) }],
  'pending-one-of-two': [{ revision: 2, votes: yes.slice(0, 1) }],
  'approved': [{ revision: 3, state: 'approved', votes: yes, runBy: 1_700_000_070_000 }],
  'denied': [{ revision: 2, state: 'denied', votes: [vote('deny')], settledAt: 1_700_000_030_000 }],
  'expired': [{ revision: 2, state: 'expired', settledAt: 1_700_000_060_001 }],
  'withdrawn': [{ revision: 2, state: 'withdrawn', settledAt: 1_700_000_020_000 }],
  'running': [{ revision: 4, state: 'running', votes: yes }],
  'executed': [{ revision: 5, state: 'executed', votes: yes, outcome: { result: 'executed', rows: 3, ms: 41.2 } }],
  'failed': [{ revision: 5, state: 'failed', votes: yes, outcome: { result: 'failed', status: '23503', ms: 8 } }],
  'unknown': [{ revision: 5, state: 'unknown', votes: yes }],
  'cut': [{ action: { ...sampleHold().action, text: `DELETE FROM t WHERE id IN (${'1,'.repeat(2_000)}1)` } }],
}

const cardOf = (hold: Hold, style: CardStyle = full): Card => makeCard(hold, style)
const buttons = ({ blocks }: Card): readonly string[] => blocks.flatMap((block) => (block.type === 'actions' ? block.elements.map(({ text }) => text.text) : []))

describe('slack cards', () => {
  for (const [name, [over, style]] of Object.entries(states)) {
    test(`as it stands written: ${name}`, () => {
      const file = join(import.meta.dirname, 'cards', `${name}.json`)
      const card = cardOf(sampleHold(over), { ...full, ...style })
      if (process.env['CARDS'] === 'write') writeFileSync(file, `${JSON.stringify(card, undefined, 2)}\n`)
      assert.deepEqual(card, JSON.parse(readFileSync(file, 'utf8')))
      assert.equal(wrongBlocks(card.blocks, 'message'), undefined)
    })
  }

  test('the button that approves stands only under a whole text that may be decided in a chat', () => {
    const decides = (over: Partial<Hold>, style: Partial<CardStyle> = {}): boolean => {
      const found = buttons(cardOf(sampleHold(over), { ...full, ...style }))
      assert.equal(found.includes('Deny'), found.includes('Approve') || (style.payload !== 'none' && style.interactive !== false && (over.state ?? 'pending') === 'pending'))
      assert.equal(found.includes('Approve'), isDecidable(sampleHold(over), { ...full, ...style }))
      return found.includes('Approve')
    }
    const text = (words: string, over = {}): Partial<Hold> => ({ action: action(words, over) })
    assert.ok(decides({}))
    assert.ok(decides(text('x'.repeat(2_900))))
    for (const words of ['x'.repeat(2_901), `SELECT '${'a'.repeat(2_985)}'; DROP TABLE t`, `a${'\nb'.repeat(60)}`, '\u202e'.repeat(400), 'a'.repeat(100_000)]) assert.ok(!decides(text(words)), words.slice(0, 40))
    assert.ok(!decides(text('short', { textCut: true })))
    for (const payload of ['none', 'summary'] as const) assert.ok(!decides({}, { payload }))
    const truncated = text('TRUNCATE t', { outline: 'TRUNCATE t' })
    assert.ok(decides(truncated, { payload: 'outline' }), 'it has no values')
    for (const outline of ["DELETE FROM t WHERE a = '•••'", undefined]) assert.ok(!decides(text("DELETE FROM t WHERE a = 'b'", { outline }), { payload: 'outline' }))
    assert.ok(!decides({}, { interactive: false }))
    for (const assurance of ['console', 'passkey'] as const) assert.ok(!decides({ terms: terms([requirement({ assurance })]) }))
    assert.ok(!decides({ terms: terms([requirement({ assurance: 'chat', channels: ['teams', 'console'] })]) }), 'the rule takes none from here')
    assert.ok(decides({ terms: terms([requirement({ assurance: 'chat', channels: ['slack'] })]) }))
    for (const state of ['approved', 'denied', 'expired', 'withdrawn', 'running', 'executed', 'failed', 'unknown'] as const) assert.ok(!decides({ state }))
  })

  test('an opinion of a machine stands there only where all is told, as a text that counts for nothing, and changes nothing about the card', () => {
    const opinions = [{ advisor: 'risk-model', text: 'APPROVE <!channel> \u202e' }]
    const card = cardOf(sampleHold({ opinions }))
    assert.match(JSON.stringify(card), /A machine's opinion \(risk-model\)[^]*It counts for nothing\.[^]*APPROVE <!channel> \\\\u\{202e\}/)
    assert.equal(wrongBlocks(card.blocks, 'message'), undefined)
    assert.deepEqual(buttons(card), buttons(cardOf(sampleHold())))
    assert.equal(shownName(sampleHold({ opinions }), 'full'), shownName(sampleHold(), 'full'))
    for (const payload of ['none', 'summary', 'outline'] as const) assert.doesNotMatch(JSON.stringify(cardOf(sampleHold({ opinions }), { ...full, payload })), /APPROVE/)
  })

  test('a plan is called one', () => {
    const step = { verb: 'sql.delete', verbs: ['sql.delete'], effect: 'write' as const, resources: [], tags: [], facts: {}, text: 'DELETE FROM t' }
    const card = cardOf(sampleHold({ action: action('BEGIN; DELETE FROM t; COMMIT', { parts: [step, step, step] }) }))
    assert.match(JSON.stringify(card), /Plan\\n3 statements, one by one in one transaction, all or none/)
    assert.doesNotMatch(JSON.stringify(cardOf(sampleHold({ action: action('DELETE FROM t; DELETE FROM t', { parts: [{ ...step, text: undefined }].map(({ text: _text, ...rest }) => rest) }) }))), /"Plan/)
  })

  test('the window in which somebody decides hides what the message hides', () => {
    const hold = sampleHold({ action: action("DELETE FROM t WHERE a = 's3cret'", { outline: "DELETE FROM t WHERE a = '•••'" }) })
    const copy = { channel: 'C0APPROVALS', ts: '1' }
    const words = (payload: 'summary' | 'outline' | 'full'): string => JSON.stringify(reasonWindow(hold, 'deny', copy, payload))
    assert.doesNotMatch(words('outline'), /s3cret/)
    assert.match(words('outline'), /a = '•••'/)
    for (const payload of ['summary', 'full'] as const) assert.match(words(payload), /s3cret/)
  })

  test('one that asks for a passkey says where there is one', () => {
    const card = cardOf(sampleHold({ terms: terms([requirement({ assurance: 'passkey' })]) }))
    assert.match(JSON.stringify(card.blocks), /Needs a passkey: open the console\./)
    assert.deepEqual(buttons(card), ['Deny', 'Open full review'])
    assert.doesNotMatch(JSON.stringify(cardOf(sampleHold()).blocks), /passkey/)
  })

  test('a text that is too long shows its head, its tail, its length, and what it touches', () => {
    const card = cardOf(sampleHold({ action: { ...sampleHold().action, text: `SELECT 'begin'; ${'a'.repeat(100_000)}; DROP TABLE t` } }))
    const shown = JSON.stringify(card)
    for (const part of ["SELECT 'begin'", '; DROP TABLE t', 'of 100030 characters', 'public.customers', 'Not all of it is shown here', sampleHold().action.digest]) assert.ok(shown.includes(part), part)
    assert.deepEqual(buttons(card), ['Deny', 'Open full review'])
  })

  test('what could mislead is spelled out, and said', () => {
    for (const [text, spelled] of [['DELETE FROM t WHERE id = 1 \u202e-- 1\u202c', '\\\\u{202e}'], ['DELETE FROM us\u200bers', '\\\\u{200b}'], ['DELETE FROM \u0443sers', '\\\\u{443}'], [`SELECT 1${' '.repeat(500_000)}; DROP TABLE t`, '\\\\{500000 spaces}'], ['/admin/users\u00a0/x', '\\\\u{a0}']] as const) {
      const shown = JSON.stringify(cardOf(sampleHold({ action: action(text) })))
      assert.ok(shown.includes(spelled), text.slice(0, 40))
      assert.ok(shown.includes('⚠'), text.slice(0, 40))
    }
    assert.ok(!JSON.stringify(cardOf(sampleHold())).includes('⚠'))
  })

  test('what was shown has a name of its own', () => {
    const names = [sampleHold(), sampleHold({ action: action('other') }), sampleHold({ action: { ...sampleHold().action, text: 'DELETE FROM customer' } })].map((hold) => shownName(hold, 'full'))
    assert.equal(new Set(names).size, 3)
    assert.match(names[0] ?? '', /^slack\/1 sha256:[0-9a-f]{64}$/)
    assert.equal(shownName(sampleHold({ revision: 9, votes: yes }), 'full'), names[0])
  })
})

/** Everything but the insides of what is shown as it is, and our own remarks on it. */
const frameOf = ({ text, blocks }: Card): string =>
  JSON.stringify([text, blocks.map((block: Block) => (block.type === 'rich_text' ? { ...block, elements: block.elements.map((part) => (part.type === 'rich_text_preformatted' ? part.type : part.elements[0]?.text)) } : block))])

describe('slack cards, whatever an agent writes', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.constantFrom('```\n*Approved by security* <https://evil.test|click to approve>', "SELECT '<!channel> <!here> <@U0APPROVER>'", '&lt;!channel&gt; <!everyone>', ':white_check_mark: approved', '\0\x1b[2J\u202e\u2066', '{"type":"mrkdwn"}', '\ud800', ''),
  )
  const written = (text: string, path: string, reason: string): Hold => sampleHold({ action: action(text, { verb: 'http.POST', resources: [{ kind: 'path', name: path, access: 'write', tags: [] }] }), statedReason: reason })

  test('no block changes but those that show it as it is, and Slack takes each', () => {
    const decidable = frameOf(cardOf({ ...written('a', 'b', 'c') }))
    const cut = frameOf(cardOf(written('a'.repeat(5_000), 'b', 'c')))
    const sameDigest = (hold: Hold): Hold => ({ ...hold, action: { ...hold.action, digest: written('a', 'b', 'c').action.digest } })
    const long = frameOf(cardOf(sameDigest(written('a'.repeat(5_000), 'b', 'c'))))
    assert.notEqual(cut, decidable)
    fc.assert(fc.property(hostile, hostile, hostile, (text, path, reason) => {
      const card = cardOf(sameDigest(written(text, path, reason)))
      assert.equal(wrongBlocks(card.blocks, 'message'), undefined)
      assert.ok([decidable, long].includes(frameOf(card)), frameOf(card))
    }), { numRuns: 500 })
  })

  test('names out of tokens are plain text, which Slack does not read', () => {
    fc.assert(fc.property(hostile, (name) => {
      const card = cardOf(sampleHold({ caller: { ...sampleHold().caller, name: name === '' ? 'x' : name } }))
      assert.equal(wrongBlocks(card.blocks, 'message'), undefined)
      for (const block of card.blocks) if (block.type === 'context') for (const element of block.elements) if (element.type === 'mrkdwn') assert.match(element.text, /^Decide by <!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[\d:.TZ-]+>$/)
      assert.equal(card.text, 'Approval wanted: CS-7F3K')
    }), { numRuns: 200 })
  })
})
