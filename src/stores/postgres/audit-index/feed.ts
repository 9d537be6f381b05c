import { existsSync, statSync } from 'node:fs'
import type { Pool } from 'pg'
import { linesOf, listSegments, longestLine } from '../../../audit/segment.ts'
import { checkVersion, locked, migrate } from './index-schema.ts'
import { take } from './taking.ts'

/** Reads this replica's own log into the database. How far it is stands there, too, in the same transaction: nothing is taken in twice, and nothing left out. */
export interface Feed {
  /** Reads on for about so long. `true`: there was nothing more. */
  advance(budgetMs: number): Promise<boolean>
}

export interface FeedParts {
  readonly pool: Pool
  readonly schema: string
  readonly directory: string
  readonly replica: string
}

const mostLines = 200
const mostBytes = 1024 * 1024

interface Position {
  readonly segment: string
  readonly at: number
}

interface Piece {
  readonly epoch: number
  readonly lines: readonly string[]
  readonly next: Position
}

export const makeFeed = ({ pool, schema, directory, replica }: FeedParts): Feed => {
  const wal = `${directory}/${replica}/wal`
  let isMade = false
  const nodes = new Set<string>()

  const step = async (): Promise<boolean> => {
    const client = await pool.connect()
    let failed = false
    try {
      if (!isMade) await migrate(client, schema)
      isMade = true
      await client.query('begin')
      try {
        await client.query(locked)
        await checkVersion(client, schema)
        const { rows: [known] } = await client.query<{ segment: string; at: string }>(`select segment, at from ${schema}.positions where replica = $1`, [replica])
        const piece = readOn(wal, known === undefined ? { segment: '', at: 0 } : { segment: known.segment, at: Number(known.at) })
        if (piece === undefined) {
          await client.query('rollback')
          return true
        }
        const { records, unreadable, until } = await take(client, schema, replica, piece.epoch, piece.lines, nodes)
        const bytes = piece.lines.reduce((sum, { length }) => sum + length + 1, 0)
        await client.query(
          `insert into ${schema}.positions as p values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (replica) do update set segment = excluded.segment, at = excluded.at, bytes = p.bytes + excluded.bytes, of_bytes = excluded.of_bytes, records = p.records + excluded.records, unreadable = p.unreadable + excluded.unreadable, until = greatest(p.until, excluded.until)`,
          [replica, piece.next.segment, piece.next.at, bytes, sizeOf(wal), records, unreadable, until],
        )
        await client.query('commit')
        return false
      } catch (error) {
        await client.query('rollback').catch(() => {})
        throw error
      }
    } catch (error) {
      failed = true
      isMade = false // somebody may have taken it away
      nodes.clear()
      throw error
    } finally {
      client.release(failed)
    }
  }

  return {
    async advance(budgetMs) {
      const started = performance.now()
      for (;;) {
        if (await step()) return true
        if (performance.now() - started > budgetMs) return false
      }
    },
  }
}

const sizeOf = (wal: string): number => listSegments(wal).reduce((sum, { name }) => sum + (statSync(`${wal}/${name}`, { throwIfNoEntry: false })?.size ?? 0), 0)

/** The next lines behind the position; `undefined` where there are none. A file that is shorter than the position was cut, and is read anew. */
const readOn = (wal: string, position: Position): Piece | undefined => {
  if (!existsSync(wal)) return undefined
  for (const { name, epoch } of listSegments(wal)) {
    const size = statSync(`${wal}/${name}`, { throwIfNoEntry: false })?.size ?? 0
    const from = name < position.segment ? size : name === position.segment ? (position.at > size ? 0 : position.at) : 0
    if (from >= size) continue
    const lines: string[] = []
    let at = from
    for (const { text, offset, whole } of linesOf(`${wal}/${name}`, from)) {
      if (!whole && text.length <= longestLine) break // being written, or torn
      lines.push(whole ? text : '')
      at = offset + text.length + (whole ? 1 : 0)
      if (lines.length >= mostLines || at - from >= mostBytes) break
    }
    if (lines.length > 0) return { epoch, lines, next: { segment: name, at } }
  }
  return undefined
}
