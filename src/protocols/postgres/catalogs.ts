import type { Log } from '../../lib/log.ts'
import { CatalogLine } from './catalog-line.ts'
import { Estimates } from './estimates.ts'
import { type LivingCatalog, makeLivingCatalog } from './catalog/living-catalog.ts'
import type { PostgresServiceOptions } from './options.ts'
import { builtinFunction } from './sql/builtins.ts'

export interface Catalogs extends AsyncDisposable {
  /** What is known of a service's database; its catalog is read if that has not been done yet. */
  of(service: PostgresServiceOptions): Promise<Known>
  /** Only these services are left. */
  keep(services: readonly PostgresServiceOptions[]): void
}

export interface Known {
  readonly catalog: LivingCatalog
  readonly estimates: Estimates
}

interface Entry extends Known {
  readonly line: CatalogLine
  ready: Promise<void> | undefined
}

const freshMs = 60_000
const usableMs = 30 * 60_000

const close = async ({ line, estimates }: Entry): Promise<void> => void (await Promise.all([line[Symbol.asyncDispose](), estimates[Symbol.asyncDispose]()]))

/** One catalog for each service, shared by all its sessions. */
export const makeCatalogs = (log: Log): Catalogs => {
  const entries = new Map<PostgresServiceOptions, Entry>()

  const open = (service: PostgresServiceOptions): Entry => {
    const line = new CatalogLine(service)
    const catalog = makeLivingCatalog({
      ask: line.ask,
      now: Date.now,
      builtin: builtinFunction,
      freshMs,
      usableMs,
      onRenamed: (columns) => log.warn({ service: service.name, columns }, 'columns have got other names: look whether masks and tags still name them'),
      onProblem: (problem) => log.warn({ service: service.name, err: problem }, 'the catalog of a database could not be read again'),
    })
    const entry: Entry = { catalog, estimates: new Estimates(service), line, ready: undefined }
    entries.set(service, entry)
    return entry
  }

  return {
    async of(service) {
      const entry = entries.get(service) ?? open(service)
      entry.ready ??= entry.catalog.renew().catch((error: unknown) => {
        entry.ready = undefined
        throw error
      })
      await entry.ready
      return entry
    },
    keep(services) {
      for (const [service, entry] of entries) {
        if (services.includes(service)) continue
        entries.delete(service)
        void close(entry)
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...entries.values()].map(close))
      entries.clear()
    },
  }
}
