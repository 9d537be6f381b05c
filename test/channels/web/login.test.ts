import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { makeCookie } from '../../../src/channels/web/login/cookies.ts'
import { makeProvider } from '../../../src/channels/web/login/provider.ts'
import { returnAddress } from '../../../src/channels/web/login/return-address.ts'
import { makeBrowser } from '../../support/idp.ts'
import { rawHttp, statusOf } from '../../support/raw-http.ts'
import { until } from '../../support/until.ts'
import { fieldIn, startConsoleDesk } from './console-desk.ts'

const hour = 3_600_000
const sessionIn = (response: Response): string => response.headers.getSetCookie().map((line) => /^countersign-session=([^;]+)/.exec(line)?.[1]).find((value) => value !== undefined) ?? ''
const whoami = async (url: string, cookie: string) => (await fetch(`${url}/api/whoami`, { headers: { cookie } })).status

describe('logging in', () => {
  test('code flow with PKCE, state and nonce, and back to where one wanted to go', async () => {
    await using desk = await startConsoleDesk()
    const browser = makeBrowser()
    const first = await browser.visit(`${desk.url}/holds/hold_1`)
    assert.deepEqual([first.status, first.headers.get('location')], [303, '/oauth2/start?rd=%2Fholds%2Fhold_1'])
    const start = await browser.visit(`${desk.url}/oauth2/start?rd=%2Fholds%2Fhold_1&code_challenge_method=plain`)
    const to = new URL(start.headers.get('location') ?? '')
    assert.equal(to.origin, desk.idp.issuer)
    assert.equal(to.searchParams.get('code_challenge_method'), 'S256')
    for (const name of ['code_challenge', 'state', 'nonce']) assert.match(to.searchParams.get(name) ?? '', /^[\w-]{43}$/)
    const { url } = await browser.logIn(to.href, 'bob', (at) => at.startsWith(`${desk.url}/holds`))
    assert.equal(url, `${desk.url}/holds/hold_1`)
    const me = (await (await browser.visit(`${desk.url}/api/whoami`)).json()) as Record<string, unknown>
    assert.deepEqual([me['subject'], me['kind'], me['groups']], ['bob', 'human', ['developers', 'dba']])
    assert.deepEqual(desk.events.map(({ type }) => type), ['signed-in'])
  })

  test('the cookie is only for us, and says nothing', async () => {
    await using desk = await startConsoleDesk()
    const browser = makeBrowser()
    const lines: string[] = []
    const visit = browser.visit
    await browser.logIn(`${desk.url}/oauth2/start`, 'bob', (at) => {
      if (at.includes('/oauth2/callback')) return true
      return false
    }).then(async ({ url }) => lines.push(...(await visit(url)).headers.getSetCookie()))
    const line = lines.find((each) => each.startsWith('countersign-session=')) ?? ''
    assert.match(line, /^countersign-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/) // plain HTTP on loopback: no prefix, no Secure
    const start = await visit(`${desk.url}/oauth2/start`)
    assert.match(start.headers.getSetCookie()[0] ?? '', /^countersign-login=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/)
  })

  test('the answer belongs to the browser that asked, once', async () => {
    await using desk = await startConsoleDesk()
    const [one, other] = [makeBrowser(), makeBrowser()]
    await other.visit(`${desk.url}/oauth2/start`)
    const { url } = await one.logIn(`${desk.url}/oauth2/start`, 'bob', (at) => at.startsWith(desk.url) && at.includes('/callback'))
    const answer = new URL(url)
    const changed = (change: (parameters: URLSearchParams) => void): string => {
      const copy = new URL(answer)
      change(copy.searchParams)
      return copy.href
    }
    const wrong = [
      changed((parameters) => parameters.delete('state')),
      changed((parameters) => parameters.set('state', 'wrong')),
      changed((parameters) => parameters.set('state', '')),
      changed((parameters) => parameters.append('state', answer.searchParams.get('state') ?? '')),
      changed((parameters) => parameters.set('iss', 'https://idp-b.test')),
    ]
    for (const each of wrong) {
      const browser = makeBrowser()
      await browser.visit(`${desk.url}/oauth2/start`)
      const response = await browser.visit(each)
      assert.deepEqual([response.status, sessionIn(response)], [400, ''], each)
    }
    const stolen = await other.visit(url)
    assert.deepEqual([stolen.status, sessionIn(stolen)], [400, ''])
    const good = await one.visit(url)
    assert.deepEqual([good.status, sessionIn(good).length], [303, 43])
    assert.equal((await one.visit(url)).status, 400)
    assert.deepEqual(desk.events.map((event) => (event.type === 'authentication-failed' ? event.from : event.type)), [...Array<string>(6).fill('sign-in'), 'signed-in', 'sign-in'])
  })

  test('a code of another issuer is not redeemed', async () => {
    await using desk = await startConsoleDesk()
    const browser = makeBrowser()
    const { url } = await browser.logIn(`${desk.url}/oauth2/start`, 'bob', (at) => at.startsWith(desk.url) && at.includes('/callback'))
    const mixed = new URL(url)
    mixed.searchParams.set('iss', 'https://idp-b.test')
    const response = await browser.visit(mixed.href)
    assert.deepEqual([response.status, sessionIn(response)], [400, ''])
  })

  test('leads nowhere else afterwards', () => {
    for (const address of ['//evil.test', 'https:evil.test', '/\t/evil.test', '/\\evil.test', 'javascript:alert(1)', '///evil.test', '/./evil.test', '/%2F/evil.test', '/holds/../../x', '/oauth2/start', '/@evil.test', '/holds/h#x', 'https://evil.test/', '/holds/a b', '\u2028/holds/x'])
      assert.match(returnAddress(address), /^\/(?:holds\/h)?$/, address)
    assert.equal(returnAddress('/holds/hold_1?tab=all&x=1'), '/holds/hold_1?tab=all')
    assert.equal(returnAddress('/?tab=mine'), '/?tab=mine')
  })
})

