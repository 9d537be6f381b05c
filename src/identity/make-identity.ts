import { hash } from 'node:crypto'
import { defined } from '../lib/defined.ts'
import type { AuditEvent } from '../model/audit-event.ts'
import { partyKey, type Caller } from '../model/caller.ts'
import type { Claim } from '../model/claim.ts'
import { Refusal } from '../model/refusal.ts'
import type { Fetch } from './bounded-fetch.ts'
import { makeCallerCache, type CachedCaller } from './caller-cache.ts'
import { makeKeyLoader } from './discovery.ts'
import type { Identity } from './identity.ts'
import { makeIntrospect } from './introspection.ts'
import { makeRegistry, type Issuer } from './issuer.ts'
import { makeKeySet, type KeySetState } from './key-set.ts'
import type { IdentityOptions } from './options.ts'
import { makeOutbound, type Outbound } from './outbound.ts'
import { makeSharedRecheck } from './shared-recheck.ts'
import { readLogin, readLogout, type SignIns } from './sign-in.ts'
import { standingOf } from './standing.ts'
import { isUnavailable, noTrail, TokenProblem, type Step } from './steps.ts'
import { verify, type Authority, type Question, type Verification, type Verified } from './verification.ts'

export interface IdentityParts {
  /** Stands in for every outgoing request; then `caFile` is not used. */
  readonly fetch?: Fetch
  readonly now?: () => number
  readonly events: (event: Extract<AuditEvent, { type: 'authentication-failed' }>) => void
}

export interface Explanation {
  readonly accepted: boolean
  readonly steps: readonly Step[]
  readonly caller?: Caller
}

export interface TokenIdentity extends Identity, SignIns, AsyncDisposable {
  /** Loads every issuer's keys. Never rejects: an issuer that is away is seen in `state`. */
  prefetch(): Promise<void>
  /** By the issuer's name in the configuration. */
  state(): Readonly<Record<string, KeySetState>>
  /** What `authenticate` would find, step by step, past the cache and without an event. Rejects only for bugs. */
  verifyExplained(token: string, audience?: string): Promise<Explanation>
}

