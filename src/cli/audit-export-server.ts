import type { AuditQuestion } from '../audit/search/question.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { connect, type ServerChoice } from './api-client.ts'
import { queryOf } from './audit-search.ts'
import { writeAll } from './audit-export-files.ts'
import { exit, Failure, type Io } from './io.ts'

/** How long a server may find nothing more before it is given up. */
const silentMs = 120_000

/** Prints what a server finds, as it comes. */
export const exportFromServer = async (question: AuditQuestion, format: string, choice: ServerChoice, io: Io): Promise<number> => {
  const client = await connect(choice, io)
  const over = new AbortController()
  const silent = (): NodeJS.Timeout => setTimeout(() => over.abort(new Error(`nothing came for ${silentMs / 1_000} s`)), silentMs)
  let late = silent()
  let records = 0
  try {
    const body = await client.stream(`/api/audit/export?${queryOf(question, { format })}`, { accept: 'application/x-ndjson' }, AbortSignal.any([io.signal, over.signal]))
    for await (const chunk of body) {
      clearTimeout(late)
      const text = Buffer.from(chunk).toString('latin1')
      if (/[^\x20-\x7e\n]/.test(text)) throw new Failure('the server sends something else than records')
      records += text.split('\n').length - 1
      await writeAll(io.stdout, text)
      late = silent()
    }
  } catch (error) {
    if (error instanceof Failure) throw error
    if (io.signal.aborted) return exit.interrupted
    throw new Failure(`the export broke off after ${records} records (${terminalText(error instanceof Error ? error.message : String(error))}), and is not whole; the server has that on record`)
  } finally {
    clearTimeout(late)
  }
  io.stderr.write(`${records} records, the newest first, without signatures. countersign audit verify checks what --directory exports; the server proves single records: GET /api/audit/ID/proof\n`)
  return exit.ok
}
