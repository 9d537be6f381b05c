import { decodeJwt, decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose'
import { z } from 'zod'
import { fetchBytes, type Fetch } from '../../identity/bounded-fetch.ts'
import { makeKeySet, type KeySet } from '../../identity/key-set.ts'
import { isUnavailable, shown, TokenProblem } from '../../identity/steps.ts'
import { importKey, type VerificationKey } from '../../identity/verification-key.ts'
import { JsonProblem, parseStrictJson } from '../../lib/strict-json.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Post } from '../hook.ts'
import type { Connector } from './options.ts'

/*
 * What the Bot Connector posts. Its token says which service it speaks for, and nothing about the body: what is in there is believed
 * because TLS brought it together with the token, and only for the service, the chat and the tenant that were checked.
 */

const id = z.string().min(1).max(1_024)
const activityShape = z.looseObject({
  type: z.string().max(64),
  id,
  channelId: z.string().max(64),
  serviceUrl: z.string().max(1_024),
  name: z.string().max(128).optional(),
  from: z.looseObject({ id, aadObjectId: z.string().max(128).optional() }),
  conversation: z.looseObject({ id, tenantId: z.string().max(128).optional() }),
  channelData: z.looseObject({ tenant: z.looseObject({ id: z.string().max(128) }).optional() }).optional(),
  value: z.unknown(),
})

/** An activity for the bot `app`, as it came from the chat. */
export type Activity = z.infer<typeof activityShape> & { readonly app: string; readonly tenants: readonly string[] }

export interface ActivityParts {
  readonly fetch: Fetch
  readonly now: () => number
  readonly signal: AbortSignal
  readonly note: (event: Extract<AuditEvent, { type: 'authentication-failed' }>) => void
}

/** One bot, and who may speak to it. */
export interface Addressee {
  readonly appId: string
  readonly connector: Connector
}

const toleranceSeconds = 300
const mostTokenBytes = 8_192
const keyLimits = { maxAgeMs: 3_600_000, maxStaleMs: 86_400_000, cooldownMs: 30_000, errorBackoffMs: 5_000, maxBytes: 524_288, timeoutMs: 5_000 }

/** The keys that the Bot Connector signs with. */
export const fetchKeys = (url: string, fetch: Fetch, signal: AbortSignal): Promise<Uint8Array> => fetchBytes(fetch, url, { method: 'GET', headers: { accept: 'application/json' } }, { ...keyLimits, signal })

/** Reads what was posted, or throws a `Refusal`. The body is not looked at before its token is found good. */
export const makeActivityReader = (bots: readonly Addressee[], { fetch, now, signal, note }: ActivityParts): ((post: Post) => Promise<Activity>) => {
  const keys = new Map<string, KeySet>()
  for (const { connector: { jwksUrl } } of bots) keys.set(jwksUrl, keys.get(jwksUrl) ?? makeKeySet(() => fetchKeys(jwksUrl, fetch, signal), keyLimits, now))

  const verified = async (token: string): Promise<{ readonly claims: JWTPayload; readonly key: VerificationKey; readonly bots: readonly Addressee[] }> => {
    const { iss, aud } = takeApart(token)
    const addressed = bots.filter(({ appId, connector }) => connector.issuer === iss && appId === aud)
    const [first] = addressed
    if (first === undefined) throw new TokenProblem('audience', `iss ${shown(iss)}, aud ${shown(aud)}`, 'the Bot Connector and one of our bots')
    let key: VerificationKey | undefined
    const keyFor = async ({ alg, kid }: { readonly alg: string; readonly kid?: string }) => {
      if (kid === undefined) throw new TokenProblem('header', 'no kid', 'the id of a key')
      key = await keys.get(first.connector.jwksUrl)!.keyFor({ alg, kid })
      return await importKey(key, alg)
    }
    try {
      const { payload } = await jwtVerify(token, keyFor, { issuer: first.connector.issuer, audience: first.appId, algorithms: ['RS256'], clockTolerance: toleranceSeconds, requiredClaims: ['exp', 'serviceurl'], currentDate: new Date(now()) })
      return { claims: payload, key: key!, bots: addressed }
    } catch (error) {
      throw error instanceof TokenProblem ? error : new TokenProblem('signature', error instanceof Error ? error.message : 'trouble', 'a good token', error)
    }
  }

  const read = async (post: Post): Promise<Activity> => {
    const { claims, key, bots: addressed } = await verified(tokenOf(post))
    const activity = parse(post.body)
    const { serviceUrl, channelId, conversation, channelData } = activity
    const service = claims['serviceurl']
    if (typeof service !== 'string' || plain(service) !== plain(serviceUrl)) throw new TokenProblem('required', `serviceurl ${shown(service)}`, `that of the activity, ${shown(serviceUrl)}`)
    const bot = addressed.find(({ connector }) => isServiceUrl(serviceUrl, connector.serviceHosts))
    if (bot === undefined) throw new TokenProblem('required', `serviceUrl ${shown(serviceUrl)}`, 'https at a host of the Bot Connector')
    const endorsed = key.jwk['endorsements']
    if (channelId !== 'msteams' || !Array.isArray(endorsed) || !endorsed.includes(channelId)) throw new TokenProblem('keys', `a key for ${shown(endorsed)}, used for ${shown(channelId)}`, 'a key endorsed for msteams')
    const tenants = [conversation.tenantId, channelData?.tenant?.id].filter((tenant) => tenant !== undefined).map((tenant) => tenant.toLowerCase())
    return { ...activity, app: bot.appId, tenants }
  }

  return async (post) => {
    try {
      return await read(post)
    } catch (error) {
      if (!(error instanceof TokenProblem)) throw error
      note({ type: 'authentication-failed', step: error.step, address: post.address, from: 'teams', cause: error.message })
      if (isUnavailable(error.step)) throw new Refusal('identity-unavailable', 'The keys of the Bot Connector cannot be had.', { cause: error, retryAfterSeconds: 5 })
      throw new Refusal('bad-identity', 'This is not from the Bot Connector, or not for this bot.', { cause: error })
    }
  }
}

const tokenOf = ({ headers }: Post): string => {
  const [authorization, ...more] = headers('authorization')
  if (authorization === undefined) throw new Refusal('no-identity', 'A token of the Bot Connector is needed.')
  const [, token] = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization) ?? []
  if (token === undefined || more.length > 0 || token.length > mostTokenBytes) throw new TokenProblem('shape', more.length > 0 ? 'several Authorization headers' : 'no signed token', 'one bearer token')
  return token
}

