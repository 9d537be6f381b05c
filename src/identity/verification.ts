import { hash } from 'node:crypto'
import { errors, jwtVerify } from 'jose'
import type { Caller } from '../model/caller.ts'
import { checkClaims, nameIn } from './claim-checks.ts'
import { readClaim } from './claim-path.ts'
import { resolveDelegation } from './delegation.ts'
import type { Introspect } from './introspection.ts'
import type { Issuer, Registry } from './issuer.ts'
import type { KeySet } from './key-set.ts'
import { principalOf } from './principal.ts'
import { shown, TokenProblem, type Trail } from './steps.ts'
import { checkSize, isOpaque, takeApart, type Claims, type SignedToken } from './token-shape.ts'
import { importKey, type VerificationKey } from './verification-key.ts'

/** What stands behind one entry of the configuration while the program runs. */
export interface Authority {
  readonly issuer: Issuer
  readonly keys: KeySet
  readonly introspect: Introspect | undefined
}

export interface Question {
  readonly token: string
  readonly audience: string | undefined
  /** The client whose login the token reports: then an ID token for that client is asked for, and nothing else is accepted. */
  readonly login?: string
  readonly address: string
  /** Ask the issuer as well, where it can be asked. */
  readonly fresh: boolean
}

export interface Verified {
  readonly caller: Caller
  readonly key: VerificationKey | undefined
}

export interface Verification {
  readonly registry: Registry
  readonly authorities: ReadonlyMap<string, Authority>
  readonly maxTokenBytes: number
  readonly now: () => number
}

/** The whole of it, in order. Rejects with the `TokenProblem` of the first step that fails. */
export const verify = async (world: Verification, { token, audience, address, fresh }: Question, note: Trail): Promise<Verified> => {
  checkSize(token, world.maxTokenBytes, note)
  if (isOpaque(token)) return verifyOpaque(world, token, audience, address, note)
  const signed = takeApart(token, note)
  const authority = chooseAuthority(world, issOf(signed.claims), note)
  return named(authority, verifySigned(world, authority, { token, audience, address, fresh }, signed, note))
}

/** From here on it is known whose token this claims to be. */
const named = async <T>({ issuer }: Authority, verified: Promise<T>): Promise<T> => {
  try {
    return await verified
  } catch (error) {
    if (error instanceof TokenProblem) error.issuer = issuer.options.name
    throw error
  }
}

const verifySigned = async (world: Verification, authority: Authority, { token, audience, address, fresh }: Question, signed: SignedToken, note: Trail): Promise<Verified> => {
  checkAlgorithm(authority.issuer, signed, note)
  checkType(authority.issuer, signed, note)
  const key = await checkSignature(authority, { token, signed, audience, required: ofAccess }, world.now(), note)
  const asked = fresh && authority.introspect !== undefined && authority.issuer.options.introspection?.recheck === true ? await authority.introspect(token, note) : undefined
  const claims = asked === undefined ? signed.claims : renew(authority.issuer, signed.claims, asked)
  return { caller: callerOf(world, authority.issuer, claims, { token, audience, address }, note, true), key }
}

const verifyOpaque = async (world: Verification, token: string, audience: string | undefined, address: string, note: Trail): Promise<Verified> => {
  const authority = [...world.authorities.values()].find(({ issuer }) => issuer.options.introspection?.opaqueTokens === true)
  if (authority?.introspect === undefined) throw new TokenProblem('shape', 'a token that is not a signed one', 'three base64url parts: no issuer is asked about opaque tokens')
  note('shape', 'an opaque token', 'a token that its issuer knows')
  const { issuer, introspect } = authority
  const ask = async (): Promise<Verified> => ({ caller: callerOf(world, issuer, await introspect(token, note), { token, audience, address }, note, false), key: undefined })
  return named(authority, ask())
}

const ofAccess = ['iss', 'sub', 'aud', 'exp', 'iat']

/** What an issuer signed for one of its clients to read, and for nobody to carry: the report of a login (ID token) or of its end. Nothing but the signature, audience and times is looked at yet. */
export const verifyReport = async (world: Verification, { token, clientId, required }: { readonly token: string; readonly clientId: string; readonly required: readonly string[] }, note: Trail): Promise<{ readonly issuer: Issuer; readonly claims: Claims; readonly typ: string | undefined }> => {
  checkSize(token, world.maxTokenBytes, note)
  const signed = takeApart(token, note)
  const authority = chooseAuthority(world, issOf(signed.claims), note)
  checkAlgorithm(authority.issuer, signed, note)
  await checkSignature(authority, { token, signed, audience: clientId, required }, world.now(), note)
  return { issuer: authority.issuer, claims: signed.claims, typ: signed.typ }
}

/** The person whom an ID token of this client is about. */
export const verifyLogin = async (world: Verification, { token, clientId, address }: { readonly token: string; readonly clientId: string; readonly address: string }, note: Trail): Promise<{ readonly caller: Caller; readonly claims: Claims; readonly clockToleranceMs: number }> => {
  const { issuer, claims } = await verifyReport(world, { token, clientId, required: ofAccess }, note)
  if (Object.hasOwn(claims, 'events')) throw new TokenProblem('type', 'a report of events', 'an ID token')
  return { caller: callerOf(world, issuer, claims, { token, audience: undefined, login: clientId, address }, note, true), claims, clockToleranceMs: issuer.options.clockToleranceMs }
}

