import { randomUUID } from 'node:crypto'
import { parseLine } from '../../audit/line.ts'
import { ocsfLine } from '../../audit/ocsf/line.ts'
import { mostOnOnePage, type AuditSearch, type FoundPage } from '../../audit/search/audit-search.ts'
import { questionText, type AuditQuestion } from '../../audit/search/question.ts'
import { defined } from '../../lib/defined.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller, Principal } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'

/** Lines of the log as they stand, or events of OCSF with the record in each. */
export const exportFormats = ['log', 'ocsf'] as const
export type ExportFormat = (typeof exportFormats)[number]

export interface AuditExport {
  /** Some more lines, the newest first; `undefined` when that was all. Refused as soon as the viewer may not read any more. */
  page(viewer: Caller): Promise<string | undefined>
  /** Once, however it ends. Resolves when that is on record. */
  end(cause?: string): Promise<void>
}

interface Parts {
  readonly search: Pick<AuditSearch, 'search'>
  readonly record: (event: Extract<AuditEvent, { type: 'audit-exported' }>) => Promise<void>
  readonly mayRead: (viewer: Caller) => boolean
}

/** At one time, on this replica. Each of them keeps one page in memory. */
const mostOpen = 4

const linesOf = ({ records }: FoundPage, format: ExportFormat): string =>
  records.map(({ text }) => `${format === 'ocsf' ? ocsfLine(parseLine(text) ?? { type: 'damaged-line', bytes: text.length }) : text}\n`).join('')

/** All that a question finds, page after page. One for each person at a time. */
export const makeAuditExports = ({ search, record, mayRead }: Parts) => {
  const open = new Set<string>()

  const begin = async (question: AuditQuestion, about: Extract<AuditEvent, { type: 'audit-exported' }>): Promise<FoundPage> => {
    const first = await search.search(question, { limit: mostOnOnePage })
    await record(about)
    return first
  }

  return {
    async open({ key, by }: { readonly key: string; readonly by: Principal }, question: AuditQuestion, format: ExportFormat): Promise<AuditExport> {
      if (open.has(key)) throw new Refusal('too-many-waiting', 'Another export of yours is not done yet.', { retryAfterSeconds: 15 })
      if (open.size >= mostOpen) throw new Refusal('too-many-waiting', 'Too many exports are under way.', { retryAfterSeconds: 15 })
      open.add(key)
      const about = { type: 'audit-exported', export: randomUUID(), by, query: `${format} ${questionText(question)}` } as const
      let records = 0
      let whole = false
      let waiting: FoundPage | undefined
      let after: string | undefined
      let isLast = false
      try {
        waiting = await begin(question, about)
      } catch (error) {
        open.delete(key)
        throw error
      }
      return {
        async page(viewer) {
          if (!mayRead(viewer)) throw new Refusal('denied', 'The viewer is no reader of the audit log any more.')
          if (isLast) whole = true
          if (whole) return undefined
          const found = waiting ?? (await search.search(question, { limit: mostOnOnePage, ...defined({ after }) }))
          waiting = undefined
          after = found.next
          isLast = after === undefined
          records += found.records.length
          return linesOf(found, format)
        },
        async end(cause) {
          open.delete(key)
          await record({ ...about, records, end: whole && cause === undefined ? 'whole' : 'cut-short', ...defined({ cause }) })
        },
      }
    },
  }
}
