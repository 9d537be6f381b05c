import { setTimeout as pause } from 'node:timers/promises'
import type { DatabaseSync } from 'node:sqlite'

interface Job {
  readonly step: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (cause: unknown) => void
  readonly since: number
}

interface Group {
  readonly jobs: readonly Job[]
  readonly results: readonly unknown[]
}

/** Longest stretch for which one group of writes may hold the event loop. */
const sliceMs = 8
const maxQueued = 50_000
/** While the disk is busy, fewer than this wait for it: they would wait anyway, and one transaction for all is cheaper than many. */
const worthCommitting = 100
/** What can wait gives way to what cannot for so long. */
const givesWayMs = 500

/** `later`: nobody waits for it, as for the end of an action whose answer has been given. Such writes keep their order among themselves. */
export type Urgency = 'now' | 'later'

export interface GroupCommit {
  /** Runs the step inside a transaction and resolves once that transaction is on the disk. */
  write<T>(step: () => T, urgency?: Urgency): Promise<T>
  /** Writes what is queued, then takes nothing more. */
  close(): Promise<void>
}

export interface CommitParts {
  readonly database: DatabaseSync
  /** Takes everything that has been committed so far to the disk, off the event loop. */
  readonly sync: () => Promise<void>
  readonly deadlineMs: number
  /** Told after each transaction how many writes it had. */
  readonly written: (writes: number) => void
  /** Told whenever a group is on the disk. */
  readonly committed: () => void
  /** Told once, when a sync has failed: what is in the file and what is on the disk may differ from now on. */
  readonly failed: (cause: unknown) => void
}

/**
 * All writes that arrive in one tick share one transaction, and all transactions that were made during one sync share the next:
 *
 *   steps ─▶ begin … commit ─▶ steps ─▶ begin … commit ─▶ …          on the event loop, without waiting for the disk
 *                 └──▶ sync ───────────────▶ sync (both) ─▶ resolve   in the thread pool, one at a time
 *
 * The log is a sequence, so whatever a transaction has read is on the disk no later than the transaction itself.
 * If a transaction fails, every one of its writes is rejected and none has happened. If a sync fails, nothing is written any more.
 * Another process may hold the file: then we come back a little later without blocking the loop, until the write's own deadline.
 */
export const makeGroupCommit = ({ database, sync, deadlineMs, written, committed, failed }: CommitParts): GroupCommit => {
  const queues = { now: [] as Job[], later: [] as Job[] }
  let unsynced: Group[] = []
  let syncing: Promise<void> | undefined
  let running: Promise<void> | undefined
  let stuck: unknown
  let failure: unknown
  let closed = false
  let goOn: (() => void) | undefined

  const queued = (): number => queues.now.length + queues.later.length

  const dropAll = (cause: unknown): void => {
    for (const queue of [queues.now, queues.later]) for (const job of queue.splice(0)) job.reject(cause)
  }

  const group = (): void => {
    const jobs: Job[] = []
    const results: unknown[] = []
    const begun = performance.now()
    const take = (queue: Job[], until: (job: Job) => boolean): void => {
      let at = 0
      try {
        for (let job = queue[0]; job !== undefined && !until(job); job = queue[++at]) {
          jobs.push(job)
          results.push(job.step())
        }
      } finally {
        queue.splice(0, Math.max(at, 0) + (jobs.length > results.length ? 1 : 0))
      }
    }
    const full = (share = 1): boolean => performance.now() - begun > sliceMs * share
    try {
      take(queues.later, ({ since }) => full(0.5) || begun - since < givesWayMs)
      take(queues.now, () => full())
      if (queues.now.length === 0) take(queues.later, () => full())
      database.exec('commit')
    } catch (error) {
      if (database.isTransaction) database.exec('rollback')
      for (const job of jobs) job.reject(error)
      return
    }
    written(jobs.length)
    if (stuck !== undefined) return rejectAll([{ jobs, results }], stuck)
    unsynced.push({ jobs, results })
    syncing ??= syncAll()
  }

  const syncAll = async (): Promise<void> => {
    while (unsynced.length > 0) {
      const groups = unsynced
      unsynced = []
      // Who waits hears in time that the disk does not answer; whether their writes last, nobody knows then.
      const late = setTimeout(() => {
        stuck = new Error('the disk does not answer')
        rejectAll([...groups, ...unsynced], stuck)
        unsynced = []
      }, deadlineMs)
      try {
        await sync()
        for (const { jobs, results } of groups) for (const [at, job] of jobs.entries()) job.resolve(results[at])
        stuck = undefined
        committed()
      } catch (cause) {
        stuck = failure = cause
        failed(cause)
        rejectAll(groups, cause)
      } finally {
        clearTimeout(late)
        goOn?.()
      }
    }
    syncing = undefined
  }

  const dropLate = (cause: unknown): void => {
    const oldest = performance.now() - deadlineMs
    for (const queue of [queues.now, queues.later]) while (queue[0] !== undefined && queue[0].since < oldest) queue.shift()!.reject(cause)
  }

  const run = async (): Promise<void> => {
    for (let tries = 0; queued() > 0; ) {
      await new Promise((resolve) => setImmediate(resolve))
      if (syncing !== undefined && queued() < worthCommitting) await new Promise<void>((resolve) => { goOn = resolve })
      goOn = undefined
      if (failure !== undefined) {
        dropAll(failure)
        break
      }
      try {
        database.exec('begin immediate')
      } catch (error) {
        dropLate(error)
        if (!isBusy(error)) dropAll(error)
        await pause(1 + Math.random() * Math.min(20, 2 ** ++tries))
        continue
      }
      tries = 0
      group()
    }
    running = undefined
  }

  return {
    write: <T>(step: () => T, urgency: Urgency = 'now'): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        if (closed) return reject(new Error('the store is closed'))
        if (stuck !== undefined) return reject(stuck)
        if (queued() >= maxQueued) return reject(new Error('too many writes are waiting'))
        queues[urgency].push({ step, resolve: resolve as (value: unknown) => void, reject, since: performance.now() })
        if (queued() >= worthCommitting) goOn?.()
        running ??= run()
      }),
    async close() {
      closed = true
      await running
      await syncing
    },
  }
}

const rejectAll = (groups: readonly Group[], cause: unknown): void => {
  for (const { jobs } of groups) for (const job of jobs) job.reject(cause)
}

export const isBusy = (error: unknown): boolean => error instanceof Error && 'errcode' in error && [5, 6].includes(Number(error.errcode) & 0xff)