export const issOf = (claims: Claims): string => {
  const iss = Object.hasOwn(claims, 'iss') ? claims['iss'] : undefined
  if (typeof iss !== 'string') throw new TokenProblem('issuer', shown(iss), 'a configured issuer')
  return iss
}

/** Unverified, and used for one thing only: to choose whose keys must have signed. */
const chooseAuthority = ({ registry, authorities }: Verification, iss: string, note: Trail): Authority => {
  const authority = authorities.get(registry.issuers.get(iss)?.options.name ?? '')
  if (authority === undefined) throw new TokenProblem('issuer', shown(iss), [...registry.issuers.keys()].join(' or '))
  note('issuer', shown(iss), authority.issuer.options.name)
  return authority
}

/** Stands in a list of types for tokens whose header names none. Never accepted unless it is asked for: ID tokens and others often carry none. */
const untyped = 'untyped'

const checkAlgorithm = ({ options }: Issuer, { alg }: SignedToken, note: Trail): void => {
  const algorithms = options.algorithms.join(' or ')
  if (!options.algorithms.includes(alg)) throw new TokenProblem('algorithm', shown(alg), algorithms)
  note('algorithm', alg, algorithms)
}

const checkType = ({ options }: Issuer, { typ }: SignedToken, note: Trail): void => {
  if (options.tokenTypes === undefined) return
  const types = options.tokenTypes.join(' or ')
  const isAccepted = typ === undefined ? options.tokenTypes.includes(untyped) : typ !== untyped && options.tokenTypes.includes(typ)
  if (!isAccepted) throw new TokenProblem('type', typ === undefined ? `no typ (if this issuer never sends one, add "${untyped}" to its token-types)` : `typ ${shown(typ)}`, types)
  note('type', typ === undefined ? 'no typ' : `typ ${typ}`, types)
}

const checkSignature = async ({ issuer: { options }, keys }: Authority, { token, signed, audience, required }: { readonly token: string; readonly signed: SignedToken; readonly audience: string | undefined; readonly required: readonly string[] }, now: number, note: Trail): Promise<VerificationKey> => {
  const key = await keys.keyFor(signed)
  note('keys', `key ${shown(key.kid)}`, 'a key of this issuer')
  const expected = `made by ${options.name}'s key ${shown(key.kid)}`
  try {
    await jwtVerify(token, await importKey(key, signed.alg), {
      algorithms: [signed.alg],
      issuer: [...options.issuers],
      audience: audience ?? [...options.audiences],
      requiredClaims: [...required],
      clockTolerance: options.clockToleranceMs / 1000,
      maxTokenAge: options.maxTokenAgeMs / 1000,
      currentDate: new Date(now),
    })
  } catch (error) {
    if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
      note('signature', 'right', expected)
      const step = error.claim === 'aud' ? 'audience' : error.claim === 'iss' ? 'issuer' : error.claim === 'sub' ? 'subject' : 'time'
      throw new TokenProblem(step, `${error.claim} ${shown(error.payload[error.claim])} at ${new Date(now).toISOString()}`, error.message.replaceAll('"', ''), error)
    }
    throw new TokenProblem('signature', error instanceof errors.JWSSignatureVerificationFailed ? 'another signature' : 'a signature or a key that cannot be used', expected, error)
  }
  note('signature', 'right', expected)
  return key
}

/** What the issuer says now, over what it signed then. About groups only its answer counts: what it leaves out is unknown, not unchanged. */
const renew = ({ paths, options }: Issuer, signed: Claims, answer: Claims): Claims => {
  for (const name of ['iss', 'sub']) if (answer[name] !== signed[name]) throw new TokenProblem('introspection', `${name} ${shown(answer[name])}`, `${name} ${shown(signed[name])}`)
  const claims: Record<string, unknown> = { ...signed, ...answer }
  for (const path of [paths.groups, paths.roles]) {
    if (path === undefined || readClaim(answer, path) !== undefined || readClaim(signed, path) === undefined) continue
    claims['_claim_names'] = { ...(typeof claims['_claim_names'] === 'object' ? claims['_claim_names'] : {}), [path[0] ?? '']: options.name }
  }
  return claims
}

const callerOf = ({ registry, now }: Verification, issuer: Issuer, claims: Claims, { token, audience, login, address }: Omit<Question, 'fresh'>, note: Trail, signed: boolean): Caller => {
  const iss = issOf(claims)
  const times = checkClaims(issuer, claims, { audience, login }, now(), note, signed)
  nameIn(claims, ['sub'], 'sub') // also where another claim names the account
  const subject = principalOf(issuer, registry, iss, claims)
  note('subject', `${subject.kind} ${shown(subject.subject)}, groups ${subject.groups === undefined ? 'unknown' : shown(subject.groups)}`, 'a subject of one line')
  const [acting, ...onBehalfOf] = resolveDelegation(issuer, registry, iss, claims, subject, note)
  const named = issuer.claims.flatMap(([name, path]) => {
    const value = readClaim(claims, path)
    return value === undefined ? [] : [[name, value] as const]
  })
  return deepFreeze({ ...acting, onBehalfOf, claims: Object.fromEntries(named), session: hash('sha256', token).slice(0, 16), ...times, address })
}

const deepFreeze = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
