import type { Journal } from '../audit/journal.ts'
import type { Warn } from './ledger.ts'
import { untrusted } from './no.ts'
import type { Tampered } from './seal.ts'

const remembered = 20_000

/** What this process knows of records that others keep, so that it need not believe them. */
export interface Distrust {
  /** The newest revision of this record that was seen here; 0: none. A seal cannot tell that somebody put an older one back; this can. */
  newest(id: string): number
  note(id: string, revision: number): void
  /** On record once, and refused each time. */
  alarm(id: string, error: Tampered, hold: string): Promise<never>
}

export const makeDistrust = (what: 'hold' | 'grant', journal: Journal, warn: Warn): Distrust => {
  const newest = new Map<string, number>()
  const alarmed = new Set<string>()
  return {
    newest: (id) => newest.get(id) ?? 0,
    note(id, revision) {
      newest.delete(id)
      newest.set(id, revision)
      if (newest.size > remembered) newest.delete(newest.keys().next().value!)
    },
    async alarm(id, error, hold) {
      const once = `${id} ${error.message}`
      if (!alarmed.has(once)) {
        if (alarmed.size > remembered) alarmed.clear()
        alarmed.add(once)
        warn(`a ${what} was changed behind our back`, { [what]: id, cause: error.message })
        await journal.append({ type: 'store-tampered', hold, cause: what === 'hold' ? error.message : `${what} ${id}: ${error.message}` }, 'synced')
      }
      throw untrusted(error)
    },
  }
}

/** That a record was not believed, rather than not had. */
export const isDistrust = (error: unknown): boolean => error instanceof Error && error.cause instanceof Error && error.cause.name === 'Tampered'
