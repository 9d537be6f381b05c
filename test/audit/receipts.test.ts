import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { describe, test } from 'node:test'
import { checkReceipt, checkRecords } from '../../src/audit/receipts/check.ts'
import { BadReceipt, longestEnvelope, openEnvelope, sealEnvelope } from '../../src/audit/receipts/envelope.ts'
import { openShortReceipt, signShortReceipt, type ShortReceipt } from '../../src/audit/receipts/short-receipt.ts'
import { readReceipt } from '../../src/audit/receipts/statement.ts'
import { publicBytes } from '../../src/lib/ed25519.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { leavesOf, receiptOfStory, signer, story, stranger, withLeaf } from './receipt-world.ts'

const kindOf = (work: () => unknown): BadReceipt['kind'] | 'good' => {
  try {
    work()
    return 'good'
  } catch (error) {
    if (!(error instanceof BadReceipt)) throw error
    return error.kind
  }
}
const check = (envelope: unknown, keys = [signer]) => checkReceipt(Buffer.from(typeof envelope === 'string' ? envelope : JSON.stringify(envelope)), keys)
const kind = (envelope: unknown, keys = [signer]): BadReceipt['kind'] | 'good' => kindOf(() => check(envelope, keys))
const results = (events: readonly AuditEvent[]) => Object.fromEntries(check(receiptOfStory(events).text).checks.map(({ name, result }) => [name, result]))
const predicateOf = (events: readonly AuditEvent[]) => check(receiptOfStory(events).text).receipt.predicate

/** DSSE and the leaf hash as their specifications say, and nothing of the program's own. */
const independently = (text: string, publicKey: Buffer, lines: readonly string[]): Record<string, unknown> => {
  const { payload, payloadType, signatures } = JSON.parse(text) as { payload: string; payloadType: string; signatures: { keyid: string; sig: string }[] }
  const body = Buffer.from(payload, 'base64')
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey])
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  const message = Buffer.concat(['DSSEv1', ' ', String(payloadType.length), ' ', payloadType, ' ', String(body.length), ' ', body].map((one) => Buffer.from(one as string)))
  assert.equal(signatures.length, 1)
  assert.ok(verify(null, message, key, Buffer.from(signatures[0]!.sig, 'base64')))
  assert.equal(signatures[0]!.keyid, createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${publicKey.toString('base64url')}"}`).digest('base64url'))
  const statement = JSON.parse(body.toString()) as { predicate: { log: { record: string; leaf: string; origin: string; index: number }[] } } & Record<string, unknown>
  for (const [at, { record, leaf, origin, index }] of statement.predicate.log.entries()) {
    assert.equal(leaf, createHash('sha256').update(Buffer.concat([Buffer.of(0), Buffer.from(lines[at]!)])).digest('base64'))
    assert.equal(`${origin}/${index}`, `prod/${record}`)
  }
  return statement
}