/** Callers out of tokens. Changed options mean a new one of these, with an empty cache. Throws an `Error` for options that would weaken it. */
export const makeIdentity = (options: IdentityOptions, { fetch, now = Date.now, events }: IdentityParts): TokenIdentity => {
  const registry = makeRegistry(options)
  const stop = new AbortController()
  const outbounds: Outbound[] = []
  const authorities = new Map<string, Authority>()
  for (const issuer of new Set(registry.issuers.values())) authorities.set(issuer.options.name, makeAuthority(issuer, fetch, now, stop.signal, outbounds))
  const world: Verification = { registry, authorities, maxTokenBytes: options.maxTokenBytes, now }
  const cache = makeCallerCache(options.cache.entries)
  const open = new Map<string, Promise<Verified>>()
  const rechecks = makeSharedRecheck(now)

  const authenticate = (claim: Claim): Promise<Caller> => {
    // Lengths first: even a hash of too much is work for a stranger.
    if (claim.token.length > options.maxTokenBytes) return answer(claim, '')
    const key = keyOf(claim)
    const hit = cache.get(key, now())
    if (hit === undefined) return answer(claim, key)
    return hit.caller.address === claim.address ? hit.answer : readdress(hit, claim.address)
  }

  /** The same caller from another place. The latest place is remembered, so that a steady client makes nothing new. */
  const readdress = (entry: CachedCaller, address: string): Promise<Caller> => {
    entry.caller = Object.freeze({ ...entry.caller, address })
    entry.answer = Promise.resolve(entry.caller)
    return entry.answer
  }

  const answer = async (claim: Claim, key: string): Promise<Caller> => {
    let flight = open.get(key)
    if (flight === undefined) {
      flight = verify(world, questionOf(claim, false), noTrail).finally(() => open.delete(key))
      if (key !== '') open.set(key, flight)
    }
    try {
      const { caller, key: signer } = await flight
      const own = caller.address === claim.address ? caller : Object.freeze({ ...caller, address: claim.address })
      const time = now()
      const until = Math.min(caller.expiresAt, time + options.cache.maxAgeMs)
      if (until > time && signer?.live !== false) cache.set(key, { caller: own, answer: Promise.resolve(own), until, key: signer })
      return own
    } catch (error) {
      throw refuse(error, claim)
    }
  }

  const refuse = (error: unknown, claim: Pick<Claim, 'address'> & { readonly from: string }): unknown => {
    if (!(error instanceof TokenProblem)) return error
    events({ type: 'authentication-failed', step: error.step, address: claim.address, from: claim.from, cause: error.message, ...defined({ issuer: error.issuer }) })
    return isUnavailable(error.step)
      ? new Refusal('identity-unavailable', 'The identity provider cannot be reached to check this token.', { cause: error, retryAfterSeconds: 5 })
      : new Refusal('bad-identity', 'The token was not accepted.', { cause: error })
  }

  return {
    authenticate,
    async recheck(caller, claim) {
      try {
        const { caller: again } = await rechecks.ask(keyOf(claim), () => verify(world, questionOf(claim, true), noTrail))
        if (!sameChain(caller, again)) throw new TokenProblem('same-caller', 'another caller behind the token', 'the caller who asked')
        return again.address === claim.address ? again : Object.freeze({ ...again, address: claim.address })
      } catch (error) {
        cache.drop(keyOf(claim)) // what is known to be over is not remembered as good
        throw refuse(error, claim)
      }
    },
    standing: (caller) => standingOf(options, registry, caller),
    person: (report) => readLogin(world, report).catch((error: unknown) => { throw refuse(error, { address: report.address, from: 'login' }) }),
    ended: (report) => readLogout(world, report).catch((error: unknown) => { throw refuse(error, { address: report.address, from: 'logout' }) }),
    async prefetch() {
      await Promise.all([...authorities.values()].map(({ keys }) => keys.prefetch()))
    },
    state: () => Object.fromEntries([...authorities].map(([name, { keys }]) => [name, keys.state()])),
    async verifyExplained(token, audience) {
      const steps: Step[] = []
      try {
        const { caller } = await verify(world, { token, audience, address: '', fresh: true }, (step, found, expected) => steps.push({ step, ok: true, found, expected }))
        return { accepted: true, steps, caller }
      } catch (error) {
        if (!(error instanceof TokenProblem)) throw error
        return { accepted: false, steps: [...steps, { step: error.step, ok: false, found: error.found, expected: error.expected }] }
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(outbounds.map((outbound) => outbound[Symbol.asyncDispose]()))
    },
  }
}

/**
 * The whole question: what was given, as a hash of one length, then what it was asked for. Hashing the token as it stands
 * costs half of what hashing a new text made of both does.
 */
const keyOf = (claim: Claim): string => {
  const known = keys.get(claim)
  if (known !== undefined) return known
  const digest = hash('sha256', claim.token, 'base64')
  const key = claim.audience === undefined ? digest : digest + claim.audience
  keys.set(claim, key)
  return key
}

/** A connection that says the same again gives the same claim again. */
const keys = new WeakMap<Claim, string>()

const questionOf = ({ token, audience, address }: Claim, fresh: boolean): Question => ({ token, audience, address, fresh })

const sameChain = (a: Caller, b: Caller): boolean => {
  if (a === b) return true
  const chain = (caller: Caller): readonly string[] => [caller, ...caller.onBehalfOf].map(partyKey)
  const others = chain(b)
  return a.onBehalfOf.length === b.onBehalfOf.length && chain(a).every((key, index) => key === others[index])
}

const makeAuthority = (issuer: Issuer, stub: Fetch | undefined, now: () => number, signal: AbortSignal, outbounds: Outbound[]): Authority => {
  const { options } = issuer
  const reach = (caFile: string | undefined): Fetch => {
    if (stub) return stub
    const outbound = makeOutbound(caFile)
    outbounds.push(outbound)
    return outbound.fetch
  }
  const limits = { timeoutMs: options.jwks.timeoutMs, maxBytes: options.jwks.maxBytes, signal }
  const fetch = reach(options.keys.from === 'uri' ? options.keys.caFile : undefined)
  const introspect = options.introspection && makeIntrospect(options, options.introspection, options.keys.from === 'uri' && options.keys.caFile !== undefined ? reach(undefined) : fetch, limits)
  return { issuer, keys: makeKeySet(makeKeyLoader(options, fetch, limits), options.jwks, now), introspect }
}
