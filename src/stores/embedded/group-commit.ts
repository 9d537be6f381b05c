import { setTimeout as pause } from 'node:timers/promises'
import type { DatabaseSync } from 'node:sqlite'

interface Job {
  readonly step: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (cause: unknown) => void
  readonly until: number
}

/** Longest stretch for which one group of writes may hold the event loop, not counting the commit itself. */
const sliceMs = 6
const maxQueued = 50_000

export interface GroupCommit {
  /** Runs the step inside a transaction and resolves once that transaction is on the disk. */
  write<T>(step: () => T): Promise<T>
  /** Writes what is queued, then takes nothing more. */
  close(): Promise<void>
}

/**
 * All writes that arrive in one tick share one transaction, so that one sync of the disk pays for all of them.
 * If the transaction fails, every one of its writes is rejected and none has happened.
 * Another process may hold the file: then we come back a little later without blocking the loop, until the write's own deadline.
 */
export const makeGroupCommit = (database: DatabaseSync, deadlineMs: number, committed: () => void): GroupCommit => {
  const queue: Job[] = []
  let running: Promise<void> | undefined
  let closed = false

  const group = (): void => {
    const begun: Job[] = []
    const results: unknown[] = []
    const end = performance.now() + sliceMs
    try {
      for (let job = queue[0]; job !== undefined && performance.now() < end; job = queue[0]) {
        begun.push(queue.shift()!)
        results.push(job.step())
      }
      database.exec('commit')
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      for (const job of begun) job.reject(error)
      return
    }
    for (const [at, job] of begun.entries()) job.resolve(results[at])
    committed()
  }

  const dropLate = (cause: unknown): void => {
    const now = performance.now()
    for (let job = queue[0]; job !== undefined && job.until < now; job = queue[0]) queue.shift()!.reject(cause)
  }

  const run = async (): Promise<void> => {
    for (let tries = 0; queue.length > 0; ) {
      await new Promise((resolve) => setImmediate(resolve))
      try {
        database.exec('begin immediate')
      } catch (error) {
        dropLate(error)
        if (!isBusy(error)) for (const job of queue.splice(0)) job.reject(error)
        await pause(1 + Math.random() * Math.min(20, 2 ** ++tries))
        continue
      }
      tries = 0
      group()
    }
    running = undefined
  }

  return {
    write: <T>(step: () => T): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        if (closed) return reject(new Error('the store is closed'))
        if (queue.length >= maxQueued) return reject(new Error('too many writes are waiting'))
        queue.push({ step, resolve: resolve as (value: unknown) => void, reject, until: performance.now() + deadlineMs })
        running ??= run()
      }),
    async close() {
      closed = true
      await running
    },
  }
}

const isBusy = (error: unknown): boolean => error instanceof Error && 'errcode' in error && [5, 6].includes(Number(error.errcode) & 0xff)
