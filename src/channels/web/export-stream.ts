import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Caller } from '../../model/caller.ts'
import { causeText } from '../../model/refusal.ts'
import type { AuditExport, ExportFormat } from './audit-export.ts'

/** How long whoever takes an export may leave us with a full socket. */
const stalledMs = 30_000
/** As long as a page took to be found, nothing is asked of the index: others search as well. */
const longestPauseMs = 1_000

export interface ExportStreams {
  /** Sends all of it, for as long as `still` says who takes it. An answer that ends as HTTP answers do was whole; one that was not is cut off. */
  serve(taken: AuditExport, how: { readonly format: ExportFormat; readonly still: () => Promise<Caller> }, response: ServerResponse): Promise<void>
  /** Ends all of them: we drain. */
  end(): void
}

export const makeExportStreams = (): ExportStreams => {
  const open = new Set<AbortController>()

  const send = async (response: ServerResponse, text: string, over: AbortController): Promise<void> => {
    if (response.write(text)) return
    const late = setTimeout(() => over.abort(`nothing was taken for ${stalledMs / 1_000} s`), stalledMs)
    try {
      await once(response, 'drain', { signal: over.signal })
    } finally {
      clearTimeout(late)
    }
  }

  /** Every page there is. */
  const sendAll = async (taken: AuditExport, still: () => Promise<Caller>, response: ServerResponse, over: AbortController): Promise<void> => {
    for (;;) {
      const from = performance.now()
      const text = await taken.page(await still())
      over.signal.throwIfAborted()
      if (text === undefined) return
      const took = performance.now() - from
      if (text !== '') await send(response, text, over)
      await pause(Math.min(took, longestPauseMs), undefined, { signal: over.signal })
    }
  }

  return {
    async serve(taken, { format, still }, response) {
      const over = new AbortController()
      open.add(over)
      response.once('close', () => over.abort('the client went away'))
      if (response.destroyed) over.abort('the client went away')
      let cause: string | undefined
      try {
        response.writeHead(200, { 'content-type': 'application/x-ndjson', 'content-disposition': `attachment; filename="countersign-audit${format === 'ocsf' ? '.ocsf' : ''}.ndjson"` })
        await sendAll(taken, still, response, over)
      } catch (error) {
        cause = over.signal.aborted ? String(over.signal.reason) : (causeText(error) ?? 'it failed')
      }
      open.delete(over)
      try {
        await taken.end(cause)
        if (cause === undefined) response.end()
      } finally {
        if (!response.writableEnded) response.destroy()
      }
    },
    end() {
      for (const over of open) over.abort('the replica shuts down')
    },
  }
}
