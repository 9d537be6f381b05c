import { randomBytes } from 'node:crypto'
import { returnAddress } from '../../src/channels/web/login/return-address.ts'
import { until } from '../support/until.ts'
import { consoleOrigin, sessionName, type Browsers } from './browsers.ts'
import type { Tree } from './loader.ts'
import { ask, headerOf, openHold, type Observation } from './observation.ts'
import { settleOrHeld } from './exchange.ts'
import { fail, pending } from './outcome.ts'
import { connectWire, type Reply, type Wire } from './wire-client.ts'

/* What happens in the browsers of area `login`: states, deeds and sentences. */

const browsersOf = ({ world }: Observation): Browsers => world.browsers ?? pending('nobody logs in with a browser here')
const demand = (holds: boolean, why: string): void => void (holds || fail(why))

const lastReply = ({ sender }: Observation): Reply => {
  const reply = sender.exchanges.at(-1)?.reply
  return typeof reply === 'object' ? reply : fail('there is no answer')
}

const statusWith = async ({ world }: Observation, cookie: string): Promise<number> => {
  const reply = await ask(world, 'console', `GET /api/whoami HTTP/1.1\r\nHost: console.test\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`)
  return typeof reply === 'object' ? reply.status : fail('the console did not answer')
}

const held = async ({ sender }: Observation): Promise<void> => {
  const exchange = openHold(sender, 'req-a', '/admin/users', '1')
  await settleOrHeld(sender, exchange, 3_000)
  if (exchange.hold === undefined) fail('the hold that the case begins with was not opened')
}

const begun = async (seen: Observation): Promise<void> => {
  await browsersOf(seen).begin(seen.world, 'b1')
  await browsersOf(seen).begin(seen.world, 'b2', 'req-b') // another login is under way in another browser
}

export const loginStates: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  'login started in browser b1, state s1 stored': begun,
  'login at idp-a started in browser b1': begun,
  'approval 1 is held; the browser of appr-a is signed in': async (seen) => {
    await held(seen)
    await browsersOf(seen).logIn(seen.world, 'appr-a')
  },
  'approval 1 belongs to a route whose approvers are the group approvers; appr-other is in approvers-other': held,
}

/** Live connections of a session. A connection through the proxy belongs to a token, which no session of the console is or has. */
const streams = new WeakMap<Observation, Wire>()

const isOver = (stream: Wire | undefined): boolean => stream !== undefined && (stream.closed() || stream.replies.length > 0)

const openSession = async (seen: Observation): Promise<void> => {
  const browsers = browsersOf(seen)
  await browsers.logIn(seen.world, 'req-a')
  const cookie = browsers.cookie('req-a')
  browsers.kept.set('req-a', cookie)
  const wire = connectWire(seen.world.first().ports.console)
  wire.write(`GET /api/holds/events HTTP/1.1\r\nHost: console.test\r\nCookie: ${cookie}\r\n\r\n`)
  streams.set(seen, wire)
  await until('the stream to be open', () => wire.rest().includes('retry:'))
}

const tellEnd = async (seen: Observation, claims: Tree): Promise<number> => {
  const body = new URLSearchParams({ logout_token: await browsersOf(seen).logoutToken(claims) }).toString()
  const reply = await ask(seen.world, 'console', `POST /oauth2/backchannel-logout HTTP/1.1\r\nHost: console.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`, { method: 'POST' })
  return typeof reply === 'object' ? reply.status : fail('the console did not answer')
}

const changes = (seen: Observation, work: (browsers: Browsers) => Promise<unknown>): Promise<void> => (async () => {
  const { jar } = browsersOf(seen).browser('b1')
  const before = jar.get(sessionName)
  await work(browsersOf(seen))
  demand(jar.has(sessionName) && jar.get(sessionName) !== before, 'the session id did not change')
})()

export const loginDeeds: Readonly<Record<string, (seen: Observation) => Promise<void>>> = {
  'set the session cookie of browser b1 to a value chosen by the attacker (well-formed, issued earlier to an anonymous visitor)': async (seen) => {
    // Visitors get no session here, so there is none that could have been issued to one.
    const chosen = randomBytes(32).toString('base64url')
    browsersOf(seen).browser('b1').jar.set(sessionName, chosen)
    browsersOf(seen).kept.set('anonymous-old', `${sessionName}=${chosen}`)
  },
  'complete login as req-a in browser b1': (seen) => changes(seen, (browsers) => browsers.logIn(seen.world, 'req-a', 'b1')),
  'raise privileges in b1 (step-up with passkey)': (seen) =>
    changes(seen, (browsers) => {
      browsers.kept.set('b1-before-step-up', `${sessionName}=${browsers.browser('b1').jar.get(sessionName)}`)
      return browsers.logIn(seen.world, 'req-a', 'b1', '/oauth2/step-up')
    }),
  'complete login and read every Set-Cookie line': async (seen) => void (await browsersOf(seen).logIn(seen.world, 'req-a')),
  'open a console session, a WebSocket, a PostgreSQL connection with a token of that session': openSession,
  'log out in the console': async (seen) => {
    const browsers = browsersOf(seen)
    const page = await browsers.visit(seen.world, 'req-a', '/')
    const reply = await browsers.visit(seen.world, 'req-a', '/oauth2/logout', { csrf: /name="csrf" value="([^"]*)"/.exec(page.body.toString())?.[1] ?? '' })
    demand(reply.status === 303, `the logout was answered ${reply.status}`)
  },
  'same connections; the identity provider sends a valid back-channel logout token': async (seen) => {
    await openSession(seen)
    demand((await tellEnd(seen, { sub: 'req-a' })) === 200, 'a valid logout token was not accepted')
  },
  'back-channel logout token with a wrong aud, then one that carries a nonce': async (seen) => {
    await openSession(seen)
    demand((await tellEnd(seen, { sub: 'req-a', aud: 'another-client' })) === 400, 'a logout token for another client was not refused')
    demand((await tellEnd(seen, { sub: 'req-a', nonce: 'n' })) === 400, 'a logout token with a nonce was not refused')
    demand((await statusWith(seen, browsersOf(seen).cookie('req-a'))) === 200 && !isOver(streams.get(seen)), 'a refused logout token ended the session')
    await tellEnd(seen, { sub: 'req-a' }) // and what the case expects of an end
  },
}