/** Whom it says it is from and for. Nothing is believed of it yet. */
const takeApart = (token: string): { readonly iss: unknown; readonly aud: unknown } => {
  try {
    const { alg } = decodeProtectedHeader(token)
    if (alg !== 'RS256') throw new TokenProblem('algorithm', shown(alg), 'RS256')
    const { iss, aud } = decodeJwt(token)
    return { iss, aud }
  } catch (error) {
    throw error instanceof TokenProblem ? error : new TokenProblem('shape', 'a token that cannot be read', 'a signed token', error)
  }
}

const parse = (body: Buffer): z.infer<typeof activityShape> => {
  try {
    const read = activityShape.safeParse(parseStrictJson(body))
    if (read.success) return read.data
    throw new Refusal('malformed', 'This is no activity.', { cause: read.error })
  } catch (error) {
    throw error instanceof JsonProblem ? new Refusal('malformed', `The body cannot be taken as JSON: ${error.message}.`) : error
  }
}

const plain = (url: string): string => url.toLowerCase().replace(/\/+$/, '')

/** Whether our own token may be sent there. */
export const isServiceUrl = (text: string, hosts: readonly string[]): boolean => {
  if (/[\s\p{Cc}\\]/u.test(text) || !URL.canParse(text)) return false
  const { protocol, host, hostname, username, password, search, hash } = new URL(text)
  const named = hosts.some((one) => (one.startsWith('*.') ? host.endsWith(one.slice(1)) : one === host))
  return named && username === '' && password === '' && search === '' && hash === '' && (protocol === 'https:' || (protocol === 'http:' && /^(?:127\.0\.0\.1|\[::1\])$/.test(hostname)))
}
