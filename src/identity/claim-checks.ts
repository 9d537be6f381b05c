import type { Preset } from './options.ts'
import type { Issuer } from './issuer.ts'
import { describeClaimRule, matchesClaimRule } from './claim-rule.ts'
import { readClaim } from './claim-path.ts'
import { isName, shown, TokenProblem, type Trail } from './steps.ts'
import type { Claims } from './token-shape.ts'

export interface Times {
  readonly expiresAt: number
  readonly authenticatedAt: number
}

/** What every accepted set of claims has passed, whether a signature or the issuer's own answer vouches for it. Times in milliseconds. */
export const checkClaims = (issuer: Issuer, claims: Claims, { audience, login }: { readonly audience: string | undefined; readonly login: string | undefined }, now: number, note: Trail, signed: boolean): Times => {
  if (login === undefined) checkPurpose(issuer.options.preset, claims, note)
  checkAudience(login === undefined ? issuer.options.audiences : [login], claims, audience, note)
  if (login !== undefined && claims['azp'] !== undefined && claims['azp'] !== login) throw new TokenProblem('audience', `azp ${shown(claims['azp'])}`, login)
  const times = checkTimes(issuer, claims, now, note, signed)
  checkRequired(issuer, claims, note)
  // A token that is bound to a key or a certificate is worth nothing without the proof, and nobody can hand us one.
  if (Object.hasOwn(claims, 'cnf')) throw new TokenProblem('proof', 'a token bound to a key ("cnf")', 'a plain bearer token')
  note('proof', 'no binding', 'a plain bearer token')
  return times
}

/** Members that only ID tokens have. Some issuers sign their ID tokens for the same reader, and only these give them away. */
const idTokenMembers: Readonly<Record<Preset, readonly string[]>> = {
  generic: ['at_hash', 'c_hash'],
  okta: ['at_hash', 'c_hash', 'nonce'],
  entra: ['at_hash', 'c_hash', 'nonce'],
  google: [],
  'github-actions': [],
  gitlab: [],
  kubernetes: [],
}

const checkPurpose = (preset: Preset, claims: Claims, note: Trail): void => {
  const member = idTokenMembers[preset].find((name) => Object.hasOwn(claims, name)) ?? (preset === 'generic' && claims['typ'] === 'ID' ? 'typ' : undefined)
  if (member !== undefined) throw new TokenProblem('type', `an ID token (it has "${member}")`, 'an access token')
  note('type', 'no sign of an ID token', 'an access token')
}

/**
 * The token must be for one of the issuer's audiences and, where the service asks for its own, for that one too.
 * It may be for others as well, unless `azp` says that it was made for one of those others: then it is theirs, and they only pass it on.
 */
const checkAudience = (audiences: readonly string[], claims: Claims, asked: string | undefined, note: Trail): void => {
  const { aud, azp } = claims as { aud?: unknown; azp?: unknown }
  const given = typeof aud === 'string' ? [aud] : aud
  const expected = asked === undefined ? audiences.join(' or ') : `${asked}, and ${audiences.join(' or ')}`
  const wrong = (): TokenProblem => new TokenProblem('audience', shown(aud), expected)
  if (!Array.isArray(given) || given.length > 50 || !given.every((entry): entry is string => typeof entry === 'string' && entry !== '')) throw wrong()
  const ours = given.filter((entry) => audiences.includes(entry))
  if (ours.length === 0 || (asked !== undefined && !given.includes(asked))) throw wrong()
  const others = given.filter((entry) => !audiences.includes(entry) && entry !== asked)
  if (azp !== undefined && typeof azp !== 'string') throw new TokenProblem('audience', `azp ${shown(azp)}`, 'a text')
  if (azp !== undefined && others.includes(azp)) throw new TokenProblem('audience', `${shown(aud)} made for ${shown(azp)}`, `a token that was not made for another audience than ${expected}`)
  note('audience', shown(aud), expected)
}

/** The year 5138: later than anything meant, and far from where numbers lose their seconds. */
const lastSecond = 1e11

const checkTimes = ({ options }: Issuer, claims: Claims, now: number, note: Trail, signed: boolean): Times => {
  const exp = secondsOf(claims, 'exp')
  const iat = secondsOf(claims, 'iat')
  const nbf = secondsOf(claims, 'nbf')
  const authTime = secondsOf(claims, 'auth_time')
  const { clockToleranceMs: tolerance, maxTokenAgeMs: maxAge } = options
  const fail = (found: string, expected: string): TokenProblem => new TokenProblem('time', `${found} at ${at(now)}`, expected)
  if (exp === undefined) throw fail('no exp', 'a time of expiry')
  if (iat === undefined && signed) throw fail('no iat', 'a time of issue')
  if (exp + tolerance <= now) throw fail(`exp ${at(exp)}`, 'a token that has not expired')
  if (nbf !== undefined && nbf - tolerance > now) throw fail(`nbf ${at(nbf)}`, 'a token that is already valid')
  if (iat !== undefined && iat - tolerance > now) throw fail(`iat ${at(iat)}`, 'a token that was issued before now')
  if (iat !== undefined && now - iat > maxAge + tolerance) throw fail(`iat ${at(iat)}`, `a token no older than ${maxAge / 1000} s`)
  if (iat !== undefined && exp + tolerance < iat) throw fail(`exp ${at(exp)} before iat ${at(iat)}`, 'an expiry after the issue')
  note('time', `exp ${at(exp)}${iat === undefined ? '' : `, iat ${at(iat)}`}`, `valid at ${at(now)}, give or take ${tolerance / 1000} s, no older than ${maxAge / 1000} s`)
  // Nobody logged in later than the token was made, whatever it says.
  return { expiresAt: exp, authenticatedAt: Math.min(authTime ?? Infinity, iat ?? now, now) }
}

const secondsOf = (claims: Claims, name: string): number | undefined => {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !(value >= 0 && value <= lastSecond)) throw new TokenProblem('time', `${name} ${shown(value)}`, 'seconds since 1970')
  return Math.floor(value * 1000)
}

const at = (time: number): string => new Date(time).toISOString()

const checkRequired = ({ required }: Issuer, claims: Claims, note: Trail): void => {
  for (const { name, path, rule } of required) {
    const value = readClaim(claims, path)
    if (!matchesClaimRule(rule, value)) throw new TokenProblem('required', `${name} ${shown(value)}`, describeClaimRule(rule))
    note('required', `${name} ${shown(value)}`, describeClaimRule(rule))
  }
}

/** The claim as a name, or the reason why not. */
export const nameIn = (claims: Claims, path: readonly string[], what: string): string => {
  const value = readClaim(claims, path)
  if (!isName(value)) throw new TokenProblem('subject', `${what} ${shown(value)}`, 'a text of one line')
  return value
}
