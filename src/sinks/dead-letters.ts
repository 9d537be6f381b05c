import { closeSync, fstatSync, fsyncSync, openSync, writeSync } from 'node:fs'
import type { JournalLine } from '../audit/journal.ts'

/** Lines that a sink refused for good, with the reason. They stand in the journal as well; here they are found. */
export interface DeadLetters {
  keep(line: JournalLine, cause: string): void
}

/** Beyond this the lines are only counted: a place that refuses everything must not fill the disk a second time. */
const mostBytes = 64 * 1024 * 1024

export const openDeadLetters = (path: string, warn: (fields: object, message: string) => void): DeadLetters => ({
  keep: ({ id, text }, cause) => {
    try {
      const fd = openSync(path, 'a', 0o600)
      try {
        if (fstatSync(fd).size > mostBytes) return
        writeSync(fd, `{"id":${JSON.stringify(id)},"cause":${JSON.stringify(cause)},"event":${text}}\n`)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      warn({ path, cause: String(error) }, 'a refused audit record could not be put aside')
    }
  },
})
