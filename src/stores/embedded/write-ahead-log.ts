import { closeSync, fdatasync, fstatSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'

/** So much is carried from the log to the file at one time. */
const checkpointWrites = 1_000
const checkpointBytes = 4 << 20

export interface WriteAheadLog {
  /** Takes everything that is in the log to the disk. */
  sync(): Promise<void>
  /** So many writes have been committed; now and then the log is carried over to the file. */
  written(writes: number): void
  close(): Promise<void>
}

/**
 * The log of an SQLite file that is open with `synchronous = normal`: commits append to it without waiting for the disk, and we sync it ourselves, in the thread pool.
 * SQLite still syncs the log before it carries it to the file, and the file before the log begins anew, so a sync of ours always covers what was committed before it.
 * The log itself carries no locks, so a descriptor of our own does no harm; while the database is open nobody removes it.
 */
export const openWriteAheadLog = (database: DatabaseSync, path: string): WriteAheadLog => {
  const fd = openSync(`${path}-wal`, 'r+')
  let size = 0
  let carriedSize = 0
  let writes = 0
  let worker: Worker | undefined
  let carrying: Promise<void> | undefined

  /** Copies and syncs in a thread of its own. What was committed meanwhile is little and carried here, so that the log comes to an end and begins anew. */
  const carry = async (): Promise<void> => {
    worker ??= startWorker(path).once('exit', () => { worker = undefined })
    await askWorker(worker)
    database.exec('pragma wal_checkpoint(passive)')
  }

  return {
    sync: () =>
      new Promise((resolve, reject) => {
        const { nlink, size: now } = fstatSync(fd)
        if (nlink === 0) return reject(new Error('the log of the store was deleted'))
        size = now
        fdatasync(fd, (error) => (error ? reject(error) : resolve()))
      }),
    written(count) {
      writes += count
      if (carrying !== undefined || (writes < checkpointWrites && size - carriedSize < checkpointBytes)) return
      writes = 0
      carriedSize = size
      carrying = carry().catch(() => {}).finally(() => { carrying = undefined }) // a log that was not carried is tried again with the next writes
    },
    async close() {
      await carrying
      if (worker !== undefined) {
        const gone = new Promise((resolve) => worker?.once('exit', resolve))
        worker.ref()
        worker.postMessage('close')
        await gone
      }
      closeSync(fd)
    },
  }
}

const startWorker = (path: string): Worker => {
  const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData: path, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 } })
  worker.unref()
  worker.on('error', () => {})
  return worker
}

const askWorker = (worker: Worker): Promise<void> =>
  new Promise((resolve, reject) => {
    const done = (): void => {
      worker.off('exit', gone)
      resolve()
    }
    const gone = (): void => reject(new Error('the thread for checkpoints has ended'))
    worker.once('message', done).once('exit', gone)
    worker.postMessage('carry')
  })
