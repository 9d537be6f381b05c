import { createHmac, createSecretKey, sign, type KeyObject } from 'node:crypto'
import { privateKeyOf, publicBytes } from '../../lib/ed25519.ts'

/*
 * Standard Webhooks. Signed are `{id}.{timestamp}.{body}`.
 * v1   HMAC-SHA256; the secret is `whsec_` and base64
 * v1a  Ed25519; the private key is `whsk_` and base64 of its seed (or of seed and public key), the public one `whpk_` and base64
 */

export interface SigningKey {
  readonly kind: 'ed25519' | 'hmac'
  readonly key: KeyObject
}

/** The header that proves who sent these bytes: one signature of each key. */
export const signatures = (keys: readonly SigningKey[], id: string, timestamp: number, body: string): string =>
  keys.map(({ kind, key }) => (kind === 'hmac' ? `v1,${createHmac('sha256', key).update(signed(id, timestamp, body)).digest('base64')}` : `v1a,${sign(null, signed(id, timestamp, body), key).toString('base64')}`)).join(' ')

const signed = (id: string, timestamp: number, body: string): Buffer => Buffer.from(`${id}.${timestamp}.${body}`)

/** `undefined`: no secret of this form. */
export const readSigningKey = (secret: string): SigningKey | undefined => {
  const [, kind, text] = /^(whsec|whsk)_([A-Za-z0-9+/]+={0,2})$/.exec(secret.trim()) ?? []
  const bytes = Buffer.from(text ?? '', 'base64')
  if (kind === 'whsec') return bytes.length >= 24 && bytes.length <= 64 ? { kind: 'hmac', key: createSecretKey(bytes) } : undefined
  if (kind !== 'whsk' || (bytes.length !== 32 && bytes.length !== 64)) return undefined
  const key = privateKeyOf(bytes.subarray(0, 32))
  return bytes.length === 32 || publicBytes(key).equals(bytes.subarray(32)) ? { kind: 'ed25519', key } : undefined
}

/** What a receiver needs to check signatures of this key. */
export const publicKeyText = (key: KeyObject): string => `whpk_${publicBytes(key).toString('base64')}`
