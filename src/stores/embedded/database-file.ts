import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isBusy } from './group-commit.ts'

const openWithinMs = 4_000
const busyPauseMs = 20

/** The database at the path, made if it is not there, with a log that is written ahead. Several processes may do this at one moment. */
export const openDatabase = (path: string, schema: string): DatabaseSync => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  makeOurs(path)
  const database = new DatabaseSync(path, { timeout: openWithinMs, enableForeignKeyConstraints: false })
  try {
    prepare(database, schema)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

const prepare = (database: DatabaseSync, schema: string): void => {
  enterWal(database)
  database.exec('pragma synchronous = normal') // whoever opens it says when a commit is synced
  database.exec('pragma wal_autocheckpoint = 0') // likewise
  database.exec('pragma journal_size_limit = 67108864')
  database.exec('pragma trusted_schema = off')
  database.exec('begin immediate')
  database.exec(schema)
  database.exec('commit')
  database.exec('pragma busy_timeout = 0') // from now on we wait without blocking the loop
}

/**
 * The file belongs to us alone before SQLite sees it; its companions inherit the mode.
 * A file that is there is not opened for that: to close it again would drop the locks that this process holds on it.
 */
const makeOurs = (path: string): void => {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    chmodSync(path, 0o600)
  }
}

/**
 * The one step for which SQLite does not wait by itself. To leave the old journal a connection that reads becomes one that writes;
 * of two that read a new file at one moment neither can while the other reads, so SQLite tells one of them at once that the file is busy.
 */
const enterWal = (database: DatabaseSync): void => {
  for (const end = performance.now() + openWithinMs; ; ) {
    try {
      return database.exec('pragma journal_mode = wal')
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busyPauseMs)
    }
  }
}
