import { z } from 'zod'
import { canonicalJson } from '../../lib/canonical-json.ts'
import { BadReceipt, openEnvelope, readStrictly, sealEnvelope, type ReceiptKey, type ReceiptSigner } from './envelope.ts'

/*
 * What a folder of evidence consists of: an in-toto statement whose subjects are its files.
 */
export const evidenceType = 'urn:countersign:evidence:v1'

/** Inside the folder, and nowhere else. */
const path = z.string().max(400).regex(/^(?:[A-Za-z0-9][A-Za-z0-9._-]*\/)*[A-Za-z0-9][A-Za-z0-9._-]*$/)
const predicate = z.strictObject({ deployment: z.string(), made: z.iso.datetime(), from: z.iso.datetime(), to: z.iso.datetime(), framework: z.string(), seed: z.string(), program: z.string(), recorded: z.string() })
const manifest = z.strictObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(z.strictObject({ name: path, digest: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }) })).min(1).max(20_000),
  predicateType: z.literal(evidenceType),
  predicate,
})

export interface Manifest {
  readonly files: ReadonlyMap<string, string>
  readonly predicate: z.infer<typeof predicate>
}

export const sealManifest = ({ files, predicate: said }: Manifest, signers: readonly ReceiptSigner[]): string =>
  sealEnvelope(canonicalJson({ _type: 'https://in-toto.io/Statement/v1', subject: [...files].map(([name, sha256]) => ({ name, digest: { sha256 } })), predicateType: evidenceType, predicate: said }), signers)

/** `undefined` for an envelope with something else in it. Throws `BadReceipt` as `openEnvelope` does. */
export const openManifest = (bytes: Uint8Array, keys: readonly ReceiptKey[]): { readonly manifest: Manifest; readonly by: readonly ReceiptKey[] } | undefined => {
  const { payload, by } = openEnvelope(bytes, keys)
  const given = readStrictly(payload, 'what is signed')
  if ((given as { predicateType?: unknown } | null)?.predicateType !== evidenceType) return undefined
  const { data } = manifest.safeParse(given)
  if (data === undefined || canonicalJson(given) !== payload.toString()) throw new BadReceipt('unreadable', 'what is signed is no manifest of this version')
  if (!by.some(({ name }) => name === '' || name === `${data.predicate.deployment}#receipts`)) throw new BadReceipt('forged', `the key of ${by.map(({ name }) => name).join(', ')} does not speak for ${data.predicate.deployment}`)
  return { manifest: { files: new Map(data.subject.map(({ name, digest }) => [name, digest.sha256])), predicate: data.predicate }, by }
}
