import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/*
 * 1 · nonce (12) · tag (16) · AES-256-GCM ciphertext, base64url; bound to what it is about
 */
const version = 1
const headBytes = 1 + 12 + 16

/** Texts that only this deployment can read and write, wherever they are kept. */
export interface Sealing {
  seal(text: string, about: string): string
  /** `undefined` for anything that was not sealed here, or about something else. */
  open(sealed: string, about: string): string | undefined
  /** A token that proves the same, and tells nothing. */
  proof(about: string): string
  isProof(given: string, about: string): boolean
}

/** `keys` have 32 bytes each: the first is used, the others are still read. */
export const makeSealing = (keys: readonly Uint8Array[]): Sealing => {
  const [first] = keys
  if (first === undefined) throw new Error('no key to seal with')
  const mac = (key: Uint8Array, about: string): Buffer => createHmac('sha256', key).update(`proof\n${about}`).digest()

  const openWith = (key: Uint8Array, bytes: Buffer, about: string): string | undefined => {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 13), { authTagLength: 16 }).setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(13, headBytes))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(headBytes)), decipher.final()]).toString()
    } catch {
      return undefined
    }
  }

  return {
    seal(text, about) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', first, nonce).setAAD(Buffer.from(about))
      const body = Buffer.concat([cipher.update(text), cipher.final()])
      return Buffer.concat([Buffer.of(version), nonce, cipher.getAuthTag(), body]).toString('base64url')
    },
    open(sealed, about) {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < headBytes || bytes[0] !== version) return undefined
      for (const key of keys) {
        const text = openWith(key, bytes, about)
        if (text !== undefined) return text
      }
      return undefined
    },
    proof: (about) => mac(first, about).toString('base64url'),
    isProof(given, about) {
      const bytes = Buffer.from(given, 'base64url')
      return bytes.length === 32 && keys.some((key) => timingSafeEqual(bytes, mac(key, about)))
    },
  }
}
