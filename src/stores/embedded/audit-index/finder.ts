import type { DatabaseSync } from 'node:sqlite'
import { mostCounted, mostOfOneCase, type FoundPage, type FoundRecord, type Hit, type IndexState } from '../../../audit/search/audit-search.ts'
import type { RecordData } from '../../../audit/record-data.ts'
import { keyAt } from '../../../audit/search/keys.ts'
import { inOrder } from '../../../audit/search/in-order.ts'
import { termsOf, type AuditQuestion, type Term } from '../../../audit/search/question.ts'
import { summaryOf } from '../../../audit/search/summary.ts'
import { wholeWord, wordsOf } from '../../../audit/search/words.ts'
import { Refusal } from '../../../model/refusal.ts'
import { logFiles, placesOf, readPlaces, type Place } from './log-places.ts'

const recordId = /^([A-Za-z0-9._-]{1,64})\/(\d{1,15})\/(\d{1,15})$/

/** Words are letters and digits only, so nothing that is asked can be anything else than words to the index. */
const expression = ({ field, words, how }: Term): string => {
  const whole = `"${wholeWord(words)}"`
  const sequence = `"${words.join(' ')}"${how === 'beginning' ? ' *' : ''}`
  // Names of cases are kept whole only.
  if (field === undefined) return how === 'beginning' ? sequence : `(${sequence} OR f_case : ${whole})`
  return `f_${field} : ${how === 'whole' || field === 'case' ? whole : sequence}`
}

export const placeOf = (database: DatabaseSync, id: string): Place | undefined => {
  const [, replica, epoch, seq] = recordId.exec(id) ?? []
  if (replica === undefined) return undefined
  const within = 'e join segments s on s.n = e.segment where s.replica = ? and s.epoch = ? and e.seq = ?'
  const [found] = ['entries', 'signed'].flatMap((table) => placesOf(database, `${table} ${within}`, replica, Number(epoch), Number(seq)))
  return found
}

export const findRecord = (database: DatabaseSync, directory: string, id: string): FoundRecord | undefined => {
  const place = placeOf(database, id)
  return place && readPlaces(directory, [place])[0]
}

export const search = (database: DatabaseSync, directory: string, question: AuditQuestion, { after, limit }: { readonly after?: string; readonly limit: number }): FoundPage => {
  const terms = termsOf(question)
  if (after !== undefined && !/^-?\d{1,16}$/.test(after)) throw new Refusal('malformed', 'This page does not exist.')
  const from = question.from === undefined ? Number.MIN_SAFE_INTEGER : keyAt(question.from)
  const to = question.to === undefined ? Number.MAX_SAFE_INTEGER : keyAt(question.to)
  const before = after === undefined ? to : Math.min(to, Number(after))
  const [table, key, match] = terms.length === 0 ? ['entries', 'key', []] : ['found', 'rowid', [terms.map(expression).join(' AND ')]]
  const matching = database.prepare(`select ${key} as key from ${table} where ${match.length === 0 ? '' : 'found match ? and '}${key} >= ? and ${key} < ? order by ${key} desc limit ?`)
  const keysBelow = (end: number, most: number): readonly number[] => (matching.all(...match, from, end, most) as unknown as { key: number }[]).map((row) => row.key)
  // The first page is found by the look that counts.
  const all = keysBelow(to, mostCounted + 1)
  const keys = after === undefined ? all.slice(0, limit) : keysBelow(before, limit)
  const place = database.prepare('select s.replica, s.name, s.epoch, e.seq, e.at, e.length from entries e join segments s on s.n = e.segment where e.key = ?')
  const places = keys.map((one) => place.get(one) as Place | undefined).filter((one) => one !== undefined)
  const last = keys.at(-1)
  return {
    records: withActions(database, directory, readPlaces(directory, places).filter((found) => found !== undefined)),
    count: Math.min(all.length, mostCounted),
    counted: all.length > mostCounted ? 'more' : 'all',
    ...(last !== undefined && keys.length === limit ? { next: String(last) } : {}),
  }
}

/** What the others say of the same action. */
const withActions = (database: DatabaseSync, directory: string, records: readonly FoundRecord[]): readonly Hit[] => {
  const cases = new Map<string, readonly RecordData[]>()
  return records.map((found) => {
    const record = JSON.parse(found.text) as RecordData
    const name = record['hold'] ?? record['attempt']
    if (typeof name !== 'string') return { ...found, summary: summaryOf(record, []) }
    const all = cases.get(name) ?? caseOf(database, directory, name, mostForSummary).map(({ text }) => JSON.parse(text) as RecordData)
    cases.set(name, all)
    return { ...found, summary: summaryOf(record, all) }
  })
}
const mostForSummary = 40

const names = ['attempt', 'hold'] as const
const mostNames = 60

/** First which tries and holds belong together, then all their records. */
export const caseOf = (database: DatabaseSync, directory: string, name: string, most = mostOfOneCase): readonly FoundRecord[] => {
  const known = new Set<string>()
  const learn = (record: RecordData): void => {
    for (const key of names) if (typeof record[key] === 'string' && known.size < mostNames) known.add(record[key])
  }
  const itself = findRecord(database, directory, name)
  if (itself === undefined) known.add(name)
  else learn(JSON.parse(itself.text) as RecordData)
  if (known.size === 0) return itself === undefined ? [] : [itself]
  const records = new Map<string, FoundRecord>()
  for (let size = -1; size !== known.size; ) {
    size = known.size
    const asked = [...known].map((one) => wordsOf(one)).filter((words) => words.length > 0).map((words) => `"${wholeWord(words)}"`)
    if (asked.length === 0) return []
    const places = placesOf(database, `found f join entries e on e.key = f.rowid join segments s on s.n = e.segment where f.found match ? order by f.rowid limit ${most}`, `f_case : (${asked.join(' OR ')})`)
    for (const found of readPlaces(directory, places)) {
      const record = found && (JSON.parse(found.text) as RecordData)
      if (record === undefined || ![record['attempt'], record['hold'], record['code']].some((value) => typeof value === 'string' && known.has(value))) continue
      records.set(found!.id, found!)
      learn(record)
    }
  }
  return inOrder([...records.values()])
}

export const stateOf = (database: DatabaseSync, directory: string): IndexState => {
  const { records, bytes, until, unreadable } = database.prepare("select coalesce(sum(records), 0) as records, coalesce(sum(read), 0) as bytes, coalesce(max(until), '') as until, coalesce(sum(unreadable), 0) as unreadable from segments").get() as { records: number; bytes: number; until: string; unreadable: number }
  const ofBytes = logFiles(directory).reduce((sum, { size }) => sum + size, 0)
  return { records, bytes, ofBytes: Math.max(bytes, ofBytes), unreadable, ...(until === '' ? {} : { until }) }
}
