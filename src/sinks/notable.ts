import { lineHead } from '../audit/line.ts'
import type { AuditEvent } from '../model/audit-event.ts'

/** What somebody should look at: refusals, attempts, failures, and what went past the usual way. */
const notable: ReadonlySet<AuditEvent['type']> = new Set([
  'refused', 'vote-refused', 'vote-dropped', 'broke-glass', 'break-glass-refused', 'review-overdue', 'outcome-unknown', 'store-tampered', 'authentication-failed', 'columns-renamed', 'config-rejected', 'audit-read-refused', 'records-lost',
])

/** Of a line of the journal. What is no line of ours is worth a look as well. */
export const isNotable = (text: string): boolean => {
  const head = lineHead(text)
  return head === undefined || notable.has(head.type)
}
