import { createPrivateKey, generateKeyPairSync, hash, randomBytes, sign, type KeyObject } from 'node:crypto'

/** A passkey in software that says whatever a test wants it to say. */
export interface SoftPasskey {
  readonly id: Buffer
  /** DER SPKI. */
  readonly publicKey: Buffer
  counter: number
  create(how: How): { readonly clientData: Buffer; readonly authenticatorData: Buffer; readonly publicKey: Buffer }
  get(how: How): { readonly clientData: Buffer; readonly authenticatorData: Buffer; readonly signature: Buffer }
}

export interface How {
  readonly origin: string
  readonly challenge: Uint8Array
  /** More, or other, members of the client data. */
  readonly client?: Readonly<Record<string, unknown>>
  readonly rpId?: string
  /** Present and verified, if nothing is said. */
  readonly flags?: number
  readonly extensions?: Uint8Array
}

export type KeyKind = 'ES256' | 'EdDSA' | 'RS256'

const bytes = (value: unknown): Buffer => Buffer.from(String(value), 'base64url')

/** Written apart from the program's own, member by member. */
const cose = (key: KeyObject): Buffer => {
  const { x, y, n } = key.export({ format: 'jwk' })
  const text = (value: Buffer): Buffer => Buffer.concat([value.length < 256 ? Buffer.of(0x58, value.length) : Buffer.of(0x59, value.length >> 8, value.length & 255), value])
  if (key.asymmetricKeyType === 'ec') return Buffer.concat([Buffer.of(0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21), text(bytes(x)), Buffer.of(0x22), text(bytes(y))])
  if (key.asymmetricKeyType === 'ed25519') return Buffer.concat([Buffer.of(0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21), text(bytes(x))])
  return Buffer.concat([Buffer.of(0xa4, 1, 3, 3, 0x39, 1, 0, 0x20), text(bytes(n)), Buffer.of(0x21, 0x43, 1, 0, 1)])
}

const made = (kind: KeyKind): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } =>
  kind === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : kind === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2_048 })

export const softPasskey = (kind: KeyKind = 'ES256'): SoftPasskey => {
  const { privateKey, publicKey } = made(kind)
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const signer = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const passkey: SoftPasskey = {
    id: randomBytes(32),
    publicKey: spki,
    counter: 1,
    create: (how) => ({
      clientData: clientData('webauthn.create', how),
      authenticatorData: Buffer.concat([start(how, 0x45, passkey.counter), Buffer.alloc(16), Buffer.of(0, passkey.id.length), passkey.id, cose(publicKey), how.extensions ?? Buffer.alloc(0)]),
      publicKey: spki,
    }),
    get: (how) => {
      const [client, authenticatorData] = [clientData('webauthn.get', how), Buffer.concat([start(how, 0x05, passkey.counter), how.extensions ?? Buffer.alloc(0)])]
      return { clientData: client, authenticatorData, signature: sign(kind === 'EdDSA' ? null : 'sha256', Buffer.concat([authenticatorData, hash('sha256', client, 'buffer')]), signer) }
    },
  }
  return passkey
}

const clientData = (type: string, { origin, challenge, client }: How): Buffer => Buffer.from(JSON.stringify({ type, challenge: Buffer.from(challenge).toString('base64url'), origin, crossOrigin: false, ...client }))

const start = ({ origin, rpId, flags }: How, usual: number, counter: number): Buffer => {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  return Buffer.concat([hash('sha256', rpId ?? new URL(origin).hostname, 'buffer'), Buffer.of(flags ?? usual), count])
}
