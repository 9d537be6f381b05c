import { readFileSync } from 'node:fs'
import { defined } from '../lib/defined.ts'
import { hashLeaf } from '../lib/leaf-hash.ts'
import type { AuditEvent } from '../model/audit-event.ts'
import { Refusal } from '../model/refusal.ts'
import { signCheckpoint } from './checkpoint.ts'
import { realDisk, replaceFile, syncDirectory, type Disk } from './disk.ts'
import { markOf, type DiskMark, type DiskState } from './disk-marks.ts'
import { eventText } from './event-text.ts'
import type { Durability, Journal, JournalCursor } from './journal.ts'
import { makeJournalReader } from './journal-reader.ts'
import { replicaName } from './line.ts'
import { MerkleTree } from './merkle-tree.ts'
import type { JournalOptions } from './options.ts'
import { recover, type Recovery } from './recovery.ts'
import { makeSegmentWriter, type SegmentWriter } from './segment-writer.ts'
import { listSegments, segmentOf } from './segment.ts'
import type { NoteSigner } from './signed-note.ts'
import { lockWriter } from './writer-lock.ts'

export interface JournalParts {
  readonly now: () => number
  readonly disk?: Disk
  /** Told once when the journal has failed for good, with the private cause. The program should stop taking work and end. */
  readonly failed?: (cause: Error) => void
  readonly syncDeadlineMs?: number
  /** Told each time when the disk passes one of the marks, or is back below it. */
  readonly marked?: (state: DiskState) => void
  /** Signs what the log is, now and then, as a record of its own. Without one nothing is signed. */
  readonly signer?: NoteSigner
  readonly checkpointMs?: number
}

export interface RecoveredJournal extends Journal {
  readonly epoch: number
  /** What the start before left. The actions without an end have been closed on record as `outcome-unknown`. */
  readonly recovered: Pick<Recovery, 'unfinished' | 'ended' | 'since' | 'tornBytes'>
  /** Before the first record of this start. */
  readonly beginning: JournalCursor
  /** The id of the record that was appended last. */
  last(): string
  /** Signs now what is not signed yet. Resolves when the signature is written; with nothing to sign, at once. */
  sign(): Promise<void>
  disk(): DiskState
}

/** A device that does not answer for so long is a broken one. */
const usualSyncDeadlineMs = 10_000
/** Records that wait for the disk: far beyond what a working one lets pile up. */
const mostWaiting = 50_000
/** Nothing on record stays without a signature over it for longer. */
const usualCheckpointMs = 1_000
const spaceCheckMs = 1_000
const spaceCheckBytes = 8 * 1024 * 1024

/** These end what was begun. They are taken below the low mark too: refusing them frees nothing and loses the truth. */
const endings: ReadonlySet<AuditEvent['type']> = new Set(['finished', 'outcome-unknown', 'hold-expired', 'hold-withdrawn', 'replica-stopped', 'records-lost', 'store-tampered', 'checkpoint', 'cosigned', 'disk-mark'])

/*
 * {directory}/{replica}/lock            who writes
 *                       epoch.json      the last epoch, and up to which one every action has its end
 *                       wal/{epoch}-{seq}.ndjson
 *                       torn/           what recovery cut
 *                       cursors/        how far each sink is (written by the sinks)
 */
