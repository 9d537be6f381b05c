import { existsSync, readdirSync } from 'node:fs'
import { parseLine } from '../audit/line.ts'
import type { FoundRecord } from '../audit/search/audit-search.ts'
import { linesOf, listSegments } from '../audit/segment.ts'
import { exit, Failure, type Io } from './io.ts'

/** The folders with the journals of the replicas in that directory. */
export const walsOf = (given: string | undefined, io: Pick<Io, 'env'>): readonly string[] => {
  const directory = given ?? io.env['COUNTERSIGN_AUDIT_DIRECTORY']
  if (directory === undefined || directory === '') throw new Failure('say where the journal lives: --directory DIR', exit.usage)
  if (!existsSync(directory)) throw new Failure(`there is no ${directory}`)
  const wals = readdirSync(directory).sort().map((replica) => `${directory}/${replica}/wal`).filter((wal) => existsSync(wal))
  if (wals.length === 0) throw new Failure(`no journal in ${directory}`)
  return wals
}

/** All records about one try or one hold, by time: first which tries and holds belong together, then all that is recorded of them. Reads the whole log, some lines of it more than once. */
export const caseIn = (wals: readonly string[], name: string): readonly FoundRecord[] => {
  const known = new Set([name])
  for (let size = 0; size !== known.size; ) {
    size = known.size
    for (const { record } of concerning(wals, known)) for (const key of ['attempt', 'hold'] as const) if (typeof record[key] === 'string') known.add(record[key])
  }
  return [...concerning(wals, known)].toSorted((a, b) => (a.record.time < b.record.time ? -1 : a.record.time > b.record.time ? 1 : 0)).map(({ text, record }) => ({ id: record.id, text }))
}

/** Lines that contain one of the words anywhere: parsing is left for those. */
function* concerning(wals: readonly string[], known: ReadonlySet<string>) {
  for (const wal of wals) {
    for (const { name } of listSegments(wal)) {
      for (const { text, whole } of linesOf(`${wal}/${name}`)) {
        if (!whole || ![...known].some((word) => text.includes(word))) continue
        const record = parseLine(text)
        if (record !== undefined && [record['attempt'], record['hold'], record['code'], record.id].some((value) => typeof value === 'string' && known.has(value))) yield { text, record }
      }
    }
  }
}
