import type { IncomingMessage, ServerResponse } from 'node:http'
import { authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, ClientError, randomNonce, randomPKCECodeVerifier, randomState, ResponseBodyError, AuthorizationResponseError, type Configuration } from 'openid-client'
import { z } from 'zod'
import type { SignIns } from '../../../identity/sign-in.ts'
import type { Sealing } from '../../../lib/sealing.ts'
import { parseStrictJson } from '../../../lib/strict-json.ts'
import { Refusal } from '../../../model/refusal.ts'
import { sameParty, type Caller, type Party } from '../../../model/caller.ts'
import type { SignInOptions } from '../options.ts'
import { flowMs, makeCookie } from './cookies.ts'
import { returnAddress } from './return-address.ts'
import type { Sessions } from './sessions.ts'

export interface SignIn {
  /** Sends the browser to the issuer. */
  start(response: ServerResponse, target: URL): Promise<void>
  /** The same for somebody who is logged in and is to log in once more, themselves, now. */
  stepUp(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void>
  /** Takes what the browser brings back from there, and begins a session or throws. */
  callback(request: IncomingMessage, response: ServerResponse, target: URL): Promise<{ readonly caller: Caller; readonly how: 'login' | 'step-up' }>
}

/** Answers of the issuer that are waited for at one time: beyond that, strangers only keep us busy. */
const maxExchanges = 50

/** What this browser has to bring back. It keeps it itself, sealed: a login that was begun costs us nothing. */
const flowShape = z.strictObject({ state: z.string(), nonce: z.string(), verifier: z.string(), to: z.string(), until: z.number(), raises: z.strictObject({ issuer: z.string(), subject: z.string(), since: z.number() }).optional() })
type Flow = z.infer<typeof flowShape>

const about = 'login flow'

export const notBegunHere = (): Refusal => new Refusal('malformed', 'This sign-in was not begun in this browser, or too long ago. Nothing happened. Sign in again.')
const refused = (cause: unknown): Refusal => new Refusal('malformed', 'The identity provider did not confirm this sign-in. Nothing happened. Sign in again.', { cause })

interface Parts {
  readonly url: string
  readonly provider: () => Promise<Configuration>
  readonly sealing: Sealing
  readonly sessions: Sessions
  readonly signIns: Pick<SignIns, 'person'>
  readonly now: () => number
}

export const makeSignIn = (options: SignInOptions, { url, provider, sealing, sessions, signIns, now }: Parts): SignIn => {
  const cookie = makeCookie('login', url.startsWith('https:'))
  let exchanges = 0

  const flowOf = (request: IncomingMessage): Flow | undefined => {
    const sealed = cookie.read(request)
    const text = sealed === undefined ? undefined : sealing.open(sealed, about)
    const flow = text === undefined ? undefined : flowShape.safeParse(parseStrictJson(Buffer.from(text)))
    return flow?.success && flow.data.until > now() ? flow.data : undefined
  }

  /** The one place where a code becomes a token. */
  const exchange = async (configuration: Configuration, target: URL, flow: Flow): Promise<string> => {
    if (exchanges >= maxExchanges) throw new Refusal('too-many-waiting', 'Too many people are signing in at this moment.', { retryAfterSeconds: 2 })
    exchanges++
    try {
      const tokens = await authorizationCodeGrant(configuration, new URL(`${target.pathname}${target.search}`, url), { pkceCodeVerifier: flow.verifier, expectedState: flow.state, expectedNonce: flow.nonce, idTokenExpected: true })
      return tokens.id_token ?? ''
    } catch (error) {
      if (error instanceof ClientError || error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) throw refused(error)
      throw new Refusal('identity-unavailable', 'The identity provider cannot be reached.', { cause: error, retryAfterSeconds: 5 })
    } finally {
      exchanges--
    }
  }

  /** Whoever was to log in again has, in the browser in which they are logged in. */
  const checkStillHere = async (request: IncomingMessage, person: Party, caller: Party): Promise<void> => {
    const another = (): Refusal => new Refusal('not-eligible', 'Another person has signed in than the one who was to sign in again. Nothing happened.')
    if (!sameParty(person, caller)) throw another()
    const session = await sessions.of(request, false)
    if (session === undefined) throw new Refusal('no-identity', 'Your session ended before you came back. Nothing happened. Sign in and try it again.')
    if (!sameParty(person, session.viewer)) throw another()
  }

  const send = async (response: ServerResponse, target: URL, raises?: Flow['raises'], more: Record<string, string> = {}): Promise<void> => {
    const configuration = await provider()
    const flow: Flow = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier(), to: returnAddress(target.searchParams.get('rd')), until: now() + flowMs, raises }
    const to = buildAuthorizationUrl(configuration, { redirect_uri: `${url}/oauth2/callback`, scope: options.scopes.join(' '), state: flow.state, nonce: flow.nonce, code_challenge: await calculatePKCECodeChallenge(flow.verifier), code_challenge_method: 'S256', ...more })
    response.writeHead(302, { location: to.href, 'set-cookie': cookie.set(sealing.seal(JSON.stringify(flow), about), flowMs) }).end()
  }

  return {
    start: (response, target) => send(response, target),
    async stepUp(request, response, target) {
      const session = await sessions.of(request, true)
      if (session === undefined) return send(response, target)
      const { issuer, subject } = session.viewer
      const { acrValues } = options.stepUp
      await send(response, target, { issuer, subject, since: now() }, { prompt: 'login', max_age: '0', ...(acrValues.length > 0 ? { acr_values: acrValues.join(' ') } : {}) })
    },
    async callback(request, response, target) {
      const flow = flowOf(request)
      if (flow === undefined || target.searchParams.get('state') !== flow.state) throw notBegunHere()
      response.setHeader('set-cookie', cookie.clear()) // it is good for one try
      const token = await exchange(await provider(), target, flow)
      const { raises } = flow
      const { caller, login } = await signIns.person({ token, clientId: options.clientId, address: request.socket.remoteAddress ?? '', ...(raises && { fresh: { since: raises.since, acr: options.stepUp.acrValues } }) })
      if (caller.kind !== 'human' || caller.onBehalfOf.length > 0) throw new Refusal('not-eligible', 'This account is not a person’s own. Only people sign in here.')
      if (raises !== undefined) await checkStillHere(request, raises, caller)
      const how = raises === undefined ? 'login' : 'step-up'
      response.setHeader('set-cookie', [cookie.clear(), await sessions.begin(request, caller, login, how)])
      response.writeHead(303, { location: flow.to }).end()
      return { caller, how }
    },
  }
}
