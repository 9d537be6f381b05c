import type { Log } from '../../lib/log.ts'
import { CatalogLine } from './catalog-line.ts'
import { type LivingCatalog, makeLivingCatalog } from './catalog/living-catalog.ts'
import type { PostgresServiceOptions } from './options.ts'
import { builtinFunction } from './sql/builtins.ts'

export interface Catalogs extends AsyncDisposable {
  /** The catalog of a service's database, read if that has not been done yet. */
  of(service: PostgresServiceOptions): Promise<LivingCatalog>
  /** Only these services are left. */
  keep(services: readonly PostgresServiceOptions[]): void
}

interface Entry {
  readonly catalog: LivingCatalog
  readonly line: CatalogLine
  ready: Promise<void> | undefined
}

const freshMs = 60_000
const usableMs = 30 * 60_000

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
    const entry: Entry = { catalog, line, ready: undefined }
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
      return entry.catalog
    },
    keep(services) {
      for (const [service, { line }] of entries) {
        if (services.includes(service)) continue
        entries.delete(service)
        void line[Symbol.asyncDispose]()
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...entries.values()].map(({ line }) => line[Symbol.asyncDispose]()))
      entries.clear()
    },
  }
}
