import { defined } from '../../lib/defined.ts'
import { Refusal } from '../../model/refusal.ts'
import type { AuditDesk } from './audit-desk.ts'
import type { Shown } from './decisions.ts'
import { parseLineageQuery } from './forms.ts'
import type { Session } from './login/sessions.ts'
import { lineagePage } from './pages/lineage-page.ts'
import { statusOf } from './problem.ts'

/** Who looks first sees the last days. */
const usual = '7d'

/** The map of who touched what, for those who may read the audit log. */
export const makeLineagePage = (audit: AuditDesk) => async ({ viewer }: Session, target: URL): Promise<Shown> => {
  const typed = new Map([...target.searchParams].map(([name, value]) => [name, value.toWellFormed().trim()] as const).filter(([, value]) => value !== ''))
  if (target.search === '') typed.set('from', usual)
  const asked = new URLSearchParams([...typed].filter(([name]) => name !== 'end'))
  const end = typed.get('end')
  try {
    const question = parseLineageQuery(asked)
    const start = question.nodes?.[0] ?? question.fields.who ?? question.fields.on ?? question.fields.for ?? question.fields.approver
    if (end !== undefined && start === undefined) throw new Refusal('malformed', 'Say between what: a name in one of the fields, and “Connected with” for the other.')
    const path = end === undefined || start === undefined ? undefined : await audit.path(viewer, { start, end, ...defined({ from: question.from, to: question.to }) })
    return { status: 200, title: 'Lineage', main: lineagePage({ typed, path, found: await audit.lineage(viewer, question) }) }
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'malformed' || !audit.mayRead(viewer)) throw error
    return { status: statusOf[error.code], title: 'Lineage', main: lineagePage({ typed, problem: error.message }) }
  }
}
