import type { Claim } from '../../model/claim.ts'
import { Refusal } from '../../model/refusal.ts'
import { sessionCookie } from './codec/headers.ts'
import type { Connection } from './connection.ts'
import type { RequestNotes } from './request-notes.ts'


const bearerOf = (value: string): string => {
  // The scheme is case-insensitive; exactly one token follows it.
  if (value.length < 8 || value.slice(0, 7).toLowerCase() !== 'bearer ') throw new Refusal('bad-identity', 'Authorization must carry a bearer token.')
  const token = value.slice(7).trim()
  if (token === '' || token.includes(' ') || token.includes(',')) throw new Refusal('bad-identity', 'Authorization must carry exactly one bearer token.')
  return token
}

const cookieTokens = (lines: readonly string[]): string[] => {
  const found: string[] = []
  for (const line of lines)
    for (const pair of line.split(';')) {
      const at = pair.indexOf('=')
      if (at > 0 && pair.slice(0, at).trim() === sessionCookie) found.push(pair.slice(at + 1).trim())
    }
  return found
}

/**
 * The one thing that says who is calling. A request that says it twice differently is refused, because two readers could believe two different callers.
 * The URL is never looked at.
 */
export const claimOf = (notes: RequestNotes, address: string, audience: string | undefined): Claim => {
  const cookies = notes.cookie.length === 0 ? [] : cookieTokens(notes.cookie)
  const first = notes.authorization[0]
  const bearer = first === undefined ? undefined : bearerOf(first)
  const key = notes.apiKey[0]
  if (notes.authorization.length > 1 || notes.apiKey.length > 1 || cookies.length > 1) throw twoIdentities()
  if (bearer !== undefined && key !== undefined && bearer !== key) throw twoIdentities()
  const cookie = cookies[0]
  if (cookie !== undefined && (bearer ?? key) !== undefined) throw twoIdentities()
  const token = bearer ?? key ?? cookie
  if (token === undefined || token === '') throw new Refusal('no-identity', 'This request carries no identity. Send a bearer token.')
  const from = bearer !== undefined ? 'authorization' : key !== undefined ? 'x-api-key' : 'cookie'
  return audience === undefined ? { token, from, address } : { token, from, address, audience }
}

/** The claim of a request; the very same value as before where its connection says the same again. */
export const claimOn = (connection: Connection, notes: RequestNotes, address: string, audience: string | undefined): Claim => {
  const [authorization] = notes.authorization
  const alone = authorization !== undefined && notes.authorization.length === 1 && notes.apiKey.length === 0 && notes.cookie.length === 0
  const { said } = connection
  if (alone && said !== undefined && said.authorization === authorization && said.claim.address === address && said.claim.audience === audience) return said.claim
  const claim = claimOf(notes, address, audience)
  if (alone) connection.said = { authorization, claim }
  return claim
}

/** A browser adds its cookie to whatever page asks: what another site starts must not run as its user. */
export const refuseCrossSite = (claim: Claim, notes: RequestNotes, host: string, harmless: boolean): void => {
  if (claim.from !== 'cookie' || harmless) return
  const sameOrigin = notes.fetchSite === 'same-origin' || (notes.fetchSite === undefined && notes.origin !== undefined && /^https?:\/\//.test(notes.origin) && notes.origin.replace(/^https?:\/\//, '').replace(/:\d+$/, '') === host)
  if (!sameOrigin) throw new Refusal('denied', 'A browser session may not be used from another site.')
}

/** Tools are called by programs. A page that says where it is from must be from here: under a name of its own it could have been led to us. */
export const refuseForeignOrigin = ({ origin }: RequestNotes, host: string): void => {
  if (origin === undefined) return
  const name = /^https?:\/\/(.+)$/.exec(origin)?.[1]?.replace(/:\d+$/, '').toLowerCase()
  if (name !== host) throw new Refusal('denied', 'Requests from pages of another site are not answered here.')
}

const twoIdentities = (): Refusal => new Refusal('two-identities', 'This request carries more than one identity.')
