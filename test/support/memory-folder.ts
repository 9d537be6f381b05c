import { accessSync, chmodSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TemporaryFolder } from './temporary-folder.ts'

/** A whole run at its fullest, with its database clusters, is under a fifth of this. */
const roomBytes = 8 * 1024 ** 3
const shared = '/dev/shm'

const hasRoom = (): boolean => {
  try {
    accessSync(shared, constants.W_OK)
    const { bavail, bsize } = statfsSync(shared)
    return Math.min(bavail * bsize, freemem()) > roomBytes
  } catch {
    return false
  }
}

/**
 * Where the temporary folders of a run lie: in memory where there is room.
 * A disk that somebody else keeps busy answers after seconds now and then; the product refuses what it cannot put on record in time, and a test would call that a fault.
 */
export const memoryFolder = (): TemporaryFolder => {
  const path = mkdtempSync(join(hasRoom() ? shared : tmpdir(), 'countersign-tests-'))
  chmodSync(path, 0o1777) // as any folder for temporary files: database servers run as other users, and remove theirs
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}
