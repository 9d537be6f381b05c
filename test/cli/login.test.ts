import assert from 'node:assert/strict'
import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { makeConsoleListener } from '../../src/channels/web/listener.ts'
import type { Identity } from '../../src/identity/identity.ts'
import { Refusal } from '../../src/model/refusal.ts'
import { makeDesk, person, silent } from '../channels/web/hold-desk.ts'
import { makeBrowser, startIdp } from '../support/idp.ts'
import { rawHttp, statusOf } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { makeShell } from './shell.ts'

/** A server that believes this issuer's signatures. */
const begin = async (tokenSeconds = 900) => {
  const idp = await startIdp({ tokenSeconds })
  const keys = createRemoteJWKSet(new URL(`${idp.issuer}/jwks`))
  const authenticate: Identity['authenticate'] = async ({ token }) => {
    const verified = await jwtVerify(token, keys, { issuer: idp.issuer, audience: idp.audience, typ: 'at+jwt' }).catch((error: unknown) => {
      throw new Refusal('bad-identity', 'The token is not accepted.', { cause: error })
    })
    return person(verified.payload.sub ?? '', ...(verified.payload['groups'] as string[]))
  }
  const listener = makeConsoleListener(
    { host: '127.0.0.1', port: 0, url: 'https://approvals.example.org', hosts: ['127.0.0.1'], streams: { total: 5, perViewer: 2 }, login: { issuer: idp.issuer, clientId: 'countersign-cli', scopes: ['openid', 'groups', 'offline_access'] } },
    { approvals: makeDesk().approvals, identity: { standing: () => undefined, authenticate, recheck: async (_caller, claim) => authenticate(claim) }, log: silent },
  )
  const { port } = await listener.listen()
  const shell = await makeShell()
  return {
    idp,
    shell,
    server: `http://127.0.0.1:${port}`,
    sessions: join(shell.home, 'state', 'countersign', 'sessions.json'),
    async [Symbol.asyncDispose]() {
      await shell[Symbol.asyncDispose]()
      await listener[Symbol.asyncDispose]()
      await idp[Symbol.asyncDispose]()
    },
  }
}

test('a browser login: PKCE, a loopback answer, tokens for this user alone, and a logout that forgets them', async () => {
  await using at = await begin()
  const { shell, server, sessions } = at
  const login = shell.start(['login', '--server', server])
  const url = new URL(await until('the address to open', () => login.result.out.includes('\n') && login.result.out.trim()))
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256')
  const redirect = new URL(url.searchParams.get('redirect_uri') ?? '')
  assert.equal(redirect.hostname, '127.0.0.1')
  // An answer that belongs to no login of ours, and one under another name, change nothing.
  const answer = (state: string, host: string) => rawHttp(Number(redirect.port), `GET /callback?code=stolen&state=${state} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  assert.equal(statusOf(await answer('forged', redirect.host)), 404)
  assert.equal(statusOf(await answer(url.searchParams.get('state') ?? '', 'attacker.example')), 404)
  await makeBrowser().logIn(url.href, 'alice')
  assert.equal((await login.done).code, 0)
  assert.equal((await stat(sessions)).mode & 0o777, 0o600)
  assert.equal((JSON.parse((await shell.run(['whoami', '-o', 'json'])).out) as { subject: string }).subject, 'alice')

  await chmod(sessions, 0o644)
  assert.match((await shell.run(['whoami'])).err, /closed it/)
  assert.equal((await stat(sessions)).mode & 0o777, 0o600)

  assert.equal((await shell.run(['logout'])).code, 0)
  assert.doesNotMatch(await readFile(sessions, 'utf8'), /accessToken/)
  assert.equal((await shell.run(['whoami', '--server', server])).code, 7)
})

test('a device login: the code is typed elsewhere', { timeout: 30_000 }, async () => {
  await using at = await begin()
  const { shell, server } = at
  const login = shell.start(['login', '--server', server, '--device'])
  const [page = '', code = ''] = await until('the page and the code', () => login.result.out.split('\n').length > 2 && login.result.out.trim().split('\n'))
  await makeBrowser().logIn(`${page}?user_code=${code}`, 'carol')
  assert.equal((await login.done).code, 0)
  assert.match((await shell.run(['whoami'])).out, /subject\s+carol/)
})

test('a token near its end is renewed, and an ended login says to log in', async () => {
  await using at = await begin(20)
  const { shell, server, sessions } = at
  const login = shell.start(['login', '--server', server])
  await makeBrowser().logIn(await until('the address', () => login.result.out.includes('\n') && login.result.out.trim()), 'alice')
  assert.equal((await login.done).code, 0)
  const tokenOf = async () => (JSON.parse(await readFile(sessions, 'utf8')) as { servers: Record<string, { accessToken: string }> }).servers[server]?.accessToken
  const first = await tokenOf()
  // 20 s are less than the margin before the end, so each command renews.
  assert.equal((await shell.run(['whoami'])).code, 0)
  assert.notEqual(await tokenOf(), first)
  await at.idp[Symbol.asyncDispose]()
  const { code, err } = await shell.run(['whoami'])
  assert.equal(code, 1)
  assert.match(err, /could not be reached/)
})

test('a server that names no login: what its configuration needs', async () => {
  await using shell = await makeShell()
  await using listener = makeConsoleListener({ host: '127.0.0.1', port: 0, url: 'https://approvals.example.org', hosts: ['127.0.0.1'], streams: { total: 5, perViewer: 2 } }, { approvals: makeDesk().approvals, identity: { standing: () => undefined, authenticate: () => assert.fail('nobody asks'), recheck: () => assert.fail('nobody asks') }, log: silent })
  const { port } = await listener.listen()
  const { code, err } = await shell.run(['login', '--server', `http://127.0.0.1:${port}`])
  assert.equal(code, 1)
  assert.match(err, /listeners\.console\.login/)
})
