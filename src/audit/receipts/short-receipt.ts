import { sign, verify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { defined } from '../../lib/defined.ts'
import { BadReceipt, keyIdOf, readStrictly, type ReceiptKey, type ReceiptSigner } from './envelope.ts'

/*
 * A receipt for a header: a JWS in its compact form. It says that this action was let through, by whom in numbers only, and under which names the log has it.
 */
const typ = 'countersign-receipt+jwt'

export interface ShortReceipt {
  /** The deployment. */
  readonly iss: string
  /** Digest of the action. */
  readonly sub: string
  /** Seconds. */
  readonly iat: number
  readonly decision: 'allowed' | 'approved' | 'granted' | 'released-alone'
  /** `policy/rule`: the first that had the last word. */
  readonly rule?: string
  readonly policy: string
  /** How many people have said yes. */
  readonly approvers: number
  /** Short code of its hold. */
  readonly case?: string
  /** Its try: by this name `receipt show` and `audit show` find the rest. */
  readonly attempt: string
}

const longestRule = 200
const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The same for all receipts of one signer. */
const heads = new WeakMap<ReceiptSigner, string>()
const headOf = (signer: ReceiptSigner): string => {
  const known = heads.get(signer)
  if (known !== undefined) return known
  const head = segment({ alg: 'EdDSA', typ, kid: keyIdOf(signer) })
  heads.set(signer, head)
  return head
}

const signElsewhere: (algorithm: null, bytes: Buffer, key: KeyObject) => Promise<Buffer> = promisify(sign)

/** At most about a kilobyte. Signed in the thread pool: thousands are let through at one moment, and a signature costs as much as all else that is computed for one. */
export const signShortReceipt = async ({ rule, ...receipt }: ShortReceipt, signer: ReceiptSigner): Promise<string> => {
  const input = `${headOf(signer)}.${segment({ ...receipt, ...defined({ rule: rule?.slice(0, longestRule) }) })}`
  return `${input}.${(await signElsewhere(null, Buffer.from(input), signer.secret)).toString('base64url')}`
}

const header = z.strictObject({ alg: z.literal('EdDSA'), typ: z.literal(typ), kid: z.string() })
const shape = z.strictObject({ iss: z.string(), sub: z.string().regex(/^sha256:[0-9a-f]{64}$/), iat: z.int(), decision: z.enum(['allowed', 'approved', 'granted', 'released-alone']), rule: z.string().optional(), policy: z.string(), approvers: z.int().min(0), case: z.string().optional(), attempt: z.string() })

const longest = 4_096

export const isShortReceipt = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

const bytesOf = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw new BadReceipt('unreadable', 'a part of the token is not base64url as it should be')
  return bytes
}

/** Throws `BadReceipt`. The key decides how it is checked; what the token says of that must be the same. */
export const openShortReceipt = (token: string, known: readonly ReceiptKey[]): { readonly receipt: ShortReceipt; readonly by: ReceiptKey } => {
  if (token.length > longest || !isShortReceipt(token)) throw new BadReceipt('unreadable', 'it is no token of a receipt')
  const [first = '', second = '', third = ''] = token.split('.')
  const head = header.safeParse(readStrictly(bytesOf(first), 'the head of the token')).data
  if (head === undefined) throw new BadReceipt('unreadable', `its head is not that of a receipt: EdDSA, ${typ} and a key`)
  const by = known.find((key) => keyIdOf(key) === head.kid)
  if (by === undefined) throw new BadReceipt('unsigned', 'nobody known has signed it')
  if (!verify(null, Buffer.from(`${first}.${second}`), by.key, bytesOf(third))) throw new BadReceipt('forged', `the signature of ${by.name} is not of this`)
  const { data } = shape.safeParse(readStrictly(bytesOf(second), 'what is signed'))
  if (data === undefined) throw new BadReceipt('unreadable', 'what is signed is no receipt')
  return { receipt: data as ShortReceipt, by }
}
