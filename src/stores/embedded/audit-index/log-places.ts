import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { lineHead } from '../../../audit/line.ts'
import { listSegments, type Segment } from '../../../audit/segment.ts'
import type { FoundRecord } from '../../../audit/search/audit-search.ts'

export interface LogFile extends Segment {
  readonly replica: string
  readonly path: string
  readonly size: number
}

/** The files of all replicas that keep their log in the directory, each replica's in their order. */
export const logFiles = (directory: string): readonly LogFile[] =>
  (existsSync(directory) ? readdirSync(directory).sort() : [])
    .filter((replica) => existsSync(`${directory}/${replica}/wal`))
    .flatMap((replica) => listSegments(`${directory}/${replica}/wal`).flatMap((segment) => {
      const path = `${directory}/${replica}/wal/${segment.name}`
      const size = statSync(path, { throwIfNoEntry: false })?.size
      return size === undefined ? [] : [{ ...segment, replica, path, size }]
    }))

/** Where one line stands. */
export interface Place {
  readonly replica: string
  readonly name: string
  readonly seq: number
  readonly epoch: number
  readonly at: number
  readonly length: number
}

/** Reads lines by their places. What is not there any more, or is another record by now, is `undefined`. */
export const readPlaces = (directory: string, places: readonly Place[]): readonly (FoundRecord | undefined)[] => {
  const open = new Map<string, number | undefined>()
  try {
    return places.map(({ replica, name, epoch, seq, at, length }) => {
      const path = `${directory}/${replica}/wal/${name}`
      if (!open.has(path)) open.set(path, opened(path))
      const fd = open.get(path)
      if (fd === undefined) return undefined
      const bytes = Buffer.allocUnsafe(length)
      const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, length, at))
      const id = `${replica}/${epoch}/${seq}`
      return lineHead(text)?.id === id && text.length === length && text.endsWith('}') ? { id, text } : undefined
    })
  } finally {
    for (const fd of open.values()) if (fd !== undefined) closeSync(fd)
  }
}

const opened = (path: string): number | undefined => {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export const placesOf = (database: DatabaseSync, from: string, ...values: readonly (string | number)[]): readonly Place[] =>
  database.prepare(`select s.replica, s.name, s.epoch, e.seq, e.at, e.length from ${from}`).all(...values) as unknown as readonly Place[]
