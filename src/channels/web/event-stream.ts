import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import { partyKey, type Caller } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'

/** A session or a token that ended is known so much later at most. */
const heartbeatMs = 5_000
/** How long a reader may leave us with a full socket. */
const stalledMs = 10_000

export interface EventStreams {
  /** Serves changes of the holds that the viewer may see, by what `still` says of them then, until the token ends, `still` rejects, the client goes or we drain. */
  serve(request: { readonly viewer: Caller; readonly after: string | undefined; readonly still: () => Promise<Caller> }, response: ServerResponse): Promise<void>
  /** Ends all of them; the clients come back elsewhere with their last id. */
  end(): void
}

export const makeEventStreams = (approvals: Pick<Approvals, 'changes' | 'sees'>, limits: { readonly total: number; readonly perViewer: number }): EventStreams => {
  const open = new Map<AbortController, string>()

  const serve: EventStreams['serve'] = async ({ viewer, after, still }, response) => {
    const key = partyKey(viewer)
    if (open.size >= limits.total || [...open.values()].filter((other) => other === key).length >= limits.perViewer) throw new Refusal('too-many-waiting', 'Too many event streams are open.', { retryAfterSeconds: 15 })
    const over = new AbortController()
    open.set(over, key)
    response.once('close', () => over.abort())
    const untilExpiry = setTimeout(() => over.abort(), Math.min(Math.max(0, viewer.expiresAt - Date.now()), 2 ** 31 - 1))
    const heartbeat = setInterval(() => {
      if (response.writableNeedDrain) return over.abort()
      // The same look as at the start: a token that is no longer good ends the stream.
      still().then(() => response.write(': still here\n\n'), () => over.abort())
    }, heartbeatMs)
    try {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
      response.write('retry: 2000\n: open\n\n')
      for await (const change of approvals.changes(after, over.signal)) {
        if (over.signal.aborted) break
        if (await approvals.sees(change.id, await still())) await send(response, `event: hold\nid: ${change.cursor}\ndata: ${JSON.stringify({ id: change.id, state: change.state })}\n\n`, over)
      }
    } catch {
      // The store went away or the reader did: the stream ends, and the client comes back with its last id.
    } finally {
      clearTimeout(untilExpiry)
      clearInterval(heartbeat)
      open.delete(over)
      over.abort()
      if (response.writableNeedDrain) response.destroy()
      else response.end()
    }
  }

  return {
    serve,
    end() {
      for (const over of open.keys()) over.abort()
    },
  }
}

const send = async (response: ServerResponse, text: string, over: AbortController): Promise<void> => {
  if (response.write(text)) return
  await once(response, 'drain', { signal: AbortSignal.any([over.signal, AbortSignal.timeout(stalledMs)]) })
}
