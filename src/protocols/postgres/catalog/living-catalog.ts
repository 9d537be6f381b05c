import { Refusal } from '../../../model/refusal.ts'
import type { FunctionNature } from '../sql/names.ts'
import type { Ask } from './ask.ts'
import type { Catalog } from './catalog.ts'
import { takeSnapshot, type Snapshot } from './snapshot.ts'

export interface LivingCatalogOptions {
  /** On a connection of its own: nobody else asks on it. */
  readonly ask: Ask
  readonly now: () => number
  readonly builtin: (name: string) => FunctionNature | undefined
  /** After this a new snapshot is taken in the background. */
  readonly freshMs: number
  /** After this nothing is judged by it any more. */
  readonly usableMs: number
  /** A masked column may have got another name: worth a record. */
  readonly onRenamed: (columns: readonly string[]) => void
  readonly onProblem: (problem: unknown) => void
}

/**
 * One database's catalog, kept up to date.
 *
 * An old snapshot is safe to judge by for a while. What is new in the database is not in it, so it is an unknown name, and no rule allows that;
 * rows of tables and columns that it does not have are masked where anything is masked. What has gone is refused by the server. What is left is a
 * relation or function that somebody puts in front of another one in the search_path, past us, within `freshMs`: for what is held, `resolve` asks the
 * server itself. DDL that comes through us is followed by `renew` when it has run.
 */
export interface LivingCatalog {
  /** Throws a Refusal where there is none, or none that is new enough. */
  current(): Catalog
  /** Something was asked for that is not there: it may have come since. */
  missed(): void
  /** Settles when a snapshot has been taken that began after this call. */
  renew(): Promise<void>
}

/** However often something is missed, nobody looks for it more often than this. */
const MISSED_MS = 1_000

export const makeLivingCatalog = (options: LivingCatalogOptions): LivingCatalog => {
  const { ask, now, builtin, freshMs, usableMs, onRenamed, onProblem } = options
  let snapshot: Snapshot | undefined
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  let soon: NodeJS.Timeout | undefined

  const take = async (): Promise<void> => {
    const taken = await takeSnapshot({ ask, now, builtin, ...(snapshot === undefined ? {} : { previous: snapshot }) })
    snapshot = taken
    if (taken.renamed.length > 0) onRenamed(taken.renamed)
  }
  const start = (): Promise<void> => {
    running = take().finally(() => {
      running = undefined
    })
    return running
  }
  /** One runs, one waits: whoever asks meanwhile shares the one that waits. */
  const renew = (): Promise<void> => {
    if (running === undefined) return start()
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return start()
      })
    return next
  }
  return {
    current: () => {
      const age = snapshot === undefined ? Infinity : now() - snapshot.takenAt
      if (age > freshMs && running === undefined) renew().catch(onProblem)
      if (snapshot === undefined || age > usableMs) throw new Refusal('upstream-unavailable', 'The catalog of this database cannot be read at the moment, so nothing can be judged.')
      return snapshot
    },
    missed: () => {
      if (running !== undefined || snapshot === undefined || soon !== undefined) return
      const look = (): void => {
        soon = undefined
        renew().catch(onProblem)
      }
      const waits = MISSED_MS - (now() - snapshot.takenAt)
      if (waits < 0) look()
      else soon = setTimeout(look, waits).unref()
    },
    renew,
  }
}
