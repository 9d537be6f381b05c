import { readFileSync, statSync } from 'node:fs'
import type { AuditEvent } from '../model/audit-event.ts'
import type { Outcome } from '../model/outcome.ts'
import { emptyHash, leafHash } from '../lib/leaf-hash.ts'
import { syncDirectory, type Disk } from './disk.ts'
import { lineHead, parseLine } from './line.ts'
import { linesOf, type Segment } from './segment.ts'

/** An action that was started and whose end nobody recorded. */
export type Unfinished = Extract<AuditEvent, { readonly type: 'started' }>

export interface Recovery {
  /** Leaf hash of the last line: what the next line carries as `prev`. */
  readonly prev: string
  readonly unfinished: readonly Unfinished[]
  /** How the approved actions ended that are on record since `since`, by attempt. */
  readonly ended: ReadonlyMap<string, Outcome>
  /** Time of the first record that was read; what happened before it is not known here. `Infinity`: none was read. */
  readonly since: number
  readonly tornBytes: number
}

interface Found {
  readonly open: Map<string, string>
  readonly ended: Map<string, Outcome>
  since: number
}

/** A kill leaves at most the batch that was being written. */
const mostTorn = 1024 * 1024 + 64 * 1024

/**
 * Reads what the last start left. `closedThrough`: the epoch up to which every started action is known to have its end.
 * A torn tail lies in the last segment, behind everything that was acknowledged: it is copied to `torn/` and cut.
 *
 * Anything else that does not read is damage, and throws: cutting at the first bad line would throw away acknowledged records behind it.
 * The one exception is a machine that stopped (`powerLost`): pages reach a disk in any order, so a hole may have whole lines behind it.
 * None of those was acknowledged as synced, because a sync covers everything before it.
 */
export const recover = (disk: Disk, { wal, torn }: { readonly wal: string; readonly torn: string }, segments: readonly Segment[], closedThrough: number, powerLost: boolean): Recovery => {
  const found: Found = { open: new Map(), ended: new Map(), since: Number.POSITIVE_INFINITY }
  let prev: string | undefined
  let tornBytes = 0
  const last = segments.at(-1)
  const withLines = segments.findLastIndex(({ name }) => statSync(`${wal}/${name}`).size > 0)
  for (const [index, segment] of segments.entries()) {
    // Older epochs have their ends; the last segment with lines is read for the hash to go on from.
    if (segment.epoch <= closedThrough && index < withLines) continue
    const read = readSegment(wal, segment, prev, found)
    prev = read.prev
    if (read.bad === undefined) continue
    if (segment !== last) throw new Error(`${wal}/${segment.name} is damaged at byte ${read.bad}, and is not the last segment. Keep a copy of the directory, find out why, then start with a new one`)
    tornBytes = cutTail(disk, { wal, torn }, segment, read.bad, powerLost)
  }
  return { prev: prev ?? emptyHash, unfinished: [...found.open.values()].map((text) => JSON.parse(text) as Unfinished), ended: found.ended, since: found.since, tornBytes }
}

const readSegment = (wal: string, segment: Segment, before: string | undefined, found: Found): { readonly prev: string | undefined; readonly bad?: number } => {
  let prev = before
  let seq = segment.firstSeq
  let text: string | undefined
  let at = 0
  let prevOfLast = before
  for (const line of linesOf(`${wal}/${segment.name}`)) {
    const head = line.whole ? lineHead(line.text) : undefined
    if (head === undefined || head.seq !== seq || (prev !== undefined && head.prev !== prev)) return endOf(line.offset)
    if (!line.text.endsWith('}')) return endOf(line.offset)
    if (text !== undefined) noteLine(found, text) // this line vouches for it
    text = line.text
    at = line.offset
    prevOfLast = head.prev
    prev = leafHash(text)
    seq++
  }
  // The line behind vouches for each line by its hash; for the last one its form has to do.
  if (text !== undefined && parseLine(text) === undefined) return { prev: prevOfLast, bad: at }
  if (text !== undefined) noteLine(found, text)
  return { prev }

  function endOf(bad: number): { readonly prev: string | undefined; readonly bad: number } {
    if (text !== undefined && parseLine(text) === undefined) throw new Error(`${wal}/${segment.name} is damaged at byte ${at}`)
    if (text !== undefined) noteLine(found, text)
    return { prev, bad }
  }
}

const noteLine = (found: Found, text: string): void => {
  const { type, attempt } = lineHead(text) ?? {}
  if (attempt !== undefined) {
    if (type === 'started') found.open.set(attempt, text)
    else if (type === 'finished' || type === 'outcome-unknown') found.open.delete(attempt)
    if (type === 'finished') noteEnd(found.ended, attempt, text)
  }
  if (found.since === Number.POSITIVE_INFINITY) found.since = timeOf(text)
}

/** Only ends of approved actions: all others need no second place that says how they ended. */
const noteEnd = (ended: Map<string, Outcome>, attempt: string, text: string): void => {
  if (!text.includes('"hold":')) return
  const { outcome, hold } = (parseLine(text) ?? {}) as { readonly outcome?: Outcome; readonly hold?: unknown }
  if (typeof hold === 'string' && outcome !== undefined) ended.set(attempt, outcome)
}

const timeOf = (text: string): number => {
  const time = Date.parse(String(parseLine(text)?.['time']))
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time
}

const cutTail = (disk: Disk, { wal, torn }: { readonly wal: string; readonly torn: string }, segment: Segment, from: number, powerLost: boolean): number => {
  const path = `${wal}/${segment.name}`
  const tail = readFileSync(path).subarray(from)
  if (!powerLost) {
    if (tail.length > mostTorn) throw new Error(`${path}: ${tail.length} bytes behind byte ${from} do not read, more than one write can leave. Keep a copy of the directory, find out why, then start with a new one`)
    for (const { text, offset, whole } of linesOf(path, from)) {
      if (whole && parseLine(text) !== undefined) throw new Error(`${path} is damaged at byte ${from}: whole records follow at byte ${offset}. Keep a copy of the directory, find out why, then start with a new one`)
    }
  }
  disk.makeDirectory(torn)
  const fd = disk.open(`${torn}/${segment.name}.${from}`, 'w')
  try {
    if (disk.write(fd, tail, tail.length) !== tail.length) throw new Error(`${torn}: written in part`)
    disk.syncNow(fd)
  } finally {
    disk.close(fd)
  }
  syncDirectory(disk, torn)
  disk.truncate(path, from)
  const cut = disk.open(path, 'a')
  try {
    disk.syncNow(cut)
  } finally {
    disk.close(cut)
  }
  return tail.length
}
