import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from './secret.ts'

/** Our side of SCRAM (RFC 5802, 7677). Any failure is an `Error` whose text is for the log. */
export interface Scram {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS' | 'SCRAM-SHA-512' | 'SCRAM-SHA-512-PLUS'
  readonly first: string
  /** What we answer to the server's first message. */
  prove(serverFirst: string): Promise<string>
  /** Throws unless the server has shown that it knows the password as well. */
  verify(serverFinal: string): void
}

export interface ScramParts {
  /** Where the protocol does not say it anyway. */
  readonly user?: string
  readonly password: Secret
  readonly hash?: Hash
  /** `tls-server-end-point` of this connection. Absent without TLS, or where the certificate has none. */
  readonly binding?: Buffer
  /** The server offers the binding. */
  readonly plus: boolean
  readonly tls: boolean
  readonly leastIterations: number
  /** For tests of known answers. */
  readonly nonce?: string
}

type Hash = 'sha256' | 'sha512'

const mostIterations = 1_000_000
const serverFirstShape = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})$/

export const makeScram = ({ user = '', password, hash = 'sha256', binding, plus, tls, leastIterations, nonce = randomBytes(18).toString('base64') }: ScramParts): Scram => {
  const bound = plus && binding !== undefined
  // `y` says that we could bind and believe that the server cannot: a server that can knows then that somebody has cut its offer.
  const header = bound ? 'p=tls-server-end-point,,' : tls && binding !== undefined ? 'y,,' : 'n,,'
  const firstBare = `n=${prepared(user).replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  let expected: Buffer | undefined
  return {
    mechanism: `SCRAM-${hash === 'sha256' ? 'SHA-256' : 'SHA-512'}${bound ? '-PLUS' : ''}`,
    first: `${header}${firstBare}`,
    async prove(serverFirst) {
      const [, joint = '', salt = '', count = ''] = serverFirstShape.exec(serverFirst) ?? []
      if (joint === '') throw new Error('the SCRAM challenge is malformed')
      if (!joint.startsWith(nonce) || joint.length === nonce.length) throw new Error('the SCRAM challenge is not for this login')
      const iterations = Number(count)
      if (iterations < leastIterations || iterations > mostIterations) throw new Error(`the SCRAM challenge asks for ${iterations} iterations; ${leastIterations} to ${mostIterations} are accepted`)
      const keys = await keysOf(password, hash, salt, iterations)
      const withoutProof = `c=${Buffer.concat([Buffer.from(header), ...(bound ? [binding] : [])]).toString('base64')},r=${joint}`
      const message = `${firstBare},${serverFirst},${withoutProof}`
      const proof = xor(keys.client, hmac(hash, keys.stored, message))
      expected = hmac(hash, keys.server, message)
      return `${withoutProof},p=${proof.toString('base64')}`
    },
    verify(serverFinal) {
      const [, signature] = /^v=([A-Za-z0-9+/]+={0,2})$/.exec(serverFinal) ?? []
      const given = signature === undefined ? undefined : Buffer.from(signature, 'base64')
      if (expected === undefined || given === undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error('the server does not know the password of this role')
    },
  }
}

interface Keys {
  readonly client: Buffer
  readonly stored: Buffer
  readonly server: Buffer
}

const derive = promisify(pbkdf2)
const hmac = (hash: Hash, key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))

/** The same for every login with one stored password, and dear to make. They live as long as the secret does. */
const known = new WeakMap<Secret, Map<string, Promise<Keys>>>()
const saltsKept = 8

const keysOf = (password: Secret, hash: Hash, salt: string, iterations: number): Promise<Keys> => {
  const kept = known.get(password) ?? new Map<string, Promise<Keys>>()
  known.set(password, kept)
  const name = `${hash} ${salt} ${iterations}`
  const found = kept.get(name)
  if (found !== undefined) return found
  const made = makeKeys(password, hash, Buffer.from(salt, 'base64'), iterations)
  if (kept.size >= saltsKept) kept.clear()
  kept.set(name, made)
  made.catch(() => kept.delete(name))
  return made
}

const makeKeys = async (password: Secret, hash: Hash, salt: Buffer, iterations: number): Promise<Keys> => {
  const salted = await derive(prepared(password.reveal()), salt, iterations, hash === 'sha256' ? 32 : 64, hash)
  const client = hmac(hash, salted, 'Client Key')
  return { client, stored: createHash(hash).update(client).digest(), server: hmac(hash, salted, 'Server Key') }
}

/** SASLprep (RFC 4013) as far as it changes text: a server stores the password in this form. What it forbids is taken as it is, as servers do. */
const prepared = (password: string): string => {
  if (/^[\x20-\x7e]*$/.test(password)) return password
  const mapped = password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC')
  return mapped === '' || /[\p{Cc}\p{Co}\p{Cs}\ufff9-\uffff]/u.test(mapped) ? password : mapped
}
