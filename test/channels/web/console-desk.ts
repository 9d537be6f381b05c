import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeRoster } from '../../../src/approval/roster.ts'
import { makeConsoleListener } from '../../../src/channels/web/listener.ts'
import { makeLinkTickets } from '../../../src/identity/link-ticket.ts'
import { makeLinks } from '../../../src/identity/links.ts'
import { makeIdentity } from '../../../src/identity/make-identity.ts'
import { makeSealing } from '../../../src/lib/sealing.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import { openEmbeddedLinkStore } from '../../../src/stores/embedded/link-store.ts'
import { openEmbeddedPasskeyStore } from '../../../src/stores/embedded/passkey-store.ts'
import { openEmbeddedSessionStore } from '../../../src/stores/embedded/session-store.ts'
import { issuerOptions } from '../../identity/world.ts'
import { makeBrowser, startIdp } from '../../support/idp.ts'
import { freePort } from '../../support/ports.ts'
import { makeDesk, silent } from './hold-desk.ts'

/** A console with a real identity provider and real sessions, before holds that are known. */
export const startConsoleDesk = async ({ acrValues = [] }: { readonly acrValues?: readonly string[] } = {}) => {
  await using making = new AsyncDisposableStack()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const idp = making.use(await startIdp({ consoleUrl: url }))
  const folder = await mkdtemp(join(tmpdir(), 'countersign-console-'))
  making.defer(() => rm(folder, { recursive: true, force: true }))
  const time = { skewMs: 0 }
  const now = () => Date.now() + time.skewMs
  const store = making.use(openEmbeddedSessionStore({ kind: 'embedded', path: join(folder, 'holds.db') }, { clockSkewMs: () => time.skewMs }))
  const passkeys = making.use(openEmbeddedPasskeyStore({ kind: 'embedded', path: join(folder, 'holds.db') }))
  const identity = making.use(makeIdentity({ issuers: [issuerOptions({ from: 'discovery', url: `${idp.issuer}/.well-known/openid-configuration` }, { issuers: [idp.issuer], audiences: [idp.audience], tokenTypes: ['at+jwt'] })], agents: [], cache: { entries: 10, maxAgeMs: 1_000 }, maxTokenBytes: 16_384 }, { events: () => {} }))
  const { desk, approvals } = makeDesk(idp.issuer)
  const events: AuditEvent[] = []
  const roster = makeRoster(now)
  /** What the configuration is made to say of everybody, if not what it says. */
  const state: { standing?: string } = {}
  const signIn = { issuer: idp.issuer, clientId: 'countersign-console', clientSecret: new Secret('countersign-console-secret'), scopes: ['openid', 'profile', 'email', 'groups'], idleMs: 30 * 60_000, maxAgeMs: 8 * 3_600_000, stepUp: { acrValues, withinMs: 300_000 } }
  const linkStore = making.use(openEmbeddedLinkStore({ kind: 'embedded', path: join(folder, 'holds.db') }, { clockSkewMs: () => time.skewMs }))
  const sealing = makeSealing([randomBytes(32)])
  const linking = { links: makeLinks({ store: linkStore, sealing, identity, now }), tickets: makeLinkTickets(sealing, now), workspaces: [{ chat: 'slack' as const, workspace: 'T0HOME' }] }
  const site = { store, passkeys, linking, signIns: identity, keys: [randomBytes(32)], deployment: 'test', note: (event: AuditEvent) => void events.push(event), now }
  const listener = making.use(makeConsoleListener({ host: '127.0.0.1', port, url, hosts: [], streams: { total: 10, perViewer: 2 }, signIn }, { approvals, identity: { ...identity, standing: (caller) => state.standing ?? identity.standing(caller) }, roster, log: silent, site }))
  await listener.listen()

  /** A browser in which this person has logged in. */
  const logIn = async (user: string, browser = makeBrowser()) => {
    const { url: end } = await browser.logIn(`${url}/oauth2/start`, user, (at) => at.startsWith(url) && !at.includes('/oauth2/'))
    return Object.assign(browser, { end, get: (path: string) => browser.visit(`${url}${path}`), post: (path: string, form: Record<string, string>, headers: Record<string, string> = { origin: url }) => browser.visit(`${url}${path}`, form, headers) })
  }
  const ends = making.move()
  return Object.assign(state, { ...desk, url, idp, identity, roster, events, time, linking, logIn, [Symbol.asyncDispose]: () => ends[Symbol.asyncDispose]() })
}

/** The value of the field of that name in the first form that has it. */
export const fieldIn = (html: string, name: string): string => new RegExp(`name="${name}" value="([^"]*)"`).exec(html)?.[1] ?? ''
