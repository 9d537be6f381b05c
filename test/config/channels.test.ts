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
  assert.deepEqual({ ...hook, secrets: [] }, { kind: 'webhook', name: 'ops', url: 'https://hooks.example.com/x', interest: { services: ['orders-api'], tags: ['pii'] }, timeoutMs: 15_000, privateAddresses: false, payload: 'summary', secrets: [] })
  const [pager] = (await folder.config(withChannel('kind: pagerduty, routing-key: "${env:KEY}"'), { KEY: 'R0UTE' })).channels
  assert.ok(pager?.kind === 'pagerduty')
  assert.deepEqual([pager.url, pager.severity, pager.routingKey.reveal(), pager.interest], ['https://events.pagerduty.com/v2/enqueue', 'warning', 'R0UTE', {}])
  const [team] = (await folder.config(withChannel('kind: teams-webhook, url: "${env:HOOK}"'), { HOOK: 'https://example.westeurope.logic.azure.com/workflows/1?sig=h1dden' })).channels
  assert.ok(team?.kind === 'teams-webhook')
  assert.deepEqual([team.url.reveal(), team.payload, team.timeoutMs], ['https://example.westeurope.logic.azure.com/workflows/1?sig=h1dden', 'none', 15_000])
  assert.equal((await folder.config(withChannel('kind: webhook, url: "http://127.0.0.1:9/", private-addresses: true'))).channels.length, 1)
  assert.deepEqual((await folder.config(configText())).channels, [])
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
