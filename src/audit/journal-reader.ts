import type { Journal, JournalLine } from './journal.ts'
import { lineHead } from './line.ts'
import { longestLine, readBytes, type Segment } from './segment.ts'

export interface JournalReader extends Pick<Journal, 'read' | 'more'> {
  /** The writer tells how far a segment can be read. */
  wrote(segment: Segment, size: number): void
  end(): void
}

/** Cursor: `{segment}:{offset}`. Reads files; what is readable of the segment that is being written ends at the last whole write. */
export const makeJournalReader = (directory: string, older: readonly Segment[]): JournalReader => {
  const segments = [...older]
  let current: Segment | undefined
  let readable = 0
  let changed = Promise.withResolvers<void>()
  let ended = false

  const wrote: JournalReader['wrote'] = (segment, size) => {
    if (segment !== current) segments.push(segment)
    current = segment
    readable = size
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }

  const read: Journal['read'] = async (after, limits) => {
    let [segment, offset] = after === undefined ? [segments[0], 0] : positionOf(after, segments)
    while (segment !== undefined) {
      const next = segments[segments.indexOf(segment) + 1]
      const end = segment === current ? readable : Number.POSITIVE_INFINITY
      const length = Math.min(Math.max(limits.bytes, longestLine), end - offset)
      const text = length > 0 ? await readBytes(`${directory}/${segment.name}`, offset, length) : ''
      if (text !== '') {
        const { lines, bytes } = linesIn(text, segment, offset, limits)
        return { lines, cursor: `${segment.name}:${offset + bytes}` }
      }
      if (next === undefined) return { lines: [], cursor: after }
      segment = next
      offset = 0
    }
    return { lines: [], cursor: after }
  }

  const more: Journal['more'] = (signal) => {
    if (signal.aborted || ended) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      void changed.promise.then(done)
    })
  }

  return {
    wrote,
    read,
    more,
    end: () => {
      ended = true
      changed.resolve()
    },
  }
}

/** The segment of the cursor, or the next one that still exists when it has been deleted. */
const positionOf = (cursor: string, segments: readonly Segment[]): [Segment | undefined, number] => {
  const colon = cursor.lastIndexOf(':')
  const name = cursor.slice(0, colon)
  const offset = Number(cursor.slice(colon + 1))
  if (colon === -1 || !Number.isSafeInteger(offset) || offset < 0) throw new Error(`${JSON.stringify(cursor)} is not a position in the journal`)
  const segment = segments.find((candidate) => candidate.name >= name)
  return [segment, segment?.name === name ? offset : 0]
}

const linesIn = (text: string, segment: Segment, offset: number, limits: { readonly lines: number; readonly bytes: number }): { readonly lines: JournalLine[]; readonly bytes: number } => {
  const lines: JournalLine[] = []
  let start = 0
  for (let end = 0; lines.length < limits.lines && (end = text.indexOf('\n', start)) !== -1; start = end + 1) {
    if (lines.length > 0 && end + 1 > limits.bytes) break
    lines.push(journalLine(text.slice(start, end), segment, offset + start))
  }
  if (lines.length > 0) return { lines, bytes: start }
  // No newline within the longest line: somebody wrote into the file. It is passed on as what it is, and reading goes on behind it.
  return { lines: [damaged(text, segment, offset)], bytes: text.length }
}

const journalLine = (text: string, segment: Segment, offset: number): JournalLine => {
  const head = lineHead(text)
  return head === undefined ? damaged(text, segment, offset) : { id: head.id, seq: head.seq, text }
}

const damaged = (text: string, { name }: Segment, offset: number): JournalLine => {
  const id = `damaged/${name}/${offset}`
  return { id, seq: -1, text: JSON.stringify({ v: 1, id, type: 'damaged-line', bytes: text.length }) }
}
