import type { ClientBase } from 'pg'
import { stepOf } from '../../../audit/lineage/deed.ts'
import { parseLine } from '../../../audit/line.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { contextOf, findableOf, type CaseContext, type Findable } from '../../../audit/search/fields.ts'
import { inOneMs, keyAt } from '../../../audit/search/keys.ts'
import { countDeeds, type Counted } from './trace-rows.ts'
import { recordVector } from './vector.ts'

type Parsed = NonNullable<ReturnType<typeof parseLine>>

/** One record on its way into the index, or one that is there and is looked at again because something before it has come late. */
interface Entry {
  readonly id: string
  readonly replica: string
  readonly epoch: number
  readonly record: Parsed
  readonly line: string
  readonly isNew: boolean
  key: number
  traced: boolean
  words: string
}

export interface Taken {
  readonly records: number
  readonly unreadable: number
  readonly until: string
}

/** Whoever writes into a log can write anything: only plain names are looked up by. */
const plain = (value: unknown): string | null => (typeof value === 'string' && /^[\x20-\x7e]{1,200}$/.test(value) ? value : null)
const codeIn = ({ code }: RecordData): string | null => (plain(code)?.startsWith('CS-') ? plain(code) : null)
const nameIn = (record: RecordData): string | null => plain(record['hold']) ?? plain(record['attempt'])

/** Others of the same action came before it, and said what it does not say again. */
const isBehind = (record: RecordData): boolean => record['hold'] !== undefined || record['grant'] !== undefined || record['caller'] === undefined

/** Of an action with more records the first ones say enough. */
const mostOfOneName = 500

/** Takes lines of one replica in, in their order. Those that are there already change nothing. `nodes`: those of the map that are there, as far as is remembered. */
export const take = async (client: ClientBase, schema: string, replica: string, epoch: number, lines: readonly string[], nodes: Set<string>): Promise<Taken> => {
  const parsed = lines.map((line) => ({ line, record: parseLine(line) }))
  const ours = parsed.flatMap(({ line, record }) => (record !== undefined && record.id === `${replica}/${epoch}/${record.seq}` && !Number.isNaN(Date.parse(record.time)) ? [{ line, record }] : []))
  const signed = ours.filter(({ record }) => record.type === 'checkpoint')
  if (signed.length > 0) await client.query(`insert into ${schema}.signed (replica, epoch, seq, id, line) select $1, $2, * from unnest($3::bigint[], $4::text[], $5::text[]) on conflict do nothing`, [replica, epoch, signed.map(({ record }) => record.seq), signed.map(({ record }) => record.id), signed.map(({ line }) => line)])
  const others = ours.filter(({ record }) => record.type !== 'checkpoint')
  const there = new Set((await client.query<{ id: string }>(`select id from ${schema}.records where id = any($1)`, [others.map(({ record }) => record.id)])).rows.map(({ id }) => id))
  const fresh: Entry[] = others.filter(({ record: { id } }, at) => !there.has(id) && others.findIndex(({ record }) => record.id === id) === at).map(({ line, record }) => ({ id: record.id, replica, epoch, record, line, isNew: true, key: 0, traced: false, words: '' }))
  await giveKeys(client, schema, fresh)
  const known = await knownOf(client, schema, fresh)
  const counted = readThrough([...known, ...fresh])
  await keep(client, schema, fresh)
  const again = known.filter(({ words }) => words !== '')
  if (again.length > 0) await client.query(`update ${schema}.records r set words = given.words::tsvector, traced = given.traced from unnest($1::text[], $2::text[], $3::boolean[]) as given (id, words, traced) where r.id = given.id`, [again.map(({ id }) => id), again.map(({ words }) => words), again.map(({ traced }) => traced)])
  await countDeeds(client, schema, counted, nodes)
  return { records: fresh.length, unreadable: lines.length - ours.length, until: fresh.reduce((last, { record: { time } }) => (time > last ? time : last), '') }
}