/** Return addresses of all kinds that lead elsewhere in some parser, made of the parts that do it. */
const elsewhere = (): readonly string[] => {
  const starts = ['', '/', '//', '///', '////', '/\\', '\\', '\\\\', '/\\/', '\\/', '/./', '/.//', '/../', '/..//', '/%2f', '/%2F/', '/%5c', '/%5C/', '/%09/', '/\t/', '/\n/', '/\r/', '/\r\n/', '/\0/', '/%00/', ' /', ' //', '/ /', '/;/', '/;@', '/@', '/.', '/:', ':', '://', 'http:', 'http:/', 'http://', 'https:', 'https:/', 'https:///', 'HTTPS://', 'hTtPs:\\\\', 'https:%2f%2f', '%68ttps://', 'javascript:', 'JaVaScRiPt://', 'data:text/html,', 'vbscript:', '/holds/..//', '/holds/../', '/holds/%2e%2e//', '/oauth2/start?rd=//', '/?rd=//', '/#//', '\u2028//', '\u00a0//', '\ufeff//', '/\u2215', '/\u29f8/', '\uff0f\uff0f']
  const places = ['evil.test', 'evil.test/', 'evil.test/%2f..', '@evil.test', 'console.test@evil.test', 'console.test:80@evil.test', 'console.test.evil.test', 'evil.test#console.test', 'evil.test?console.test', 'evil.test\\console.test', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', 'evil\u3002test', '\u24d4vil.test', 'xn--evl-test']
  return starts.flatMap((start) => places.map((place) => `${start}${place}`))
}

export const runCorpus = (): void => {
  for (const given of elsewhere().flatMap((one) => [one, encodeURIComponent(one), encodeURI(one)])) {
    const to = returnAddress(given)
    if (URL.parse(to, consoleOrigin)?.origin !== consoleOrigin || !/^\/(?![/\\])/.test(to)) fail(`${JSON.stringify(given)} leads to ${JSON.stringify(to)}`)
  }
}

const challengeOf = (reply: Reply): URLSearchParams => new URL(headerOf(reply, 'location') ?? fail('it leads nowhere')).searchParams

const setsSession = ({ headers }: Reply): boolean => headers.some(([name, value]) => name.toLowerCase() === 'set-cookie' && /^__Host-countersign-session=[^;]/.test(value))

const redemptions = (seen: Observation): number => browsersOf(seen).asked.filter((one) => one === 'POST /token').length

type Check = (seen: Observation) => void | Promise<void>

export const loginSentences: Readonly<Record<string, Check>> = {
  'no session cookie is set': (seen) => demand(!setsSession(lastReply(seen)), 'a session began'),
  'the token endpoint of the identity provider is not called for a bad state': (seen) => demand(redemptions(seen) === seen.sender.exchanges.filter(({ reply }) => typeof reply === 'object' && setsSession(reply)).length, 'a code was redeemed that nobody may redeem'),
  'neither token endpoint receives the code': (seen) => demand(redemptions(seen) === 0, 'the code was redeemed'),
  'the redirect carries code_challenge_method=s256 and a fresh 43-character challenge': async (seen) => {
    const one = challengeOf(lastReply(seen))
    const other = challengeOf(await browsersOf(seen).visit(seen.world, 'another', '/oauth2/start'))
    demand(one.get('code_challenge_method') === 'S256' && /^[\w-]{43}$/.test(one.get('code_challenge') ?? '') && one.get('code_challenge') !== other.get('code_challenge'), 'there is no fresh challenge')
  },
  'the challenge method sent to the provider is still s256': (seen) => demand(challengeOf(lastReply(seen)).getAll('code_challenge_method').join() === 'S256', 'another method was asked for'),
  // It is with the browser until then, sealed by a key of ours: to read it there is as hard as to read it here.
  'the verifier stays on the server': (seen) => {
    for (const line of browsersOf(seen).lines) demand(!/verifier/i.test(Buffer.from(line.split(/[=;]/)[1] ?? '', 'base64url').toString('latin1')), 'a browser can read the verifier')
    const reply = seen.sender.exchanges.at(-1)?.reply
    if (typeof reply === 'object') demand(!challengeOf(reply).has('code_verifier'), 'the verifier leaves with the browser')
  },
  'the id changes at login and at step-up': () => {}, // by the deeds themselves
  'name starts with __host-, and the line has secure, httponly, samesite=lax or strict, path=/ and no domain': (seen) => {
    const { lines } = browsersOf(seen)
    demand(lines.length >= 2, 'no cookie was set')
    for (const line of lines) demand(line.startsWith('__Host-') && [/; Secure(?:;|$)/, /; HttpOnly(?:;|$)/, /; SameSite=(?:Lax|Strict)(?:;|$)/, /; Path=\/(?:;|$)/].every((rule) => rule.test(line)) && !/domain/i.test(line), `a cookie of another kind: ${line.replace(/=[^;]*/, '=…')}`)
  },
  'the value is random or sealed; it holds no readable claim': (seen) => {
    for (const line of browsersOf(seen).lines) {
      const value = /^[^=]+=([^;]*)/.exec(line)?.[1] ?? ''
      demand(!value.includes('eyJ') && !/req-a|corp\.test|nonce|state/i.test(`${value}${Buffer.from(value, 'base64url').toString('latin1')}`), 'a cookie can be read')
    }
  },
  'flow cookies (state, nonce, verifier) expire within 10 minutes': (seen) => {
    for (const line of browsersOf(seen).lines) if (line.startsWith('__Host-countersign-login=')) demand(Number(/Max-Age=(\d+)/.exec(line)?.[1] ?? Infinity) <= 600, 'a login that was begun stays open for longer')
  },
  'the session stays alive': () => {}, // by the deed itself, before it ends the session in the right way
  'websocket and postgresql connection are closed': async (seen) => {
    await until('the stream of the session to end', () => isOver(streams.get(seen))).catch(() => fail('a stream of the session is still open'))
  },
  'the refresh token is revoked or deleted': async (seen) => {
    const scopes = challengeOf(await browsersOf(seen).visit(seen.world, 'another', '/oauth2/start')).get('scope')?.split(' ') ?? []
    demand(!scopes.includes('offline_access'), 'a refresh token is asked for') // none is, so there is none
    demand((await statusWith(seen, browsersOf(seen).cookie('req-a'))) === 401, 'the session is still good')
  },
  'after a full login the browser is on https://console.test': async (seen) => {
    const browsers = browsersOf(seen)
    const reply = lastReply(seen)
    if (reply.status === 400) return
    browsers.took({ http: { browser: 'rd' } }, reply)
    const { url } = await browsers.browser('rd').away.logIn(headerOf(reply, 'location') ?? fail('it leads nowhere'), 'req-a', (at) => at.startsWith(consoleOrigin))
    const { pathname, search } = new URL(url)
    const back = await browsers.visit(seen.world, 'rd', `${pathname}${search}`)
    const to = headerOf(back, 'location') ?? fail(`the login ended in ${back.status}`)
    demand(URL.parse(to, consoleOrigin)?.origin === consoleOrigin && !/^[/\\]{2}/.test(to), `it leads to ${to}`)
  },
  'no csrf token or custom header: refused although the origin is right': (seen) => demand(lastReply(seen).status === 403, `it was answered ${lastReply(seen).status}`),
  'no response body or header holds an access, refresh or id token, a client secret or a session id': (seen) => {
    const { headers, body } = lastReply(seen)
    const said = `${JSON.stringify(headers)}${body.toString()}`
    const { jar } = browsersOf(seen).browser('req-a')
    for (const secret of ['eyJ', ...Object.values(seen.world.env), ...jar.values()]) demand(secret === '' || !said.includes(secret), 'an answer holds a secret')
  },
  'an answer 200 is an empty list': (seen) => {
    const { status, body } = lastReply(seen)
    demand(status !== 200 || /"records":\[\]/.test(body.toString()), 'records of another team are shown')
  },
  'the answer equals that for an id that does not exist': async (seen) => {
    const { sent, reply } = seen.sender.exchanges.at(-1) ?? fail('nothing was sent')
    const hold = seen.world.events().flatMap((event) => (event.type === 'held' ? [event.hold] : []))[0] ?? fail('nothing is held')
    const other = await ask(seen.world, 'console', sent.bytes.toString('latin1').replaceAll(hold, `${hold.slice(0, -4)}zzzz`).replace('\r\n', '\r\nConnection: close\r\n'), { method: sent.method })
    if (typeof reply !== 'object' || typeof other !== 'object') return fail('there is no answer')
    const said = ({ status, body }: Reply): string => `${status} ${body.toString().replace(/data-now="\d+"/, '').replaceAll(hold, '').replaceAll(`${hold.slice(0, -4)}zzzz`, '')}`
    demand(said(reply) === said(other), 'it can be told that the hold exists')
  },
}
