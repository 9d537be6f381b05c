import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import type { Roster } from '../../approval/roster.ts'
import type { Identity } from '../../identity/identity.ts'
import type { PasskeyStore } from '../../identity/passkey-store.ts'
import type { SessionStore } from '../../identity/session-store.ts'
import type { SignIns } from '../../identity/sign-in.ts'
import { makeSealing } from '../../lib/sealing.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import { Refusal } from '../../model/refusal.ts'
import type { AuditDesk } from './audit-desk.ts'
import { makeAuditPages } from './audit-pages.ts'
import { loadAssets } from './assets.ts'
import { headerValues, type Boundary } from './boundary.ts'
import { makeDecisions, makeLook, type Shown } from './decisions.ts'
import { makeLineagePage } from './lineage-pages.ts'
import { makeLinkPages, type Linking } from './links.ts'
import { makeGrantPages } from './grant-pages.ts'
import { makeLoginPages } from './login/login-pages.ts'
import { makeProvider } from './login/provider.ts'
import { makeSessions, type Session, type Sessions } from './login/sessions.ts'
import { makeSignIn } from './login/sign-in.ts'
import type { ConsoleOptions, SignInOptions } from './options.ts'
import { html, type Html } from './pages/html.ts'
import type { MarkText } from './pages/marked-text.ts'
import { notice, page, type Frame } from './pages/layout.ts'
import { policiesPage, type PoliciesShown } from './pages/policies-page.ts'
import { makeCeremonies } from './passkeys/ceremonies.ts'
import { makePasskeyDesk } from './passkeys/passkey-desk.ts'
import { makePasskeyRegister } from './passkeys/register.ts'
import { makeSigning } from './passkeys/signing.ts'
import { problemOf, WrongMethod } from './problem.ts'
import { makeTogetherDesk } from './together-desk.ts'
import type { ReceiptDesk } from './receipt-desk.ts'

export interface SiteParts {
  readonly store: SessionStore
  readonly passkeys: PasskeyStore
  readonly signIns: SignIns
  readonly note: (event: Extract<AuditEvent, { type: 'signed-in' | 'session-ended' | 'authentication-failed' | 'passkey-added' | 'passkey-removed' | 'vote-refused' | 'linked' | 'unlinked' }>) => void
  /** 32 bytes each, the same on all replicas. */
  readonly keys: readonly Uint8Array[]
  readonly deployment: string
  /** Marks SQL by the lexer of the engine that reads it. */
  readonly markSql?: MarkText
  /** What decides now, for everybody who signs in. */
  readonly policies?: () => PoliciesShown
  /** Where a chat asks who somebody is. */
  readonly linking?: Linking
  readonly now?: () => number
}

/** What people see with a browser. */
export interface Site {
  readonly sessions: Sessions
  serves(path: string): boolean
  /** Answers the request or throws. */
  answer(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void>
  /** Says anything thrown as a page. */
  fail(request: IncomingMessage, response: ServerResponse, error: unknown): void
}

/** Nothing but our own files; no frame around us; no form to elsewhere; no text becomes script. */
export const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types countersign"

interface Visit {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly target: URL
  /** The part of the path that stands for an id. */
  readonly id: string
}

type Answer = (visit: Visit) => Promise<void>

interface Route {
  readonly path: RegExp
  readonly GET?: Answer
  readonly POST?: Answer
  /** Not for browsers: no page of our own sends it. */
  readonly machine?: true
}

export const makeSite = (options: ConsoleOptions & { readonly signIn: SignInOptions }, boundary: Boundary, { approvals, identity, roster, audit, receipts, ...parts }: SiteParts & { readonly audit?: AuditDesk | undefined; readonly receipts?: ReceiptDesk | undefined; readonly approvals: Approvals; readonly identity: Pick<Identity, 'standing'>; readonly roster?: Roster | undefined }): Site => {
  const { now = Date.now } = parts
  const sealing = makeSealing(parts.keys)
  const sessions = makeSessions(options.signIn, options.url.startsWith('https:'), { store: parts.store, sealing, identity, roster, now })
  const provider = makeProvider(options.signIn, now)
  const signIn = makeSignIn(options.signIn, { url: options.url, provider, sealing, sessions, signIns: parts.signIns, now })
  const login = makeLoginPages({ options: options.signIn, url: options.url, sessions, signIn, signIns: parts.signIns, provider, roster, links: parts.linking?.links, note: parts.note })
  const assets = loadAssets()
  const frame = (title: string, more: Partial<Frame> = {}): Frame => ({ title, assets: assets.names, deployment: parts.deployment, linking: (parts.linking?.workspaces.length ?? 0) > 0, showsPolicies: parts.policies !== undefined, readsAudit: more.session !== undefined && audit?.mayRead(more.session.viewer) === true, now: now(), ...more })

  const send = (response: ServerResponse, status: number, about: Frame, main: Html): void => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': contentSecurityPolicy })
    response.end(page(about, main))
  }

