import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto'
import { JsonProblem, parseStrictJson } from './strict-json.ts'

/*
 * The relying party's part of WebAuthn (Level 3, sections 7.1 and 7.2), for passkeys without attestation.
 *
 * authenticator data    rpIdHash (32) · flags (1) · counter (4, big endian) · [attested credential] · [extensions]
 * attested credential   AAGUID (16) · length (2) · credential id · COSE key, in the one canonical form that CTAP2 allows
 *
 * The RP ID is the host of the origin. The key comes as SPKI, as browsers give it; the COSE form of it must stand in the authenticator data.
 */

/** Why what an authenticator or a browser said is not accepted. */
export class PasskeyProblem extends Error {
  override readonly name = 'PasskeyProblem'
}

export interface Expected {
  /** Of the page, as the browser writes it. */
  readonly origin: string
  readonly challenge: Uint8Array
}

/** What a browser has of a new passkey (`AuthenticatorAttestationResponse`). */
export interface Registration {
  /** `clientDataJSON`. */
  readonly clientData: Uint8Array
  readonly authenticatorData: Uint8Array
  /** DER SPKI. */
  readonly publicKey: Uint8Array
}

/** What a browser has of a signature (`AuthenticatorAssertionResponse`). */
export interface Assertion {
  readonly clientData: Uint8Array
  readonly authenticatorData: Uint8Array
  readonly signature: Uint8Array
}

export interface NewPasskey {
  readonly id: Uint8Array
  /** 0 for passkeys that do not count. */
  readonly counter: number
  /** It may be kept by a service, and be on more than one device. */
  readonly synced: boolean
}

/** COSE algorithm identifiers, in the order in which we like them. */
export const algorithms = { ES256: -7, EdDSA: -8, RS256: -257 } as const

const longestClientData = 2_048
const longestAuthenticatorData = 4_096
const longestSignature = 512
const longestPublicKey = 1_024
const longestId = 1_023
const head = 37
const flag = { present: 0x01, verified: 0x04, mayBackUp: 0x08, backedUp: 0x10, attested: 0x40, extended: 0x80 } as const

/** Throws `PasskeyProblem`. */
export const checkRegistration = ({ clientData, authenticatorData, publicKey }: Registration, expected: Expected): NewPasskey => {
  checkClientData(clientData, 'webauthn.create', expected)
  const { flags, counter } = checkAuthenticator(authenticatorData, expected.origin)
  if ((flags & flag.attested) === 0) throw new PasskeyProblem('the authenticator data names no passkey')
  const data = Buffer.from(authenticatorData)
  const length = data.length >= head + 18 ? data.readUInt16BE(head + 16) : 0
  if (length === 0 || length > longestId || data.length < head + 18 + length) throw new PasskeyProblem('the authenticator data ends too early')
  const key = coseOf(readKey(publicKey))
  const rest = data.subarray(head + 18 + length)
  if (!rest.subarray(0, key.length).equals(key)) throw new PasskeyProblem('the public key is not the one that the authenticator made')
  if (rest.length > key.length !== ((flags & flag.extended) !== 0)) throw new PasskeyProblem('the authenticator data does not end where it says')
  return { id: data.subarray(head + 18, head + 18 + length), counter, synced: (flags & flag.mayBackUp) !== 0 }
}

/** Throws `PasskeyProblem`. The counter is not compared with anything. */
export const checkAssertion = ({ clientData, authenticatorData, signature }: Assertion, publicKey: Uint8Array, expected: Expected): { readonly counter: number } => {
  checkClientData(clientData, 'webauthn.get', expected)
  const { flags, counter } = checkAuthenticator(authenticatorData, expected.origin)
  if ((flags & flag.attested) !== 0 || authenticatorData.length > head !== ((flags & flag.extended) !== 0)) throw new PasskeyProblem('the authenticator data does not end where it says')
  const key = readKey(publicKey)
  if (signature.length > longestSignature || !isSignature(key, Buffer.concat([authenticatorData, hash('sha256', clientData, 'buffer')]), signature)) throw new PasskeyProblem('the signature is not of this passkey')
  return { counter }
}

