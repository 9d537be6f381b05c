import type { Log } from '../../lib/log.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import { CatalogLine } from './catalog-line.ts'
import { Estimates } from './estimates.ts'
import { type LivingCatalog, makeLivingCatalog } from './catalog/living-catalog.ts'
import type { PostgresServiceOptions } from './options.ts'
import { builtinFunction } from './sql/builtins.ts'

export interface Catalogs extends AsyncDisposable {
  /** What is known of a service's database; its catalog is read if that has not been done yet. Kept up to date until it is disposed of. */
  of(service: PostgresServiceOptions): Promise<Known & Disposable>
  /** Only these services are left; others are forgotten with their last session. */
  keep(services: readonly PostgresServiceOptions[]): void
}

export interface Known {
  readonly catalog: LivingCatalog
  readonly estimates: Estimates
}

interface Entry extends Known {
  readonly line: CatalogLine
  ready: Promise<void> | undefined
  users: number
}

const freshMs = 60_000
const usableMs = 30 * 60_000

const close = async ({ line, estimates }: Entry): Promise<void> => void (await Promise.all([line[Symbol.asyncDispose](), estimates[Symbol.asyncDispose]()]))

/** One catalog for each service, shared by all its sessions. */
export const makeCatalogs = (log: Log, note: (event: Extract<AuditEvent, { type: 'columns-renamed' }>) => void): Catalogs => {
  const entries = new Map<PostgresServiceOptions, Entry>()
  /** Of a configuration that has been replaced: sessions go on with what they began with. */
  const left = new Set<Entry>()

  const open = (service: PostgresServiceOptions): Entry => {
    const line = new CatalogLine(service)
    const catalog = makeLivingCatalog({
      ask: line.ask,
      now: Date.now,
      builtin: builtinFunction,
      freshMs,
      usableMs,
      onRenamed: (columns) => {
        log.warn({ service: service.name, columns }, 'columns have got other names: look whether masks and tags still name them')
        note({ type: 'columns-renamed', service: service.name, columns })
      },
      onProblem: (problem) => log.warn({ service: service.name, err: problem }, 'the catalog of a database could not be read again'),
    })
    const entry: Entry = { catalog, estimates: new Estimates(service), line, ready: undefined, users: 0 }
    entries.set(service, entry)
    return entry
  }

  const leave = (entry: Entry): void => {
    if (--entry.users === 0 && left.delete(entry)) void close(entry)
  }

  return {
    async of(service) {
      const entry = entries.get(service) ?? open(service)
      entry.users++
      entry.ready ??= entry.catalog.renew().catch((error: unknown) => {
        entry.ready = undefined
        throw error
      })
      await entry.ready.catch((error: unknown) => {
        leave(entry)
        throw error
      })
      return { catalog: entry.catalog, estimates: entry.estimates, [Symbol.dispose]: () => leave(entry) }
    },
    keep(services) {
      for (const [service, entry] of entries) {
        if (services.includes(service)) continue
        entries.delete(service)
        if (entry.users > 0) left.add(entry)
        else void close(entry)
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...entries.values(), ...left].map(close))
      entries.clear()
      left.clear()
    },
  }
}
