import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeFolder } from './folder.ts'

const tenant = '11111111-2222-4333-8444-555555555555'
const appId = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
const members = (over: Readonly<Record<string, string>> = {}): string =>
  Object.entries({ kind: 'teams-bot', 'app-id': appId, 'app-secret': '"${env:BOT}"', tenant, issuer: 'entra', conversation: '"19:0123@thread.tacv2"', ...over }).filter(([, value]) => value !== '').map(([key, value]) => `${key}: ${value}`).join(', ')
const text = (channel = members(), signIn = 'sign-in: { issuer: entra, client-id: countersign }'): string => `listeners: { console: { ${signIn} } }
issuers:
  corp: { issuer: https://login.example.com, audiences: [countersign] }
  entra: { preset: entra, tenants: [99999999-2222-4333-8444-555555555555, ${tenant}], audiences: [countersign] }
services:
  orders-api: { upstream: "http://127.0.0.1:9000" }
policies: [./policies]
channels: { chat: { ${channel} } }
`

test('a bot knows its tenant, the issuer of its people and where the Connector is', async () => {
  using folder = makeFolder()
  const [bot] = (await folder.config(text(), { BOT: 's3cret' })).channels
  assert.ok(bot?.kind === 'teams-bot')
  assert.equal(bot.appSecret.reveal(), 's3cret')
  assert.equal(bot.issuer, `https://login.microsoftonline.com/${tenant}/v2.0`)
  assert.deepEqual(bot.connector, { issuer: 'https://api.botframework.com', jwksUrl: 'https://login.botframework.com/v1/.well-known/keys', tokenUrl: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`, scope: 'https://api.botframework.com/.default', serviceHosts: ['smba.trafficmanager.net', '*.botframework.com'] })
  assert.deepEqual([bot.tenant, bot.conversation, bot.serviceUrl, bot.payload, bot.groupsMaxAgeMs], [tenant, '19:0123@thread.tacv2', 'https://smba.trafficmanager.net/teams/', 'summary', 86_400_000])
  const [gov] = (await folder.config(text(members({ 'service-url': 'https://smba.infra.gov.teams.microsoft.us/', connector: '{ issuer: "https://api.botframework.us", jwks-url: "https://login.botframework.azure.us/v1/.well-known/keys", token-url: "https://login.microsoftonline.us/x/oauth2/v2.0/token", scope: "https://api.botframework.us/.default", service-hosts: ["smba.infra.gov.teams.microsoft.us"] }' })), { BOT: 's3cret' })).channels
  assert.ok(gov?.kind === 'teams-bot')
  assert.equal(gov.connector.issuer, 'https://api.botframework.us')
})

test('what cannot be meant does not load', async () => {
  using folder = makeFolder()
  for (const [given, expected] of [
    [text(members({ 'app-secret': '' })), /app-secret/],
    [text(members({ 'app-secret': 's3cret' })), /never written down/],
    [text(members({ tenant: 'contoso.example' })), /tenant: is no id/],
    [text(members({ issuer: 'corp' })), /another preset than entra/],
    [text(members({ issuer: 'entr' })), /no issuer is called "entr"/],
    [text(members({ tenant: '22222222-2222-4333-8444-555555555555' })), /does not accept the tenant/],
    [text(members({ conversation: '"19:0123@thread.tacv2;messageid=1"' })), /one thread/],
    [text(members({ 'service-url': 'https://evil.example/' })), /must be https on one of/],
    [text(members({ connector: '{ jwks-url: "http://keys.example" }' })), /must be https/],
    [text(members({ connector: '{ service-hosts: ["*"] }' })), /no host|must be https on one of/],
    [text(members({ 'groups-max-age': '31d' })), /not be more than 30d/],
    [text(members(), ''), /sign-in is missing/],
  ] as const) {
    const problems = await folder.problems(given, { BOT: 's3cret' })
    assert.ok(problems.some((problem) => expected.test(problem)), `${String(expected)} in ${problems.join('\n')}`)
    assert.ok(!problems.join().includes('s3cret'))
  }
})