describe('receipts', () => {
  test('say who asked, who agreed, by which rules, what was permitted and what was observed, and where that stands in the log', () => {
    const { text, lines } = receiptOfStory()
    const statement = independently(text, publicBytes(signer.secret), lines)
    assert.deepEqual([statement['_type'], statement['predicateType'], statement['subject']], ['https://in-toto.io/Statement/v1', 'urn:countersign:receipt:v1', [{ name: 'action', digest: { sha256: 'ab'.repeat(32) } }]])
    const { receipt: { predicate }, checks } = check(text)
    assert.deepEqual(predicate.case, { attempts: ['try-1'], code: 'CS-7F3K', hold: 'hold_1' })
    assert.deepEqual([predicate.decision.result, predicate.decision.policyVersion, predicate.decision.rules.map(({ policy, rule }) => `${policy}/${rule}`)], ['approved', 'sha256:cd', ['orders/write']])
    assert.deepEqual([predicate.requester.subject, predicate.requester.onBehalfOf.map(({ subject }) => subject)], ['invoice-agent', ['alice']])
    assert.deepEqual(predicate.approvers.map(({ issuer, subject, channel, assurance, verdict }) => [issuer, subject, channel, assurance, verdict]), [['https://idp.test', 'bob', 'console', 'console', 'approve']])
    assert.deepEqual(predicate.times, { requested: '2026-11-21T18:00:00.000Z', held: '2026-11-21T18:00:01.000Z', released: '2026-11-21T18:00:03.000Z', started: '2026-11-21T18:00:04.000Z', ended: '2026-11-21T18:00:05.000Z' })
    assert.deepEqual(predicate.effect, { permitted: 'once', observed: 'executed', starts: 1, agrees: true, status: '200', rows: 1, bytes: 10 })
    assert.deepEqual(checks.map(({ name }) => name), ['signature', 'action', 'votes', 'order', 'decision', 'effect'])
    const order = (events: readonly AuditEvent[]): string | undefined => check(receiptOfStory(events).text).checks.find(({ name }) => name === 'order')?.text
    assert.deepEqual([order(story), order(story.slice(0, 2)), order(story.slice(0, 1))], ['asked, held, decided, released, started, ended in this order', 'asked, held in this order', 'asked'])
    assert.equal(text.includes('session-1') || Buffer.from(JSON.parse(text).payload, 'base64').includes('session-1'), false, 'no session, no address')
  })

  test('tell each way that an action can end', () => {
    const [decided, held, voted, released, started, finished] = story as [AuditEvent, AuditEvent, AuditEvent & { vote: object }, AuditEvent, AuditEvent, AuditEvent]
    const subject = { hold: 'hold_1', code: 'CS-7F3K', digest: `sha256:${'ab'.repeat(32)}` as const }
    const seen = (...events: AuditEvent[]) => [predicateOf(events).decision.result, predicateOf(events).effect.permitted, predicateOf(events).effect.observed, predicateOf(events).effect.agrees]
    assert.deepEqual(seen(decided, held), ['waiting', 'nothing', 'nothing', true])
    assert.deepEqual(seen(decided, held, { ...voted, vote: { ...voted.vote, verdict: 'deny' }, state: 'denied' } as AuditEvent), ['denied', 'nothing', 'nothing', true])
    assert.deepEqual(seen(decided, held, { type: 'hold-expired', from: 'pending', ...subject }), ['expired', 'nothing', 'nothing', true])
    assert.deepEqual(seen(decided, held, { type: 'hold-withdrawn', by: { issuer: 'i', subject: 'alice' }, ...subject }), ['withdrawn', 'nothing', 'nothing', true])
    assert.deepEqual(seen(decided, held, voted), ['approved', 'once', 'nothing', true])
    assert.deepEqual(seen(decided, held, voted, released, started), ['approved', 'once', 'running', true])
    assert.deepEqual(seen(decided, held, voted, released, started, { type: 'outcome-unknown', attempt: 'try-1', hold: 'hold_1', digest: subject.digest }), ['approved', 'once', 'unknown', true])
    assert.deepEqual(seen({ ...started, hold: undefined, decision: { verdict: 'allow', matched: [], policyVersion: 'v' } } as unknown as AuditEvent), ['allowed', 'once', 'running', true])
    assert.deepEqual(seen({ ...decided, decision: { verdict: 'deny', matched: [], policyVersion: 'v' } } as AuditEvent), ['denied-by-rule', 'nothing', 'nothing', true])
    // What should never be is not hidden: it is signed as what it is.
    assert.deepEqual(seen(decided, held, { type: 'hold-expired', from: 'approved', ...subject }, started, finished), ['expired', 'nothing', 'executed', false])
    assert.equal(results([decided, held, { type: 'hold-expired', from: 'approved', ...subject }, started, finished])['effect'], 'note')
  })

  test('votes that are about something else, of the requester, or out of their time are contradictions', () => {
    const change = (edit: (vote: Record<string, unknown>) => object): readonly AuditEvent[] => story.map((event) => (event.type === 'voted' ? { ...event, vote: { ...event.vote, ...edit(event.vote as unknown as Record<string, unknown>) } } : event.type === 'released' ? { ...event, votes: [] } : event) as AuditEvent)
    assert.equal(results(change(() => ({ digest: `sha256:${'cd'.repeat(32)}` })))['votes'], 'wrong')
    assert.equal(results(change((vote) => ({ by: { ...(vote['by'] as object), subject: 'alice' } })))['votes'], 'wrong')
    assert.equal(results(change(() => ({ at: Date.parse('2026-11-21T19:00:00Z') })))['order'], 'wrong')
    assert.equal(results(change(() => ({ verdict: 'deny' })))['decision'], 'wrong')
  })

  test('every character that is changed, in the envelope or in what it carries, makes it worthless', () => {
    const { envelope } = receiptOfStory()
    assert.equal(kind(envelope), 'good')
    for (const path of leavesOf(envelope)) assert.notEqual(kind(withLeaf(envelope, path)), 'good', path.join('.'))
    for (let at = 0; at < envelope.signatures[0]!.sig.length; at++) {
      const { sig, keyid } = envelope.signatures[0]!
      for (const character of ['A', 'z', '=', '-']) if (sig[at] !== character) assert.notEqual(kind({ ...envelope, signatures: [{ keyid, sig: sig.slice(0, at) + character + sig.slice(at + 1) }] }), 'good', `${at} ${character}`)
    }
    const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as unknown
    for (const path of leavesOf(payload)) assert.equal(kind({ ...envelope, payload: Buffer.from(JSON.stringify(withLeaf(payload, path))).toString('base64') }), 'forged', path.join('.'))
  })

  test('of several signatures strangers mean nothing, and one bad one of somebody known spoils all', () => {
    const { envelope, text } = receiptOfStory()
    const other = receiptOfStory(story, [stranger]).envelope.signatures[0]!
    const own = envelope.signatures[0]!
    const rest = (signatures: readonly object[]) => ({ ...envelope, signatures })
    assert.equal(kind(rest([other, own])), 'good')
    assert.equal(kind(rest([other])), 'unsigned')
    assert.equal(kind(rest([own, { ...other, keyid: own.keyid }])), 'forged', 'a known name over a bad signature')
    assert.equal(kind(rest([{ ...own, keyid: other.keyid }]), [signer, stranger]), 'forged', 'the name of another known key')
    assert.equal(kind(rest([{ sig: own.sig }])), 'good', 'without a name it is whosever it fits')
    assert.equal(kind(rest([{ sig: other.sig }])), 'unsigned')
    assert.equal(kind(rest([])), 'unreadable')
    assert.equal(kind(rest(Array.from({ length: 17 }, () => own))), 'unreadable')
    assert.equal(kind(text, []), 'unsigned')
    assert.equal(kind(text, [{ ...signer, name: 'other#receipts' }]), 'forged', 'the key of another deployment')
  })

  test('what reads in two ways does not read: keys twice, depth, length, other types, other forms of the same', () => {
    const { envelope, text } = receiptOfStory()
    const inner = Buffer.from(envelope.payload, 'base64').toString()
    const sealed = (payload: string, type?: string) => sealEnvelope(payload, [signer], type)
    for (const [name, given] of Object.entries({
      'a key twice': text.replace('{"payload"', '{"payloadType":"x","payload"'),
      'something beside it': JSON.stringify({ ...envelope, note: 'signed by all of us' }),
      'deep': `${'['.repeat(50)}${']'.repeat(50)}`,
      'long': `${' '.repeat(longestEnvelope + 1)}${text}`,
      'no JSON': text.slice(0, -3),
      'no envelope': '[]',
      'base64url': JSON.stringify({ ...envelope, payload: Buffer.from(envelope.payload, 'base64').toString('base64url') }),
      'blanks in base64': JSON.stringify({ ...envelope, payload: `${envelope.payload.slice(0, 4)}\n${envelope.payload.slice(4)}` }),
      'another type of payload': sealed(inner, 'application/vnd.in-toto+xml'),
      'a signed key twice': sealed(inner.replace('"predicateType"', '"predicateType":"urn:countersign:receipt:v0","predicateType"')),
      'signed in another order': sealed(JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(inner) as object).toReversed()))),
      'signed with blanks': sealed(JSON.stringify(JSON.parse(inner), undefined, 1)),
      'signed, and deep': sealed(`${'['.repeat(500)}${']'.repeat(500)}`),
      'signed, of another kind': sealed(inner.replace('urn:countersign:receipt:v1', 'https://slsa.dev/provenance/v1')),
      'signed, with more than is known': sealed(inner.replace('"deployment":', '"aside":1,"deployment":')),
      'signed, and no object': sealed('null'),
    })) assert.equal(kind(given), 'unreadable', name)
    assert.throws(() => readReceipt(Buffer.from('{}')), BadReceipt)
    assert.equal(kindOf(() => openEnvelope(Buffer.from(sealed(inner, 'x')), [signer], 'x')), 'good')
  })

  test('what is made of a part of the records says so, and whoever checks it is told', () => {
    const { text } = receiptOfStory(story.slice(0, 3), [signer], true)
    const { receipt, checks } = check(text)
    assert.equal(receipt.predicate.partial, true)
    assert.match(checks.find(({ name }) => name === 'log')?.text ?? '', /made of 3 records, and there are more/)
    assert.equal(check(receiptOfStory().text).checks.some(({ name }) => name === 'log'), false)
  })

  test('the records that it names are compared by their hashes', () => {
    const { text, lines } = receiptOfStory()
    const { receipt } = check(text)
    assert.equal(checkRecords(receipt, lines).result, 'ok')
    assert.match(checkRecords(receipt, lines.slice(1)).text, /1 of the 6 records .* r1\/1\/0 first/)
    assert.match(checkRecords(receipt, lines.with(2, lines[2]!.replace('approve', 'approvE'))).text, /r1\/1\/2 is another record/)
  })
})

