import { openCheckpoint } from '../audit/checkpoint.ts'
import { cosignaturesOf } from '../audit/cosignature.ts'
import { parseLine } from '../audit/line.ts'
import { BadNote, type NoteVerifier } from '../audit/signed-note.ts'
import type { KeptCheckpoint } from '../audit/kept-checkpoint.ts'
import { verifyLog } from '../audit/verification.ts'
import type { ConfigIo } from './config.ts'
import { findingCodes, nothingCompared, nothingSigned } from './finding-codes.ts'
import { Failure } from './io.ts'
import { readText } from './verification-places.ts'

/** Every checkpoint that witnesses have kept of these logs: what they answer at /logs, or their root logs. None stands for another: of two logs of one name, each witness may have seen its own. */
export const rootLogsOf = (files: readonly string[] | undefined, keys: readonly NoteVerifier[], witnesses: readonly NoteVerifier[], io: ConfigIo): readonly KeptCheckpoint[] =>
  (files ?? []).flatMap((file) => {
    // It may keep those of others as well.
    const notes = notesOf(file, witnesses, io).filter((note) => keys.some(({ name }) => note.startsWith(`${name}/`)))
    if (notes.length === 0) throw new Failure(`${file}: no checkpoint in it is of a log whose key was given, so nothing can be compared with it`, nothingCompared)
    try {
      return notes.map((note) => {
        const checkpoint = { ...openCheckpoint(note, keys), seen: cosignaturesOf(note, witnesses) }
        if (checkpoint.seen.length === 0) throw new BadNote(`no witness that was named has signed the checkpoint of ${checkpoint.origin}`)
        return checkpoint
      })
    } catch (error) {
      if (error instanceof BadNote) throw new Failure(`${file}: ${error.message}`, findingCodes.forged)
      throw error
    }
  })

const notesOf = (file: string, witnesses: readonly NoteVerifier[], io: ConfigIo): readonly string[] => {
  const text = readText(file, io)
  if (!text.startsWith('{')) return text.split(/(?<=\n\u2014 [^\n]+\n)(?!\u2014)/).filter((note) => note.trim() !== '')
  const lines = text.split('\n').filter((line) => line !== '')
  const replica = /^\{"v":1,"id":"([A-Za-z0-9._-]{1,64})\//.exec(text)?.[1] ?? ''
  const { finding, signed } = verifyLog(replica, lines.map((line) => ({ text: line, whole: true })), { keys: witnesses, checkpoints: [] })
  if (finding !== undefined) throw new Failure(`${file}: the root log is not what the witness wrote: ${finding.kind} at ${finding.at}: ${finding.text}`, findingCodes[finding.kind])
  if (signed === 0) throw new Failure(`${file}: the witness has signed nothing of this root log`, nothingSigned)
  return lines.flatMap((line) => {
    const record = parseLine(line)
    return record?.type === 'witnessed' ? [String(record['signed'])] : []
  })
}
