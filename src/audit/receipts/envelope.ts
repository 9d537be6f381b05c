import { sign, verify } from 'node:crypto'
import { z } from 'zod'
import { publicJwk, thumbprint } from '../../lib/json-web-key.ts'
import { JsonProblem, parseStrictJson } from '../../lib/strict-json.ts'
import type { NoteSigner, NoteVerifier } from '../signed-note.ts'

/*
 * DSSE: {"payload":"base64","payloadType":"…","signatures":[{"keyid":"…","sig":"base64"}]}. What is signed is
 *
 *   DSSEv1 {length of the type} {type} {length of the payload} {payload}
 *
 * so that neither the type nor where the payload begins can be anything else.
 */
export const inTotoType = 'application/vnd.in-toto+json'

/** Whose signatures count: the name that `audit key` prints, and by which key. */
export type ReceiptKey = Pick<NoteVerifier, 'name' | 'key'>
export type ReceiptSigner = Pick<NoteSigner, 'name' | 'key' | 'secret'>

/** What is wrong with a receipt, and of which kind that is. */
export class BadReceipt extends Error {
  override readonly name = 'BadReceipt'
  readonly kind: 'unreadable' | 'unsigned' | 'forged' | 'contradictory'
  constructor(kind: BadReceipt['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export const preAuthEncoding = (type: string, payload: Uint8Array): Buffer => Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload])

export const keyIdOf = ({ key }: ReceiptKey): string => thumbprint(publicJwk(key))

export const sealEnvelope = (text: string, signers: readonly ReceiptSigner[], type = inTotoType): string => {
  const payload = Buffer.from(text)
  const bytes = preAuthEncoding(type, payload)
  return `${JSON.stringify({ payload: payload.toString('base64'), payloadType: type, signatures: signers.map((signer) => ({ keyid: keyIdOf(signer), sig: sign(null, bytes, signer.secret).toString('base64') })) })}\n`
}

/** No receipt is longer, nor is any manifest of a pack. */
export const longestEnvelope = 8 << 20
const mostSignatures = 16

/** One text for one run of bytes: no other padding, no bits left over. */
const base64 = z.string().refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'not base64 as it should be')
// What others say beside a signature of theirs is theirs; beside the payload stands nothing that nobody signed.
const envelope = z.strictObject({ payload: base64, payloadType: z.string().max(200), signatures: z.array(z.looseObject({ keyid: z.string().max(200).optional(), sig: base64 })).min(1).max(mostSignatures) })

export const readStrictly = (bytes: Uint8Array, what: string): unknown => {
  try {
    return parseStrictJson(bytes)
  } catch (error) {
    if (error instanceof JsonProblem) throw new BadReceipt('unreadable', `${what} does not read: ${error.message}`)
    throw error
  }
}

export interface OpenEnvelope {
  readonly payload: Buffer
  /** Who has signed it, of those who are known. */
  readonly by: readonly ReceiptKey[]
  /** So many signatures are of nobody known, and mean nothing. */
  readonly strangers: number
}

/** The payload, if somebody known signed it and nobody known signed something else. Throws `BadReceipt`. */
export const openEnvelope = (bytes: Uint8Array, known: readonly ReceiptKey[], type = inTotoType): OpenEnvelope => {
  if (bytes.length > longestEnvelope) throw new BadReceipt('unreadable', `it is longer than ${longestEnvelope >> 20} MiB`)
  const { success, data } = envelope.safeParse(readStrictly(bytes, 'the envelope'))
  if (!success) throw new BadReceipt('unreadable', 'it is no DSSE envelope: payload, payloadType and up to 16 signatures, in base64')
  if (data.payloadType !== type) throw new BadReceipt('unreadable', `what is signed calls itself ${JSON.stringify(data.payloadType)}, and not ${type}`)
  const payload = Buffer.from(data.payload, 'base64')
  const signed = preAuthEncoding(type, payload)
  const by = new Set<ReceiptKey>()
  let strangers = 0
  for (const { keyid, sig } of data.signatures) {
    const isOf = (key: ReceiptKey): boolean => verify(null, signed, key.key, Buffer.from(sig, 'base64'))
    // Without the name of a key it is whosever it fits; with one it must be that one's.
    const signer = keyid === undefined ? known.find(isOf) : known.find((key) => keyIdOf(key) === keyid)
    if (signer === undefined) strangers++
    else if (!isOf(signer)) throw new BadReceipt('forged', `the signature of ${signer.name} is not of this`)
    else by.add(signer)
  }
  if (by.size === 0) throw new BadReceipt('unsigned', 'nobody known has signed it')
  return { payload, by: [...by], strangers }
}
