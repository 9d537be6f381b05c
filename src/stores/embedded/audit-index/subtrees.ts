import type { DatabaseSync } from 'node:sqlite'
import { leafHash } from '../../../lib/leaf-hash.ts'
import { rootOf, split } from '../../../audit/merkle-proof.ts'
import { nodeHash } from '../../../audit/merkle-tree.ts'
import { placesOf, readPlaces } from './log-places.ts'

interface Log {
  readonly replica: string
  readonly epoch: number
}

/** The trees over the logs, as far as proofs need them: hashes of whole subtrees are kept, the others are made from the records. */
export interface Subtrees {
  /** Each record carries the hash of the one before it. */
  follow(log: Log, seq: number, prev: string): void
  /** The root over the records from one number up to another. Throws `MissingRecords`. */
  root(log: Log, from: number, to: number): Buffer
  clear(): void
}

export class MissingRecords extends Error {
  override readonly name = 'MissingRecords'
}

const width = 256
const highest = 2

export const makeSubtrees = (database: DatabaseSync, directory: string): Subtrees => {
  const insert = database.prepare('insert or replace into subtrees (replica, epoch, level, place, hash) values (?, ?, ?, ?, ?)')
  const select = database.prepare('select hash from subtrees where replica = ? and epoch = ? and level = ? and place = ?')
  /** Hashes of the leaves since the last whole subtree, of the logs that are being read. */
  const open = new Map<string, Buffer[]>()

  const leavesOf = ({ replica, epoch }: Log, from: number, to: number): Buffer[] => {
    const within = 's on s.n = e.segment where s.replica = ? and s.epoch = ? and e.seq >= ? and e.seq < ?'
    const places = [...placesOf(database, `entries e join segments ${within}`, replica, epoch, from, to), ...placesOf(database, `signed e join segments ${within}`, replica, epoch, from, to)].sort((a, b) => a.seq - b.seq)
    const leaves = readPlaces(directory, places).flatMap((found) => (found === undefined ? [] : [Buffer.from(leafHash(found.text), 'base64')]))
    if (leaves.length !== to - from) throw new MissingRecords('records of this log are missing or do not read')
    return leaves
  }

  const kept = ({ replica, epoch }: Log, level: number, place: number): Buffer | undefined => {
    const row = select.get(replica, epoch, level, place) as { hash: Uint8Array } | undefined
    return row && Buffer.from(row.hash)
  }

  const close = (log: Log, level: number, place: number, root: Buffer): void => {
    insert.run(log.replica, log.epoch, level, place, root)
    if (level === highest || place % width !== width - 1) return
    const below = Array.from({ length: width }, (_, at) => kept(log, level, place - width + 1 + at))
    if (below.every((hash) => hash !== undefined)) close(log, level + 1, Math.floor(place / width), rootOf(below))
  }

  const root: Subtrees['root'] = (log, from, to) => {
    for (let level = highest; level > 0; level--) {
      const leaves = width ** level
      const hash = to - from === leaves && from % leaves === 0 ? kept(log, level, from / leaves) : undefined
      if (hash !== undefined) return hash
    }
    if (to - from <= width) return rootOf(leavesOf(log, from, to))
    const middle = from + split(to - from)
    return nodeHash(root(log, from, middle), root(log, middle, to))
  }

  return {
    root,
    follow(log, seq, prev) {
      const name = `${log.replica}/${log.epoch}`
      if (seq === 0) return void open.set(name, [])
      const leaves = open.get(name)
      const before = seq - 1
      if (leaves?.length === before % width) leaves.push(Buffer.from(prev, 'base64'))
      else open.delete(name)
      if (seq % width !== 0) return
      try {
        close(log, 1, Math.floor(before / width), rootOf(open.get(name) ?? leavesOf(log, seq - width, seq)))
      } catch (error) {
        if (!(error instanceof MissingRecords)) throw error // proofs of these say so
      }
      open.set(name, [])
    },
    clear: () => open.clear(),
  }
}
