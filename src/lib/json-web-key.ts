import { createPublicKey, hash, type KeyObject } from 'node:crypto'

/** An Ed25519 key as RFC 8037 writes it. */
export interface PublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
}

/** The public half of it. */
export const publicJwk = (key: KeyObject): PublicJwk => ({ kty: 'OKP', crv: 'Ed25519', x: (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' }).x ?? '' })

/** RFC 7638: required members only, in lexical order. */
export const thumbprint = ({ crv, kty, x }: PublicJwk): string => hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url')

/** What others check signatures of these keys with. */
export const keySetText = (keys: readonly KeyObject[]): string => JSON.stringify({ keys: keys.map((key) => publicJwk(key)).map((jwk) => ({ ...jwk, kid: thumbprint(jwk), alg: 'EdDSA', use: 'sig' })) })

/** Throws for anything but the public half of an Ed25519 key. */
export const ed25519KeyOf = (jwk: unknown): KeyObject => {
  const { kty, crv, x, alg, use } = (jwk ?? {}) as Readonly<Record<string, unknown>>
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || Buffer.from(x, 'base64url').length !== 32) throw new Error('a key that is not Ed25519')
  if ((alg !== undefined && alg !== 'EdDSA' && alg !== 'Ed25519') || (use !== undefined && use !== 'sig')) throw new Error('a key that is for something else')
  return createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
}
