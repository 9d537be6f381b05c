import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildEndSessionUrl, type Configuration } from 'openid-client'
import type { Roster } from '../../../approval/roster.ts'
import type { Links } from '../../../identity/links.ts'
import type { SignIns } from '../../../identity/sign-in.ts'
import { type AuditEvent, callerRecord } from '../../../model/audit-event.ts'
import { causeText, Refusal, type RefusalCode } from '../../../model/refusal.ts'
import { readForm } from '../form-body.ts'
import type { SignInOptions } from '../options.ts'
import type { Sessions } from './sessions.ts'
import type { SignIn } from './sign-in.ts'

interface Parts {
  readonly options: SignInOptions
  readonly url: string
  readonly sessions: Sessions
  readonly signIn: SignIn
  readonly signIns: Pick<SignIns, 'ended'>
  readonly provider: () => Promise<Configuration>
  readonly roster?: Pick<Roster, 'see'> | undefined
  readonly links?: Pick<Links, 'see' | 'forget'> | undefined
  readonly note: (event: Extract<AuditEvent, { type: 'signed-in' | 'session-ended' | 'authentication-failed' }>) => void
}

/** Of logins that nobody else has on record: a token that was not accepted is, by whoever looked at it. */
const notRecorded: ReadonlySet<RefusalCode> = new Set(['malformed', 'not-eligible', 'no-identity'])

/** Coming and going: the addresses below `/oauth2/`. */
export const makeLoginPages = ({ options, url, sessions, signIn, signIns, provider, roster, links, note }: Parts) => ({
  start: (response: ServerResponse, target: URL): Promise<void> => signIn.start(response, target),

  stepUp: (request: IncomingMessage, response: ServerResponse, target: URL): Promise<void> => signIn.stepUp(request, response, target),

  async callback(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void> {
    const { caller, how } = await signIn.callback(request, response, target).catch((error: unknown) => {
      if (error instanceof Refusal && notRecorded.has(error.code)) note({ type: 'authentication-failed', step: 'sign-in', address: request.socket.remoteAddress ?? '', from: 'sign-in', cause: causeText(error.detail.cause) ?? error.message })
      throw error
    })
    roster?.see(caller)
    note({ type: 'signed-in', caller: callerRecord(caller), ...(how === 'step-up' && { steppedUp: true }) })
    await links?.see(caller)
  },

  /** Ends the session here. The page that follows leads on to the issuer, whose own session this does not end. */
  async logout(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = await readForm(request)
    const session = await sessions.of(request, false)
    if (session !== undefined && !sessions.isCsrf(request, form.get('csrf') ?? '')) throw new Refusal('denied', 'This form is of another session. Go back, load the page again and repeat it.')
    response.setHeader('set-cookie', await sessions.end(request))
    if (session !== undefined) note({ type: 'session-ended', session: session.viewer.session, cause: 'signed out' })
    response.writeHead(303, { location: '/oauth2/signed-out' }).end()
  },

  /** Where the issuer's own session can be ended, if it says so. */
  async issuerLogout(response: ServerResponse): Promise<void> {
    const configuration = await provider()
    if (configuration.serverMetadata().end_session_endpoint === undefined) throw new Refusal('not-found', 'The identity provider has no address for signing out.')
    const to = buildEndSessionUrl(configuration, { post_logout_redirect_uri: `${url}/oauth2/signed-out`, client_id: options.clientId })
    response.writeHead(303, { location: to.href }).end()
  },

  /** The issuer says that a login is over (OpenID Connect Back-Channel Logout). */
  async backchannelLogout(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = (await readForm(request)).get('logout_token') ?? ''
    const { login, id } = await signIns.ended({ token, clientId: options.clientId, address: request.socket.remoteAddress ?? '' }).catch((error: unknown) => {
      throw error instanceof Refusal && error.code === 'bad-identity' ? new Refusal('malformed', 'The logout token was not accepted.', { cause: error.detail.cause ?? error }) : error
    })
    const ended = await sessions.endAll(login, id)
    if (ended === undefined) throw new Refusal('malformed', 'This logout token was used before.')
    // Without a session of its own it means all logins of the account: it may be there no more.
    if (login.session === undefined && login.subject !== undefined) await links?.forget({ issuer: login.issuer, subject: login.subject })
    if (ended > 0) note({ type: 'session-ended', session: id.slice(0, 64), cause: `the identity provider ended the login: ${ended} ${ended === 1 ? 'session' : 'sessions'}` })
    response.writeHead(200).end()
  },
})