export const openJournal = async (options: JournalOptions, { now, disk = realDisk, failed, marked, syncDeadlineMs = usualSyncDeadlineMs, signer, checkpointMs = usualCheckpointMs }: JournalParts): Promise<RecoveredJournal> => {
  if (!replicaName.test(options.replica)) throw new Error(`replica name ${JSON.stringify(options.replica)}: letters, digits, dot, dash and underscore only, 64 at most`)
  const home = `${options.directory}/${options.replica}`
  const wal = `${home}/wal`
  disk.makeDirectory(wal)
  let failure: Refusal | undefined
  const stop = (cause: Error): Refusal => {
    failure = unavailable(cause)
    failed?.(cause)
    return failure
  }
  let writer: SegmentWriter | undefined
  const lock = await lockWriter(`${home}/lock`, (cause) => (writer ? writer.fail(cause) : stop(cause)))
  try {
    const before = readEpochs(`${home}/epoch.json`)
    const segments = listSegments(wal)
    const recovery = recover(disk, { wal, torn: `${home}/torn` }, segments, before.closedThrough, lock.found === 'other-boot')
    const epoch = Math.max(before.epoch, segments.at(-1)?.epoch ?? 0) + 1
    replaceFile(disk, home, 'epoch.json', JSON.stringify({ epoch, closedThrough: before.closedThrough }))
    syncDirectory(disk, options.directory)
    const reader = makeJournalReader(wal, segments)
    const made = (writer = makeSegmentWriter({ disk, directory: wal, epoch, segmentBytes: options.segmentBytes, syncDeadlineMs, failed: stop, wrote: reader.wrote }))

    const origin = `\0{"v":1,"id":"${options.replica}/${epoch}/`
    const tree = new MerkleTree()
    let due: NodeJS.Timeout | undefined
    let seq = 0
    let prev = recovery.prev
    let stampedAt = Number.NaN
    let stamp = ''
    let spaceAt = Number.NEGATIVE_INFINITY
    let sinceSpace = 0
    let low: string | undefined
    let fullness: DiskState = { mark: 'none' }
    let closed = false

    /** Asks the disk now and then only: a system call for each record would cost as much as writing it. */
    const lookAtSpace = (time: number): void => {
      if (time - spaceAt < spaceCheckMs && time >= spaceAt && sinceSpace < spaceCheckBytes) return
      spaceAt = time
      sinceSpace = 0
      try {
        const { free, used } = disk.space(wal)
        const mark = look((100 * used) / Math.max(1, used + free))
        low = free < options.minFreeBytes ? `${free} bytes free, ${options.minFreeBytes} wanted` : mark === 'deny-all' ? `${fullness.used} % of the disk are used` : undefined
      } catch (cause) {
        low = `free space unknown: ${String(cause)}`
      }
    }

    const look = (percent: number): DiskMark => {
      const used = Math.round(percent * 10) / 10
      const { mark: before } = fullness
      const mark = options.diskMarks === undefined ? 'none' : markOf(used, options.diskMarks, before)
      fullness = { mark, used }
      if (mark !== before && !closed) {
        append({ type: 'disk-mark', mark, used }, 'queued').catch(() => {})
        marked?.(fullness)
      }
      return mark
    }

    const refusal = (): Refusal | undefined => {
      if (failure) return failure
      if (closed) return unavailable('closed')
      if (low !== undefined) return unavailable(low)
      return undefined
    }

    const append = (event: AuditEvent, durability: Durability): Promise<void> => {
      const time = now()
      lookAtSpace(time)
      if (failure || closed || (low !== undefined && !endings.has(event.type))) return Promise.reject(refusal())
      if (durability === 'synced' && made.waiting() >= mostWaiting) return Promise.reject(unavailable('too many records wait for the disk'))
      if (time !== stampedAt) {
        stampedAt = time
        stamp = new Date(time).toISOString()
      }
      let leaf: string
      try {
        leaf = eventText(event, `${origin}${seq}","seq":${seq},"prev":"${prev}","time":"${stamp}",`)
      } catch (error) {
        return Promise.reject(error)
      }
      prev = hashLeaf(leaf)
      sinceSpace += leaf.length
      if (signer !== undefined) {
        tree.append(prev)
        if (event.type !== 'checkpoint' && event.type !== 'cosigned') due ??= setTimeout(sign, checkpointMs).unref()
      }
      return made.add(seq++, leaf, durability)
    }

    /** Covers all records before it, and leaves this machine with them. */
    const checkpoint = (durability: Durability = 'queued'): Promise<void> => {
      if (due === undefined || signer === undefined) return Promise.resolve()
      clearTimeout(due)
      due = undefined
      const signed = signCheckpoint({ origin: `${signer.name}/${options.replica}/${epoch}`, size: tree.size, root: tree.root() }, signer)
      return append({ type: 'checkpoint', signed }, durability)
    }
    const sign = (): void => {
      checkpoint().catch(() => {}) // who cannot write any more hears so by the next record that somebody waits for
    }

    const { unfinished, ended, since, tornBytes } = recovery
    for (const [index, { attempt, hold, action }] of unfinished.entries()) {
      await append({ type: 'outcome-unknown', attempt, digest: action.digest, ...defined({ hold }) }, index === unfinished.length - 1 ? 'synced' : 'queued')
    }
    replaceFile(disk, home, 'epoch.json', JSON.stringify({ epoch, closedThrough: epoch - 1 }))

    return {
      epoch,
      recovered: { unfinished, ended, since, tornBytes },
      beginning: `${segmentOf(epoch, 0).name}:0`,
      append,
      last: () => `${options.replica}/${epoch}/${seq - 1}`,
      sign: () => checkpoint('written'),
      disk: () => fullness,
      check: () => {
        lookAtSpace(now())
        const refused = refusal()
        if (refused) throw refused
      },
      read: reader.read,
      more: reader.more,
      [Symbol.asyncDispose]: async () => {
        if (closed) return
        sign()
        closed = true
        try {
          await made.close()
        } finally {
          reader.end()
          lock[Symbol.dispose]()
        }
      },
    }
  } catch (error) {
    writer?.fail(error instanceof Error ? error : new Error(String(error)))
    lock[Symbol.dispose]()
    throw error
  }
}

const unavailable = (cause: unknown): Refusal => new Refusal('journal-unavailable', 'The action cannot be recorded now, so it was not run.', { cause })

const readEpochs = (path: string): { readonly epoch: number; readonly closedThrough: number } => {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { epoch: 0, closedThrough: 0 }
    throw error
  }
  const { epoch, closedThrough } = JSON.parse(text) as { epoch?: unknown; closedThrough?: unknown }
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(closedThrough)) throw new Error(`${path} does not read`)
  return { epoch: epoch as number, closedThrough: closedThrough as number }
}
