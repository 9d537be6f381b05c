import { Agent, request } from 'undici'
import { cosignaturesOf } from '../audit/cosignature.ts'
import type { RecoveredJournal } from '../audit/file-journal.ts'
import type { JournalLine } from '../audit/journal.ts'
import { parseLine } from '../audit/line.ts'
import { consistencyProof, MerkleRange } from '../audit/merkle-range.ts'
import { splitNote, type NoteVerifier } from '../audit/signed-note.ts'
import { freeText } from '../audit/free-text.ts'
import { leafHash } from '../lib/leaf-hash.ts'
import { readText } from '../lib/receiver.ts'
import type { Sink } from './sink.ts'

export interface WitnessOptions {
  readonly name: string
  /** What add-checkpoint stands behind. */
  readonly url: string
  readonly key: NoteVerifier
  /** PEM of the authority of its certificate. */
  readonly ca?: string
  /** Nobody waits: then it is told of a new checkpoint so often at most. */
  readonly everyMs: number
  readonly timeoutMs: number
}

export type WitnessedJournal = Pick<RecoveredJournal, 'append' | 'read' | 'more' | 'sign' | 'last' | 'beginning'>

const pageOf = { lines: 1_000, bytes: 256 * 1024 }

/**
 * Not the records leave, but what the log is: each checkpoint goes to the witness with the proof that the log has grown out of what the witness saw before.
 * Of the records two rows of hashes are kept, of what the witness has seen and of what came since. What it signs is a record again, which leaves by the sinks.
 */
export const makeWitnessSink = ({ url, key, ca, timeoutMs }: Pick<WitnessOptions, 'url' | 'key' | 'ca' | 'timeoutMs'>, journal: WitnessedJournal): Sink<JournalLine> => {
  const address = new URL('add-checkpoint', url.endsWith('/') ? url : `${url}/`)
  const agent = new Agent({ connections: 1, pipelining: 1, connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  const start = journal.last().replace(/-?\d+$/, '') // each start is a log of its own, and its beginning is here
  let old = new MerkleRange(0)
  let since = new MerkleRange(0)
  let safe: string | undefined

  const isOwn = ({ id }: JournalLine): boolean => id.startsWith(start)

  const take = (range: MerkleRange, { seq, text }: JournalLine): void => {
    if (seq > range.to) throw new Error(`the record ${range.to} of this log is not there any more`)
    if (seq === range.to) range.append(Buffer.from(leafHash(text), 'base64'))
  }

  /** It has seen another size than we thought: an answer of it was lost, or it lost what it knew. */
  const beginFrom = async (size: number): Promise<void> => {
    const end = since.to
    if (size === 0) {
      since = old.with(since)
      old = new MerkleRange(0)
      return
    }
    const [before, after] = [new MerkleRange(0), new MerkleRange(size)]
    for (let cursor: string | undefined = journal.beginning; before.to < size || after.to < end; ) {
      const { lines, cursor: next } = await journal.read(cursor, pageOf)
      if (lines.length === 0) throw new Error('the log is not there any more')
      for (const line of lines.filter(isOwn)) if (line.seq < end) take(line.seq < size ? before : after, line)
      cursor = next
    }
    old = before
    since = after
  }

  const post = async (note: string, signal: AbortSignal): Promise<{ readonly status: number; readonly answer: string }> => {
    const proof = consistencyProof(old, since)
    const body = `${[`old ${old.to}`, ...proof.map((hash) => hash.toString('base64'))].join('\n')}\n\n${note}`
    const { statusCode, body: answered } = await request(address, { method: 'POST', headers: { 'content-type': 'text/plain', 'user-agent': 'countersign' }, body, dispatcher: agent, signal })
    return { status: statusCode, answer: await readText(answered) }
  }

  const submit = async (note: string, signal: AbortSignal): Promise<void> => {
    let { status, answer } = await post(note, signal)
    if (status === 409 && /^\d{1,15}\n$/.test(answer)) {
      const known = Number(answer)
      if (known > since.to || known === old.to) throw new Error(`it has seen another log of this name, of ${known} records`)
      await beginFrom(known)
      ;({ status, answer } = await post(note, signal))
    }
    if (status !== 200) throw new Error(`HTTP ${status}: ${freeText(answer.slice(0, 200))}`)
    const signed = `${note}${answer}`
    if (cosignaturesOf(signed, [key]).length === 0) throw new Error('its answer is not signed with its key')
    const line = splitNote(signed).signatures.find(({ name, bytes }) => name === key.name && bytes.subarray(0, 4).equals(key.id))?.line
    await journal.append({ type: 'cosigned', signed: `${note}${line}\n` }, 'queued')
    old = old.with(since)
    since = new MerkleRange(old.to)
    safe = `${start}${old.to - 1}`
  }

  return {
    limits: pageOf,
    timeoutMs: 2 * timeoutMs,
    deliver: async (lines, signal) => {
      const own = lines.filter(isOwn)
      const newest = own.findLast(({ text }) => text.includes('"type":"checkpoint"') && parseLine(text)?.type === 'checkpoint')
      for (const line of own) if (newest === undefined || line.seq < newest.seq) take(since, line)
      if (newest === undefined) return
      if (newest.seq > old.to && newest.seq === since.to) await submit(String(parseLine(newest.text)?.['signed']), signal)
      for (const line of own) if (line.seq >= newest.seq) take(since, line)
    },
    safe: () => safe,
    urge: journal.sign,
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}