describe('short receipts', async () => {
  const said: ShortReceipt = { iss: 'prod', sub: `sha256:${'ab'.repeat(32)}`, iat: 1_795_000_000, decision: 'approved', rule: 'orders/write', policy: 'sha256:cd', approvers: 2, case: 'CS-7F3K', attempt: 'try-1' }
  const token = await signShortReceipt(said, signer)
  const kindOfToken = (text: string, keys = [signer]) => kindOf(() => openShortReceipt(text, keys))
  const part = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

  test('say in a kilobyte at most that it was let through', async () => {
    assert.deepEqual(openShortReceipt(token, [signer]).receipt, said)
    assert.ok((await signShortReceipt({ ...said, rule: 'r'.repeat(5_000) }, signer)).length < 1_024)
  })

  test('are of the key and the kind that whoever checks expects, whatever their head says', () => {
    const [head = '', body = '', sig = ''] = token.split('.')
    const parsed = JSON.parse(Buffer.from(head, 'base64url').toString()) as object
    for (const change of [{ alg: 'none' }, { alg: 'HS256' }, { alg: 'ES256' }, { typ: 'countersign-assertion+jwt' }, { typ: 'JWT' }, { crit: ['x'] }, { jwk: {} }]) assert.equal(kindOfToken(`${part({ ...parsed, ...change })}.${body}.${sig}`), 'unreadable', JSON.stringify(change))
    assert.equal(kindOfToken(`${head}.${body}.`), 'unreadable')
    assert.equal(kindOfToken(`${part('{"alg":"none","alg":"EdDSA"}')}.${body}.${sig}`), 'unreadable')
    assert.equal(kindOfToken(token, [stranger]), 'unsigned')
    assert.equal(kindOfToken(token, [{ ...stranger, key: stranger.key }, signer]), 'good')
    assert.equal(kindOfToken(`${head}.${part({ ...said, approvers: 3 })}.${sig}`), 'forged')
    for (let at = 0; at < token.length; at++) assert.notEqual(kindOfToken(`${token.slice(0, at)}${token[at] === 'B' ? 'C' : 'B'}${token.slice(at + 1)}`), 'good', String(at))
    assert.equal(kindOfToken('x'.repeat(5_000)), 'unreadable')
  })
})
