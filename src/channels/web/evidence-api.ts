import type { IncomingMessage } from 'node:http'
import type { Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import { defined } from '../../lib/defined.ts'
import type { Answer, Resource, Visit } from './api-resource.ts'
import type { AuditDesk } from './audit-desk.ts'
import { makeExportStreams } from './export-stream.ts'
import { parseAuditQuery, parseExportQuery, parseLineageQuery, parsePathQuery } from './forms.ts'
import { WrongMethod } from './problem.ts'
import type { ReceiptDesk } from './receipt-desk.ts'

export interface EvidenceApiParts {
  readonly viewerOf: (request: IncomingMessage) => Promise<Caller>
  /** Where the log is read; without it there is no `/api/audit`. */
  readonly audit?: AuditDesk
  /** What was decided, signed; without it there is no `/api/receipts`. */
  readonly receipts?: ReceiptDesk
}

export interface EvidenceApi {
  readonly resources: readonly Resource[]
  endStreams(): void
}

/** What the log says, and what can be shown to others of it. */
export const makeEvidenceApi = ({ viewerOf, audit, receipts }: EvidenceApiParts): EvidenceApi => {
  const exports = makeExportStreams()

  const readAudit = (): AuditDesk => {
    if (audit === undefined) throw new Refusal('not-found', 'The audit log is not read here.')
    return audit
  }

  const auditSearch = async ({ request, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    const { question, after, limit } = parseAuditQuery(query)
    const { records, next, count, counted, index } = await readAudit().search(viewer, question, { after, limit: limit ?? 50 })
    return { status: 200, body: { records: records.map(({ text, summary }) => ({ summary, record: JSON.parse(text) as unknown })), count, counted, index, ...defined({ next }) } }
  }

  const auditRecord = async ({ request, id }: Visit): Promise<Answer> => {
    const { record, all } = await readAudit().record(await viewerOf(request), id)
    return { status: 200, body: { id, line: record.text, record: JSON.parse(record.text) as unknown, case: all.map(({ text }) => JSON.parse(text) as unknown) } }
  }

  const auditProof = async ({ request, id }: Visit): Promise<Answer> => ({ status: 200, body: await readAudit().prove(await viewerOf(request), id) })

  const auditExport = async ({ request, response, query }: Visit): Promise<Answer> => {
    if (request.method === 'HEAD') throw new WrongMethod(['GET'])
    const viewer = await viewerOf(request)
    const { question, format } = parseExportQuery(query)
    return void (await exports.serve(await readAudit().export(viewer, question, format), { format, still: () => viewerOf(request) }, response))
  }

  const receiptsHere = (): ReceiptDesk => {
    if (receipts === undefined) throw new Refusal('not-found', 'No receipts are given here.')
    return receipts
  }

  const receipt = async ({ request, id }: Visit): Promise<Answer> => ({ status: 200, body: await receiptsHere().receipt(await viewerOf(request), id) })

  const receiptKeys = async (): Promise<Answer> => ({ status: 200, body: receiptsHere().jwks })

  const lineage = async ({ request, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    return { status: 200, body: await readAudit().lineage(viewer, parseLineageQuery(query)) }
  }

  const lineagePath = async ({ request, query }: Visit): Promise<Answer> => {
    const viewer = await viewerOf(request)
    return { status: 200, body: await readAudit().path(viewer, parsePathQuery(query)) }
  }

  const resources: readonly Resource[] = [
    { path: /^\/api\/audit$/, GET: auditSearch },
    { path: /^\/api\/audit\/export$/, GET: auditExport },
    { path: /^\/api\/audit\/([A-Za-z0-9._-]{1,64}\/\d{1,15}\/\d{1,15})$/, GET: auditRecord },
    { path: /^\/api\/audit\/([A-Za-z0-9._-]{1,64}\/\d{1,15}\/\d{1,15})\/proof$/, GET: auditProof },
    { path: /^\/api\/receipts\/([A-Za-z0-9_-]{1,150})$/, GET: receipt },
    { path: /^\/\.well-known\/countersign-receipts\.jwks$/, GET: receiptKeys },
    { path: /^\/api\/lineage$/, GET: lineage },
    { path: /^\/api\/lineage\/path$/, GET: lineagePath },
  ]

  return { resources, endStreams: () => exports.end() }
}
