import { readFileSync } from 'node:fs'
import { realDisk, replaceFile } from '../audit/disk.ts'
import type { JournalCursor, JournalLine } from '../audit/journal.ts'
import type { RecoveredJournal } from '../audit/file-journal.ts'
import { parseLine } from '../audit/line.ts'

/* What was seen last of each log. It is what the root log says; the file beside it saves reading all of that at each start, and may be deleted. */

export interface SeenCheckpoint {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
  /** Signed by the log and by us. */
  readonly note: string
}

/** By the name of the log. */
export type Seen = Map<string, SeenCheckpoint>

const fileName = 'seen.json'

export const originOf = (note: string): string => note.slice(0, note.indexOf('\n'))

const fold = (seen: Seen, note: string): void => {
  const [origin = '', size = '', root = ''] = note.split('\n', 3)
  const known = seen.get(origin)
  if (known === undefined || known.size < Number(size)) seen.set(origin, { origin, size: Number(size), root: Buffer.from(root, 'base64'), note })
}

export interface History {
  readonly seen: Seen
  /** Keeps how far it has read; called once the journal takes no more records, or at any time. */
  save(): Promise<void>
}

const limits = { lines: 5_000, bytes: 4 * 1024 * 1024 }

export const readHistory = async (state: string, journal: Pick<RecoveredJournal, 'read'>): Promise<History> => {
  const seen: Seen = new Map()
  let cursor = readKept(`${state}/${fileName}`, seen)
  const readOn = async (into: Seen): Promise<void> => {
    for (;;) {
      const { lines, cursor: next } = await journal.read(cursor, limits)
      if (lines.length === 0) return
      for (const line of lines) foldLine(into, line)
      cursor = next
    }
  }
  await readOn(seen)
  return {
    seen,
    save: async () => {
      // What has been taken meanwhile is in both: reading it again changes nothing.
      await readOn(seen)
      replaceFile(realDisk, state, fileName, JSON.stringify({ cursor, notes: [...seen.values()].map(({ note }) => note) }))
    },
  }
}

const foldLine = (seen: Seen, { text }: JournalLine): void => {
  if (!text.includes('"type":"witnessed"')) return
  const record = parseLine(text)
  if (record?.type === 'witnessed' && typeof record['signed'] === 'string') fold(seen, record['signed'])
}

/** With anything that does not read, all of the log is read again. */
const readKept = (path: string, seen: Seen): JournalCursor | undefined => {
  try {
    const { cursor, notes } = JSON.parse(readFileSync(path, 'utf8')) as { readonly cursor?: unknown; readonly notes?: readonly unknown[] }
    if (typeof cursor !== 'string' || !Array.isArray(notes)) return undefined
    for (const note of notes) fold(seen, String(note))
    return cursor
  } catch {
    seen.clear()
    return undefined
  }
}
