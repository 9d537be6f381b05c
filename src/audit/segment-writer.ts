import { syncDirectory, type Disk } from './disk.ts'
import type { Durability } from './journal.ts'
import { segmentOf, type Segment } from './segment.ts'

export interface SegmentWriterParts {
  readonly disk: Disk
  readonly directory: string
  readonly epoch: number
  readonly segmentBytes: number
  readonly syncDeadlineMs: number
  /** Told once, when the writer has stopped for good; answers with what everybody who waits shall hear. */
  readonly failed: (cause: Error) => Error
  /** Told after each write: these bytes can be read. */
  readonly wrote: (segment: Segment, size: number) => void
}

export interface SegmentWriter {
  /** Takes an ASCII line without its newline, behind the zero byte that makes it a leaf. The promise is shared by all lines that reach the same durability together. */
  add(seq: number, leaf: string, durability: Durability): Promise<void>
  /** Lines that wait for the disk now. */
  waiting(): number
  fail(cause: Error): void
  /** Writes, syncs and closes what is there. */
  close(): Promise<void>
}

/** Larger than any line; what does not fit any more is written before the turn ends. */
const batchBytes = 1024 * 1024
const newline = 0x0a
/** Records that nobody waits for go to the file with the next ones that somebody does, and so much later at most. */
const queuedMs = 5
/** They reach the disk so much later at most. */
const lazySyncMs = 1_000

/*
 * One turn of the event loop fills the batch, one write takes it to the file, one fdatasync at a time takes the file to the disk:
 *
 *   add add add ─▶ batch ──setImmediate──▶ write ─▶ `written` resolves ─▶ fdatasync (thread pool) ─▶ `synced` resolves
 *                  add add add … go on meanwhile, and are covered by the fdatasync after it
 *
 * Nothing is ever tried again on a file that failed once: after a failed fdatasync the kernel may have dropped the pages and a second one would say yes.
 */
