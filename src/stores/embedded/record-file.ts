import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Refusal } from '../../model/refusal.ts'
import type { StoreOptions } from '../options.ts'
import { openDatabase } from './database-file.ts'

export type EmbeddedOptions = Extract<StoreOptions, { kind: 'embedded' }>

/** How long another process may hold the file; meanwhile the loop stands still. */
const busyMs = 250

/** Few and small records in a SQLite file. Each write is synced on the spot, so that what was ended stays ended. */
export interface RecordFile extends AsyncDisposable {
  readonly database: DatabaseSync
  now(): number
  /** Ends with the result, or with `store-unavailable`. */
  step<T>(work: () => T): Promise<T>
  /** All of it or nothing. */
  write<T>(work: (at: number) => T): Promise<T>
  /** Statements that remove a little of what is over by a time; run with each write. */
  sweepWith(...statements: readonly string[]): void
}

/** `what` the records are: for whoever reads that they are away. */
export const openRecordFile = (path: string, schema: string, what: string, test: { readonly clockSkewMs?: () => number }): RecordFile => {
  const database = openDatabase(path, schema)
  database.exec(`pragma synchronous = full; pragma wal_autocheckpoint = 1000; pragma busy_timeout = ${busyMs}`)
  const now = (): number => Math.round(Date.now() + (test.clockSkewMs?.() ?? 0))
  let sweeps: readonly StatementSync[] = []
  let isOpen = true
  const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', `The store for ${what} does not answer. Try again later.`, { cause, retryAfterSeconds: 5 })

  const step: RecordFile['step'] = async (work) => {
    if (!isOpen) throw unavailable('the store is closed')
    try {
      return work()
    } catch (error) {
      throw unavailable(error)
    }
  }

  return {
    database,
    now,
    step,
    write: (work) =>
      step(() => {
        database.exec('begin immediate')
        try {
          const at = now()
          for (const statement of sweeps) statement.run(at)
          const result = work(at)
          database.exec('commit')
          return result
        } catch (error) {
          if (database.isTransaction) database.exec('rollback')
          throw error
        }
      }),
    sweepWith(...statements) {
      sweeps = statements.map((text) => database.prepare(text))
    },
    async [Symbol.asyncDispose]() {
      if (!isOpen) return
      isOpen = false
      database.close()
    },
  }
}
