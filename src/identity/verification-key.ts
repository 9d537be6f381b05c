import { importJWK, type CryptoKey } from 'jose'
import { canonicalJson } from '../lib/canonical-json.ts'

/** One public key of an issuer. */
export interface VerificationKey {
  readonly kid: string | undefined
  /** Turned off when the issuer withdraws the key: whatever was verified with it must be verified again. */
  live: boolean
  readonly jwk: Readonly<Record<string, unknown>>
  readonly print: string
  readonly imported: Map<string, Promise<CryptoKey>>
}

/** The public half of which algorithm. Symmetric algorithms have no entry, so that no text anybody can read is ever a secret. */
const families: Readonly<Record<string, { readonly kty: string; readonly crv?: readonly string[] }>> = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: ['P-256'] },
  ES384: { kty: 'EC', crv: ['P-384'] },
  ES512: { kty: 'EC', crv: ['P-521'] },
  EdDSA: { kty: 'OKP', crv: ['Ed25519'] },
  Ed25519: { kty: 'OKP', crv: ['Ed25519'] },
}

export const isPublicKeyAlgorithm = (alg: string): boolean => Object.hasOwn(families, alg)

const maxKeys = 200

/** A fetched key set. A key that was there before stays the same object; one that is gone is turned off. */
export const adoptKeys = (set: unknown, before: readonly VerificationKey[]): readonly VerificationKey[] => {
  const list = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(list)) throw new Error('not a key set')
  if (list.length > maxKeys) throw new Error(`more than ${maxKeys} keys`)
  const known = new Map(before.map((key) => [key.print, key]))
  const keys = list.flatMap((entry: unknown) => {
    const jwk = publicMembers(entry)
    if (jwk === undefined) return []
    const print = canonicalJson(jwk)
    const { kid } = jwk as { kid?: unknown }
    return [known.get(print) ?? { kid: typeof kid === 'string' ? kid : undefined, live: true, jwk, print, imported: new Map() }]
  })
  const kept = new Set(keys)
  for (const key of before) if (!kept.has(key)) key.live = false
  return [...kept]
}

const members = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use', 'key_ops', 'endorsements'] as const

/** Only what a public key consists of, and what it is said to be good for: no private half, no certificate, no address to fetch more from. */
const publicMembers = (entry: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (typeof entry !== 'object' || entry === null) return undefined
  const jwk = entry as Record<string, unknown>
  const { kty, kid } = jwk as { kty?: unknown; kid?: unknown }
  if (typeof kty !== 'string' || (kid !== undefined && typeof kid !== 'string')) return undefined
  return Object.fromEntries(members.filter((name) => Object.hasOwn(jwk, name)).map((name) => [name, jwk[name]]))
}

export const selectKeys = (keys: readonly VerificationKey[], alg: string, kid: string | undefined): readonly VerificationKey[] => {
  const family = Object.hasOwn(families, alg) ? families[alg] : undefined
  if (family === undefined) return []
  return keys.filter(({ kid: id, jwk }) => {
    const { kty, crv, alg: only, use, key_ops: operations } = jwk as { kty?: unknown; crv?: unknown; alg?: unknown; use?: unknown; key_ops?: unknown }
    return (
      (kid === undefined || id === kid) &&
      kty === family.kty &&
      (family.crv === undefined || family.crv.some((curve) => curve === crv)) &&
      (only === undefined || only === alg || (kty === 'OKP' && (only === 'EdDSA' || only === 'Ed25519'))) &&
      (use === undefined || use === 'sig') &&
      (operations === undefined || (Array.isArray(operations) && operations.includes('verify')))
    )
  })
}

export const importKey = (key: VerificationKey, alg: string): Promise<CryptoKey> => {
  const known = key.imported.get(alg)
  if (known) return known
  const { kid: _kid, use: _use, key_ops: _operations, alg: _alg, ...material } = key.jwk
  const imported = importJWK({ ...material, kty: String(material['kty']) }, alg) as Promise<CryptoKey>
  key.imported.set(alg, imported)
  return imported
}