export const makeSegmentWriter = ({ disk, directory, epoch, segmentBytes, syncDeadlineMs, failed, wrote }: SegmentWriterParts): SegmentWriter => {
  /** One byte more in front: the zero byte of a leaf lies where the line before ends, and gives way to its newline. */
  const room = Buffer.allocUnsafeSlow(1 + batchBytes)
  const batch = room.subarray(1)
  let filled = 0
  let batchSeq = 0
  let scheduled = false
  /** Who waited for the last batch was the only one, so the next one need not wait for company either. */
  let alone = true
  let awaited = 0
  /** A batch was written at once in this turn of the loop: whatever else comes in it shares the next one. */
  let early = false
  let written: Waiters | undefined
  let nextSync: Waiters | undefined
  let running: Waiters | undefined
  let lazy: NodeJS.Timeout | undefined
  let late: NodeJS.Timeout | undefined
  let retired: number[] = []
  let failure: Error | undefined
  let closed = false
  let waiting = 0

  const begin = (firstSeq: number) => {
    const segment = segmentOf(epoch, firstSeq)
    const fd = disk.open(`${directory}/${segment.name}`, 'ax')
    syncDirectory(disk, directory)
    return { segment, fd, size: 0, synced: 0 }
  }
  let current = begin(0)
  wrote(current.segment, 0)

  const add: SegmentWriter['add'] = (seq, leaf, durability) => {
    if (failure) return Promise.reject(failure)
    if (filled + leaf.length > batchBytes) flush()
    if (failure) return Promise.reject(failure)
    if (filled === 0) batchSeq = seq
    const end = filled + room.write(leaf, filled, 'latin1')
    room[filled] = room[end] = newline
    filled = end
    if (durability === 'queued') {
      late ??= setTimeout(lateTurn, queuedMs)
      return nothing
    }
    awaited++
    if (!scheduled) {
      scheduled = true
      if (alone && !early) process.nextTick(earlyTurn)
      else setImmediate(turn)
    }
    if (durability === 'written') return (written ??= waiters()).promise
    waiting++
    nextSync ??= waiters()
    nextSync.count++
    return nextSync.promise
  }

  const turn = () => {
    scheduled = false
    alone = awaited <= 1
    awaited = 0
    flush()
  }

  const lateTurn = () => {
    late = undefined
    flush()
  }

  const earlyTurn = () => {
    early = true
    setImmediate(() => { early = false })
    turn()
  }

  const flush = () => {
    if (failure || closed) return
    try {
      if (filled > 0) write()
    } catch (error) {
      fail(asError(error))
      return
    }
    const reached = written
    written = undefined
    reached?.resolve()
    if (nextSync && !running) sync()
    else if (!running && current.synced < current.size) lazy ??= setTimeout(syncLater, lazySyncMs).unref()
  }

  const write = () => {
    if (current.size > 0 && current.size + filled > segmentBytes) rotate()
    const taken = disk.write(current.fd, batch, filled)
    if (taken !== filled) throw new Error(`${current.segment.name}: ${taken} of ${filled} bytes written`)
    current.size += filled
    filled = 0
    wrote(current.segment, current.size)
  }

  /** The next segment exists only when the one before is whole and on the disk, so only the last one can be torn. */
  const rotate = () => {
    disk.syncNow(current.fd)
    inspect()
    if (running) retired.push(current.fd)
    else disk.close(current.fd)
    current = begin(batchSeq)
  }

  const syncLater = () => {
    lazy = undefined
    if (!running) flushAndSync()
  }

  const flushAndSync = () => {
    nextSync ??= waiters()
    flush()
  }

  const sync = () => {
    const covered = (running = nextSync!)
    nextSync = undefined
    clearTimeout(lazy)
    lazy = undefined
    const { fd, size } = current
    const deadline = setTimeout(() => fail(new Error(`fdatasync did not return within ${syncDeadlineMs} ms`)), syncDeadlineMs)
    const done = (error: Error | null) => {
      clearTimeout(deadline)
      running = undefined
      for (const old of retired) quietly(() => disk.close(old))
      retired = []
      if (failure || closed) {
        if (failure) quietly(() => disk.close(current.fd))
        return
      }
      try {
        if (error) throw error
        inspect()
      } catch (cause) {
        running = covered // so that its waiters hear of it too
        fail(asError(cause))
        running = undefined
        quietly(() => disk.close(current.fd))
        return
      }
      if (fd === current.fd) current.synced = size
      waiting -= covered.count
      covered.resolve()
      flush()
    }
    disk.sync(fd, done)
  }

  /** A disk that took the bytes has them: the file is as long as we wrote it, and still has its name. */
  const inspect = () => {
    const { size, links } = disk.stat(current.fd)
    if (links === 0) throw new Error(`${current.segment.name} was deleted`)
    if (size !== current.size) throw new Error(`${current.segment.name} is ${size} bytes long, ${current.size} were written`)
  }

  const fail = (cause: Error) => {
    if (failure || closed) return
    failure = failed(cause)
    clearTimeout(lazy)
    clearTimeout(late)
    for (const group of [written, running, nextSync]) group?.reject(failure)
    written = nextSync = undefined
    waiting = 0
    if (!running) quietly(() => disk.close(current.fd))
  }

  const close: SegmentWriter['close'] = async () => {
    if (failure || closed) return
    while (!failure && (filled > 0 || running || current.synced < current.size)) {
      flushAndSync()
      const last = nextSync ?? running
      await last?.promise.catch(() => {})
    }
    if (failure) return
    closed = true
    clearTimeout(lazy)
    clearTimeout(late)
    disk.close(current.fd)
  }

  return { add, waiting: () => waiting, fail, close }
}

interface Waiters extends PromiseWithResolvers<void> {
  count: number
}

const waiters = (): Waiters => {
  const made = Promise.withResolvers<void>()
  made.promise.catch(() => {}) // whoever asked hears of it; a sync that nobody asked for must not end the program
  return Object.assign(made, { count: 0 })
}

const nothing = Promise.resolve()
const asError = (cause: unknown): Error => (cause instanceof Error ? cause : new Error(String(cause)))
const quietly = (step: () => void): void => {
  try {
    step()
  } catch {
    // the file has failed already; that it does not close either changes nothing
  }
}
