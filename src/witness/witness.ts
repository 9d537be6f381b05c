import { openCheckpoint, type Checkpoint } from '../audit/checkpoint.ts'
import { cosign } from '../audit/cosignature.ts'
import type { RecoveredJournal } from '../audit/file-journal.ts'
import { isConsistent } from '../audit/merkle-check.ts'
import { emptyRoot } from '../audit/merkle-tree.ts'
import { BadNote, splitNote, type NoteSigner, type NoteVerifier } from '../audit/signed-note.ts'
import { originOf, type Seen } from './history.ts'
import { readAddCheckpoint } from './request.ts'

export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 503
  readonly body: string
  /** The body is the size of the log as it was seen last. */
  readonly isSize?: true
}

export interface Witness {
  /** What was posted to add-checkpoint. An answer 200 is on disk before it is given: no other checkpoint that does not fit it will ever get one, also after a crash. */
  add(body: string): Promise<Answer>
  /** The newest checkpoint of each log, signed by it and by us, one after the other. */
  newest(): string
  logs(): number
}

export interface WitnessParts {
  /** Our own log, the root log: each checkpoint that was taken is a record of it. */
  readonly journal: Pick<RecoveredJournal, 'append' | 'check'>
  readonly seen: Seen
  /** Keys of deployments: each speaks for the logs whose names begin with its own. */
  readonly trusted: readonly NoteVerifier[]
  readonly signer: NoteSigner
  readonly mostLogs: number
  readonly now: () => number
}

const longestOrigin = 300

const nothing: Omit<Checkpoint, 'origin'> = { size: 0, root: emptyRoot }

export const makeWitness = ({ journal, seen, trusted, signer, mostLogs, now }: WitnessParts): Witness => {
  /** Of each log one question is answered after the other: what is compared is what is kept. */
  const turns = new Map<string, Promise<unknown>>()
  const inTurn = async <T>(origin: string, step: () => Promise<T>): Promise<T> => {
    const before = turns.get(origin)
    const turn = (before === undefined ? Promise.resolve() : before.catch(() => {})).then(step)
    turns.set(origin, turn)
    try {
      return await turn
    } finally {
      if (turns.get(origin) === turn) turns.delete(origin)
    }
  }

  const compareAndKeep = async (checkpoint: Checkpoint, old: number, proof: readonly Buffer[], byLog: string): Promise<Answer> => {
    const kept = seen.get(checkpoint.origin)
    const { size, root } = kept ?? nothing
    if (old !== size || (checkpoint.size === size && !checkpoint.root.equals(root))) return { status: 409, body: `${size}\n`, isSize: true }
    if ((old === 0 && proof.length > 0) || !isConsistent(size, root, checkpoint.size, checkpoint.root, proof)) return { status: 422, body: 'the proof does not show that this log has grown out of the one before\n' }
    if (kept === undefined && seen.size >= mostLogs) return { status: 503, body: `there are ${seen.size} logs here already\n` }
    const line = cosign(splitNote(byLog).text, signer, Math.floor(now() / 1_000))
    const signed = `${byLog}${line}`
    if (checkpoint.size > size) {
      await journal.append({ type: 'witnessed', signed }, 'synced')
      seen.set(checkpoint.origin, { ...checkpoint, note: signed })
    } else journal.check()
    return { status: 200, body: line }
  }

  return {
    add: async (body) => {
      const request = readAddCheckpoint(body)
      if (request === undefined) return { status: 400, body: 'the request does not read\n' }
      const { old, proof, note } = request
      let checkpoint: Checkpoint
      let split: ReturnType<typeof splitNote>
      try {
        split = splitNote(note)
      } catch (error) {
        if (!(error instanceof BadNote)) throw error
        return { status: 400, body: `${error.message}\n` }
      }
      const origin = originOf(split.text)
      if (origin.length > longestOrigin) return { status: 400, body: 'the name of the log is too long\n' }
      const speaking = trusted.filter(({ name }) => origin.startsWith(`${name}/`))
      if (speaking.length === 0) return { status: 404, body: 'no key is trusted here for a log of this name\n' }
      try {
        checkpoint = openCheckpoint(note, speaking)
      } catch (error) {
        if (!(error instanceof BadNote)) throw error
        return { status: 403, body: `${error.message}\n` }
      }
      if (old > checkpoint.size) return { status: 400, body: 'the old size is more than the new one\n' }
      // Signatures of others may be under it: the log's are kept, and ours.
      const own = split.signatures.filter(({ name, bytes }) => speaking.some((one) => one.name === name && one.id.equals(bytes.subarray(0, 4)))).slice(0, speaking.length)
      const byLog = `${split.text}\n${own.map(({ line }) => `${line}\n`).join('')}`
      try {
        return await inTurn(origin, () => compareAndKeep(checkpoint, old, proof, byLog))
      } catch {
        return { status: 503, body: 'nothing can be kept now, so nothing is signed\n' }
      }
    },
    newest: () => [...seen.values()].map(({ note }) => note).join(''),
    logs: () => seen.size,
  }
}
