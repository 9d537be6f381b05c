import type { RecordData } from '../../audit/record-data.ts'
import type { Approvals } from '../../approval/approvals.ts'
import { defined } from '../../lib/defined.ts'
import { Refusal } from '../../model/refusal.ts'
import type { AuditDesk } from './audit-desk.ts'
import type { Shown } from './decisions.ts'
import { parseAuditQuery } from './forms.ts'
import type { Session } from './login/sessions.ts'
import { auditPage } from './pages/audit-page.ts'
import { recordPage } from './pages/record-page.ts'
import { statusOf } from './problem.ts'

const onOnePage = 50

/** The audit log for those who may read it: searched by a form, and one record with its whole action. */
export const makeAuditPages = ({ audit, approvals, givesReceipts }: { readonly audit: AuditDesk; readonly givesReceipts: boolean; readonly approvals: Pick<Approvals, 'show'> }) => {
  const visibleHold = async (record: RecordData, { viewer }: Session): Promise<string | undefined> => {
    const { hold } = record
    if (typeof hold !== 'string' || !/^[A-Za-z0-9_-]{1,100}$/.test(hold)) return undefined
    return approvals.show(hold, viewer).then(({ id }) => id, () => undefined)
  }

  const record = async (session: Session, id: string, isVerified: boolean): Promise<Shown> => {
    const { record: found, all } = await audit.record(session.viewer, id)
    const proof = isVerified ? await audit.prove(session.viewer, id) : undefined
    return { status: 200, title: `Record ${id}`, main: recordPage({ record: found, all, proof, receipt: givesReceipts, hold: await visibleHold(JSON.parse(found.text) as RecordData, session) }) }
  }

  return {
    async list({ viewer }: Session, target: URL): Promise<Shown> {
      const typed = new Map([...target.searchParams].map(([name, value]) => [name, value.toWellFormed().trim()] as const).filter(([, value]) => value !== ''))
      try {
        const { question, after } = parseAuditQuery(target.searchParams)
        return { status: 200, title: 'Audit log', main: auditPage({ typed, found: await audit.search(viewer, question, { limit: onOnePage, ...defined({ after }) }) }) }
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== 'malformed' || !audit.mayRead(viewer)) throw error
        return { status: statusOf[error.code], title: 'Audit log', main: auditPage({ typed, problem: error.message }) }
      }
    },
    record: (session: Session, id: string): Promise<Shown> => record(session, id, false),
    verify: (session: Session, id: string): Promise<Shown> => record(session, id, true),
  }
}