/** By time, so that the newest come first; records of one millisecond one after the other. */
const giveKeys = async (client: ClientBase, schema: string, fresh: readonly Entry[]): Promise<void> => {
  const froms = [...new Set(fresh.map(({ record }) => keyAt(Date.parse(record.time))))]
  const { rows } = await client.query<{ start: string; last: string | null }>(`select start, (select max(key) from ${schema}.records where key >= start and key < start + ${inOneMs}) as last from unnest($1::bigint[]) as start`, [froms])
  const next = new Map(rows.map(({ start, last }) => [Number(start), last === null ? Number(start) : Number(last) + 1]))
  for (const entry of fresh) {
    // Where a millisecond has no room left, the next one has.
    for (let from = keyAt(Date.parse(entry.record.time)); ; from += inOneMs) {
      if (!next.has(from)) next.set(from, Number((await client.query<{ last: string | null }>(`select max(key) as last from ${schema}.records where key >= $1::bigint and key < $1::bigint + ${inOneMs}`, [from])).rows[0]?.last ?? from - 1) + 1)
      entry.key = next.get(from) ?? from
      if (entry.key >= from + inOneMs) continue
      next.set(from, entry.key + 1)
      break
    }
  }
}

/** What is known of the same actions. */
const knownOf = async (client: ClientBase, schema: string, fresh: readonly Entry[]): Promise<readonly Entry[]> => {
  const names = [...new Set(fresh.flatMap(({ record }) => (isBehind(record) ? (nameIn(record) ?? []) : [])))]
  if (names.length === 0) return []
  const { rows } = await client.query<{ key: string; id: string; replica: string; epoch: string; traced: boolean; line: string }>(`select key, id, replica, epoch, traced, line from (select *, row_number() over (partition by coalesce(hold, attempt) order by key) as place from ${schema}.records where hold = any($1) or (hold is null and attempt = any($1))) as own where place <= ${mostOfOneName} order by key`, [names])
  return rows.flatMap(({ key, id, replica, epoch, traced, line }) => {
    const record = parseLine(line)
    return record === undefined ? [] : [{ id, replica, epoch: Number(epoch), record, line, isNew: false, key: Number(key), traced, words: '' }]
  })
}

/** Each action from its first record to its last, whoever wrote which of them, and in whatever order they have come. */
const readThrough = (entries: readonly Entry[]): readonly Counted[] => {
  const counted: Counted[] = []
  for (const [name, own] of Map.groupBy(entries.toSorted((a, b) => a.key - b.key), ({ record }) => nameIn(record))) {
    let context: CaseContext | undefined
    let late = false
    for (const entry of own) {
      const { record } = entry
      late ||= entry.isNew
      const before = name === null || record.type === 'held' || !isBehind(record) ? undefined : context
      const found = foundIn(record, before)
      context = contextOf(record, found, before)
      if (entry.isNew || late) entry.words = recordVector(found)
      if (entry.traced || context.deed === undefined) continue
      entry.traced = true
      counted.push({ deed: context.deed, step: stepOf(record), replica: entry.replica, at: { id: entry.id, time: Date.parse(record.time) } })
    }
  }
  return counted
}

/** Nothing that stands in a file ends the reading of it: what is nested deeper than anything that was written here is found by its id. */
const foundIn = (record: RecordData, before: CaseContext | undefined): Findable => {
  try {
    return findableOf(record, before)
  } catch (error) {
    if (error instanceof RangeError) return findableOf({}, before)
    throw error
  }
}

const keep = async (client: ClientBase, schema: string, fresh: readonly Entry[]): Promise<void> => {
  if (fresh.length === 0) return
  const column = <T>(of: (entry: Entry) => T): readonly T[] => fresh.map(of)
  await client.query(`insert into ${schema}.records (key, id, replica, epoch, seq, hold, attempt, code, traced, line, words) select key, id, replica, epoch, seq, hold, attempt, code, traced, line, words::tsvector from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::text[], $11::text[]) as given (key, id, replica, epoch, seq, hold, attempt, code, traced, line, words)`, [column(({ key }) => key), column(({ id }) => id), column((entry) => entry.replica), column((entry) => entry.epoch), column(({ record }) => record.seq), column(({ record }) => plain(record['hold'])), column(({ record }) => plain(record['attempt'])), column(({ record }) => codeIn(record)), column(({ traced }) => traced), column(({ line }) => line), column(({ words }) => words)])
}
