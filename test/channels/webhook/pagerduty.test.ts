import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Occasion } from '../../../src/approval/channel.ts'
import { makePagerDuty } from '../../../src/channels/webhook/pagerduty.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Hold, HoldState } from '../../../src/model/hold.ts'
import { action, agent, terms } from '../../approval/world.ts'
import { startReceiver, type Received } from './receiver.ts'

/** What the Events API v2 asks of an event. */
const wrong = ({ body }: Received): string | undefined => {
  if (body['routing_key'] !== 'R0UTE') return 'Invalid routing key'
  if (!['trigger', 'acknowledge', 'resolve'].includes(String(body['event_action']))) return 'event_action'
  if (typeof body['dedup_key'] !== 'string' || body['dedup_key'].length > 255) return 'dedup_key'
  const payload = body['payload'] as Record<string, unknown> | undefined
  if (body['event_action'] === 'trigger' && (typeof payload?.['summary'] !== 'string' || payload['summary'].length > 1_024 || typeof payload['source'] !== 'string' || !['critical', 'error', 'warning', 'info'].includes(String(payload['severity'])))) return 'payload'
  return undefined
}

const hold = (state: HoldState = 'pending', subject = 'invoice-agent'): Hold => ({
  id: 'hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', code: 'CS-7F3K', revision: 1, state, caller: { ...agent, subject }, action: action(), terms: terms(), matched: [], policyVersion: 'v1', votes: [], openedAt: 1_700_000_000_000, deadline: 1_700_000_060_000,
})

describe('pagerduty', () => {
  test('an incident while a hold is undecided, resolved by any end, and nothing twice', async () => {
    await using receiver = await startReceiver(wrong)
    const channel = makePagerDuty({ kind: 'pagerduty', name: 'pager', url: receiver.url, interest: {}, timeoutMs: 2_000, privateAddresses: true, routingKey: new Secret('R0UTE'), severity: 'critical' }, () => 'https://approvals.example.org')
    const show = (of: Hold, memory: string | undefined, occasion: Occasion = 'change') => channel.show({ hold: of, occasion, memory }, new AbortController().signal)
    assert.equal(await show(hold('denied'), undefined), undefined)
    assert.equal(await show(hold('pending', `\u202e${'x'.repeat(2_000)}`), undefined), 'trigger')
    assert.equal(await show(hold(), 'trigger'), 'trigger')
    assert.equal(await show(hold(), 'trigger', 'reminder'), 'trigger')
    assert.equal(await show(hold('approved'), 'trigger'), 'resolve')
    assert.equal(await show(hold('executed'), 'resolve'), 'resolve')
    assert.deepEqual(receiver.taken.map(({ body }) => [body['event_action'], body['dedup_key'], body['client_url']]), [['trigger', hold().id, `https://approvals.example.org/holds/${hold().id}`], ['resolve', hold().id, `https://approvals.example.org/holds/${hold().id}`]])
    assert.match(JSON.stringify(receiver.taken[0]?.body), /\\\\u\{202e\}/)
    assert.equal(receiver.refused.length, 0)
  })

  test('a broken glass is an incident until somebody has reviewed it, also where the hold was of no concern', async () => {
    await using receiver = await startReceiver(wrong)
    const channel = makePagerDuty({ kind: 'pagerduty', name: 'pager', url: receiver.url, interest: {}, timeoutMs: 2_000, privateAddresses: true, routingKey: new Secret('R0UTE'), severity: 'critical' }, () => 'https://approvals.example.org')
    const show = (of: Hold, memory: string | undefined, occasion: Occasion) => channel.show({ hold: of, occasion, memory }, new AbortController().signal)
    const ira = { issuer: 'https://idp.test', subject: 'ira', kind: 'human', groups: [] } as const
    const broken: Hold = { ...hold('executed'), marks: [{ what: 'broke-glass', at: 1, by: ira, reason: 'Incident 4711', skipped: { groups: ['dba'], users: [] } }] }
    const reviewed: Hold = { ...broken, marks: [...broken.marks ?? [], { what: 'reviewed', at: 2, by: ira, note: 'In order.' }] }
    for (const memory of [undefined, 'trigger']) assert.equal(await show(broken, memory, 'broke-glass'), 'broken')
    assert.equal(await show(broken, 'broken', 'change'), 'broken')
    assert.equal(await show(reviewed, 'broken', 'reviewed'), 'resolve')
    assert.deepEqual(receiver.taken.map(({ body }) => body['event_action']), ['trigger', 'trigger', 'resolve'])
    assert.match(String((receiver.taken[0]?.body['payload'] as { summary: string } | undefined)?.summary), /GLASS BROKEN, to be reviewed/)
    assert.equal(receiver.refused.length, 0)
  })
})
