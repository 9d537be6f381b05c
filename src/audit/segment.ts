import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'

/** Files of the journal: `{epoch}-{first seq}.ndjson`, padded so that the order of names is the order of lines. */
export interface Segment {
  readonly name: string
  readonly epoch: number
  readonly firstSeq: number
}

const pattern = /^(\d{10})-(\d{15})\.ndjson$/

export const segmentOf = (epoch: number, firstSeq: number): Segment => ({ name: `${String(epoch).padStart(10, '0')}-${String(firstSeq).padStart(15, '0')}.ndjson`, epoch, firstSeq })

export const listSegments = (directory: string): Segment[] =>
  readdirSync(directory)
    .flatMap((name) => {
      const match = pattern.exec(name)
      return match ? [{ name, epoch: Number(match[1]), firstSeq: Number(match[2]) }] : []
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))

/** No line is longer; what goes on without a newline for so long is not a line. */
export const longestLine = 64 * 1024

export interface RawLine {
  readonly text: string
  readonly offset: number
  /** False for what stands behind the last newline. */
  readonly whole: boolean
}

/** The lines of one file, byte for byte in latin1, in bounded memory. An overlong run without a newline comes in pieces that are not whole. */
export function* linesOf(path: string, from = 0, longest = longestLine): Generator<RawLine> {
  const fd = openSync(path, 'r')
  try {
    const chunk = Buffer.allocUnsafe(1024 * 1024)
    let kept = ''
    let offset = from
    for (let at = from, read = 0; (read = readSync(fd, chunk, 0, chunk.length, at)) > 0; at += read) {
      kept += chunk.toString('latin1', 0, read)
      let start = 0
      for (let end = 0; (end = kept.indexOf('\n', start)) !== -1; start = end + 1) yield { text: kept.slice(start, end), offset: offset + start, whole: true }
      offset += start
      kept = kept.slice(start)
      if (kept.length > longest) {
        yield { text: kept, offset, whole: false }
        offset += kept.length
        kept = ''
      }
    }
    if (kept !== '') yield { text: kept, offset, whole: false }
  } finally {
    closeSync(fd)
  }
}

/** Bytes of a file from an offset up to `length`, fewer at its end, none of a file that has been deleted. */
export const readBytes = async (path: string, offset: number, length: number): Promise<string> => {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return ''
  try {
    const buffer = Buffer.allocUnsafe(length)
    const { bytesRead } = await file.read(buffer, 0, length, offset)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await file.close()
  }
}
