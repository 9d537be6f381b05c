import { lineageOf, type Lineage } from '../../audit/lineage/lineage.ts'
import { pathBetween, type LineagePath } from '../../audit/lineage/path.ts'
import { traceQuestionText, type TraceQuestion } from '../../audit/lineage/trace.ts'
import type { AuditSearch, FoundPage, FoundRecord, IndexState } from '../../audit/search/audit-search.ts'
import { questionText, type AuditQuestion } from '../../audit/search/question.ts'
import { checkProof } from '../../audit/proof.ts'
import { BadNote, type NoteVerifier } from '../../audit/signed-note.ts'
import { defined } from '../../lib/defined.ts'
import { within } from '../../approval/people.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import { partyKey, type Caller, type Members, type Principal } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import { makeAuditExports, type AuditExport, type ExportFormat } from './audit-export.ts'
import { isOwnPerson } from './hold-view.ts'

export interface AuditReading {
  readonly search: AuditSearch
  /** Members of these groups may read the whole log. None: nobody may. */
  readonly readers: () => readonly string[]
  /** Who is in a group, where that is known: others are not, whatever they bring. */
  readonly members: () => Members
  /** Resolves when it is on record. */
  readonly record: (event: Extract<AuditEvent, { type: 'audit-read' | 'audit-read-refused' | 'audit-exported' }>) => Promise<void>
  /** Whose signatures count. */
  readonly keys: readonly NoteVerifier[]
}

/** What came of checking one record against what was signed. */
export type ProofReport = { readonly id: string } & (
  | { readonly verdict: 'proved'; readonly proof: string; readonly line: string; readonly origin: string; readonly size: number }
  /** Records wait up to a second for a signature. */
  | { readonly verdict: 'unsigned' }
  | { readonly verdict: 'wrong'; readonly problem: string }
)

export interface AuditDesk {
  mayRead(viewer: Caller): boolean
  search(viewer: Caller, question: AuditQuestion, page: { readonly after?: string | undefined; readonly limit: number }): Promise<FoundPage & { readonly index: IndexState }>
  record(viewer: Caller, id: string): Promise<{ readonly record: FoundRecord; readonly all: readonly FoundRecord[] }>
  prove(viewer: Caller, id: string): Promise<ProofReport>
  /** That it begins is on record before it resolves. */
  export(viewer: Caller, question: AuditQuestion, format: ExportFormat): Promise<AuditExport>
  lineage(viewer: Caller, question: TraceQuestion): Promise<Lineage & { readonly index: IndexState }>
  path(viewer: Caller, question: PathQuestion): Promise<LineagePath>
}

/** Each end is a node by its id, or by words of its name. */
export interface PathQuestion extends Pick<TraceQuestion, 'from' | 'to'> {
  readonly start: string
  readonly end: string
}

export const principalOf = ({ issuer, subject, kind, groups, email, name, clientId, owner }: Caller): Principal => ({ issuer, subject, kind, groups, ...defined({ email, name, clientId, owner }) })

const mostEnds = 50

/** Who reads the log is in the log: nothing is shown before that is on record, and who may not is on record as well. */
export const makeAuditDesk = ({ search, readers, members, record, keys }: AuditReading): AuditDesk => {
  const mayRead: AuditDesk['mayRead'] = (viewer) => {
    const { groups } = within(viewer, members())
    return isOwnPerson(viewer) && readers().some((group) => groups?.includes(group))
  }

  const admit = async (viewer: Caller, query: string): Promise<void> => {
    if (mayRead(viewer)) return
    await record({ type: 'audit-read-refused', by: principalOf(viewer), query, refusal: 'denied' })
    throw new Refusal('denied', 'Only people of the groups that are configured as readers of the audit log may read it. This was recorded.')
  }

  const reading = async <T>(viewer: Caller, query: string, look: () => Promise<readonly [answer: T, records: number]>): Promise<T> => {
    await admit(viewer, query)
    const [answer, records] = await look()
    await record({ type: 'audit-read', by: principalOf(viewer), query, records })
    return answer
  }

  const exports = makeAuditExports({ search, record, mayRead })

  const missing = (): Refusal => new Refusal('not-found', 'There is no such record here.')

  return {
    mayRead,
    search: (viewer, question, { after, limit }) =>
      reading(viewer, `search ${questionText(question)}`, async () => {
        const found = await search.search(question, { limit, ...defined({ after }) })
        return [{ ...found, index: await search.state() }, found.records.length]
      }),
    record: (viewer, id) =>
      reading(viewer, `record ${id}`, async () => {
        const found = await search.record(id)
        if (found === undefined) throw missing()
        const all = await search.caseOf(id)
        return [{ record: found, all }, Math.max(1, all.length)]
      }),
    prove: (viewer, id) =>
      reading(viewer, `proof ${id}`, async () => {
        const proved = await search.prove(id)
        if (proved === undefined) throw missing()
        return [proved === 'unsigned' ? { id, verdict: 'unsigned' } : checked(id, proved.proof, proved.record, keys), 1]
      }),
    async export(viewer, question, format) {
      await admit(viewer, `export ${format} ${questionText(question)}`)
      return await exports.open({ key: partyKey(viewer), by: principalOf(viewer) }, question, format)
    },
    lineage: (viewer, question) =>
      reading(viewer, `lineage ${traceQuestionText(question)}`, async () => {
        const found = await lineageOf(search, question)
        return [{ ...found, index: await search.state() }, found.deeds.length]
      }),
    path: (viewer, { start, end, ...window }) =>
      reading(viewer, `lineage from ${start} to ${end}${window.from === undefined && window.to === undefined ? '' : ` ${traceQuestionText({ fields: {}, ...window })}`}`, async () => {
        const [one, other] = [await search.nodes(start, mostEnds), await search.nodes(end, mostEnds)]
        const found = await pathBetween(search, one, other, window)
        return [found, found.steps.length]
      }),
  }
}

const checked = (id: string, proof: string, { text }: FoundRecord, keys: readonly NoteVerifier[]): ProofReport => {
  try {
    const { origin, size } = checkProof(proof, text, keys)
    return { id, verdict: 'proved', proof, line: text, origin, size }
  } catch (error) {
    if (!(error instanceof BadNote)) throw error
    return { id, verdict: 'wrong', problem: error.message }
  }
}
