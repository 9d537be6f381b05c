import { leafHash } from '../lib/leaf-hash.ts'
import { openCheckpoint } from './checkpoint.ts'
import { lineHead } from './line.ts'
import { isIncluded } from './merkle-check.ts'
import { inclusionProof } from './merkle-proof.ts'
import { BadNote, type NoteVerifier } from './signed-note.ts'

/*
 * That one record is in a log, for somebody who has the record, this text and the key, and nothing else of the log. C2SP's tlog-proof:
 *
 *   c2sp.org/tlog-proof@v1
 *   index 4711
 *   the hashes beside its way up, the lowest first
 *
 *   the signed checkpoint
 */
const title = 'c2sp.org/tlog-proof@v1'

/** `leaves`: the hashes of all records that the checkpoint is of. */
export const proofText = (leaves: readonly Buffer[], index: number, checkpoint: string): string => proofOfPath(inclusionProof(leaves, index), index, checkpoint)

export const proofOfPath = (path: readonly Buffer[], index: number, checkpoint: string): string => `${[title, `index ${index}`, ...path.map((hash) => hash.toString('base64'))].join('\n')}\n\n${checkpoint}`

/** A tree of as many records as there can be is not as high. */
const mostHashes = 63

/** Throws `BadNote` with what is wrong; returns what it is a proof of. */
export const checkProof = (proof: string, record: string, keys: readonly NoteVerifier[]): { readonly id: string; readonly origin: string; readonly size: number } => {
  const end = proof.indexOf('\n\n')
  const [first, second = '', ...hashes] = proof.slice(0, Math.max(0, end)).split('\n')
  const [, place] = /^index (0|[1-9]\d{0,15})$/.exec(second) ?? []
  if (first !== title || place === undefined || hashes.length > mostHashes || !hashes.every((hash) => /^[A-Za-z0-9+/]{43}=$/.test(hash))) throw new BadNote('the proof does not read')
  const checkpoint = openCheckpoint(proof.slice(end + 2), keys)
  const head = lineHead(record)
  if (head === undefined) throw new BadNote('the record does not read')
  if (!isIncluded(Buffer.from(leafHash(record), 'base64'), Number(place), checkpoint.size, hashes.map((hash) => Buffer.from(hash, 'base64')), checkpoint.root)) throw new BadNote('the record is not the one that is proved')
  if (!`${checkpoint.origin}/${place}`.endsWith(`/${head.id}`)) throw new BadNote(`the record calls itself ${head.id}, and is proved at ${place} of ${checkpoint.origin}`)
  return { id: head.id, origin: checkpoint.origin, size: checkpoint.size }
}
