import { createHash, type Hash } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure } from '../io.ts'

/** One file that is written from its beginning to its end. */
export interface PackFile {
  line(text: string): void
  close(): void
}

/** The folder that a pack is written into, and the hash of each file in it. */
export interface PackFolder {
  readonly path: string
  readonly hashes: ReadonlyMap<string, string>
  file(name: string): PackFile
  write(name: string, text: string): void
}

const buffered = 1 << 18

/** Throws where something stands there already: nothing of an older pack may pass for a part of this one. */
export const openFolder = (path: string): PackFolder => {
  if (existsSync(path) && readdirSync(path).length > 0) throw new Failure(`${path} is not empty: name a folder for this pack alone`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const hashes = new Map<string, string>()

  const file = (name: string): PackFile => {
    mkdirSync(dirname(join(path, name)), { recursive: true, mode: 0o700 })
    const fd = openSync(join(path, name), 'wx', 0o600)
    const hash: Hash = createHash('sha256')
    let waiting: string[] = []
    let length = 0
    const flush = (): void => {
      const bytes = Buffer.from(waiting.join(''))
      hash.update(bytes)
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      waiting = []
      length = 0
    }
    return {
      line(text) {
        waiting.push(text, '\n')
        if ((length += text.length) > buffered) flush()
      },
      close() {
        flush()
        closeSync(fd)
        hashes.set(name, hash.digest('hex'))
      },
    }
  }

  return {
    path,
    hashes,
    file,
    write(name, text) {
      const one = file(name)
      one.line(text.replace(/\n$/, ''))
      one.close()
    },
  }
}

/** RFC 4180. A cell that a spreadsheet would calculate with, or call something by, is a text for it. */
export const csvLine = (cells: readonly (string | number | undefined)[]): string =>
  cells.map((cell) => {
    const text = String(cell ?? '')
    return `"${(/^[=+\-@\t\r\n|%\uFF1D\uFF0B\uFF0D\uFF20]/.test(text) && typeof cell !== 'number' ? `'${text}` : text).replaceAll('"', '""')}"`
  }).join(',')
