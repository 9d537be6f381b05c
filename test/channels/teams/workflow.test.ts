import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeTeamsWebhook } from '../../../src/channels/teams/workflow.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { startReceiver, type Receiver } from '../webhook/receiver.ts'
import { cardProblems } from './card-rules.ts'
import { held } from './holds.ts'

/** What a Workflows hook takes: one message with one card that its renderer knows. */
const wrong = ({ body }: { readonly body: Readonly<Record<string, unknown>> }): string | undefined => {
  const [attachment, ...more] = body['attachments'] as { contentType?: string; content?: unknown }[]
  if (body['type'] !== 'message' || more.length > 0 || attachment?.contentType !== 'application/vnd.microsoft.card.adaptive') return 'no message with a card'
  return cardProblems(attachment.content).join('; ') || undefined
}

const contentOf = (receiver: Receiver): readonly string[] => receiver.taken.map(({ body }) => JSON.stringify((body['attachments'] as { content: unknown }[])[0]?.content))

const make = (receiver: Receiver, payload: 'none' | 'summary' | 'full' = 'summary') => {
  const channel = makeTeamsWebhook({ kind: 'teams-webhook', name: 'team', url: new Secret(`${receiver.url}?sig=s1gnature`), interest: {}, timeoutMs: 2_000, privateAddresses: true, payload }, () => 'https://approvals.example.org')
  const show = (hold: Hold, memory: string | undefined, occasion: 'change' | 'reminder' = 'change') => channel.show({ hold, occasion, memory }, new AbortController().signal)
  return { channel, show }
}

describe('teams workflow hook', () => {
  test('one card for the opening, one as a reminder, one for each end, and nothing twice', async () => {
    await using receiver = await startReceiver(wrong)
    const { show } = make(receiver)
    assert.equal(await show(held({ state: 'denied' }), undefined), undefined)
    assert.equal(await show(held(), undefined), 'pending')
    assert.equal(await show(held({ revision: 2 }), 'pending'), 'pending')
    assert.equal(await show(held({ revision: 2 }), 'pending', 'reminder'), 'pending')
    assert.equal(await show(held({ state: 'approved', runBy: 1_700_000_090_000 }), 'pending'), 'approved')
    assert.equal(await show(held({ state: 'running' }), 'approved'), 'approved')
    assert.equal(await show(held({ state: 'executed', outcome: { result: 'executed', status: '204', rows: 3, ms: 41.2 } }), 'approved'), 'executed')
    assert.deepEqual(receiver.refused, [])
    const cards = contentOf(receiver)
    assert.deepEqual(cards.map((card) => /"text":"[^"]*?(Waiting|Approved|Executed)"/.exec(card)?.[1]), ['Waiting', 'Waiting', 'Approved', 'Executed'])
    assert.match(cards[1] ?? '', /half of the time/)
    assert.match(cards[3] ?? '', /executed, 204, 3 rows, 41 ms/)
    for (const card of cards) assert.match(card, /https:\/\/approvals\.example\.org\/holds\/hold_a{26}/)
  })

  test('there is no button that decides, and the address is nowhere', async () => {
    await using receiver = await startReceiver(wrong)
    const { show } = make(receiver, 'full')
    await show(held(), undefined)
    assert.doesNotMatch(contentOf(receiver)[0] ?? '', /Action\.Execute|Action\.Submit|s1gnature/)
    receiver.answers.push([403])
    await assert.rejects(show(held({ state: 'denied' }), 'pending'), (error: Error) => !/s1gnature|127\.0\.0\.1/.test(`${error.message} ${error.stack}`))
  })
})
