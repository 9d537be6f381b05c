import type { Journal } from '../audit/journal.ts'
import { defined } from '../lib/defined.ts'
import { isOpen, type Hold } from '../model/hold.ts'
import { makeDistrust } from './distrust.ts'
import type { Attachment, AttachmentName, HoldEntry, HoldRevision, HoldStore } from './hold-store.ts'
import { nextMark, reviewDue } from './marks.ts'
import type { ApprovalOptions } from './options.ts'
import { openKey, Tampered, type Finding, type Seal } from './seal.ts'

export type Warn = (message: string, fields: Readonly<Record<string, unknown>>) => void

/** Holds in the store, sealed and believed. */
export interface Ledger {
  /** Throws `store-unavailable` for a record that cannot be trusted, after saying so in the journal. */
  read(id: string): Promise<Hold | undefined>
  /** Believes an entry that the store handed out, or throws as `read` does. */
  believe(entry: HoldEntry, id?: string): Promise<Hold>
  /** A new hold, and the entry as which it is to be stored. */
  first(hold: Hold): { readonly hold: Hold; readonly entry: HoldEntry & { readonly openKey: string } }
  /** What has become of holds that were read before, in the order given. Each is believed as in `read`, or an error. At most 1 000. */
  latest(holds: readonly Hold[]): Promise<readonly (Hold | Error | undefined)[]>
  /** Whether nothing newer of this hold has been seen here. */
  isNewest(hold: Hold): boolean
  /** What was kept beside the hold, if it still is, and with `take` from now on no more; a foreign one is treated like a foreign record. */
  attachment(hold: Hold, name: AttachmentName, how?: 'read' | 'take'): Promise<Uint8Array | undefined>
  /** Puts the next revision in place of the one before it. `lapsed`: no repeat may find it any more. `result` goes with it. */
  write(hold: Hold, bounds?: { readonly notAfter?: number; readonly notBefore?: number }, lapsed?: boolean, result?: Attachment): ReturnType<HoldStore['replace']>
}

export const makeLedger = (options: ApprovalOptions, store: HoldStore, seal: Seal, journal: Journal, warn: Warn): Ledger => {
  const distrust = makeDistrust('hold', journal, warn)
  const alarm = (id: string, error: Tampered): Promise<never> => distrust.alarm(id, error, id)

  /** Found again when something has to happen to it, and also when something has to be said. */
  const finding = (hold: Hold, lapsed: boolean): Finding => {
    const found = stateFinding(hold, lapsed)
    const mark = nextMark(hold)
    return mark === undefined ? found : { ...found, dueAt: Math.min(mark.at, found.dueAt ?? Infinity) }
  }

  const stateFinding = (hold: Hold, lapsed: boolean): Finding => {
    const key = openKey(hold.caller, hold.action.service, hold.action.digest)
    if (hold.state === 'pending') return { openKey: key, dueAt: hold.deadline }
    if (hold.state === 'approved') return { openKey: key, dueAt: hold.runBy ?? hold.deadline }
    if (hold.state === 'running') return { openKey: key }
    const replays = (hold.state === 'executed' || hold.state === 'unknown') && options.replayWindowMs > 0 && !lapsed
    return replays ? { openKey: key, dueAt: (hold.settledAt ?? 0) + options.replayWindowMs } : {}
  }

  const believe: Ledger['believe'] = async (given, id = given.id) => {
    let entry: HoldEntry | undefined = given
    for (let again = false; ; again = true) {
      let hold: Hold
      try {
        hold = seal.open(entry, id).hold
      } catch (error) {
        if (error instanceof Tampered) return await alarm(id, error)
        throw error
      }
      const seen = distrust.newest(id)
      if (hold.revision >= seen) {
        distrust.note(id, hold.revision)
        return hold
      }
      // An answer may have been overtaken by a newer one on its way here; then a second look shows the newer one.
      if (again) return await alarm(id, new Tampered(`revision ${seen} has been seen, and the store has ${hold.revision}`))
      entry = await store.read(id)
      if (entry === undefined) return await alarm(id, new Tampered('the record is gone'))
    }
  }

  const read: Ledger['read'] = async (id) => {
    const found = await store.read(id)
    return found && (await believe(found, id))
  }

  /** Whatever is not as expected is looked at again as a whole. */
  const renewed = (hold: Hold, revision: HoldRevision): Hold | undefined => {
    try {
      const { hold: next } = seal.renew(hold, revision)
      if (next.revision < distrust.newest(hold.id)) return undefined
      distrust.note(next.id, next.revision)
      return next
    } catch (error) {
      if (error instanceof Tampered) return undefined
      throw error
    }
  }

  const latest: Ledger['latest'] = async (holds) => {
    const found = await store.latest(holds.map(({ id }) => id))
    const asIs = holds.map((hold, at) => found[at] && renewed(hold, found[at]))
    return await Promise.all(asIs.map((hold, at) => hold ?? read(holds[at]!.id).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))))
  }

  return {
    believe,
    read,
    latest,
    isNewest: ({ id, revision }) => distrust.newest(id) === revision,
    first(hold) {
      const { hold: recorded, entry } = seal.close(hold, finding(hold, false))
      return { hold: recorded, entry: { ...entry, openKey: entry.openKey! } }
    },
    async attachment(hold, name, how = 'read') {
      const sealed = how === 'take' ? await store.takeAttachment(hold.id, name) : await store.getAttachment(hold.id, name)
      if (sealed === undefined) return undefined
      try {
        return seal.openAttachment(hold, name, sealed)
      } catch (error) {
        if (error instanceof Tampered) return await alarm(hold.id, error)
        throw error
      }
    },
    async write(hold, bounds = {}, lapsed = false, result = undefined) {
      const keepMs = isOpen(hold.state) || hold.state === 'running' || reviewDue(hold) !== undefined ? undefined : Math.max(options.settledKeptMs, options.replayWindowMs + 60_000)
      const answer = await store.replace(seal.revise(hold, finding(hold, lapsed)), { revision: hold.revision - 1, ...defined(bounds) }, keepMs, result)
      if (answer === 'replaced') {
        distrust.note(hold.id, hold.revision)
        // What will not run any more is not kept. It has an end of its own, should this fail.
        if (!isOpen(hold.state) && hold.state !== 'running' && hold.terms.run === 'when-approved') await store.dropAttachment(hold.id, 'request').catch(() => {})
      }
      return answer
    },
  }
}
