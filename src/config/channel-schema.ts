import { z } from 'zod'
import { duration, durationOrNone, flag, secret, secretFile, text, texts } from './fields.ts'

/* Where news of holds goes. */

const common = {
  only: z
    .strictObject({ services: texts('Only of these services.').min(1).optional(), tags: texts('Only where the action touches data with one of these tags.').min(1).optional(), groups: texts('Only where one of these groups is asked.').min(1).optional() })
    .prefault({})
    .describe('Which holds it hears of; all, if nothing is said.'),
  timeout: duration('For one message.', '15s'),
  'private-addresses': flag('Whether the name may lead to an address inside the company, or to this machine.', false),
}

/** A program that decides wants to hear of each; people want to hear of a flood once. */
const group = (standard: '0s' | '10s') => durationOrNone('Holds of one caller that differ in nothing but values and come within so long after each other are told by one message, which shows the first and says how many more wait. 0s: each has its own.', standard)

const payload = (standard: 'none' | 'summary') => z.enum(['none', 'summary', 'outline', 'full']).default(standard).describe('How much of a hold leaves the house: that there is one and where to look at it; who asks for what, by which rules; its text as well, without the values in it; its text.')

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
      'group-within': group('0s'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('advisor').describe('A program or a model that is asked what it thinks of a hold. Its answer is shown to people, marked as that, and counts for nothing.'),
      url: text('Where it is asked: it answers `{ "opinion": "…" }`.'),
      payload: payload('summary'),
      secret: secret('What questions are signed with, as messages of a webhook are. Without one, an Ed25519 key of this deployment.').optional(),
      'secret-file': secretFile('secret').optional(),
      'previous-secret': secret('Signs beside `secret` until the advisor has changed over.').optional(),
      'previous-secret-file': secretFile('previous-secret').optional(),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('pagerduty').describe('An incident for as long as a hold is undecided, by the Events API v2.'),
      url: text('Where to. In the EU: https://events.eu.pagerduty.com/v2/enqueue.').default('https://events.pagerduty.com/v2/enqueue'),
      'routing-key': secret('The integration key.').optional(),
      'routing-key-file': secretFile('routing-key').optional(),
      severity: z.enum(['critical', 'error', 'warning', 'info']).default('warning').describe('Of the incident.'),
      'group-within': group('10s'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('slack').describe('A message in Slack for each hold, with buttons where clicks reach us: by Socket Mode (`app-token`) or by HTTP (`signing-secret`).'),
      url: text('Of the Web API. For GovSlack: https://slack-gov.com/api.').default('https://slack.com/api'),
      channel: text('Id of the conversation, such as C0123456789; never its name.'),
      token: secret('The bot token, `xoxb-…`.').optional(),
      'token-file': secretFile('token').optional(),
      payload: payload('summary'),
      'app-token': secret('For Socket Mode, `xapp-…`: clicks come over a connection that we open.').optional(),
      'app-token-file': secretFile('app-token').optional(),
      'signing-secret': secret('For HTTP: Slack posts clicks to `/slack/interactions` of the console, signed with it.').optional(),
      'signing-secret-file': secretFile('signing-secret').optional(),
      'previous-signing-secret': secret('Accepted beside `signing-secret` while it is changed.').optional(),
      'previous-signing-secret-file': secretFile('previous-signing-secret').optional(),
      workspaces: texts('Ids of the workspaces whose members may decide, such as T0123456789.').max(50).default([]),
      'shared-channel': flag('Whether it may be a channel that is shared with another company.', false),
      'link-max-age': duration('Then people say anew whose an account is.', '30d'),
      'groups-max-age': duration('Whoever has not come to the console, or with a token to the API, for so long does not decide in the chat.', '24h'),
      'group-within': group('10s'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('teams-webhook').describe('Cards into a chat of Microsoft Teams, by a Workflows hook. People decide in the console.'),
      url: secret('Address of the hook: whoever knows it can post there.').optional(),
      'url-file': secretFile('url').optional(),
      payload: payload('none'),
      'group-within': group('10s'),
      ...common,
    }),
    z.strictObject({
      kind: z.literal('teams-bot').describe('A card in Microsoft Teams for each hold, on which people decide: by a bot of your own, which posts clicks to `/teams/activities` of the console.'),
      'app-id': text('Id of the bot, registered in this one tenant.'),
      'app-secret': secret('Its client secret.').optional(),
      'app-secret-file': secretFile('app-secret').optional(),
      tenant: text('Id of the tenant: its members decide, and nobody else.'),
      issuer: text('Short name of the Entra issuer whose people they are.'),
      conversation: text('Id of the channel or chat, such as `19:…@thread.tacv2`.'),
      'service-url': text('Of the Bot Connector.').default('https://smba.trafficmanager.net/teams/'),
      payload: payload('summary'),
      'groups-max-age': duration('Whoever has not come to the console, or with a token to the API, for so long does not decide in the chat.', '24h'),
      connector: z
        .strictObject({
          issuer: text('Of its tokens. Default: https://api.botframework.com.').optional(),
          'jwks-url': text('Keys that sign them. Default: https://login.botframework.com/v1/.well-known/keys.').optional(),
          'token-url': text('Where the bot gets its own. Default: that of the tenant at login.microsoftonline.com.').optional(),
          scope: text('Of its own. Default: https://api.botframework.com/.default.').optional(),
          'service-hosts': texts('Hosts that get the bot\'s token; `*.` in front stands for any name. Default: smba.trafficmanager.net, *.botframework.com.').min(1).optional(),
        })
        .prefault({})
        .describe('For sovereign clouds: where the Bot Connector is.'),
      'group-within': group('10s'),
      ...common,
    }),
  ])
  .describe('Where news of holds goes. A message decides nothing, and one that does not arrive changes nothing.')
