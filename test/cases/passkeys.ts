import type { IncomingMessage } from 'node:http'
import { challengeOf, readStatement, statementOf } from '../../src/approval/spoken-yes.ts'
import { makeSessions } from '../../src/channels/web/login/sessions.ts'
import { sessionKeys } from '../../src/config/deployment-keys.ts'
import { makeIdentity } from '../../src/identity/make-identity.ts'
import { makeSealing } from '../../src/lib/sealing.ts'
import type { Caller } from '../../src/model/caller.ts'
import { openEmbeddedSessionStore } from '../../src/stores/embedded/session-store.ts'
import { openRedisSessionStore } from '../../src/stores/redis/session-store.ts'
import { softPasskey, type SoftPasskey } from '../support/authenticator.ts'
import { ask, eventsOf, viewOf, type Observation } from './observation.ts'
import { fail, pending } from './outcome.ts'
import { issuerUrls, people, userOf } from './principals.ts'
import type { Profile } from './profile.ts'
import { put } from './translate.ts'

/* Approvers in a browser at the console, with a passkey that the runner plays. */

const origin = 'https://console.test'

export const passkeyState = 'route /admin/prod/** needs factor webauthn'

/** The wider rule leaves these paths to one that asks for a passkey, and people sign in at the console. */
export const demandPasskey = ({ config, policies }: Profile): void => {
  put(config, ['listeners', 'console', 'sign-in'], { issuer: 'idp-a', 'client-id': 'countersign' })
  for (const { policy, rules } of policies) {
    if (policy !== 'app') continue
    const admin = rules.find(({ name }) => name === 'admin') ?? fail('the profile has no rule for /admin')
    Object.assign(admin, { if: `${admin['if'] ?? 'true'} && !http.path.startsWith('/admin/prod/')` })
    rules.push({ name: 'admin-prod', then: 'hold', methods: ['POST'], paths: ['/admin/prod/**'], approval: { from: { groups: ['approvers'] }, assurance: 'passkey', within: '15m', 'run-within': '10m' } })
  }
}

/** A session as a login a moment ago would have begun it: the issuers of the cases have no pages to log in at. */
const cookieOf = async ({ world }: Pick<Observation, 'world'>, name: string): Promise<string> => {
  const { config } = world.first()
  if (config.console.signIn === undefined) return pending('nobody signs in here')
  await using store = config.store.kind === 'embedded' ? openEmbeddedSessionStore(config.store) : openRedisSessionStore(config.store)
  await using identity = makeIdentity(config.identity, { events: () => {} })
  const now = (): number => world.now()
  const caller: Caller = { issuer: issuerUrls['idp-a'] ?? '', subject: userOf(name), kind: 'human', groups: people[name]?.groups ?? [], onBehalfOf: [], claims: {}, session: '', authenticatedAt: now(), expiresAt: now(), address: '' }
  const sessions = makeSessions(config.console.signIn, true, { store, sealing: makeSealing(sessionKeys(config)), identity, now })
  const line = await sessions.begin({ rawHeaders: [] } as unknown as IncomingMessage, caller, { issuer: caller.issuer, subject: caller.subject }, 'step-up')
  return line.split(';', 1)[0] ?? ''
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** Pages and forms of the console, as this person. */
export const browserOf = async (seen: Pick<Observation, 'world'>, name: string) => {
  const cookie = await cookieOf(seen, name)
  const send = async (method: string, path: string, form?: Readonly<Record<string, string>>): Promise<Answer> => {
    const body = form === undefined ? undefined : new URLSearchParams(form).toString()
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: console.test', `Cookie: ${cookie}`, 'Connection: close', ...(body === undefined ? [] : [`Origin: ${origin}`, 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${Buffer.byteLength(body)}`])]
    const reply = await ask(seen.world, 'console', [...lines, '', body ?? ''].join('\r\n'), { method })
    return typeof reply === 'object' ? { status: reply.status, text: reply.body.toString() } : fail(`the console did not answer ${path}`)
  }
  const fields = ({ text }: Answer, ...names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((field) => [field, new RegExp(`name="${field}" value="([^"]*)"`).exec(text)?.[1] ?? fail(`a page of the console has no ${field}`)]))
  return { get: (path: string) => send('GET', path), post: (path: string, form: Readonly<Record<string, string>>) => send('POST', path, form), fields }
}

const json = (members: Readonly<Record<string, Uint8Array>>): string => JSON.stringify(Object.fromEntries(Object.entries(members).map(([name, value]) => [name, Buffer.from(value).toString('base64url')])))
const expectStatus = (answer: Answer, status: number, what: string): Answer => (answer.status === status ? answer : fail(`${what} was answered ${answer.status}: ${answer.text.slice(0, 300)}`))

type Browser = Awaited<ReturnType<typeof browserOf>>

const addPasskey = async ({ get, post, fields }: Browser): Promise<SoftPasskey> => {
  const passkey = softPasskey()
  const form = { ...fields(await get('/passkeys'), 'csrf'), name: 'of the case' }
  const { ceremony, create } = JSON.parse(expectStatus(await post('/passkeys/begin', form), 200, 'the wish for a passkey').text) as { readonly ceremony: string; readonly create: { readonly challenge: string } }
  expectStatus(await post('/passkeys', { ...form, ceremony, credential: json(passkey.create({ origin, challenge: Buffer.from(create.challenge, 'base64url') })) }), 303, 'the new passkey')
  return passkey
}

/** By the link of the hold: a signature over another digest first, which must not count, and then the right one. */
export const approveWithPasskey = async (seen: Observation, name: string, hold: string): Promise<void> => {
  const browser = await browserOf(seen, name)
  const passkey = await addPasskey(browser)
  const page = expectStatus(await browser.get(`/holds/${hold}`), 200, 'the page of the hold')
  const form = { ...browser.fields(page, 'csrf', 'digest', 'revision', 'shown'), verdict: 'approve', reason: 'Looked at it.' }
  const sendSigned = async (challengeFor: (given: string) => Uint8Array): Promise<Answer> => {
    const { ceremony, get } = JSON.parse(expectStatus(await browser.post(`/holds/${hold}/challenge`, form), 200, 'the wish to sign').text) as { readonly ceremony: string; readonly get: { readonly challenge: string } }
    passkey.counter++
    return await browser.post(`/holds/${hold}/vote`, { ...form, ceremony, credential: json({ passkey: passkey.id, ...passkey.get({ origin, challenge: challengeFor(get.challenge) }) }) })
  }
  const other = { console: origin, deployment: 'cases', hold, action: `sha256:${'0'.repeat(64)}` as const, verdict: 'approve' as const, voter: { issuer: issuerUrls['idp-a'] ?? '', subject: userOf(name) }, nonce: 'n', until: seen.world.now() + 60_000 }
  expectStatus(await sendSigned(() => challengeOf(statementOf(other))), 403, 'a signature over another digest')
  if ((await viewOf(seen.world, hold))?.['state'] !== 'pending') fail('a signature over another digest counted')
  expectStatus(await sendSigned((given) => Buffer.from(given, 'base64url')), 303, 'the signed yes')
}

/** What was signed stands in the record of the vote, and is about this very action. */
export const signedOnRecord = (seen: Observation): string | undefined => {
  const votes = eventsOf(seen).flatMap((event) => (event.type === 'voted' ? [event] : []))
  const [vote] = votes
  if (votes.length !== 1 || vote?.vote.evidence === undefined) return `${votes.length} votes are on record, and what was signed is not`
  const yes = readStatement(vote.vote.evidence.statement)
  return yes.action === vote.digest && yes.hold === vote.hold ? undefined : 'something else was signed than is on record'
}
