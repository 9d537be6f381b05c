import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** Carries the log of a store to its file whenever it is asked to, with a connection of its own. */
const database = new DatabaseSync(workerData as string, { timeout: 0, enableForeignKeyConstraints: false })
database.exec('pragma synchronous = normal')

parentPort?.on('message', (asked: 'carry' | 'close') => {
  if (asked === 'close') {
    database.close()
    parentPort?.close()
    return
  }
  try {
    database.exec('pragma wal_checkpoint(passive)')
  } catch {
    // another process may be at it; the next writes ask again
  }
  parentPort?.postMessage('done')
})
