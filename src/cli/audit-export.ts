import { once, type EventEmitter } from 'node:events'
import { parseLine } from '../audit/line.ts'
import { ocsfLine } from '../audit/ocsf/line.ts'
import { linesOf, listSegments, type Segment } from '../audit/segment.ts'
import { walsOf } from './audit-places.ts'
import { momentOption } from './audit-search.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io, type Output } from './io.ts'

const options = {
  directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY' },
  from: { type: 'string', value: 'TIME', help: 'from this time on: 2026-11-21, 2026-11-21T18:04Z, or so long ago, 7d' },
  to: { type: 'string', value: 'TIME', help: 'before this time' },
  format: { type: 'string', value: 'FORMAT', help: 'lines of the log as they stand, or events of OCSF 1.8 with the record in each (log)', choices: ['log', 'ocsf'] },
} as const satisfies Options

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
const write = async (output: Output, text: string): Promise<void> => {
  if (output.write(text) === false && 'once' in output) await once(output as Output & EventEmitter, 'drain')
}

export interface PeriodLine {
  readonly text: string
  /** Of a signature over all of its start before it. */
  readonly signed: boolean
}

/** A signature is of a whole start from its first record on, so that is where it begins; it ends with the first signature behind what was asked for. */
export function* periodLines(wal: string, from: number, to: number): Generator<PeriodLine> {
  const epochs = epochsOf(wal)
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

/** Lines are as they stand in the log: what is exported is checked like the log itself. */
const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, options)
  const [from, to] = [momentOption('from', values.from) ?? Number.NEGATIVE_INFINITY, momentOption('to', values.to) ?? Number.POSITIVE_INFINITY]
  const ocsf = values.format === 'ocsf'
  let records = 0
  let signed = true
  let waiting = ''
  for (const wal of walsOf(values.directory, io)) {
    for (const { text, signed: isSignature } of periodLines(wal, from, to)) {
      if (io.signal.aborted) return exit.interrupted
      signed = isSignature
      waiting += `${ocsf ? ocsfLine(parseLine(text) ?? { type: 'damaged-line', bytes: text.length }) : text}\n`
      records++
      if (waiting.length > bufferedCharacters) {
        await write(io.stdout, waiting)
        waiting = ''
      }
    }
  }
  await write(io.stdout, waiting)
  if (records === 0) throw new Failure('nothing is recorded of that time')
  io.stderr.write(`${records} records, from the start of their replica to ${signed ? 'a signature' : 'the end: the last of them are not signed yet'}. countersign audit verify FILE --key KEYS checks them.\n`)
  return exit.ok
}

export const auditExportCommand: Command = {
  path: ['audit', 'export'],
  summary: 'Print records of the audit log so that they can be verified elsewhere',
  usage: '[--from TIME] [--to TIME] [--format log|ocsf] [--directory DIR] > FILE',
  details: 'Lines of the log as they stand, or events of OCSF that `audit verify` reads as well. A signature is of all records since its replica started, so that is where an export begins; it ends with the first signature behind the time asked for.',
  options,
  examples: ['countersign audit export --directory /var/lib/countersign/journal --from 2026-11-01 --to 2026-12-01 > november.ndjson', 'countersign audit export --format ocsf --from 7d > week.ocsf.ndjson'],
  run,
}
