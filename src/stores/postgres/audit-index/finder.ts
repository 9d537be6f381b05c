import type { Pool } from 'pg'
import { mostCounted, mostOfOneCase, type FoundPage, type FoundRecord, type Hit, type IndexState } from '../../../audit/search/audit-search.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { inOrder } from '../../../audit/search/in-order.ts'
import { keyAt } from '../../../audit/search/keys.ts'
import { termsOf, type AuditQuestion } from '../../../audit/search/question.ts'
import { summaryOf } from '../../../audit/search/summary.ts'
import { Refusal } from '../../../model/refusal.ts'
import { recordQuery } from './vector.ts'

export const recordId = /^([A-Za-z0-9._-]{1,64})\/(\d{1,15})\/(\d{1,15})$/

export const findRecord = async (pool: Pool, schema: string, id: string): Promise<FoundRecord | undefined> => {
  const [, replica, epoch, seq] = recordId.exec(id) ?? []
  if (replica === undefined) return undefined
  const { rows: [found] } = await pool.query<{ id: string; line: string }>(`select id, line from ${schema}.records where replica = $1 and epoch = $2 and seq = $3 union all select id, line from ${schema}.signed where replica = $1 and epoch = $2 and seq = $3`, [replica, epoch, seq])
  return found && { id: found.id, text: found.line }
}

export const search = async (pool: Pool, schema: string, question: AuditQuestion, { after, limit }: { readonly after?: string; readonly limit: number }): Promise<FoundPage> => {
  const terms = termsOf(question)
  if (after !== undefined && !/^-?\d{1,16}$/.test(after)) throw new Refusal('malformed', 'This page does not exist.')
  const from = question.from === undefined ? Number.MIN_SAFE_INTEGER : keyAt(question.from)
  const to = question.to === undefined ? Number.MAX_SAFE_INTEGER : keyAt(question.to)
  const keysBelow = async (end: number, most: number): Promise<readonly number[]> =>
    (await pool.query<{ key: string }>(`select key from ${schema}.records where key >= $1 and key < $2 ${terms.length === 0 ? '' : 'and words @@ $4::tsquery'} order by key desc limit $3`, [from, end, most, ...(terms.length === 0 ? [] : [recordQuery(terms)])])).rows.map(({ key }) => Number(key))
  // The first page is found by the look that counts.
  const all = await keysBelow(to, mostCounted + 1)
  const keys = after === undefined ? all.slice(0, limit) : await keysBelow(Math.min(to, Number(after)), limit)
  const { rows } = await pool.query<{ id: string; line: string }>(`select id, line from ${schema}.records where key = any($1) order by key desc`, [keys])
  const last = keys.at(-1)
  return {
    records: await withActions(pool, schema, rows.map(({ id, line }) => ({ id, text: line }))),
    count: Math.min(all.length, mostCounted),
    counted: all.length > mostCounted ? 'more' : 'all',
    ...(last !== undefined && keys.length === limit ? { next: String(last) } : {}),
  }
}

const names = ['attempt', 'hold'] as const
const mostNames = 60
const namesIn = (record: RecordData): readonly string[] => names.flatMap((key) => (typeof record[key] === 'string' ? record[key] : []))

/** What the others say of the same action. */
const withActions = async (pool: Pool, schema: string, records: readonly FoundRecord[]): Promise<readonly Hit[]> => {
  const asked = records.map((found) => ({ found, record: JSON.parse(found.text) as RecordData }))
  const all = await recordsOf(pool, schema, new Set(asked.flatMap(({ record }) => record['hold'] ?? record['attempt'] ?? []).filter((name) => typeof name === 'string')), mostOfOneCase * 4, 400)
  const parsed = all.map((found) => ({ found, record: JSON.parse(found.text) as RecordData }))
  return asked.map(({ found, record }) => {
    const own = new Set(namesIn(record))
    for (let size = -1; size !== own.size; ) {
      size = own.size
      for (const other of parsed) if (namesIn(other.record).some((name) => own.has(name))) for (const name of namesIn(other.record)) own.add(name)
    }
    const same = inOrder(parsed.filter((other) => namesIn(other.record).some((name) => own.has(name))).map((other) => other.found))
    return { ...found, summary: summaryOf(record, same.map(({ text }) => JSON.parse(text) as RecordData)) }
  })
}

/** First which tries and holds belong together, then all their records. */
const recordsOf = async (pool: Pool, schema: string, known: Set<string>, most: number, namesAtMost: number): Promise<readonly FoundRecord[]> => {
  const records = new Map<string, FoundRecord>()
  for (let size = -1; size !== known.size && known.size > 0; ) {
    size = known.size
    const { rows } = await pool.query<{ id: string; line: string }>(`select id, line from ${schema}.records where hold = any($1) or attempt = any($1) or code = any($1) order by key limit $2`, [[...known], most])
    for (const { id, line } of rows) {
      records.set(id, { id, text: line })
      for (const name of namesIn(JSON.parse(line) as RecordData)) if (known.size < namesAtMost) known.add(name)
    }
  }
  return [...records.values()]
}

export const caseOf = async (pool: Pool, schema: string, name: string): Promise<readonly FoundRecord[]> => {
  const itself = await findRecord(pool, schema, name)
  const known = new Set(itself === undefined ? [name] : namesIn(JSON.parse(itself.text) as RecordData).slice(0, mostNames))
  if (known.size === 0) return itself === undefined ? [] : [itself]
  return inOrder(await recordsOf(pool, schema, known, mostOfOneCase, mostNames))
}

export const stateOf = async (pool: Pool, schema: string): Promise<IndexState> => {
  const { rows: [sum] } = await pool.query<{ records: string; bytes: string; of_bytes: string; unreadable: string; until: string }>(`select coalesce(sum(records), 0) as records, coalesce(sum(bytes), 0) as bytes, coalesce(sum(greatest(bytes, of_bytes)), 0) as of_bytes, coalesce(sum(unreadable), 0) as unreadable, coalesce(max(until), '') as until from ${schema}.positions`)
  if (sum === undefined) throw new Error('no answer')
  return { records: Number(sum.records), bytes: Number(sum.bytes), ofBytes: Number(sum.of_bytes), unreadable: Number(sum.unreadable), ...(sum.until === '' ? {} : { until: sum.until }) }
}
