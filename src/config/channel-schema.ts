import { z } from 'zod'
import { duration, flag, secret, secretFile, text, texts } from './fields.ts'

/* Where news of holds goes. */

const common = {
  only: z
    .strictObject({ services: texts('Only of these services.').min(1).optional(), tags: texts('Only where the action touches data with one of these tags.').min(1).optional(), groups: texts('Only where one of these groups is asked.').min(1).optional() })
    .prefault({})
    .describe('Which holds it hears of; all, if nothing is said.'),
  timeout: duration('For one message.', '15s'),
  'private-addresses': flag('Whether the name may lead to an address inside the company, or to this machine.', false),
}

const payload = (standard: 'none' | 'summary') => z.enum(['none', 'summary', 'full']).default(standard).describe('How much of a hold leaves the house: that there is one and where to look at it; who asks for what, by which rules; its text as well.')

export const channel = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('webhook').describe('Signed messages by Standard Webhooks.'),
      url: text('Where to.'),
      payload: payload('none'),
      secret: secret('What messages are signed with: `whsk_…` (Ed25519) or `whsec_…` (HMAC-SHA256). Without one, an Ed25519 key of this deployment; `countersign channels` shows its public half.').optional(),
      'secret-file': secretFile('secret').optional(),
      'previous-secret': secret('Signs beside `secret` until every receiver has changed over.').optional(),
      'previous-secret-file': secretFile('previous-secret').optional(),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('pagerduty').describe('An incident for as long as a hold is undecided, by the Events API v2.'),
      url: text('Where to. In the EU: https://events.eu.pagerduty.com/v2/enqueue.').default('https://events.pagerduty.com/v2/enqueue'),
      'routing-key': secret('The integration key.').optional(),
      'routing-key-file': secretFile('routing-key').optional(),
      severity: z.enum(['critical', 'error', 'warning', 'info']).default('warning').describe('Of the incident.'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('teams-webhook').describe('Cards into a chat of Microsoft Teams, by a Workflows hook. People decide in the console.'),
      url: secret('Address of the hook: whoever knows it can post there.').optional(),
      'url-file': secretFile('url').optional(),
      payload: payload('none'),
      ...common,
    }),
  ])
  .describe('Where news of holds goes. A message decides nothing, and one that does not arrive changes nothing.')
