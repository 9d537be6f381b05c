import { mkdirSync, readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import type { JournalCursor } from '../audit/journal.ts'

/** How far a sink is, kept on disk. It may lag behind what arrived, never run ahead of it: after a crash some lines are sent again. */
export interface Bookmark {
  read(): JournalCursor | undefined
  /** Remembers a position; it goes to the disk with the next `save`, or now if the last one is a while ago. */
  move(cursor: JournalCursor): Promise<void>
  /** Puts the last position on disk, off the main thread. Failing to only means more repeats: it warns and resolves. */
  save(): Promise<void>
}

const everyMs = 500

export const openBookmark = (directory: string, sink: string, warn: (fields: object, message: string) => void): Bookmark => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = `${directory}/${sink}.json`
  let last: JournalCursor | undefined
  let onDisk: JournalCursor | undefined
  let savedAt = 0

  const save = async (): Promise<void> => {
    const cursor = last
    if (cursor === undefined || cursor === onDisk) return
    savedAt = Date.now()
    try {
      await replaceFile(directory, path, JSON.stringify({ cursor }))
      onDisk = cursor
    } catch (error) {
      warn({ sink, cause: String(error) }, 'the position of an audit sink could not be saved')
    }
  }

  return {
    read: () => {
      let text: string
      try {
        text = readFileSync(path, 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
      const { cursor } = JSON.parse(text) as { cursor?: unknown }
      if (typeof cursor !== 'string') throw new Error(`${path} does not read; without it every record is sent again`)
      return (last = onDisk = cursor)
    },
    move: async (cursor) => {
      last = cursor
      if (Date.now() - savedAt >= everyMs) await save()
    },
    save,
  }
}

/** Write aside, sync, rename, sync the directory: after a power cut there is the old position or the new one. */
export const replaceFile = async (directory: string, path: string, text: string): Promise<void> => {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
