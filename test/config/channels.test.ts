import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { configText, makeFolder, policyText } from './folder.ts'

const withChannel = (members: string, more = ''): string => configText(`channels: { ops: { ${members} } }\n${more}`)
const key = `whsk_${randomBytes(32).toString('base64')}`

test('channels, with what is said and what is not', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const [hook] = (await folder.config(withChannel('kind: webhook, url: "https://hooks.example.com/x", secret: "${env:KEY}", payload: summary, only: { services: [orders-api], tags: [pii] }'), { KEY: key })).channels
  assert.ok(hook?.kind === 'webhook')
  assert.equal(hook.secrets[0]?.reveal(), key)
  assert.deepEqual({ ...hook, secrets: [] }, { kind: 'webhook', name: 'ops', url: 'https://hooks.example.com/x', interest: { services: ['orders-api'], tags: ['pii'] }, timeoutMs: 15_000, groupWithinMs: 0, privateAddresses: false, payload: 'summary', secrets: [] })
  const [pager] = (await folder.config(withChannel('kind: pagerduty, routing-key: "${env:KEY}"'), { KEY: 'R0UTE' })).channels
  assert.ok(pager?.kind === 'pagerduty')
  assert.deepEqual([pager.url, pager.severity, pager.routingKey.reveal(), pager.interest], ['https://events.pagerduty.com/v2/enqueue', 'warning', 'R0UTE', {}])
  const [team] = (await folder.config(withChannel('kind: teams-webhook, url: "${env:HOOK}"'), { HOOK: 'https://example.westeurope.logic.azure.com/workflows/1?sig=h1dden' })).channels
  assert.ok(team?.kind === 'teams-webhook')
  assert.deepEqual([team.url.reveal(), team.payload, team.timeoutMs], ['https://example.westeurope.logic.azure.com/workflows/1?sig=h1dden', 'none', 15_000])
  assert.equal((await folder.config(withChannel('kind: webhook, url: "http://127.0.0.1:9/", private-addresses: true'))).channels.length, 1)
  assert.deepEqual((await folder.config(configText())).channels, [])
})

const slack = 'kind: slack, channel: C0123456789, token: "${env:BOT}"'
const signIn = `listeners: { console: { url: "https://approvals.example.org", sign-in: { issuer: corp, client-id: console } } }\n`

test('slack, with clicks by a socket, by HTTP, and without', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const env = { BOT: 'xoxb-1', APP: 'xapp-1', NEW: 'n3w', OLD: '0ld' }
  const one = async (members: string) => {
    const [channel] = (await folder.config(withChannel(`${slack}${members}`, signIn), env)).channels
    assert.ok(channel?.kind === 'slack')
    return channel
  }
  const plain = await one('')
  assert.deepEqual([plain.url, plain.payload, plain.interactivity, plain.sharedChannel, plain.linkMaxAgeMs, plain.groupsMaxAgeMs, plain.token.reveal()], ['https://slack.com/api', 'summary', undefined, false, 30 * 86_400_000, 86_400_000, 'xoxb-1'])
  const socket = await one(', workspaces: [T0123456789], app-token: "${env:APP}"')
  assert.ok(socket.interactivity?.by === 'socket' && socket.interactivity.appToken.reveal() === 'xapp-1')
  const http = await one(', workspaces: [T0123456789], signing-secret: "${env:NEW}", previous-signing-secret: "${env:OLD}", payload: full')
  assert.ok(http.interactivity?.by === 'http')
  assert.deepEqual(http.interactivity.signingSecrets.map((secret) => secret.reveal()), ['n3w', '0ld'])
})

test('slack: what cannot be meant does not load', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const env = { BOT: 'xoxb-h1dden', APP: 'xapp-h1dden', WRONG: 'h1dden' }
  const cases: readonly (readonly [string, RegExp, string?])[] = [
    ['kind: slack, token: "${env:BOT}"', /channel/],
    ['kind: slack, channel: approvals, token: "${env:BOT}"', /no id of a conversation/],
    ['kind: slack, channel: C0123456789', /token/],
    ['kind: slack, channel: C0123456789, token: "${env:WRONG}"', /begins with xoxb-/],
    [`${slack}, workspaces: [T0123456789], app-token: "\${env:WRONG}"`, /begins with xapp-/],
    [`${slack}, workspaces: [home], app-token: "\${env:APP}"`, /no id of a workspace/],
    [`${slack}, app-token: "\${env:APP}"`, /workspaces whose members decide/],
    [`${slack}, workspaces: [T0123456789], app-token: "\${env:APP}"`, /sign-in is missing/, ''],
    [`${slack}, workspaces: [T0123456789], app-token: "\${env:APP}", signing-secret: "\${env:WRONG}"`, /one of them/],
    [`${slack}, previous-signing-secret: "\${env:WRONG}"`, /belongs to "signing-secret"/],
    [`${slack}, groups-max-age: 31d`, /not be more than 30d/],
    [`${slack}, url: "http://slack.com/api"`, /must be https/],
  ]
  for (const [members, expected, more = signIn] of cases) {
    const [problem = '', ...others] = await folder.problems(withChannel(members, more), env)
    assert.match(problem, expected, members)
    assert.ok(!problem.includes('h1dden'), problem)
    assert.deepEqual(others, [], members)
  }
  assert.match((await folder.problems(configText(`channels: { one: { ${slack} }, two: { ${slack} } }\n`), env))[0] ?? '', /channels\.two\.channel: is the conversation of the channel "one"/)
})

test('what cannot be meant does not load, and says nothing of a secret or of the address of a hook', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const hook = 'kind: webhook, url: "https://hooks.example.com/h1dden"'
  const cases: readonly (readonly [string, RegExp])[] = [
    ['kind: webhook', /url/],
    ['kind: webhook, url: "http://hooks.example.com/h1dden"', /must be https/],
    ['kind: webhook, url: "https://user:h1dden@hooks.example.com/"', /holds credentials/],
    ['kind: webhook, url: "https://169.254.169.254/h1dden"', /link-local/],
    ['kind: webhook, url: "http://127.0.0.1:9/h1dden"', /private-addresses: true/],
    [`${hook}, secret: "\${env:KEY}"`, /is no key of a webhook/],
    [`${hook}, secret: h1dden`, /use a reference|must be a reference/],
    [`${hook}, payload: everything`, /payload/],
    [`${hook}, only: { services: [order-api] }`, /no service is called "order-api".*orders-api/],
    [`${hook}, only: { tags: [] }`, /tags/],
    ['kind: pagerduty', /routing-key/],
    ['kind: pagerduty, routing-key: "${env:KEY}", payload: full', /unknown key "payload"/],
    ['kind: teams-webhook', /url/],
    ['kind: teams-webhook, url: "https://example.logic.azure.com/?sig=h1dden"', /use a reference/],
    ['kind: teams-webhook, url: "${env:KEY}"', /is no URL/],
    ['kind: teams-webhook, url: "${env:LOCAL}"', /private-addresses: true/],
    ['kind: slak', /slak|kind/],
  ]
  for (const [members, expected] of cases) {
    const [problem = '', ...more] = await folder.problems(withChannel(members), { KEY: 'h1dden', LOCAL: 'http://127.0.0.1:9/h1dden' })
    assert.match(problem, expected, members)
    assert.ok(!problem.includes('h1dden'), problem)
    assert.deepEqual(more, [])
  }
  assert.match((await folder.problems(withChannel(hook, 'outbound: { hosts: [login.example.com] }\n')))[0] ?? '', /outbound.hosts does not name/)
})
