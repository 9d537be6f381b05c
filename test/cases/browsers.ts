import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { sessionCookie } from '../../src/protocols/http/codec/headers.ts'
import { makeBrowser, startIdp, type Idp } from '../support/idp.ts'
import { freePort } from '../support/ports.ts'
import { isTree, list, type Tree } from './loader.ts'
import { ask, exchangeOf, headerOf, type Observation } from './observation.ts'
import { fail } from './outcome.ts'
import { bearerOf, people } from './principals.ts'
import type { Profile } from './profile.ts'
import { put } from './translate.ts'
import type { Reply } from './wire-client.ts'
import type { World } from './world.ts'

/* Browsers before the console, and a real identity provider at which their people log in. */

export const consoleOrigin = 'https://console.test'

interface Browser {
  /** Cookies of the console. */
  readonly jar: Map<string, string>
  /** The same browser at the identity provider. */
  readonly away: ReturnType<typeof makeBrowser>
  /** What it brings back from there, and has not brought yet. */
  answer?: URL
}

export interface Browsers {
  /** `POST /token` and so on: what the identity provider was asked, by whomever. */
  readonly asked: readonly string[]
  /** What it says of itself, in the place of what is true. */
  readonly metadata: Record<string, unknown>
  /** Complete cookies (`name=value`) that a case keeps for later. */
  readonly kept: Map<string, string>
  /** Every `Set-Cookie` line that the console sent. */
  readonly lines: string[]
  browser(name: string): Browser
  visit(world: World, name: string, target: string, form?: Readonly<Record<string, string>>): Promise<Reply>
  /** Goes there and comes back, up to the address that the provider sends the browser to. */
  begin(world: World, name: string, as?: string, target?: string): Promise<URL>
  logIn(world: World, as: string, name?: string, target?: string): Promise<Reply>
  cookie(name: string): string
  csrf(name: string): string
  state(name: string): string
  userToken(name: string): Promise<string>
  /** By which it tells a console that a login is over; claims may be other than they should be. */
  logoutToken(claims: Readonly<Record<string, unknown>>): Promise<string>
  /** An item of the cases with what only a browser knows: its cookies, its code, the fields of its page. */
  adapt(seen: Observation, item: Tree): Promise<Tree>
  took(item: Tree, reply: Reply | 'closed' | 'silent' | undefined): void
}

export const sessionName = '__Host-countersign-session'

const clientId = 'countersign-console'

