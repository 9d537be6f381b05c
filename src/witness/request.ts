/*
 * What is posted to add-checkpoint, by C2SP's tlog-witness:
 *
 *   old 20852014
 *   up to 63 hashes, that the tree has grown out of the old one
 *
 *   the signed checkpoint
 */

export interface AddCheckpoint {
  readonly old: number
  readonly proof: readonly Buffer[]
  readonly note: string
}

/** Sixty-three hashes and a note with as many signatures as are looked at. */
export const mostRequestBytes = 32 * 1024
const mostHashes = 63

/** `undefined`: does not read. */
export const readAddCheckpoint = (body: string): AddCheckpoint | undefined => {
  const end = body.indexOf('\n\n')
  if (end === -1) return undefined
  const [first = '', ...hashes] = body.slice(0, end).split('\n')
  const [, old] = /^old (0|[1-9]\d{0,15})$/.exec(first) ?? []
  if (old === undefined || !Number.isSafeInteger(Number(old)) || hashes.length > mostHashes || !hashes.every((hash) => /^[A-Za-z0-9+/]{43}=$/.test(hash))) return undefined
  return { old: Number(old), proof: hashes.map((hash) => Buffer.from(hash, 'base64')), note: body.slice(end + 2) }
}