describe('a session', () => {
  test('has a new id after each login, and the one before is over', async () => {
    await using desk = await startConsoleDesk()
    const browser = makeBrowser()
    const ids: string[] = []
    for (let times = 0; times < 2; times++) {
      const { url } = await browser.logIn(`${desk.url}/oauth2/start`, 'bob', (at) => at.includes('/oauth2/callback'))
      ids.push(sessionIn(await browser.visit(url)))
    }
    assert.notEqual(ids[0], ids[1])
    assert.deepEqual([await whoami(desk.url, `countersign-session=${ids[0]}`), await whoami(desk.url, `countersign-session=${ids[1]}`)], [401, 200])
  })

  test('cannot be chosen, nor stand twice, nor beside a token', async () => {
    await using desk = await startConsoleDesk()
    const chosen = 'A'.repeat(43)
    assert.equal(await whoami(desk.url, `countersign-session=${chosen}`), 401)
    const { port } = new URL(desk.url)
    const raw = (lines: string) => rawHttp(Number(port), `GET /api/whoami HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines}Connection: close\r\n\r\n`)
    assert.equal(statusOf(await raw(`Cookie: countersign-session=${chosen}; countersign-session=${chosen}\r\n`)), 400)
    assert.equal(statusOf(await raw(`Cookie: countersign-session=${chosen}\r\nCookie: countersign-session=x\r\n`)), 400)
    const browser = await desk.logIn('bob')
    assert.equal((await browser.visit(`${desk.url}/api/whoami`, undefined, { authorization: `Bearer ${await desk.idp.userToken('bob')}` })).status, 400)
  })

  test('ends when nobody uses it, and at last', async () => {
    await using desk = await startConsoleDesk()
    const browser = await desk.logIn('bob')
    const status = async () => (await browser.get('/')).status
    desk.time.skewMs += hour * 0.4
    assert.equal(await status(), 200)
    desk.time.skewMs += hour * 0.4
    assert.equal((await browser.get('/api/whoami')).status, 200) // a look that keeps nothing alive
    desk.time.skewMs += hour * 0.2
    assert.equal(await status(), 303)
    const again = await desk.logIn('bob')
    for (let half = 0; half < 19; half++) {
      desk.time.skewMs += hour * 0.4
      assert.equal((await again.get('/')).status, 200)
    }
    desk.time.skewMs += hour * 0.45
    assert.equal((await again.get('/')).status, 303)
  })

  test('knows groups that were seen later', async () => {
    await using desk = await startConsoleDesk()
    const browser = await desk.logIn('bob')
    desk.idp.setGroups('bob', ['nobody'])
    desk.time.skewMs += 1_000
    await fetch(`${desk.url}/api/whoami`, { headers: { authorization: `Bearer ${await desk.idp.userToken('bob')}` } })
    desk.time.skewMs += 1_000
    assert.deepEqual(((await (await browser.get('/api/whoami')).json()) as { groups: string[] }).groups, ['nobody'])
  })

  test('lets a page read, and no page but ours write', async () => {
    await using desk = await startConsoleDesk()
    const browser = await desk.logIn('bob')
    const csrf = fieldIn(await (await browser.get('/')).text(), 'csrf')
    assert.match(csrf, /^[\w-]{43}$/)
    const status = async (form: Record<string, string>, headers: Record<string, string>) => (await browser.post('/oauth2/logout', form, headers)).status
    assert.equal(await status({ csrf }, {}), 403)
    assert.equal(await status({ csrf }, { origin: 'https://evil.test' }), 403)
    assert.equal(await status({ csrf }, { origin: `${desk.url}.evil.test`, 'sec-fetch-site': 'same-origin' }), 403)
    assert.equal(await status({ csrf }, { origin: desk.url, 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await status({ csrf: 'A'.repeat(43) }, { origin: desk.url }), 403)
    assert.equal(await status({}, { origin: desk.url }), 403)
    assert.equal((await browser.get('/api/whoami')).status, 200)
    const vote = await browser.visit(`${desk.url}/api/holds/hold_1/votes`, { verdict: 'approve' }, { origin: desk.url })
    assert.equal(vote.status, 401) // the API takes votes with a token alone
  })

  test('ends by signing out', async () => {
    await using desk = await startConsoleDesk()
    const browser = await desk.logIn('bob')
    const csrf = fieldIn(await (await browser.get('/')).text(), 'csrf')
    const out = await browser.post('/oauth2/logout', { csrf })
    assert.deepEqual([out.status, out.headers.get('location')], [303, '/oauth2/signed-out'])
    assert.match(await (await browser.get('/oauth2/signed-out')).text(), /You are signed out here[^]*Sign out at the identity provider/)
    assert.equal((await browser.get('/api/whoami')).status, 401)
    assert.equal(desk.events.at(-1)?.type, 'session-ended')
    const onward = await browser.get('/oauth2/issuer-logout')
    assert.ok(onward.headers.get('location')?.startsWith(`${desk.idp.issuer}/session/end?`))
  })

  test('ends when the identity provider says so', async () => {
    await using desk = await startConsoleDesk()
    const [browser, other] = [await desk.logIn('bob'), await desk.logIn('bob')]
    // Signing out there: it tells us by itself.
    const onward = (await browser.get('/oauth2/issuer-logout')).headers.get('location') ?? ''
    const xsrf = fieldIn(await (await browser.visit(onward)).text(), 'xsrf')
    await browser.visit(`${desk.idp.issuer}/session/end/confirm`, { xsrf, logout: 'yes' })
    await until('the session to be over', async () => (await browser.get('/api/whoami')).status === 401)
    assert.equal((await other.get('/api/whoami')).status, 200) // another login of the same person
    assert.match(String((desk.events.at(-1) as { cause?: string }).cause), /identity provider ended the login: 1 session$/)
    assert.equal((await other.visit(`${desk.url}/oauth2/backchannel-logout`, { logout_token: await desk.idp.userToken('bob') })).status, 400)
    assert.equal((await other.get('/api/whoami')).status, 200)
  })
})

test('over TLS no other host and no plain HTTP can plant the cookies', () => {
  for (const name of ['session', 'login'] as const) assert.match(makeCookie(name, true).set('x', 60_000), new RegExp(`^__Host-countersign-${name}=x; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60$`))
})

test('an issuer that knows no PKCE but plain, or that is away, logs nobody in', async () => {
  let methods: readonly string[] = ['plain']
  const server = createServer((_request, response) => {
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'], code_challenge_methods_supported: methods }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  let now = 0
  const provider = makeProvider({ issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, clientId: 'c', scopes: ['openid'], idleMs: 1, maxAgeMs: 1, stepUp: { acrValues: [], withinMs: 1 } }, () => now)
  await assert.rejects(provider(), { code: 'identity-unavailable' })
  methods = ['plain', 'S256']
  await assert.rejects(provider(), { code: 'identity-unavailable' }) // not asked again so soon
  now += 6_000
  const known = await provider()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  now += 3_600_001
  assert.equal(await provider(), known) // away, and still known
})

test('what a session was made of is kept from changing under it', async () => {
  await using desk = await startConsoleDesk()
  const browser = await desk.logIn('bob')
  assert.equal((await browser.get('/api/whoami')).status, 200)
  desk.standing = 'another configuration'
  assert.equal((await browser.get('/api/whoami')).status, 401)
})

test('no address hands out what a login is made of', async () => {
  await using desk = await startConsoleDesk()
  const browser = await desk.logIn('bob')
  const { url } = await browser.logIn(`${desk.url}/oauth2/start`, 'bob', (at) => at.includes('/oauth2/callback'))
  const session = sessionIn(await browser.visit(url))
  for (const path of ['/api/whoami', '/oauth2/userinfo', '/debug/session', '/metrics', '/', '/holds/hold_1']) {
    const response = await browser.get(path)
    const text = `${JSON.stringify([...response.headers])}${await response.text()}`
    assert.ok(!text.includes(session) && !text.includes('countersign-console-secret') && !/eyJ[\w-]+\./.test(text), path)
  }
})

test('a page that failed is a page, and nobody frames it', async () => {
  await using desk = await startConsoleDesk()
  const browser = await desk.logIn('bob')
  for (const path of ['/', '/nothing', '/oauth2/callback?x=%3Cscript%3E', '/oauth2/signed-out']) {
    const response = await browser.get(path)
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.match(policy, /frame-ancestors 'none'/, path)
    assert.doesNotMatch(policy, /unsafe/)
    assert.equal(response.headers.get('x-frame-options'), 'DENY')
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
    assert.ok(!(await response.text()).includes('<script>'))
  }
})
