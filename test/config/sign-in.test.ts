import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configText, makeFolder, policyText } from './folder.ts'

const withSignIn = (members: string): string => configText(`listeners: { console: { sign-in: { ${members} } } }\n`)

test('how people sign in', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const { console: options } = await folder.config(withSignIn('issuer: corp, client-id: console, client-secret: "${env:SECRET}", scopes: [openid, groups], idle: 10m, step-up: { acr-values: [phr, mfa] }'), { SECRET: 's3cret' })
  assert.equal(options.signIn?.clientSecret?.reveal(), 's3cret')
  assert.deepEqual({ ...options.signIn, clientSecret: undefined }, { issuer: 'https://login.example.com', clientId: 'console', clientSecret: undefined, scopes: ['openid', 'groups'], idleMs: 600_000, maxAgeMs: 28_800_000, stepUp: { acrValues: ['phr', 'mfa'], withinMs: 300_000 } })
  assert.equal((await folder.config(configText())).console.signIn, undefined)
  assert.equal((await folder.config(withSignIn('issuer: corp, client-id: console'))).console.signIn?.clientSecret, undefined)
})

test('what cannot be meant does not load', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const cases: readonly (readonly [string, RegExp])[] = [
    ['issuer: crop, client-id: console', /no issuer is called "crop"/],
    ['issuer: corp', /client-id/],
    ['issuer: corp, client-id: console, client-secret: s3cret', /use a reference/],
    ['issuer: corp, client-id: console, scopes: [profile]', /lacks openid/],
    ['issuer: corp, client-id: console, max-age: 2d', /at most 24h/],
    ['issuer: corp, client-id: console, step-up: { within: 2h }', /at most 1h/],
    ['issuer: corp, client-id: console, step-up: { acr-values: [phr mfa] }', /is one value/],
    ['issuer: corp, client-id: console, redirect: x', /unknown key "redirect"/],
  ]
  for (const [members, expected] of cases) {
    const [problem = '', ...more] = await folder.problems(withSignIn(members))
    assert.match(problem, expected, members)
    assert.ok(!problem.includes('s3cret'))
    assert.deepEqual(more, [])
  }
})

test('rules can ask for passkeys and fresh logins where people sign in, and for passkeys only under a name', async () => {
  using folder = makeFolder()
  folder.write('policies/orders.yaml', policyText)
  const facts = async (listeners: string) => {
    const { policyFacts } = await folder.config(configText(`listeners: { console: { ${listeners} } }\n`))
    return [policyFacts.channels.includes('passkey'), policyFacts.signIn]
  }
  const signIn = 'sign-in: { issuer: corp, client-id: console }'
  assert.deepEqual(await facts('address: "127.0.0.1:8081"'), [false, false])
  assert.deepEqual(await facts(signIn), [false, true])
  assert.deepEqual(await facts(`url: "http://localhost:8081", ${signIn}`), [true, true])
  assert.deepEqual(await facts(`url: "https://approvals.example.org", ${signIn}`), [true, true])
  assert.deepEqual(await facts(`url: "https://10.0.0.7", ${signIn}`), [false, true])
  assert.deepEqual(await facts('url: "https://approvals.example.org"'), [false, false])
})
