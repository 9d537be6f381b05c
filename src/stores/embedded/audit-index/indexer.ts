import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { stepOf } from '../../../audit/lineage/deed.ts'
import { parseLine } from '../../../audit/line.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { contextOf, findableOf, type CaseContext, type Findable } from '../../../audit/search/fields.ts'
import { inOneMs, keyAt } from '../../../audit/search/keys.ts'
import { textsOf } from '../../../audit/search/found-text.ts'
import { linesOf, longestLine } from '../../../audit/segment.ts'
import { makeCases, type Cases } from './cases.ts'
import { columns, isTaken } from './index-schema.ts'
import { logFiles, type LogFile } from './log-places.ts'
import { makeSubtrees, type Subtrees } from './subtrees.ts'
import { makeTraceKeeper, type TraceKeeper } from './trace-keeper.ts'

export interface Indexer {
  /** Reads on where it ended, for about so long. `true`: there was nothing more, or somebody else is at it. */
  advance(budgetMs: number): boolean
  /** The index has been emptied by us: what is remembered of it is wrong. */
  forget(): void
}

interface SegmentRow {
  readonly n: number
  read: number
  records: number
  unreadable: number
  until: string
}

/** Records of the last moments wait for those of other replicas that were written before them. */
const settledMs = 1_000

/** The log's files, into the index: all replicas together by time, so that what is said of an action first is known when the rest of it comes. */
export const makeIndexer = (database: DatabaseSync, directory: string, now: () => number): Indexer => {
  const sql = statementsOf(database)
  const cases = makeCases(database, directory)
  const subtrees = makeSubtrees(database, directory)
  const traces = makeTraceKeeper(database)
  let version = -1

  const forget = (): void => {
    for (const one of [cases, subtrees, traces]) one.clear()
  }

  const advance: Indexer['advance'] = (budgetMs) => {
    const started = performance.now()
    const time = now()
    const files = logFiles(directory)
    if (isCurrent(database, files)) return true
    try {
      database.exec('begin immediate')
    } catch (error) {
      if (isTaken(error)) return true
      throw error
    }
    try {
      const seen = (sql.version.get() as { data_version: number }).data_version
      if (seen !== version) { // somebody else has read on
        cases.clear()
        traces.clear()
      }
      version = seen
      forgetLost(sql, files)
      const done = readOn({ database, sql, cases, subtrees, traces }, files, () => performance.now() - started > budgetMs, time)
      traces.flush()
      database.exec('commit')
      return done
    } catch (error) {
      forget()
      database.exec('rollback')
      throw error
    }
  }
  return { advance, forget }
}

type Sql = ReturnType<typeof statementsOf>

interface Desk {
  readonly database: DatabaseSync
  readonly sql: Sql
  readonly cases: Cases
  readonly subtrees: Subtrees
  readonly traces: TraceKeeper
}

const statementsOf = (database: DatabaseSync) => ({
  version: database.prepare('pragma data_version'),
  segments: database.prepare('select n, replica, name, read from segments'),
  segment: database.prepare('select n, read, records, unreadable, until from segments where replica = ? and name = ?'),
  begin: database.prepare("insert into segments (replica, epoch, name, read, records, unreadable, until) values (?, ?, ?, 0, 0, 0, '')"),
  save: database.prepare('update segments set read = ?, records = ?, unreadable = ?, until = ? where n = ?'),
  forget: ['delete from found where rowid in (select key from entries where segment = ?)', 'delete from entries where segment = ?', 'delete from signed where segment = ?', 'delete from says where trace in (select n from traces where segment = ?)', 'delete from traces where segment = ?', 'delete from segments where n = ?'].map((text) => database.prepare(text)),
  forgetTrees: database.prepare('delete from subtrees where (replica, epoch) not in (select replica, epoch from segments)'),
  lastKey: database.prepare('select max(key) as key from entries where key between ? and ?'),
  entry: database.prepare('insert or ignore into entries (key, segment, seq, at, length) values (?, ?, ?, ?, ?)'),
  signed: database.prepare('insert or ignore into signed (segment, seq, at, length) values (?, ?, ?, ?)'),
  words: database.prepare(`insert into found (rowid, ${columns.join(', ')}) values (?${', ?'.repeat(columns.length)})`),
})

/** Whether nothing has been written, removed or cut since: what an idle log costs is this look. */
const isCurrent = (database: DatabaseSync, files: readonly LogFile[]): boolean => {
  const read = new Map((database.prepare('select replica, name, read from segments').all() as unknown as { replica: string; name: string; read: number }[]).map((row) => [`${row.replica}/${row.name}`, row.read]))
  return read.size === files.length && files.every(({ replica, name, size }) => read.get(`${replica}/${name}`) === size)
}