/** In front of the provider: sees what it is asked, may change what it says of itself, and has one more key that is published as its own. */
const startDoor = async (port: number, asked: string[], metadata: Record<string, unknown>) => {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  const own = { ...(await exportJWK(publicKey)), kid: 'door', alg: 'RS256', use: 'sig' }
  const changes: Readonly<Record<string, (said: Tree) => Tree>> = {
    '/.well-known/openid-configuration': (said) => ({ ...said, ...metadata }),
    '/jwks': (said) => ({ ...said, keys: [...list(said['keys']), own] }),
  }
  const server = createServer((incoming, outgoing) => {
    const [path = ''] = (incoming.url ?? '').split('?', 1)
    asked.push(`${incoming.method} ${path}`)
    const onward = forward({ host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers: incoming.headers }, (answer) => {
      const change = changes[path]
      if (change === undefined) answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders))
      else void answer.toArray().then((chunks: Buffer[]) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(change(JSON.parse(Buffer.concat(chunks).toString()) as Tree))))
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    sign: (claims: Readonly<Record<string, unknown>>) => new SignJWT({ aud: clientId, events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...claims }).setProtectedHeader({ alg: 'RS256', kid: own.kid, typ: 'logout+jwt' }).setIssuer(url).setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime('2m').sign(privateKey),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface StartedBrowsers extends AsyncDisposable {
  readonly browsers: Browsers
  readonly env: Readonly<Record<string, string>>
  change(profile: Profile): void
}

export const startBrowsers = async (): Promise<StartedBrowsers> => {
  console.warn = () => {} // the identity provider's notices that it is for development
  await using begun = new AsyncDisposableStack()
  const asked: string[] = []
  const metadata: Record<string, unknown> = {}
  const port = await freePort()
  const door = begun.use(await startDoor(port, asked, metadata))
  const users = Object.fromEntries(Object.entries(people).filter(([, { act }]) => act === undefined).map(([name, { groups }]) => [name, { name, email: `${name}@corp.test`, groups }]))
  const idp = begun.use(await startIdp({ port, issuer: door.url, users, consoleUrl: consoleOrigin }))
  const life = begun.move()
  return {
    browsers: makeBrowsers(idp, { asked, metadata, logoutToken: door.sign }),
    env: { CASES_CONSOLE: `${clientId}-secret` },
    change({ config }: Profile) {
      put(config, ['issuers', 'people'], { issuer: idp.issuer, audiences: [idp.audience] })
      put(config, ['listeners', 'console', 'sign-in'], { issuer: 'people', 'client-id': clientId, 'client-secret': '${env:CASES_CONSOLE}', scopes: ['openid', 'profile', 'email', 'groups'] })
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  }
}

const fieldsOf = (page: string): Readonly<Record<string, string>> => Object.fromEntries(['csrf', 'digest', 'revision', 'shown'].flatMap((name) => [...page.matchAll(new RegExp(`name="${name}" value="([^"]*)"`, 'g'))].slice(0, 1).map(([, value = '']) => [name, value])))

const makeBrowsers = (idp: Idp, given: Pick<Browsers, 'asked' | 'metadata' | 'logoutToken'>): Browsers => {
  const all = new Map<string, Browser>()
  const kept = new Map<string, string>()
  const forms = new Map<string, string>()
  const lines: string[] = []
  const browser = (name: string): Browser => all.get(name) ?? all.set(name, { jar: new Map(), away: makeBrowser() }).get(name)!

  const take = (name: string, reply: Reply): void => {
    for (const [key, line] of reply.headers) {
      if (key.toLowerCase() !== 'set-cookie') continue
      lines.push(line)
      const [, cookie = '', value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value) browser(name).jar.set(cookie, value)
      else browser(name).jar.delete(cookie)
    }
  }

  const cookiesOf = (name: string): string => [...browser(name).jar].map(([key, value]) => `${key}=${value}`).join('; ')

  const visit: Browsers['visit'] = async (world, name, target, form) => {
    const body = form === undefined ? undefined : new URLSearchParams(form).toString()
    const cookies = cookiesOf(name)
    const head = [`${form === undefined ? 'GET' : 'POST'} ${target} HTTP/1.1`, 'Host: console.test', 'Connection: close', ...(cookies === '' ? [] : [`Cookie: ${cookies}`]), ...(body === undefined ? [] : [`Origin: ${consoleOrigin}`, 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${Buffer.byteLength(body)}`])]
    const reply = await ask(world, 'console', [...head, '', body ?? ''].join('\r\n'), { method: form === undefined ? 'GET' : 'POST' })
    if (typeof reply !== 'object') return fail(`the console did not answer ${target}`)
    take(name, reply)
    return reply
  }

  const begin: Browsers['begin'] = async (world, name, as = 'req-a', target = '/oauth2/start') => {
    const reply = await visit(world, name, target)
    const to = headerOf(reply, 'location')
    if (reply.status !== 302 || to === undefined) return fail(`a login was not begun: ${reply.status}`)
    const { url } = await browser(name).away.logIn(to, as, (at) => at.startsWith(consoleOrigin))
    return (browser(name).answer = new URL(url))
  }

  const logIn: Browsers['logIn'] = async (world, as, name = as, target = '/oauth2/start') => {
    const { pathname, search } = await begin(world, name, as, target)
    const reply = await visit(world, name, `${pathname}${search}`)
    if (reply.status !== 303) fail(`a login was answered ${reply.status}`)
    return reply
  }

  const cookie = (name: string): string => kept.get(name) ?? `${sessionName}=${browser(name).jar.get(sessionName) ?? fail(`${name} is not logged in`)}`

  /** Whoever a placeholder names is logged in by then. */
  const prepare = async (seen: Observation, text: string): Promise<void> => {
    for (const [, name = ''] of text.matchAll(/\{\{(?:cookie|csrf):([^}]+)\}\}/g)) {
      if (kept.has(name) || !Object.hasOwn(people, name)) continue
      if (!browser(name).jar.has(sessionName)) await logIn(seen.world, name)
      forms.set(name, fieldsOf((await visit(seen.world, name, '/')).body.toString())['csrf'] ?? '')
    }
  }

  /** The form that a page of theirs would send, with the proof that it is theirs only where the case has one. */
  const voteOf = async (seen: Observation, item: Tree, http: Tree, hold: string): Promise<Tree> => {
    const headers = list(http['headers']).map((pair) => (pair as unknown[]).map(String))
    const [, name = String(http['as'] ?? item['as'] ?? seen.run.given['as'])] = /\{\{cookie:(appr-[^}]+)\}\}/.exec(JSON.stringify(headers)) ?? []
    if (!browser(name).jar.has(sessionName)) await logIn(seen.world, name)
    const { csrf, ...fields } = fieldsOf((await visit(seen.world, name, `/holds/${hold}`)).body.toString())
    const proof = headers.some(([key = '']) => key.toLowerCase() === 'x-csrf-token') ? { csrf: csrf ?? forms.get(name) ?? fieldsOf((await visit(seen.world, name, '/')).body.toString())['csrf'] ?? '' } : {}
    const others = headers.filter(([key = '']) => !['x-csrf-token', 'content-type'].includes(key.toLowerCase()))
    const type = headers.find(([key = '']) => key.toLowerCase() === 'content-type')?.[1]
    const own = others.some(([key = '']) => key.toLowerCase() === 'cookie') ? [] : [['Cookie', cookie(name)]]
    return { ...http, target: `/holds/${hold}/vote`, headers: [...own, ...others, ['Content-Type', type === 'text/plain' ? type : 'application/x-www-form-urlencoded']], body: new URLSearchParams({ verdict: 'approve', digest: `sha256:${'0'.repeat(64)}`, revision: '0', shown: '', ...fields, ...proof }).toString() }
  }

  const adapted = async (seen: Observation, item: Tree, http: Tree): Promise<Tree> => {
    const { browser: name, ...rest } = http
    const [, ref = '', verb] = /^\/(?:api\/)?approvals\/(?:\{\{approval:)?(\w+)(?:\}\})?(\/approve)?/.exec(String(http['target'])) ?? []
    const hold = exchangeOf(seen.sender, ref)?.hold ?? ref
    if (verb !== undefined && http['method'] === 'POST') return { ...item, http: { ...(await voteOf(seen, item, rest, hold)), as: 'none' } }
    let target = String(http['target'])
    if (verb !== undefined) target = `/holds/${hold}/vote`
    else if (target.startsWith('/approvals/')) target = target.replace(/^\/approvals\/\w+/, `/holds/${hold}`)
    if (typeof name === 'string') {
      const { answer } = browser(/\{\{state:(\w+)\}\}/.exec(target)?.[1] ?? name)
      if (answer === undefined) return fail(`${name} has not begun a login`)
      const { state: _state, code, ...others } = Object.fromEntries(answer.searchParams)
      const more = target.includes('iss=') ? '' : new URLSearchParams(others).toString()
      target = `${target.replace('code=c1', `code=${code}`)}${more === '' ? '' : `&${more}`}`
      return { ...item, http: { ...rest, as: 'none', target, headers: [...list(http['headers']), ...(cookiesOf(name) === '' ? [] : [['Cookie', cookiesOf(name)]])] } }
    }
    // At the proxy a browser presents its token, unless the case is about a session of the console there.
    if (http['listener'] === undefined) return { ...item, http: { ...rest, ...(JSON.stringify(http['headers'] ?? '').includes('{{cookie:') ? { as: 'none' } : {}), headers: list(http['headers']).map((pair) => (pair as string[]).map((text) => text.replaceAll(/\{\{cookie:([^}]+)\}\}/g, (whole, who: string) => (kept.has(who) ? whole : `${sessionCookie}=${bearerOf(who, seen.world.directory, seen.world.now())}`)))) } }
    const as = String(http['as'] ?? item['as'] ?? seen.run.given['as'] ?? 'none')
    if (http['listener'] !== 'console' || as === 'none' || JSON.stringify(http['headers'] ?? '').includes('Cookie')) return { ...item, http: { ...rest, target } }
    if (!browser(as).jar.has(sessionName)) await logIn(seen.world, as)
    return { ...item, http: { ...rest, as: 'none', target, headers: [['Cookie', cookie(as)], ...list(http['headers'])] } }
  }

  return {
    ...given, kept, lines, browser, visit, begin, logIn, cookie,
    csrf: (name) => forms.get(name) ?? fail(`no page of ${name} was read`),
    state: (name) => browser(name).answer?.searchParams.get('state') ?? fail(`${name} has not begun a login`),
    userToken: (name) => idp.userToken(name),
    async adapt(seen, item) {
      await prepare(seen, JSON.stringify(item))
      return isTree(item['http']) ? await adapted(seen, item, item['http']) : item
    },
    took(item, reply) {
      const name = isTree(item['http']) ? item['http']['browser'] : undefined
      if (typeof name === 'string' && typeof reply === 'object') take(name, reply)
    },
  }
}
