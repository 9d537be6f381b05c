import { randomUUID } from 'node:crypto'
import { once, type EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { parseLine } from '../audit/line.ts'
import { ocsfLine } from '../audit/ocsf/line.ts'
import { questionText, type AuditQuestion } from '../audit/search/question.ts'
import { linesOf, listSegments, type Segment } from '../audit/segment.ts'
import type { Config } from '../config/config.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { causeText } from '../model/refusal.ts'
import { walsOf } from './audit-places.ts'
import { exit, Failure, type Io, type Output } from './io.ts'
import { recordReading } from './reading-record.ts'
import { configOf, keyedConfig } from './verification-places.ts'

const timeOf = (text: string): number => Date.parse(/"time":"([0-9TZ:.+-]{20,30})"/.exec(text.slice(0, 400))?.[1] ?? '')

/** Starts of one replica, each with its files. */
const epochsOf = (wal: string): readonly (readonly Segment[])[] => [...Map.groupBy(listSegments(wal), ({ epoch }) => epoch).values()]

function* textsOf(wal: string, segments: readonly Segment[]): Generator<string> {
  for (const { name } of segments) for (const { text, whole } of linesOf(`${wal}/${name}`)) if (whole) yield text
}

const touches = (wal: string, segments: readonly Segment[], from: number, to: number): boolean => {
  for (const text of textsOf(wal, segments)) if (timeOf(text) >= from && timeOf(text) < to) return true
  return false
}

/** What does not go out as fast as it is read is waited for. */
export const writeAll = async (output: Output, text: string): Promise<void> => {
  if (output.write(text) === false && 'once' in output) await once(output as Output & EventEmitter, 'drain')
}

export interface PeriodLine {
  readonly text: string
  /** Of a signature over all of its start before it. */
  readonly signed: boolean
}

/** A signature is of a whole start from its first record on, so that is where it begins; it ends with the first signature behind what was asked for. */
export function* periodLines(wal: string, from: number, to: number, epochs = epochsOf(wal)): Generator<PeriodLine> {
  const wanted = epochs.map((segments) => touches(wal, segments, from, to))
  const [first, last] = [wanted.indexOf(true), wanted.lastIndexOf(true)]
  if (first === -1) return
  for (const [at, segments] of epochs.entries()) {
    if (at < first || at > last) continue
    let isBehind = false
    for (const text of textsOf(wal, segments)) {
      isBehind ||= at === last && timeOf(text) >= to
      const signed = text.includes('"type":"checkpoint"') && parseLine(text)?.type === 'checkpoint'
      yield { text, signed }
      if (isBehind && signed) return
    }
  }
}

const bufferedCharacters = 256 * 1024

/** Whoever exports is on record before the first line leaves. `undefined`, and a word to the user, where that cannot be. */
const recorderOf = async (query: string, given: { readonly config?: string }, directory: string, io: Io): Promise<((more: { readonly records: number; readonly end: 'whole' | 'cut-short' }) => Promise<void>) | undefined> => {
  const unrecorded = (what: string, error: unknown): void => void io.stderr.write(`${what} is not on record: ${terminalText(causeText(error) ?? '')}\n`)
  const about = { type: 'audit-exported', export: randomUUID(), query } as const
  let config: Config
  try {
    config = await keyedConfig(given.config, io)
  } catch (error) {
    if (given.config !== undefined) throw error
    return void unrecorded('This export', error)
  }
  try {
    await recordReading(config, directory, about)
  } catch (error) {
    if (error instanceof Failure) throw error
    return void unrecorded('This export', error)
  }
  return (more) => recordReading(config, directory, { ...about, ...more }).then(() => {}, (error: unknown) => unrecorded('The end of this export', error))
}

const directoryOf = async (given: { readonly directory?: string; readonly config?: string }, io: Io): Promise<string> => resolve(io.cwd, given.directory ?? (io.env['COUNTERSIGN_AUDIT_DIRECTORY'] || (await configOf(given.config, io)).journal.directory))

/** Lines are as they stand in the log: what is exported is checked like the log itself. */
export const exportFromFiles = async (question: AuditQuestion, format: string, given: { readonly directory?: string; readonly config?: string }, io: Io): Promise<number> => {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = question
  const directory = await directoryOf(given, io)
  // What is there now: the record of this export is no part of it.
  const logs = walsOf(directory, io).map((wal) => ({ wal, epochs: epochsOf(wal) }))
  const ended = await recorderOf(`${format} ${questionText(question)}`, given, directory, io)
  let records = 0
  let signed = true
  let waiting = ''
  let end: 'whole' | 'cut-short' = 'cut-short'
  try {
    for (const { wal, epochs } of logs) {
      for (const { text, signed: isSignature } of periodLines(wal, from, to, epochs)) {
        if (io.signal.aborted) return exit.interrupted
        signed = isSignature
        waiting += `${format === 'ocsf' ? ocsfLine(parseLine(text) ?? { type: 'damaged-line', bytes: text.length }) : text}\n`
        records++
        if (waiting.length > bufferedCharacters) {
          await writeAll(io.stdout, waiting)
          waiting = ''
        }
      }
    }
    await writeAll(io.stdout, waiting)
    end = 'whole'
  } finally {
    await ended?.({ records, end })
  }
  if (records === 0) throw new Failure('nothing is recorded of that time')
  io.stderr.write(`${records} records, from the start of their replica to ${signed ? 'a signature' : 'the end: the last of them are not signed yet'}. countersign audit verify FILE --key KEYS checks them.\n`)
  return exit.ok
}