  /** A page for somebody who is logged in; whoever is not is sent to log in and comes back. */
  const withSession = (work: (visit: Visit, session: Session) => Promise<void>): Answer => async (visit) => {
    // A page that brings itself up to date is no sign of a person.
    const session = await sessions.of(visit.request, headerValues(visit.request, 'countersign-live').length === 0)
    if (session === undefined) return void visit.response.writeHead(303, { location: `/oauth2/start?rd=${encodeURIComponent(`${visit.target.pathname}${visit.target.search}`)}` }).end()
    await work(visit, session)
  }

  const { url } = options
  const { deployment, note } = parts
  const register = makePasskeyRegister({ store: parts.passkeys, sealing, now })
  const ceremonies = makeCeremonies({ store: parts.store, sealing, now })
  const passkeys = makePasskeyDesk({ register, ceremonies, sessions, sealing, url, deployment, stepUp: options.signIn.stepUp, note, now })
  const decisions = makeDecisions({ approvals, sessions, url, receipts, markSql: parts.markSql, signing: makeSigning({ register, ceremonies, url, deployment, note, now }), readsAudit: (viewer) => audit?.mayRead(viewer) === true, now })
  const sendShown = (response: ServerResponse, session: Session, { status, title, main }: Shown): void => send(response, status, frame(title, { session, current: 'inbox' }), main)
  const inbox = withSession(async ({ response, target }, session) => sendShown(response, session, await decisions.inbox(session, target)))
  const hold = withSession(async ({ response, id }, session) => sendShown(response, session, await decisions.hold(session, id)))
  const decide = (how: 'vote' | 'withdraw' | 'breakGlass' | 'review' | 'handOver'): Answer => async ({ request, response, id }) => {
    const refused = await decisions[how](request, response, id)
    if (refused !== undefined) sendShown(response, refused.session, refused.shown)
  }

  const several = makeTogetherDesk({ approvals, sessions, look: makeLook(parts.markSql), markSql: parts.markSql, now })
  const severalPage = withSession(async ({ response, target }, session) => sendShown(response, session, await several.page(session, target)))
  const severalDecided: Answer = async ({ request, response }) => {
    const { session, shown } = await several.decide(request)
    sendShown(response, session, shown)
  }

  const grantPages = makeGrantPages({ grants: approvals.grants, sessions, now })
  const sendGrants = (response: ServerResponse, session: Session, { status, title, main }: Shown): void => send(response, status, frame(title, { session, current: 'grants' }), main)
  const grantList = withSession(async ({ response, target }, session) => sendGrants(response, session, await grantPages.list(session, target)))
  const grantEnd: Answer = async ({ request, response, id }) => {
    const refused = await grantPages.revoke(request, response, id)
    if (refused !== undefined) sendGrants(response, refused.session, refused.shown)
  }

  const auditRoutes = (desk: AuditDesk): readonly Route[] => {
    const { list, record, verify } = makeAuditPages({ audit: desk, approvals, givesReceipts: receipts !== undefined })
    const lineage = makeLineagePage(desk)
    const shown = (work: (session: Session, visit: Visit) => Promise<Shown>, current: Frame['current'] = 'audit'): Answer =>
      withSession(async (visit, session) => {
        const { status, title, main } = await work(session, visit)
        send(visit.response, status, frame(title, { session, current }), main)
      })
    return [
      { path: /^\/lineage$/, GET: shown((session, { target }) => lineage(session, target), 'lineage') },
      { path: /^\/audit$/, GET: shown((session, { target }) => list(session, target)) },
      { path: /^\/audit\/([A-Za-z0-9._-]{1,64}\/\d{1,15}\/\d{1,15})$/, GET: shown((session, { id }) => record(session, id)) },
      { path: /^\/audit\/([A-Za-z0-9._-]{1,64}\/\d{1,15}\/\d{1,15})\/verify$/, GET: shown((session, { id }) => verify(session, id)) },
    ]
  }

  const policyRoute = (policies: () => PoliciesShown): Route => ({ path: /^\/policies$/, GET: withSession(async ({ response }, session) => send(response, 200, frame('Policies', { session, current: 'policies' }), policiesPage(policies()))) })

  const passkeyPage = withSession(async ({ response }, session) => send(response, 200, frame('Passkeys', { session, current: 'passkeys' }), await passkeys.page(session)))

