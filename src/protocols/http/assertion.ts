import { createPrivateKey, sign, type KeyObject } from 'node:crypto'
import { keySetText, publicJwk, thumbprint } from '../../lib/json-web-key.ts'
import type { Caller, Principal } from '../../model/caller.ts'

/** Says to an upstream who is calling, in a form that it can check without trusting the network between us. */
export interface Assertions {
  /** A short-lived signed JWT about this caller for this service. */
  assertionFor(caller: Caller, service: string, now: number): string
  /** The public key as a JSON Web Key Set. */
  readonly jwks: string
}

const lifeMs = 60_000
const reusedMs = 30_000
const keptEntries = 10_000

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const described = ({ issuer, subject, kind, groups, email, owner }: Principal) => ({ iss: issuer, sub: subject, kind, groups, email, owner })

/** One session can change its groups or be prolonged while a signed statement about it is still kept. */
const saysTheSame = (a: Caller, b: Caller): boolean =>
  a === b || (a.expiresAt === b.expiresAt && a.subject === b.subject && a.issuer === b.issuer && (a.groups === b.groups || JSON.stringify(a.groups) === JSON.stringify(b.groups)))

/** `key` is an Ed25519 private key; all replicas of a deployment share it. */
export const makeAssertions = (key: KeyObject, issuer: string): Assertions => {
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('the assertion key must be an Ed25519 private key')
  const header = segment({ alg: 'EdDSA', typ: 'countersign-assertion+jwt', kid: thumbprint(publicJwk(key)) })
  const cache = new Map<string, { readonly caller: Caller; readonly until: number; readonly jwt: string }>()

  const issue = (caller: Caller, service: string, now: number): string => {
    const iat = Math.floor(now / 1000)
    const exp = Math.floor(Math.min(now + lifeMs, caller.expiresAt) / 1000)
    const payload = segment({ ...described(caller), iss: issuer, aud: service, sub: caller.subject, caller_iss: caller.issuer, act_for: caller.onBehalfOf.map(described), iat, exp })
    const input = `${header}.${payload}`
    return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
  }

  return {
    jwks: keySetText([key]),
    assertionFor(caller, service, now) {
      const name = `${caller.session}\n${service}`
      const kept = cache.get(name)
      if (kept !== undefined && kept.until > now && saysTheSame(kept.caller, caller)) return kept.jwt
      const jwt = issue(caller, service, now)
      if (cache.size >= keptEntries) cache.delete(cache.keys().next().value as string)
      cache.set(name, { caller, until: Math.min(now + reusedMs, caller.expiresAt), jwt })
      return jwt
    },
  }
}

export const assertionKey = (pem: string): KeyObject => createPrivateKey(pem)
