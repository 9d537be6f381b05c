import type { Journal } from '../audit/journal.ts'
import { defined } from '../lib/defined.ts'
import type { Grant } from '../model/grant.ts'
import type { Hold } from '../model/hold.ts'
import { makeDistrust } from './distrust.ts'
import type { GrantEntry, GrantStore } from './grant-store.ts'
import type { Warn } from './ledger.ts'
import { callerKey, shortHash, Tampered, type Seal } from './seal.ts'

/** Grants in the store, sealed and believed. */
export interface GrantLedger {
  /** `false`: there is one of this hold already. */
  add(grant: Grant, hold: Hold): Promise<boolean>
  /** Throws `store-unavailable` for a record that cannot be trusted, after saying so in the journal. */
  read(id: string): Promise<Grant | undefined>
  /** Those that may be used for what has this pattern, by this caller. */
  find(caller: Hold['caller'], service: string, pattern: string): Promise<readonly Grant[]>
  /** The next revision in place of the one before it. `inTime`: not once its time is over. */
  write(grant: Grant, hold: Hold, inTime: boolean): ReturnType<GrantStore['replace']>
  list(query: Parameters<GrantStore['list']>[0]): Promise<{ readonly grants: readonly Grant[]; readonly next?: string }>
}

const useKey = (caller: Hold['caller'], service: string, pattern: string): string => shortHash(['grant', callerKey(caller), service, pattern])

export const makeGrantLedger = (store: GrantStore, seal: Seal, journal: Journal, warn: Warn, keepMs: number): GrantLedger => {
  const distrust = makeDistrust('grant', journal, warn)
  const alarm = ({ hold }: { readonly hold: string }, id: string, error: Tampered): Promise<never> => distrust.alarm(id, error, hold)

  const believe = async (given: GrantEntry): Promise<Grant> => {
    let entry: GrantEntry | undefined = given
    for (let again = false; ; again = true) {
      let opened: Sealed
      try {
        opened = JSON.parse(seal.openText('grant', entry.sealed)) as Sealed
      } catch (error) {
        if (error instanceof Tampered) return await alarm({ hold: '' }, given.id, error)
        throw error
      }
      const { grant } = opened
      if (grant.id !== entry.id || grant.revision !== entry.revision || grant.until !== entry.until || opened.useKey !== entry.useKey) return await alarm(grant, given.id, new Tampered('what the store says of it is not what the record says'))
      const seen = distrust.newest(grant.id)
      if (grant.revision >= seen) {
        distrust.note(grant.id, grant.revision)
        return grant
      }
      // An answer may have been overtaken by a newer one on its way here.
      if (again) return await alarm(grant, given.id, new Tampered(`revision ${seen} has been seen, and the store has ${grant.revision}`))
      entry = await store.read(given.id)
      if (entry === undefined) return await alarm(grant, given.id, new Tampered('the record is gone'))
    }
  }

  const entryOf = (grant: Grant, hold: Hold): GrantEntry => {
    const key = grant.ended === undefined && hold.pattern !== undefined ? { useKey: useKey(hold.caller, hold.action.service, hold.pattern.key) } : {}
    return { id: grant.id, revision: grant.revision, until: grant.until, ...key, sealed: seal.closeText('grant', JSON.stringify({ grant, ...key } satisfies Sealed)) }
  }

  return {
    add: async (grant, hold) => await store.add(entryOf(grant, hold), keepMs),
    async read(id) {
      const entry = await store.read(id)
      if (entry !== undefined && entry.id !== id) return await alarm({ hold: '' }, id, new Tampered('the store led to another grant'))
      return entry && (await believe(entry))
    },
    async find(caller, service, pattern) {
      const key = useKey(caller, service, pattern)
      const entries = await store.find(key)
      const grants = await Promise.all(entries.map(believe))
      return grants.filter((_, at) => entries[at]?.useKey === key)
    },
    async write(grant, hold, inTime) {
      const answer = await store.replace(entryOf(grant, hold), { revision: grant.revision - 1, ...(inTime ? { inTime } : {}) })
      if (answer === 'replaced') distrust.note(grant.id, grant.revision)
      return answer
    },
    async list(query) {
      const { entries, next } = await store.list(query)
      const grants = await Promise.all(entries.map((entry) => believe(entry).catch(() => undefined))) // a record that is not believed has been reported
      return { grants: grants.filter((grant) => grant !== undefined), ...defined({ next }) }
    },
  }
}

interface Sealed {
  readonly grant: Grant
  readonly useKey?: string
}
