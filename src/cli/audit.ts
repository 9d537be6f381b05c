import { statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { parseLine } from '../audit/line.ts'
import { linesOf, listSegments } from '../audit/segment.ts'
import { asideOf } from '../audit/texts-aside.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { caseIn, walsOf } from './audit-places.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { outputOption } from './rendering.ts'
import { recordText } from './audit-record.ts'

/*
 * These commands read the journal's files and nothing else: no server, no lock, no right but that to read the directory.
 * Several replicas may keep theirs in one directory. Within a replica the order is that of the file; replicas are put together by time, for reading only.
 */
const directoryOption = { directory: { type: 'string', short: 'd', value: 'DIR', help: 'where the journal lives; COUNTERSIGN_AUDIT_DIRECTORY' } } as const satisfies Options

interface Found {
  readonly text: string
  readonly time: string
}

const found = (text: string): Found => ({ text, time: /"time":"([^"]{1,40})"/.exec(text.slice(0, 400))?.[1] ?? '' })
const byTime = (lines: Found[]): Found[] => lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
const print = (io: Io, json: boolean, { text }: Found): void => {
  const record = parseLine(text)
  // A line of ours is printable ASCII as it stands. Anything else is quoted before it may touch a terminal.
  if (json) io.stdout.write(record !== undefined && /^[\x20-\x7e]*$/.test(text) ? `${text}\n` : `${JSON.stringify({ damaged: Buffer.from(text, 'latin1').toString('base64') })}\n`)
  else io.stdout.write(`${record === undefined ? '(a line that does not read)' : recordText(record)}\n`)
}

interface Position {
  readonly segment: string
  readonly offset: number
}

const tailOptions = {
  ...directoryOption,
  follow: { type: 'boolean', short: 'f', help: 'go on as records are written' },
  lines: { type: 'string', short: 'n', value: 'COUNT', help: 'how many of the last records (20 when not given)' },
  output: outputOption('table', 'json'),
} as const satisfies Options

const tail = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, tailOptions)
  const count = /^\d{1,5}$/.test(values.lines ?? '20') ? Number(values.lines ?? '20') : undefined
  if (count === undefined) throw new Failure('--lines is a number up to 99999', exit.usage)
  const wals = walsOf(values.directory, io)
  const json = values.output === 'json'
  const ends = new Map<string, Position>()
  const last = wals.flatMap((wal) => {
    const { lines, end } = lastLines(wal, count)
    ends.set(wal, end)
    return lines
  })
  for (const line of count === 0 ? [] : byTime(last).slice(-count)) print(io, json, line)
  if (!values.follow) return exit.ok
  for (;;) {
    await pause(200, undefined, { signal: io.signal }).catch(() => {})
    if (io.signal.aborted) return exit.ok
    const fresh: Found[] = []
    for (const wal of wals) ends.set(wal, linesAfter(wal, ends.get(wal)!, (text) => fresh.push(found(text))))
    for (const line of byTime(fresh)) print(io, json, line)
  }
}

/** Reads segments from the newest backwards until there are enough lines. */
const lastLines = (wal: string, count: number): { readonly lines: Found[]; readonly end: Position } => {
  const segments = listSegments(wal)
  let lines: Found[] = []
  let end: Position | undefined
  for (const { name } of segments.toReversed()) {
    const here: Found[] = []
    let offset = 0
    for (const line of linesOf(`${wal}/${name}`)) {
      if (!line.whole) break
      here.push(found(line.text))
      if (here.length > count) here.shift()
      offset = line.offset + line.text.length + 1
    }
    end ??= { segment: name, offset }
    lines = [...here, ...lines].slice(-count || Number.POSITIVE_INFINITY)
    if (lines.length >= count) break
  }
  return { lines, end: end ?? { segment: '', offset: 0 } }
}

const linesAfter = (wal: string, { segment, offset }: Position, take: (text: string) => void): Position => {
  let at = { segment, offset }
  for (const { name } of listSegments(wal)) {
    if (name < at.segment) continue
    if (name > at.segment) at = { segment: name, offset: 0 }
    if (statSync(`${wal}/${name}`).size <= at.offset) continue
    for (const line of linesOf(`${wal}/${name}`, at.offset)) {
      if (!line.whole) break
      take(line.text)
      at = { segment: name, offset: line.offset + line.text.length + 1 }
    }
  }
  return at
}

const showOptions = { ...directoryOption, output: outputOption('table', 'json') } as const satisfies Options

const show = async (args: readonly string[], io: Io): Promise<number> => {
  const { values, positionals } = parseOptions(args, showOptions, { min: 1, max: 1 })
  const records = caseIn(walsOf(values.directory, io), positionals[0] ?? '')
  if (records.length === 0) throw new Failure('nothing is recorded about it here')
  const directory = values.directory ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY'] ?? ''
  for (const { text: line } of records) {
    print(io, values.output === 'json', found(line))
    if (values.output !== 'json') for (const { field, text } of asideOf(parseLine(line) ?? {}, directory)) io.stdout.write(`  ${field}: ${text === undefined ? '(erased)' : terminalText(text)}\n`)
  }
  return exit.ok
}

export const auditCommands: readonly Command[] = [
  {
    path: ['audit', 'tail'],
    summary: 'Print the last records of the audit journal',
    usage: '[-f] [-n COUNT] [--directory DIR]',
    options: tailOptions,
    examples: ['countersign audit tail -f --directory /var/lib/countersign/journal', 'countersign audit tail -n 1000 -o json'],
    run: tail,
  },
  {
    path: ['audit', 'show'],
    summary: 'Print everything that is recorded about one try or one hold',
    usage: 'ATTEMPT|HOLD|CODE [--directory DIR]',
    options: showOptions,
    examples: ['countersign audit show CS-7F3K'],
    run: show,
  },
]
