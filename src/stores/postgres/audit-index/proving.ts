import type { Pool } from 'pg'
import type { RecordProof } from '../../../audit/search/audit-search.ts'
import { parseLine } from '../../../audit/line.ts'
import { inclusionPath, rootOf, split } from '../../../audit/merkle-proof.ts'
import { nodeHash } from '../../../audit/merkle-tree.ts'
import { proofOfPath } from '../../../audit/proof.ts'
import { leafHash } from '../../../lib/leaf-hash.ts'
import { Refusal } from '../../../model/refusal.ts'
import { findRecord, recordId } from './finder.ts'

const width = 256

/** Roots over whole subtrees are kept once they have been made; the others are made of the lines. */
export const prove = async (pool: Pool, schema: string, id: string): Promise<RecordProof | 'unsigned' | undefined> => {
  const record = await findRecord(pool, schema, id)
  const [, replica, epoch, seqText] = recordId.exec(id) ?? []
  if (record === undefined || replica === undefined) return undefined
  const seq = Number(seqText)
  const { rows: [signed] } = await pool.query<{ seq: string; line: string }>(`select seq, line from ${schema}.signed where replica = $1 and epoch = $2 and seq > $3 order by seq limit 1`, [replica, epoch, seq])
  if (signed === undefined) return 'unsigned'
  const size = Number(signed.seq)
  const missing = (): Refusal => new Refusal('not-found', 'Records of this log are missing or do not read, so nothing can be proved by it. `countersign audit verify` says where.')

  const leavesOf = async (from: number, to: number): Promise<readonly Buffer[]> => {
    const { rows } = await pool.query<{ line: string }>(`select line from (select seq, line from ${schema}.records where replica = $1 and epoch = $2 and seq >= $3 and seq < $4 union all select seq, line from ${schema}.signed where replica = $1 and epoch = $2 and seq >= $3 and seq < $4) as own order by seq`, [replica, epoch, from, to])
    if (rows.length !== to - from) throw missing()
    return rows.map(({ line }) => Buffer.from(leafHash(line), 'base64'))
  }

  const whole = Math.floor(size / width)
  const roots = new Map((await pool.query<{ place: string; hash: Buffer }>(`select place, hash from ${schema}.subtrees where replica = $1 and epoch = $2 and place < $3`, [replica, epoch, whole])).rows.map(({ place, hash }) => [Number(place), hash]))
  for (let place = 0; place < whole; place++) {
    if (roots.has(place)) continue
    const root = rootOf(await leavesOf(place * width, (place + 1) * width))
    roots.set(place, root)
    await pool.query(`insert into ${schema}.subtrees values ($1, $2, $3, $4) on conflict do nothing`, [replica, epoch, place, root])
  }
  const blocks = new Map<number, readonly Buffer[]>()
  for (const place of new Set([Math.floor(seq / width), whole])) blocks.set(place, await leavesOf(place * width, Math.min(size, (place + 1) * width)))

  const root = (from: number, to: number): Buffer => {
    const place = Math.floor(from / width)
    if (to - from === width && from % width === 0) return roots.get(place) ?? rootOf(blocks.get(place) ?? [])
    if (to - from <= width) return rootOf(blocks.get(place) ?? [], from - place * width, to - place * width)
    const middle = from + split(to - from)
    return nodeHash(root(from, middle), root(middle, to))
  }
  return { record, proof: proofOfPath(inclusionPath(size, seq, root), seq, String(parseLine(signed.line)?.['signed'])) }
}
