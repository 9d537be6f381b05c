import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Closed } from '../../../src/approval/channel.ts'
import type { SlackOptions } from '../../../src/channels/slack/options.ts'
import { makePace } from '../../../src/channels/slack/pace.ts'
import { makeSlack } from '../../../src/channels/slack/slack.ts'
import { Busy } from '../../../src/lib/receiver.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { buttonOf, startFakeSlack, type FakeSlack } from './fake-slack.ts'
import { consoleUrl, sampleHold, slackOptions } from './sample.ts'

const never = new AbortController().signal
const silent = { info: () => {}, warn: () => {}, error: () => {} }

const channelOf = (slack: FakeSlack, over: Partial<SlackOptions> = {}) => makeSlack(slackOptions(slack.url, over), () => consoleUrl, silent, 0)
const shower = (slack: FakeSlack, over: Partial<SlackOptions> = {}) => {
  const channel = channelOf(slack, over)
  return (hold: Hold, memory?: string, occasion: 'change' | 'reminder' = 'change') => channel.show({ hold, occasion, memory }, never)
}

describe('slack', () => {
  test('one message, kept up to date to the result, by whichever replica', async () => {
    await using slack = await startFakeSlack()
    const memory = await shower(slack)(sampleHold())
    assert.equal(slack.messages.length, 1)
    assert.equal(slack.messages[0]?.channel, 'C0APPROVALS')
    assert.ok(buttonOf(slack.messages[0]!, 'Approve'))
    const other = shower(slack)
    for (const state of ['approved', 'running', 'executed'] as const) assert.equal(await other(sampleHold({ state, ...(state === 'executed' ? { outcome: { result: 'executed' as const, rows: 3, ms: 41 } } : {}) }), memory), memory)
    assert.equal(slack.messages.length, 1)
    assert.equal(slack.messages[0]?.changes, 3)
    assert.match(JSON.stringify(slack.messages[0]), /executed, 3 rows, 41 ms/)
    assert.throws(() => buttonOf(slack.messages[0]!, 'Approve'))
    assert.deepEqual(slack.refused, [])
  })

  test('what was over before it could be told is not told', async () => {
    await using slack = await startFakeSlack()
    for (const state of ['denied', 'expired', 'executed'] as const) assert.equal(await shower(slack)(sampleHold({ state })), undefined)
    assert.deepEqual(slack.messages, [])
  })

  test('the reminder stands in the thread of the message', async () => {
    await using slack = await startFakeSlack()
    const show = shower(slack)
    const memory = await show(sampleHold())
    assert.equal(await show(sampleHold(), memory, 'reminder'), memory)
    assert.equal(slack.messages[1]?.thread, slack.messages[0]?.ts)
    assert.match(JSON.stringify(slack.messages[1]?.blocks), /half of the time is over/)
    assert.equal(slack.messages[1]?.text, 'News of CS-7F3K')
  })

  test('a message that somebody deleted comes again while the hold waits, and not afterwards', async () => {
    await using slack = await startFakeSlack()
    const show = shower(slack)
    const memory = await show(sampleHold())
    slack.messages.length = 0
    const again = await show(sampleHold({ revision: 2 }), memory)
    assert.notEqual(again, memory)
    assert.equal(slack.messages.length, 1)
    slack.messages.length = 0
    assert.equal(await show(sampleHold({ revision: 3, state: 'denied' }), again), again)
    assert.equal(slack.messages.length, 0)
  })

  test('a card that Slack does not take is told without what it is, first and later', async () => {
    await using slack = await startFakeSlack()
    const show = shower(slack)
    slack.answers.set('chat.postMessage', ['invalid_blocks'])
    const memory = await show(sampleHold())
    const [message] = slack.messages
    assert.ok(message && !JSON.stringify(message).includes('DELETE'))
    assert.throws(() => buttonOf(message, 'Approve'))
    assert.ok(buttonOf(message, 'Open full review'))
    slack.answers.set('chat.update', ['msg_blocks_too_long'])
    assert.equal(await show(sampleHold({ state: 'denied' }), memory), memory)
    assert.match(JSON.stringify(message.blocks), /Denied: CS-7F3K/)
    slack.answers.set('chat.update', ['invalid_blocks', 'invalid_blocks'])
    await assert.rejects(show(sampleHold({ state: 'denied' }), memory), /invalid_blocks/)
  })

  test('Retry-After is obeyed by everything that goes to this conversation', async () => {
    await using slack = await startFakeSlack()
    const show = shower(slack)
    slack.answers.set('chat.postMessage', [{ status: 429, headers: { 'retry-after': '30' } }])
    const busy = (error: unknown): boolean => error instanceof Busy && error.retryAfterMs > 29_000 && error.retryAfterMs <= 30_000
    await assert.rejects(show(sampleHold()), busy)
    const calls = slack.calls.length
    await assert.rejects(show(sampleHold()), busy)
    assert.equal(slack.calls.filter((name) => name === 'chat.postMessage').length, 1)
    assert.ok(slack.calls.length >= calls)
  })

  test('messages to one conversation take turns', async () => {
    const pace = makePace(3_600_000)
    await pace.turn(never)
    const leaving = new AbortController()
    const second = pace.turn(leaving.signal)
    leaving.abort()
    await assert.rejects(second, { name: 'AbortError' })
  })

  test('a token that is not good closes the channel; what passes does not', async () => {
    await using slack = await startFakeSlack()
    for (const code of ['invalid_auth', 'token_revoked', 'missing_scope']) {
      slack.answers.set('chat.postMessage', [code])
      await assert.rejects(shower(slack)(sampleHold()), (error) => error instanceof Closed && error.message.includes(code))
    }
    for (const code of ['internal_error', 'is_archived', 'fatal_error']) {
      slack.answers.set('chat.postMessage', [code])
      await assert.rejects(shower(slack)(sampleHold()), (error) => error instanceof Error && !(error instanceof Closed))
    }
    slack.scopes = 'channels:read'
    await assert.rejects(shower(slack)(sampleHold()), (error) => error instanceof Closed && error.message.includes('chat:write'))
    await assert.rejects(shower(slack, { token: new Secret('xoxb-other') })(sampleHold()), (error) => error instanceof Closed && !error.message.includes('xoxb'))
  })

  test('nothing is said where another company reads along, unless that is meant', async () => {
    await using slack = await startFakeSlack()
    slack.shared = true
    await assert.rejects(shower(slack)(sampleHold()), /shared with another company/)
    assert.deepEqual(slack.messages, [])
    await shower(slack, { sharedChannel: true })(sampleHold())
    assert.equal(slack.messages.length, 1)
  })

  test('of a hold leaves the house what the channel may tell', async () => {
    await using slack = await startFakeSlack()
    for (const payload of ['none', 'summary', 'full'] as const) await shower(slack, { payload })(sampleHold())
    const [none = '', summary = '', full = ''] = slack.messages.map((message) => JSON.stringify(message.blocks))
    for (const part of ['DELETE', 'crm-db', 'alice', 'customers', 'Clean-up']) assert.ok(!none.includes(part), part)
    for (const part of ['public.customers', 'DELETE FROM', 'Clean-up']) assert.deepEqual([summary.includes(part), full.includes(part)], [false, true], part)
    for (const part of ['48,120', 'crm-db', 'alice']) assert.ok(summary.includes(part), part)
  })
})
