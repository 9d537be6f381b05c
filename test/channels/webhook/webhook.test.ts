import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { Closed, type Occasion } from '../../../src/approval/channel.ts'
import { Busy } from '../../../src/lib/receiver.ts'
import type { WebhookOptions } from '../../../src/channels/webhook/options.ts'
import { publicKeyText, readSigningKey } from '../../../src/channels/webhook/signing.ts'
import { makeWebhook } from '../../../src/channels/webhook/webhook.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { privateKeyOf } from '../../../src/lib/ed25519.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { action, agent, alice, terms } from '../../approval/world.ts'
import { startReceiver, type Received, type Receiver } from './receiver.ts'

const own = { kind: 'ed25519' as const, key: privateKeyOf(randomBytes(32)) }
const options = (url: string, over: Partial<WebhookOptions> = {}): WebhookOptions => ({ kind: 'webhook', name: 'ops', url, interest: {}, timeoutMs: 2_000, privateAddresses: true, payload: 'none', secrets: [], ...over })
const consoleUrl = (): string => 'https://approvals.example.org'
const never = new AbortController().signal

const hold = (over: Partial<Hold> = {}): Hold => ({
  id: 'hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', code: 'CS-7F3K', revision: 1, state: 'pending', caller: agent, action: action('POST /exports\nsecret-thing'), terms: terms(), matched: [{ policy: 'p', rule: 'r', then: 'hold', at: 'p.yaml:1', observed: false, because: 'Exports leave.' }],
  policyVersion: 'v1', votes: [], openedAt: 1_700_000_000_000, deadline: 1_700_000_060_000, ...over,
})
const show = (receiver: Receiver, over: Partial<WebhookOptions> = {}, of: Hold = hold(), occasion: Occasion = 'change') => makeWebhook(options(receiver.url, over), consoleUrl, own).show({ hold: of, occasion, memory: undefined }, never)