  const signedOut: Answer = async ({ response }) => {
    const ends = (await provider().catch(() => undefined))?.serverMetadata().end_session_endpoint !== undefined
    send(response, 200, frame('Signed out'), html`<section class="notice"><h1>You are signed out here</h1><p>Your session at the identity provider may still be open: then signing in again asks for no password.</p><p><a class="button" href="/">Sign in again</a>${ends && html` <a href="/oauth2/issuer-logout">Sign out at the identity provider as well</a>`}</p></section>`)
  }

  const linkRoutes = ({ list, confirm, link, unlink }: ReturnType<typeof makeLinkPages>): readonly Route[] => {
    const then = (work: (request: IncomingMessage) => Promise<void>): Answer => async ({ request, response }) => {
      await work(request)
      response.writeHead(303, { location: '/links' }).end()
    }
    return [
      { path: /^\/links$/, GET: withSession(async ({ response }, session) => send(response, 200, frame('Linked accounts', { session, current: 'links' }), await list(session))), POST: then(link) },
      { path: /^\/links\/end$/, POST: then(unlink) },
      { path: /^\/links\/new\/([A-Za-z0-9_-]{1,900})$/, GET: withSession(async ({ response, id }, session) => send(response, 200, frame('Link an account', { session, current: 'links' }), await confirm(session, id))) },
    ]
  }

  const routes: readonly Route[] = [
    ...(parts.linking === undefined ? [] : linkRoutes(makeLinkPages({ ...parts.linking, sessions, note: parts.note }))),
    ...(audit === undefined ? [] : auditRoutes(audit)),
    { path: /^\/$/, GET: inbox },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})$/, GET: hold },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/vote$/, POST: decide('vote') },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/withdraw$/, POST: decide('withdraw') },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/break-glass$/, POST: decide('breakGlass') },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/review$/, POST: decide('review') },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/hand-over$/, POST: decide('handOver') },
    { path: /^\/holds\/([A-Za-z0-9_-]{1,100})\/challenge$/, POST: ({ request, response, id }) => decisions.challenge(request, response, id) },
    { path: /^\/together$/, GET: severalPage, POST: severalDecided },
    ...(parts.policies === undefined ? [] : [policyRoute(parts.policies)]),
    { path: /^\/grants$/, GET: grantList },
    { path: /^\/grants\/([A-Za-z0-9_-]{1,100})\/revoke$/, POST: grantEnd },
    { path: /^\/passkeys$/, GET: passkeyPage, POST: ({ request, response }) => passkeys.add(request, response) },
    { path: /^\/passkeys\/begin$/, POST: ({ request, response }) => passkeys.begin(request, response) },
    { path: /^\/passkeys\/remove$/, POST: ({ request, response }) => passkeys.remove(request, response) },
    { path: /^(\/assets\/.*)$/, GET: async ({ response, id }) => assets.send(response, id) },
    { path: /^\/oauth2\/start$/, GET: ({ response, target }) => login.start(response, target) },
    { path: /^\/oauth2\/step-up$/, GET: ({ request, response, target }) => login.stepUp(request, response, target) },
    { path: /^\/oauth2\/callback$/, GET: ({ request, response, target }) => login.callback(request, response, target) },
    { path: /^\/oauth2\/logout$/, POST: ({ request, response }) => login.logout(request, response) },
    { path: /^\/oauth2\/signed-out$/, GET: signedOut },
    { path: /^\/oauth2\/issuer-logout$/, GET: ({ response }) => login.issuerLogout(response) },
    { path: /^\/oauth2\/backchannel-logout$/, POST: ({ request, response }) => login.backchannelLogout(request, response), machine: true },
  ]

  const answer: Site['answer'] = async (request, response, target) => {
    for (const route of routes) {
      const match = route.path.exec(target.pathname)
      if (match === null) continue
      const work = request.method === 'POST' ? route.POST : route.GET
      if (work === undefined) throw new WrongMethod(route.POST ? ['POST'] : ['GET', 'HEAD'])
      if (request.method !== 'POST') boundary.arrival(request)
      else if (route.machine) boundary.origin(request)
      else boundary.ownPage(request)
      return work({ request, response, target, id: match[1] ?? '' })
    }
    throw new Refusal('not-found', 'There is nothing here.')
  }

  return {
    sessions,
    serves: (path) => !path.startsWith('/api/') && !path.startsWith('/.well-known/') && path !== '/openapi.json',
    answer,
    fail(_request, response, error) {
      if (response.headersSent) return void response.destroy()
      const { status, headers, body } = problemOf(error)
      const { 'www-authenticate': _bearer, 'content-type': _type, ...kept } = headers
      for (const [name, value] of Object.entries(kept)) response.setHeader(name, value)
      send(response, status, frame(String(body['title'])), notice(String(body['title']), String(body['detail']), { href: '/', text: 'Go to the approvals' }))
    },
  }
}
