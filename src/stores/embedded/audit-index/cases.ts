import type { DatabaseSync } from 'node:sqlite'
import type { RecordData } from '../../../audit/record-data.ts'
import { contextOf, findableOf, type CaseContext } from '../../../audit/search/fields.ts'
import { wholeWord, wordsOf } from '../../../audit/search/words.ts'
import { placesOf, readPlaces } from './log-places.ts'

/** What is known of each action so far. The latest are at hand, others are looked up in the index itself. */
export interface Cases {
  of(record: RecordData): CaseContext | undefined
  learn(record: RecordData, context: CaseContext): void
  clear(): void
}

const mostAtHand = 20_000
/** Of an action with more records the first ones say enough. */
const mostLookedUp = 64

export const makeCases = (database: DatabaseSync, directory: string): Cases => {
  const atHand = new Map<string, CaseContext | undefined>()

  const keep = (name: string, context: CaseContext | undefined): void => {
    atHand.delete(name)
    atHand.set(name, context)
    if (atHand.size <= mostAtHand) return
    const [oldest] = atHand.keys()
    atHand.delete(oldest ?? '')
  }

  const lookUp = (name: string): CaseContext | undefined => {
    const places = placesOf(database, `found f join entries e on e.key = f.rowid join segments s on s.n = e.segment where f.found match ? order by f.rowid limit ${mostLookedUp}`, `f_case : "${wholeWord(wordsOf(name))}"`)
    let context: CaseContext | undefined
    for (const found of readPlaces(directory, places)) {
      const record = found && (JSON.parse(found.text) as RecordData)
      if (record && (record['attempt'] === name || record['hold'] === name)) context = contextOf(record, findableOf(record, context), context)
    }
    return context
  }

  const known = (name: string): CaseContext | undefined => {
    if (!atHand.has(name)) keep(name, lookUp(name))
    return atHand.get(name)
  }

  return {
    of(record) {
      const { hold, attempt, type, caller } = record
      if (type === 'held') return undefined // the first of its name
      if (typeof hold === 'string') return known(hold)
      return typeof attempt === 'string' && (caller === undefined || record['grant'] !== undefined) ? known(attempt) : undefined
    },
    learn({ hold, attempt, type }, context) {
      if (typeof hold === 'string') keep(hold, context)
      if (typeof attempt !== 'string') return
      // Nothing comes behind these.
      if (type === 'finished' || type === 'outcome-unknown') atHand.delete(attempt)
      else keep(attempt, context)
    },
    clear: () => atHand.clear(),
  }
}
