import { mkdirSync, readFileSync } from 'node:fs'
import { realDisk, replaceFile, type Disk } from '../audit/disk.ts'
import type { JournalCursor } from '../audit/journal.ts'

/** How far a sink is, kept on disk. It may lag behind what arrived, never run ahead of it: after a crash some lines are sent again. */
export interface Bookmark {
  read(): JournalCursor | undefined
  /** Remembers a position; on disk at the next `save`, or when enough time has passed since the last. */
  move(cursor: JournalCursor): void
  /** Puts the last position on disk. Failing to only means more repeats. */
  save(): void
}

const everyMs = 500

export const openBookmark = (directory: string, sink: string, warn: (fields: object, message: string) => void, disk: Disk = realDisk): Bookmark => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const name = `${sink}.json`
  let last: JournalCursor | undefined
  let onDisk: JournalCursor | undefined
  let savedAt = 0

  const save = (): void => {
    if (last === undefined || last === onDisk) return
    savedAt = Date.now()
    try {
      replaceFile(disk, directory, name, JSON.stringify({ cursor: last }))
      onDisk = last
    } catch (error) {
      warn({ sink, cause: String(error) }, 'the position of an audit sink could not be saved')
    }
  }

  return {
    read: () => {
      let text: string
      try {
        text = readFileSync(`${directory}/${name}`, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      const { cursor } = JSON.parse(text) as { cursor?: unknown }
      if (typeof cursor !== 'string') throw new Error(`${directory}/${name} does not read`)
      return (last = onDisk = cursor)
    },
    move: (cursor) => {
      last = cursor
      if (Date.now() - savedAt >= everyMs) save()
    },
    save,
  }
}