const isSignature = (key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean => {
  try {
    return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', signed, key, signature)
  } catch {
    return false // bytes that are no signature at all
  }
}

const checkClientData = (bytes: Uint8Array, type: 'webauthn.create' | 'webauthn.get', { origin, challenge }: Expected): void => {
  if (bytes.length > longestClientData) throw new PasskeyProblem('the client data is too long')
  const data = parse(bytes)
  if (data['type'] !== type) throw new PasskeyProblem(`the client data is not for ${type}`)
  if (data['challenge'] !== Buffer.from(challenge).toString('base64url')) throw new PasskeyProblem('another challenge was signed')
  if (data['origin'] !== origin) throw new PasskeyProblem('it was signed on a page of another origin')
  if ((data['crossOrigin'] ?? false) !== false || data['topOrigin'] !== undefined) throw new PasskeyProblem('it was signed inside of a page of somebody else')
}

const parse = (bytes: Uint8Array): Readonly<Record<string, unknown>> => {
  try {
    const value = parseStrictJson(bytes, 4)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
  }
  throw new PasskeyProblem('the client data is not a JSON object')
}

const checkAuthenticator = (bytes: Uint8Array, origin: string): { readonly flags: number; readonly counter: number } => {
  if (bytes.length < head || bytes.length > longestAuthenticatorData) throw new PasskeyProblem('the authenticator data has a wrong length')
  const data = Buffer.from(bytes)
  if (!data.subarray(0, 32).equals(hash('sha256', rpIdOf(origin), 'buffer'))) throw new PasskeyProblem('the passkey is of another site')
  const flags = data[32] ?? 0
  if ((flags & flag.present) === 0) throw new PasskeyProblem('nobody was there')
  if ((flags & flag.verified) === 0) throw new PasskeyProblem('the authenticator did not check who was there')
  if ((flags & flag.backedUp) !== 0 && (flags & flag.mayBackUp) === 0) throw new PasskeyProblem('the authenticator contradicts itself about copies')
  return { flags, counter: data.readUInt32BE(33) }
}

/** Whom passkeys of pages at this origin are for. */
export const rpIdOf = (origin: string): string => new URL(origin).hostname

/** Browsers make passkeys for names only, and for names only where nobody can listen. */
export const canHavePasskeys = (origin: string): boolean => {
  const { protocol = '', hostname = '' } = URL.parse(origin) ?? {}
  return /[a-z]/.test(hostname) && !hostname.startsWith('[') && (protocol === 'https:' || hostname === 'localhost' || hostname.endsWith('.localhost'))
}

/** Of the algorithms above, and in the one form of DER that there is. */
const readKey = (spki: Uint8Array): KeyObject => {
  let key: KeyObject | undefined
  try {
    if (spki.length <= longestPublicKey) key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch {
    // not a key at all
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key ?? {}
  const { namedCurve, modulusLength = 0, publicExponent } = details ?? {}
  const isKnown = type === 'ed25519' || (type === 'ec' && namedCurve === 'prime256v1') || (type === 'rsa' && [2_048, 3_072, 4_096].includes(modulusLength) && publicExponent === 65_537n)
  if (key === undefined || !isKnown || !key.export({ format: 'der', type: 'spki' }).equals(spki)) throw new PasskeyProblem('the public key is none of ES256, EdDSA or RS256')
  return key
}

const bytesOf = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url')
const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** The COSE form of a key as authenticators must write it. */
const coseOf = (key: KeyObject): Buffer => {
  const { x, y, n } = key.export({ format: 'jwk' })
  if (key.asymmetricKeyType === 'ec') return Buffer.concat([hex('a5010203262001215820'), bytesOf(x), hex('225820'), bytesOf(y)])
  if (key.asymmetricKeyType === 'ed25519') return Buffer.concat([hex('a4010103272006215820'), bytesOf(x)])
  const modulus = bytesOf(n)
  return Buffer.concat([hex('a401030339010020'), Buffer.of(0x59, modulus.length >> 8, modulus.length & 255), modulus, hex('2143010001')])
}
