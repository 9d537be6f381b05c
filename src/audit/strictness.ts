import type { AuditEvent } from '../model/audit-event.ts'
import { causeText, Refusal } from '../model/refusal.ts'
import type { RecoveredJournal } from './file-journal.ts'
import type { JournalOptions } from './options.ts'

/** What the record of an action stands before: a read, a change, or something that people decide on. */
export type Weight = 'read' | 'write' | 'held'

/** Where a record has to be: in the journal of this machine, or in another place as well, or seen there by its hash. */
export type Reach = 'local' | 'local+sink' | 'local+witness'

export interface RequiredReach {
  readonly read: Reach
  readonly write: Reach
  readonly held: Reach
  /** Which sinks must have it; none named: each of them. */
  readonly sinks: readonly string[]
  /** How many witnesses must have seen it. */
  readonly witnesses: number
  readonly withinMs: number
}

/**
 * Resolves when the record of what is about to happen is wherever it has to be before. Rejects with a `Refusal`: then it must not happen.
 * A record that did not get there in time stays in the journal; whoever gave up says so in another one.
 */
export type RecordBefore = (event: AuditEvent, weight: Weight) => Promise<void>

export interface StrictnessParts {
  readonly journal: Pick<RecoveredJournal, 'append' | 'last' | 'disk'>
  readonly durability: () => JournalOptions['durability']
  readonly required: () => RequiredReach
  /** Resolves when these sinks have the record. */
  readonly sinks: (id: string, names: readonly string[], withinMs: number, signal: AbortSignal) => Promise<void>
  /** Resolves when so many witnesses have seen the log up to the record. */
  readonly witnesses: (id: string, needed: number, withinMs: number, signal: AbortSignal) => Promise<void>
}

export const makeRecordBefore = ({ journal, durability, required, sinks, witnesses }: StrictnessParts): RecordBefore => {
  const confirm = async (recorded: Promise<void>, id: string, reach: Reach, { sinks: names, witnesses: needed, withinMs }: RequiredReach): Promise<void> => {
    await recorded
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), withinMs)
    try {
      if (reach === 'local+sink') await sinks(id, names, withinMs, deadline.signal)
      else await witnesses(id, needed, withinMs, deadline.signal)
    } catch (cause) {
      throw new Refusal('record-unconfirmed', 'The record of this action did not get to where it has to be in time, so it was not run.', { cause: causeText(cause) })
    } finally {
      clearTimeout(timer)
    }
  }

  return (event, weight) => {
    const { mark, used } = journal.disk()
    if (weight !== 'read' && mark === 'deny-changes') return Promise.reject(new Refusal('journal-unavailable', 'There is too little room left for records, so nothing is changed.', { cause: `${used} % of the disk are used` }))
    const reach = required()
    const needed = durability()[weight]
    if (reach[weight] === 'local') return journal.append(event, needed)
    const before = journal.last()
    const recorded = journal.append(event, needed)
    const id = journal.last()
    if (id !== before) return confirm(recorded, id, reach[weight], reach)
    // It was refused, or has no place yet: then nobody could say which record to wait for.
    return recorded.then(() => Promise.reject(new Error('a record got its place later than it was asked for')))
  }
}
