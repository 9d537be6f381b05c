import type { AuditSearch } from '../../../audit/search/audit-search.ts'
import { openSearchThread } from '../../search-thread.ts'
import type { PostgresIndexOptions } from './audit-index.ts'

/** The index of a fleet in a thread of its own. It feeds the database from the start, also where nobody reads here: others ask for what this replica wrote. */
export const openFleetSearch = (options: PostgresIndexOptions, warn: (fields: object, message: string) => void): AuditSearch & AsyncDisposable => openSearchThread(new URL('./worker.ts', import.meta.url), options, warn, true)
