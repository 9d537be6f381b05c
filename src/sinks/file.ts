import { constants } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import type { Sink } from './sink.ts'

/**
 * Appends lines to a file and syncs it before it says so. The file is opened anew when asked to, and when its name belongs to another file by now:
 * log rotation works with and without a signal. A symbolic link is not followed.
 */
export const makeFileSink = (path: string): Sink => {
  let file: FileHandle | undefined
  let inode: number | undefined
  let stale = false

  const close = async (): Promise<void> => {
    const old = file
    file = undefined
    await old?.close().catch(() => {})
  }

  const ready = async (): Promise<{ readonly file: FileHandle; readonly torn: boolean }> => {
    if (file && !stale) {
      const named = await stat(path).catch(() => undefined)
      if (named?.ino === inode) return { file, torn: false }
    }
    stale = false
    await close()
    const opened = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    try {
      const found = await opened.stat()
      const last = Buffer.alloc(1)
      const torn = found.isFile() && found.size > 0 && (await opened.read(last, 0, 1, found.size - 1)).bytesRead === 1 && last[0] !== 0x0a
      file = opened
      inode = found.ino
      return { file, torn }
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  return {
    limits: { lines: 1_000, bytes: 512 * 1024 },
    timeoutMs: 10_000,
    deliver: async (lines) => {
      try {
        const { file: target, torn } = await ready()
        const bytes = Buffer.from(`${torn ? '\n' : ''}${lines.map(({ sent }) => sent).join('\n')}\n`)
        const { bytesWritten } = await target.write(bytes, 0, bytes.length, null)
        if (bytesWritten !== bytes.length) throw new Error(`${path}: ${bytesWritten} of ${bytes.length} bytes written`)
        await target.datasync()
      } catch (error) {
        await close() // the next try finds out how the file ends
        throw error
      }
    },
    reopen: () => {
      stale = true
    },
    [Symbol.asyncDispose]: close,
  }
}
