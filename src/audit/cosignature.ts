import { sign, verify } from 'node:crypto'
import { BadNote, splitNote, type NoteSigner, type NoteVerifier } from './signed-note.ts'

/*
 * That a witness has seen a checkpoint, and nothing else of the same log that does not fit it: C2SP's tlog-cosignature, Ed25519.
 * One more line under the note. Its signature is eight bytes of time, and the 64 bytes that are signed over
 *
 *   cosignature/v1
 *   time 1700000000
 *   the text of the checkpoint
 */

export interface Cosignature {
  readonly witness: string
  /** Seconds since 1970, by the witness's clock. */
  readonly time: number
}

const statement = (text: string, time: number): Buffer => Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)

/** The line for under the note. */
export const cosign = (text: string, { name, id, secret }: NoteSigner, time: number): string => {
  const stamp = Buffer.alloc(8)
  stamp.writeBigUInt64BE(BigInt(time))
  return `\u2014 ${name} ${Buffer.concat([id, stamp, sign(null, statement(text, time), secret)]).toString('base64')}\n`
}

/** Of whom of these witnesses the note carries a signature. Others mean nothing; one of somebody known that is not over this text throws `BadNote`. */
export const cosignaturesOf = (note: string, known: readonly NoteVerifier[]): readonly Cosignature[] => {
  const { text, signatures } = splitNote(note)
  return signatures.flatMap(({ name, bytes }) => {
    const witness = known.find((one) => one.witness === true && one.name === name && one.id.equals(bytes.subarray(0, 4)))
    if (witness === undefined) return []
    const time = bytes.length === 4 + 8 + 64 ? Number(bytes.readBigUInt64BE(4)) : 0
    if (!Number.isSafeInteger(time) || time === 0 || !verify(null, statement(text, time), witness.key, bytes.subarray(12))) throw new BadNote(`the signature of the witness ${name} is not of this text`)
    return [{ witness: name, time }]
  })
}
