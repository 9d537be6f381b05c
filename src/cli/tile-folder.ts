import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { claimedCheckpoint, type Checkpoint } from '../audit/checkpoint.ts'
import { realDisk, replaceFile } from '../audit/disk.ts'
import { DamagedLog } from '../audit/signed-part.ts'
import { BadNote } from '../audit/signed-note.ts'
import type { Tile } from '../audit/tiles.ts'
import { Failure } from './io.ts'

/** Above this no checkpoint is: a text of three lines, and at most 64 signatures. */
const longestCheckpoint = 64 * 1024

/** The folder of one log's tiles. Each file is there whole or not at all, whenever the machine stops. */
export interface TileFolder {
  /** What it was last made up to. */
  published(): Checkpoint | undefined
  /** False where it is there already. Throws `DamagedLog` where something else is there under its name: tiles never change. */
  put(tile: Tile): boolean
  /** The last step: readers begin with it. */
  publish(note: string): void
}

export const openTileFolder = (path: string): TileFolder => {
  const write = (name: string, content: string | Buffer): void => {
    const file = join(path, name)
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      replaceFile(realDisk, dirname(file), basename(file), content)
    } catch (error) {
      throw new Failure(`${file} cannot be written (${error instanceof Error ? error.message : ''})`)
    }
  }
  return {
    published() {
      const file = join(path, 'checkpoint')
      if (!existsSync(file)) return undefined
      try {
        return claimedCheckpoint(readFileSync(file, 'utf8').slice(0, longestCheckpoint))
      } catch (error) {
        if (error instanceof BadNote) throw new DamagedLog('changed', `${file}: ${error.message}. Delete it to have it made anew`)
        throw error
      }
    },
    put({ path: name, bytes, full }) {
      const file = join(path, name)
      const isThere = existsSync(file)
      if (isThere && !readFileSync(file).equals(bytes)) throw new DamagedLog('changed', `${file} is not what the log says. Delete it to have it made anew`)
      if (!isThere) write(name, bytes)
      if (full) rmSync(`${file}.p`, { recursive: true, force: true }) // who asks for a part of it takes the whole
      return !isThere
    },
    publish(note) {
      write('checkpoint', note)
    },
  }
}
