import type { AuditSearch } from '../../../audit/search/audit-search.ts'
import { openSearchThread } from '../../search-thread.ts'
import type { WorkerOptions } from './worker.ts'

/** Where the index is, beside the logs that it is of. */
export const indexPath = (directory: string): string => `${directory}/search.db`

export const openAuditSearch = (directory: string, warn: (fields: object, message: string) => void, begin = true): AuditSearch & AsyncDisposable =>
  openSearchThread(new URL('./worker.ts', import.meta.url), { path: indexPath(directory), directory } satisfies WorkerOptions, warn, begin)