/** What is not in the log any more is not found any more. A file that is shorter than what was read of it was cut, and is read anew. */
const forgetLost = (sql: Sql, files: readonly LogFile[]): void => {
  const sizes = new Map(files.map(({ replica, name, size }) => [`${replica}/${name}`, size]))
  const lost = (sql.segments.all() as unknown as { n: number; replica: string; name: string; read: number }[]).filter(({ replica, name, read }) => (sizes.get(`${replica}/${name}`) ?? -1) < read)
  for (const { n } of lost) for (const statement of sql.forget) statement.run(n)
  if (lost.length > 0) sql.forgetTrees.run()
}

interface Step {
  readonly file: LogFile
  readonly row: SegmentRow
  readonly text: string
  readonly at: number
  /** Where the next line begins. */
  readonly end: number
  readonly record: (RecordData & { readonly id: string; readonly seq: number; readonly prev: string; readonly time: string; readonly type: string }) | undefined
}

function* stepsOf(desk: Desk, files: readonly LogFile[], touched: Set<SegmentRow>): Generator<Step> {
  for (const file of files) {
    let row = desk.sql.segment.get(file.replica, file.name) as SegmentRow | undefined
    if (row === undefined) {
      desk.sql.begin.run(file.replica, file.epoch, file.name)
      row = desk.sql.segment.get(file.replica, file.name) as unknown as SegmentRow
    }
    if (row.read >= file.size) continue
    for (const { text, offset, whole } of linesOf(file.path, row.read)) {
      if (!whole && text.length <= longestLine) break // being written, or torn
      touched.add(row)
      yield { file, row, text, end: offset + text.length + (whole ? 1 : 0), at: offset, record: whole ? parseLine(text) : undefined }
    }
  }
}

/** `true` when it came to the end. */
const readOn = (desk: Desk, files: readonly LogFile[], isLate: () => boolean, now: number): boolean => {
  const touched = new Set<SegmentRow>()
  const heads = [...Map.groupBy(files, ({ replica }) => replica).values()].map((own) => stepsOf(desk, own, touched)).map((steps) => ({ steps, head: steps.next() }))
  let done = true
  for (let count = 0; ; count++) {
    const live = heads.filter(({ head }) => !head.done)
    if (live.length === 0) break
    const first = live.reduce((a, b) => (timeOf(b.head.value) < timeOf(a.head.value) ? b : a))
    const step = first.head.value as Step
    const time = Date.parse(timeOf(step))
    if (heads.length > 1 && time >= now && time < now + settledMs) break
    if (count % 64 === 63 && isLate()) {
      done = false
      break
    }
    take(desk, step)
    first.head = first.steps.next()
  }
  for (const { n, read, records, unreadable, until } of touched) desk.sql.save.run(read, records, unreadable, until, n)
  return done
}

const timeOf = (step: Step | void): string => (step === undefined ? '' : (step.record?.time ?? ''))

const take = ({ sql, cases, subtrees, traces }: Desk, { file, row, at, end, text, record }: Step): void => {
  row.read = end
  const found = record && isOurs(record, file) ? findableIn(record, cases) : undefined
  if (record === undefined || found === undefined) return void row.unreadable++
  const isSignature = record.type === 'checkpoint'
  const key = isSignature ? 0 : nextKey(sql.lastKey, Date.parse(record.time))
  const { changes } = isSignature ? sql.signed.run(row.n, record.seq, at, text.length) : sql.entry.run(key, row.n, record.seq, at, text.length)
  if (changes === 0) return void row.unreadable++ // there is one of this number
  subtrees.follow(file, record.seq, record.prev)
  if (isSignature) return
  row.records++
  if (record.time > row.until) row.until = record.time
  cases.learn(record, found.context)
  if (found.context.deed !== undefined) traces.take(found.context.deed, stepOf(record), { segment: row.n, key, time: Date.parse(record.time) })
  sql.words.run(key, ...textsOf(found))
}

/** Somebody else may have written into the file: a line that says one thing at its beginning and another behind it is none of ours. */
const isOurs = ({ id, seq, time, prev, type }: Readonly<Record<string, unknown>>, { replica, epoch }: LogFile): boolean =>
  Number.isSafeInteger(seq) && id === `${replica}/${epoch}/${String(seq)}` && typeof type === 'string' && typeof prev === 'string' && typeof time === 'string' && Number.isSafeInteger(keyAt(Date.parse(time) + 1))

/** `undefined` for what cannot be gone through: nothing that stands in a file ends the reading of it. */
const findableIn = (record: NonNullable<Step['record']>, cases: Cases): (Findable & { readonly context: CaseContext }) | undefined => {
  try {
    const known = cases.of(record)
    const found = findableOf(record, known)
    return { ...found, context: contextOf(record, found, known) }
  } catch (error) {
    if (error instanceof RangeError) return undefined // nested deeper than anything that was written here
    throw error
  }
}

const nextKey = (lastKey: StatementSync, time: number): number => {
  const from = keyAt(time)
  const { key } = lastKey.get(from, from + inOneMs - 1) as { key: number | null }
  return key === null ? from : key + 1 < from + inOneMs ? key + 1 : nextKey(lastKey, time + 1)
}