/** As a receiver has to: by the public key, the bytes and the time. */
const isSigned = ({ headers, text }: Received, publicText: string): boolean => {
  const key = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(publicText.slice('whpk_'.length), 'base64')]), format: 'der', type: 'spki' })
  const signed = Buffer.from(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${text}`)
  return String(headers['webhook-signature']).split(' ').some((one) => one.startsWith('v1a,') && verify(null, signed, key, Buffer.from(one.slice(4), 'base64')))
}

describe('webhook', () => {
  test('signs with the key of the deployment, so that a receiver cannot forge', async () => {
    await using receiver = await startReceiver()
    await show(receiver)
    const [message] = receiver.taken
    assert.ok(message && isSigned(message, publicKeyText(own.key)))
    assert.ok(!isSigned({ ...message, text: message.text.replace('pending', 'approved') }, publicKeyText(own.key)))
    assert.ok(Math.abs(Number(message.headers['webhook-timestamp']) - Date.now() / 1_000) < 60)
  })

  test('signs with HMAC as the library of the standard checks it, and with old and new while a receiver changes over', async () => {
    await using receiver = await startReceiver()
    const [before, after] = [`whsec_${randomBytes(32).toString('base64')}`, `whsec_${randomBytes(24).toString('base64')}`]
    const seed = randomBytes(32)
    await show(receiver, { secrets: [new Secret(after), new Secret(before), new Secret(`whsk_${seed.toString('base64')}`)] })
    const [message] = receiver.taken as [Received]
    for (const secret of [before, after]) assert.deepEqual(new Webhook(secret).verify(message.text, message.headers as Record<string, string>), message.body)
    assert.throws(() => new Webhook(`whsec_${randomBytes(32).toString('base64')}`).verify(message.text, message.headers as Record<string, string>))
    assert.ok(isSigned(message, publicKeyText(privateKeyOf(seed))))
  })

  test('keys: seeds and pairs are read, everything else is none', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
    const pair = Buffer.concat([seed, publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)])
    assert.equal(readSigningKey(`whsk_${pair.toString('base64')}`)?.kind, 'ed25519')
    assert.equal(readSigningKey(`whsec_${randomBytes(24).toString('base64')}\n`)?.kind, 'hmac')
    pair[40] = (pair[40] ?? 0) ^ 1
    for (const wrong of [`whsk_${pair.toString('base64')}`, `whsk_${randomBytes(31).toString('base64')}`, `whsec_${randomBytes(10).toString('base64')}`, 'whpk_AAAA', randomBytes(32).toString('base64'), '']) assert.equal(readSigningKey(wrong), undefined, wrong)
  })

  test('says what has happened, and by default nothing of what is asked', async () => {
    await using receiver = await startReceiver()
    await show(receiver)
    assert.deepEqual(receiver.taken[0]?.body, {
      type: 'hold.opened', timestamp: '2023-11-14T22:13:20.000Z',
      data: { hold: hold().id, code: 'CS-7F3K', revision: 1, state: 'pending', digest: hold().action.digest, deadline: '2023-11-14T22:14:20.000Z', url: `https://approvals.example.org/holds/${hold().id}` },
    })
    const vote = { verdict: 'approve' as const, by: alice, channel: 'console' as const, assurance: 'console' as const, digest: hold().action.digest, at: 1_700_000_010_000 }
    for (const [of, occasion] of [[hold({ revision: 2, votes: [vote] }), 'change'], [hold(), 'reminder'], [hold({ revision: 3, state: 'denied', settledAt: 1_700_000_020_000 }), 'change'], [hold({ revision: 5, state: 'executed' }), 'change']] as const) await show(receiver, {}, of, occasion)
    assert.deepEqual(receiver.taken.slice(1).map(({ body }) => body['type']), ['hold.changed', 'hold.reminder', 'hold.denied', 'hold.executed'])
    assert.equal(receiver.taken[3]?.body['timestamp'], '2023-11-14T22:13:40.000Z')
    assert.ok(!receiver.taken.some(({ text }) => text.includes('exports') || text.includes('invoice-agent')))
  })

  test('says what was marked, in words of people only where there is more than that there is something', async () => {
    await using receiver = await startReceiver()
    const at = 1_700_000_030_000
    const marked = hold({ revision: 2, marks: [
      { what: 'escalated', at }, { what: 'handed-over', at, by: alice, to: { group: 'security' }, note: 'is this\u202e new?' },
      { what: 'broke-glass', at, by: alice, reason: 'Production is down, ticket 4711.', skipped: { groups: ['dba'], users: [] } }, { what: 'review-overdue', at }, { what: 'reviewed', at, by: alice, note: 'In order.' },
    ] })
    for (const occasion of ['escalated', 'handed-over', 'broke-glass', 'review-overdue', 'reviewed'] as const) for (const payload of ['none', 'summary'] as const) await show(receiver, { payload }, marked, occasion)
    const by = { issuer: alice.issuer, subject: 'alice' }
    const date = '2023-11-14T22:13:50.000Z'
    assert.deepEqual(receiver.taken.map(({ body }) => body['type']), ['escalated', 'handed-over', 'broke-glass', 'review-overdue', 'reviewed'].flatMap((what) => [`hold.${what}`, `hold.${what}`]))
    assert.deepEqual(receiver.taken.map(({ body }) => (body['data'] as { mark: unknown }).mark), [
      { at: date }, { at: date }, { at: date, by, to: { group: 'security' } }, { at: date, by, to: { group: 'security' }, note: 'is this\\u{202e} new?' },
      { at: date, by, skipped: { groups: ['dba'], users: [] }, reviewBy: '2023-11-17T22:13:50.000Z' }, { at: date, by, skipped: { groups: ['dba'], users: [] }, reviewBy: '2023-11-17T22:13:50.000Z', reason: 'Production is down, ticket 4711.' },
      { at: date }, { at: date }, { at: date, by }, { at: date, by, note: 'In order.' },
    ])
    assert.equal(new Set(receiver.taken.map(({ headers }) => headers['webhook-id'])).size, 5)
    assert.equal(receiver.taken[0]?.body['timestamp'], date)
  })

  test('a repeat can be told: one id for one look at a hold', async () => {
    await using receiver = await startReceiver()
    for (const each of [hold(), hold(), hold({ revision: 2 })]) await show(receiver, {}, each)
    await show(receiver, {}, hold(), 'reminder')
    assert.deepEqual(receiver.taken.map(({ headers }) => headers['webhook-id']), [`${hold().id}.1`, `${hold().id}.1`, `${hold().id}.2`, `${hold().id}.1.reminder`])
  })

  test('more leaves the house where that is said: who and why, or the text as well', async () => {
    await using receiver = await startReceiver()
    await show(receiver, { payload: 'summary' })
    const summary = receiver.taken[0]?.body['data'] as Record<string, unknown>
    assert.deepEqual(summary['rules'], [{ policy: 'p', rule: 'r', because: 'Exports leave.' }])
    assert.equal((summary['caller'] as { subject: string }).subject, 'invoice-agent')
    assert.deepEqual(summary['approvals'], { given: 0, needed: 1, groups: ['dba'] })
    assert.ok(!receiver.taken[0]?.text.includes('secret-thing'))
    await show(receiver, { payload: 'full' }, hold({ action: action(`DELETE \u202eevil ${'x'.repeat(65_536)}`) }))
    const [, { body }] = receiver.taken as [Received, Received]
    const { text, textCut } = body['data'] as { text: string; textCut: boolean }
    assert.ok(text.startsWith('DELETE \\u{202e}evil') && textCut)
  })

  test('an outline has no values and says so; hidden counts as cut', async () => {
    await using receiver = await startReceiver()
    await show(receiver, { payload: 'outline' }, hold({ statedReason: 's3cret', action: action("DELETE FROM t WHERE a = 's3cret'", { outline: "DELETE FROM t WHERE a = '•••'" }) }))
    await show(receiver, { payload: 'outline' }, hold({ action: action('TRUNCATE t', { outline: 'TRUNCATE t' }) }))
    await show(receiver, { payload: 'outline' }, hold({ action: action('s3cret') }))
    const told = receiver.taken.map(({ body }) => body['data'] as { text?: string; textCut?: boolean; valuesHidden?: boolean })
    assert.deepEqual(told.map(({ text, textCut, valuesHidden }) => [text, textCut, valuesHidden]), [["DELETE FROM t WHERE a = '•••'", true, true], ['TRUNCATE t', false, undefined], [undefined, undefined, undefined]])
    assert.ok(!receiver.taken.some(({ text }) => text.includes('s3cret')))
  })

  test('only a 2xx has taken it; a redirect is not followed; 429 and 503 say when; 410 ends it', async () => {
    await using receiver = await startReceiver()
    await using elsewhere = await startReceiver()
    receiver.answers.push([500], [302, { location: elsewhere.url }], [429, { 'retry-after': '7' }], [503], [410], [204])
    await assert.rejects(show(receiver), /HTTP 500/)
    await assert.rejects(show(receiver), /HTTP 302/)
    await assert.rejects(show(receiver), (error: unknown) => error instanceof Busy && error.retryAfterMs === 7_000)
    await assert.rejects(show(receiver), (error: unknown) => error instanceof Error && !(error instanceof Busy))
    await assert.rejects(show(receiver), Closed)
    assert.equal(await show(receiver), undefined)
    assert.deepEqual([receiver.taken.length, elsewhere.taken.length + elsewhere.refused.length], [1, 0])
  })

  test('never calls an address inside the company unless that is said, by name or by number', async () => {
    await using receiver = await startReceiver()
    await assert.rejects(show(receiver, { privateAddresses: false }), /address that we do not call/)
    await assert.rejects(makeWebhook(options(receiver.url.replace('127.0.0.1', 'localhost'), { privateAddresses: false }), consoleUrl, own).show({ hold: hold(), occasion: 'change', memory: undefined }, never), /resolves to no address that we call/)
    await makeWebhook(options(receiver.url.replace('127.0.0.1', 'localhost')), consoleUrl, own).show({ hold: hold(), occasion: 'change', memory: undefined }, never)
    for (const address of ['169.254.169.254', '[fd00:ec2::254]', '[::ffff:169.254.169.254]']) await assert.rejects(makeWebhook(options(`http://${address}/`), consoleUrl, own).show({ hold: hold(), occasion: 'change', memory: undefined }, never), /address that we do not call/)
    assert.equal(receiver.taken.length, 1)
  })

  test('hears of the holds that it asked for', () => {
    const wants = (interest: WebhookOptions['interest'], of: Hold = hold()): boolean => makeWebhook(options('http://127.0.0.1:1/', { interest }), consoleUrl, own).concerns(of)
    assert.deepEqual([{}, { services: ['orders'] }, { services: ['crm'] }, { tags: ['pii', 'card'] }, { tags: ['card'] }, { groups: ['dba'] }, { groups: ['security'] }, { services: ['orders'], groups: ['security'] }].map((interest) => wants(interest)), [true, true, false, true, false, true, false, false])
  })
})
