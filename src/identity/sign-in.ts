import type { Caller } from '../model/caller.ts'
import { isName, noTrail, shown, TokenProblem } from './steps.ts'
import type { Claims } from './token-shape.ts'
import { issOf, verifyLogin, verifyReport, type Verification } from './verification.ts'

/** A login as its issuer names it: by the account, and by a session of its own where it keeps one. */
export interface LoginName {
  readonly issuer: string
  readonly subject?: string
  readonly session?: string
}

/** A login that was made for this, and not one that goes on: since then, in one of these ways (`acr`; none named: in any). */
export interface FreshLogin {
  readonly since: number
  readonly acr: readonly string[]
}

interface Report {
  readonly token: string
  readonly clientId: string
  readonly address: string
}

/** What an issuer tells a client of its own: who has logged in, and whose login is over. */
export interface SignIns {
  /** Who an ID token made for this client is about: the same person, by the same reading of claims, as behind a bearer token. Throws as `Identity.authenticate` does; also if it is not `fresh`. */
  person(report: Report & { readonly fresh?: FreshLogin }): Promise<{ readonly caller: Caller; readonly login: LoginName & { readonly subject: string } }>
  /** Whose login a logout token (OpenID Connect Back-Channel Logout) made for this client ends. `id` names the token. Throws likewise. */
  ended(report: Report): Promise<{ readonly login: LoginName; readonly id: string }>
}

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout'

/** A token that ends something is made when it ends. */
const logoutWithinMs = 5 * 60_000

export const readLogin = async (world: Verification, { fresh, ...report }: Report & { readonly fresh?: FreshLogin }): Promise<Awaited<ReturnType<SignIns['person']>>> => {
  const { caller, claims, clockToleranceMs } = await verifyLogin(world, report, noTrail)
  if (fresh !== undefined) checkFresh(claims, fresh, clockToleranceMs)
  return { caller, login: { issuer: issOf(claims), subject: nameAt(claims, 'sub') ?? '', ...sessionAt(claims) } }
}

/** Where the issuer does not say when and how somebody logged in, nobody knows. */
const checkFresh = (claims: Claims, { since, acr }: FreshLogin, toleranceMs: number): void => {
  const at = Object.hasOwn(claims, 'auth_time') ? claims['auth_time'] : undefined
  if (typeof at !== 'number' || !(at * 1_000 + toleranceMs >= since)) throw new TokenProblem('time', `auth_time ${shown(at)}`, `a login since ${new Date(since).toISOString()}`)
  const how = Object.hasOwn(claims, 'acr') ? claims['acr'] : undefined
  if (acr.length > 0 && !(typeof how === 'string' && acr.includes(how))) throw new TokenProblem('required', `acr ${shown(how)}`, acr.join(' or '))
}

export const readLogout = async (world: Verification, { token, clientId }: { readonly token: string; readonly clientId: string }): Promise<Awaited<ReturnType<SignIns['ended']>>> => {
  const { issuer, claims, typ } = await verifyReport(world, { token, clientId, required: ['iss', 'aud', 'iat', 'jti', 'events'] }, noTrail)
  if (typ !== undefined && typ !== 'logout+jwt' && typ !== 'jwt') throw new TokenProblem('type', `typ ${typ}`, 'logout+jwt')
  if (Object.hasOwn(claims, 'nonce')) throw new TokenProblem('type', 'a nonce', 'a logout token, which has none')
  const events = claims['events']
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, logoutEvent)) throw new TokenProblem('type', `events ${shown(events)}`, logoutEvent)
  const issuedAt = Number(claims['iat']) * 1_000
  if (!(world.now() - issuedAt <= logoutWithinMs + issuer.options.clockToleranceMs)) throw new TokenProblem('time', `iat ${shown(claims['iat'])}`, `issued within ${logoutWithinMs / 60_000} minutes`)
  const id = nameAt(claims, 'jti')
  const subject = nameAt(claims, 'sub')
  const session = sessionAt(claims)
  if (id === undefined || (subject === undefined && session.session === undefined)) throw new TokenProblem('subject', `jti ${shown(id)}, sub ${shown(subject)}`, 'a jti, and a sub or a sid')
  return { login: { issuer: issOf(claims), ...(subject === undefined ? {} : { subject }), ...session }, id }
}

const nameAt = (claims: Claims, name: string): string | undefined => {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  if (value !== undefined && !isName(value)) throw new TokenProblem('subject', `${name} ${shown(value)}`, 'a text of one line')
  return value
}

const sessionAt = (claims: Claims): { readonly session?: string } => {
  const session = nameAt(claims, 'sid')
  return session === undefined ? {} : { session }
}
