import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Secret } from '../../lib/secret.ts'

/** Our side of SCRAM-SHA-256 (RFC 5802, 7677). Any failure is an `Error` whose text is for the log. */
export interface Scram {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'
  readonly first: string
  /** What we answer to the server's first message. */
  prove(serverFirst: string): Promise<string>
  /** Throws unless the server has shown that it knows the password as well. */
  verify(serverFinal: string): void
}

export interface ScramParts {
  readonly password: Secret
  /** `tls-server-end-point` of this connection. Absent without TLS, or where the certificate has none. */
  readonly binding?: Buffer
  /** The server offers the binding. */
  readonly plus: boolean
  readonly tls: boolean
  readonly leastIterations: number
  /** For tests of known answers. */
  readonly nonce?: string
}

const mostIterations = 1_000_000
const serverFirstShape = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})$/

export const makeScram = ({ password, binding, plus, tls, leastIterations, nonce = randomBytes(18).toString('base64') }: ScramParts): Scram => {
  const bound = plus && binding !== undefined
  // `y` says that we could bind and believe that the server cannot: a server that can knows then that somebody has cut its offer.
  const header = bound ? 'p=tls-server-end-point,,' : tls && binding !== undefined ? 'y,,' : 'n,,'
  const firstBare = `n=,r=${nonce}`
  let expected: Buffer | undefined
  return {
    mechanism: bound ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256',
    first: `${header}${firstBare}`,
    async prove(serverFirst) {
      const [, joint = '', salt = '', count = ''] = serverFirstShape.exec(serverFirst) ?? []
      if (joint === '') throw new Error('the SCRAM challenge is malformed')
      if (!joint.startsWith(nonce) || joint.length === nonce.length) throw new Error('the SCRAM challenge is not for this login')
      const iterations = Number(count)
      if (iterations < leastIterations || iterations > mostIterations) throw new Error(`the SCRAM challenge asks for ${iterations} iterations; ${leastIterations} to ${mostIterations} are accepted`)
      const keys = await keysOf(password, salt, iterations)
      const withoutProof = `c=${Buffer.concat([Buffer.from(header), ...(bound ? [binding] : [])]).toString('base64')},r=${joint}`
      const message = `${firstBare},${serverFirst},${withoutProof}`
      const proof = xor(keys.client, hmac(keys.stored, message))
      expected = hmac(keys.server, message)
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
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))

/** The same for every login with one stored password, and dear to make. They live as long as the secret does. */
const known = new WeakMap<Secret, Map<string, Promise<Keys>>>()
const saltsKept = 8

const keysOf = (password: Secret, salt: string, iterations: number): Promise<Keys> => {
  const kept = known.get(password) ?? new Map<string, Promise<Keys>>()
  known.set(password, kept)
  const name = `${salt} ${iterations}`
  const found = kept.get(name)
  if (found !== undefined) return found
  const made = makeKeys(password, Buffer.from(salt, 'base64'), iterations)
  if (kept.size >= saltsKept) kept.clear()
  kept.set(name, made)
  made.catch(() => kept.delete(name))
  return made
}

const makeKeys = async (password: Secret, salt: Buffer, iterations: number): Promise<Keys> => {
  const salted = await derive(prepared(password.reveal()), salt, iterations, 32, 'sha256')
  const client = hmac(salted, 'Client Key')
  return { client, stored: createHash('sha256').update(client).digest(), server: hmac(salted, 'Server Key') }
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
