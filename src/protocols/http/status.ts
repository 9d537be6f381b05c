import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Approvals } from '../../approval/approvals.ts'
import type { Caller } from '../../model/caller.ts'
import { type Hold, isOpen } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Assertions } from './assertion.ts'
import { connectionOf } from './connection.ts'
import { readKept } from './kept-reply.ts'
import type { ListenerState } from './listener.ts'
import { type Reserved, reservedPrefix } from './reception.ts'
import { type Answer, holdPath } from './refusal.ts'
import { sendAnswer } from './reply.ts'
import { readPreference } from './request-notes.ts'

export interface Status {
  serve(request: IncomingMessage, response: ServerResponse, reserved: Reserved): Promise<void>
}

/** Longest poll, below the idle limits of common intermediaries. */
const longestWaitMs = 50_000
/** Longest event stream; the client opens another one. */
const longestStreamMs = 30 * 60_000
const heartbeatMs = 15_000

const nothingHere = (): Refusal => new Refusal('not-found', 'There is nothing here.')

const holdUrl = /^\/holds\/([A-Za-z0-9_-]{1,100})(\/result)?$/

/**
 * What a requester may ask us about its own holds. Nothing can be decided here: an agent that can reach this URL is the one that asked.
 *
 *   GET    /.countersign/holds/{id}          state; `Prefer: wait=N` polls; `Accept: text/event-stream` streams
 *   DELETE /.countersign/holds/{id}          withdraws
 *   GET    /.countersign/holds/{id}/result   what running it answered, as it was answered
 *   GET    /.countersign/jwks.json           the key of X-Countersign-Assertion
 */
export const makeStatus = ({ approvals, assertions }: { readonly approvals: Approvals; readonly assertions: Assertions }, state: () => ListenerState): Status => {
  const serve: Status['serve'] = async (request, response, reserved) => {
    const path = reserved.reserved.slice(reservedPrefix.length)
    const reading = request.method === 'GET' || request.method === 'HEAD'
    if (path === '/jwks.json' && reading) return sendAnswer(request, response, json(200, assertions.jwks, 'application/jwk-set+json', 'public, max-age=300'))
    const caller = await reserved.identify()
    const [, id, result] = holdUrl.exec(path) ?? []
    if (id === undefined) throw nothingHere()
    if (result !== undefined) {
      if (!reading) throw nothingHere()
      // What a service said is for a token that the service itself would take.
      const { action } = await approvals.follow(id, caller, 0, connectionOf(request.socket).gone)
      const audience = state().options.services.find(({ name }) => name === action.service)?.audience
      if (audience !== undefined) await reserved.identify(audience)
      return sendResult(request, response, await approvals.result(id, caller, request.method === 'HEAD' ? 'look' : undefined))
    }
    if (request.method === 'DELETE') {
      await approvals.follow(id, caller, 0, connectionOf(request.socket).gone) // only the requester's own; anybody else hears that there is none
      return sendAnswer(request, response, described(await approvals.withdraw(id, caller)))
    }
    if (!reading) throw nothingHere()
    if (request.method === 'GET' && reserved.notes.accept?.includes('text/event-stream')) return stream(request, response, id, caller)
    const { waitMs } = readPreference(reserved.notes.prefer)
    const hold = await approvals.follow(id, caller, Math.min(waitMs ?? 0, longestWaitMs), connectionOf(request.socket).gone)
    sendAnswer(request, response, described(hold), waitMs === undefined ? [] : ['preference-applied', `wait=${Math.min(waitMs, longestWaitMs) / 1_000}`])
  }

  /** One event at once and one for each change, until the hold is settled. */
  const stream = async (request: IncomingMessage, response: ServerResponse, id: string, caller: Caller): Promise<void> => {
    const { gone } = connectionOf(request.socket)
    let hold = await approvals.follow(id, caller, 0, gone)
    response.writeHead(200, ['content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-accel-buffering', 'no', 'connection', 'close'])
    const until = Date.now() + longestStreamMs
    const tell = (): boolean => response.write(`event: hold\nid: ${hold.revision}\ndata: ${JSON.stringify(view(hold))}\n\n`)
    try {
      tell()
      while (isOpen(hold.state) && Date.now() < until && Date.now() < caller.expiresAt && !gone.aborted && !state().draining) {
        const before = hold.revision
        // `follow` waits only while a hold is pending: an approved one is looked at again after each heartbeat.
        const next = await approvals.follow(id, caller, heartbeatMs, gone)
        if (next.revision === before && next.state !== 'pending') await pause(heartbeatMs, gone)
        hold = next
        if (hold.revision === before) response.write(': still the same\n\n')
        else tell()
      }
    } catch {
      // The stream has begun: what stops it (a store that is down, a client that left) ends it, and the client asks again.
    }
    response.end()
  }

  return { serve }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })

const json = (status: number, body: string, type = 'application/json', cache = 'no-store'): Answer => ({ status, headers: ['content-type', type, 'cache-control', cache], body, close: false })

/** What the requester may know: the state and what to do, nothing about who is being asked. */
const view = (hold: Hold) => ({
  hold: hold.id,
  hold_code: hold.code,
  state: hold.state,
  digest: hold.action.digest,
  opened_at: new Date(hold.openedAt).toISOString(),
  expires_at: new Date(hold.state === 'approved' && hold.runBy !== undefined ? hold.runBy : hold.deadline).toISOString(),
  executed: hold.state === 'executed',
  reason: hold.votes.find((vote) => vote.verdict === 'deny')?.reason,
  result: hold.state === 'executed' ? `${holdPath(hold.id)}/result` : undefined,
  next: nextStep(hold),
})

const nextStep = (hold: Hold): string => {
  switch (hold.state) {
    case 'pending':
      return 'NOT EXECUTED, waiting for approval. Ask again, or repeat the identical request.'
    case 'approved':
      return hold.terms.run === 'when-approved' && !hold.awaitsCaller ? 'Approved, and about to run without you, once.' : 'NOT EXECUTED yet. Approved: repeat the identical request to run it once.'
    case 'running':
      return 'It is running.'
    case 'executed':
      return 'It ran.'
    case 'unknown':
      return 'OUTCOME UNKNOWN. It was sent and nobody can say what it did. Check before you repeat it.'
    default:
      return 'NOT EXECUTED, and it will not be.'
  }
}

const described = (hold: Hold): Answer => {
  const answer = json(200, `${JSON.stringify(view(hold))}\n`)
  return { ...answer, headers: [...answer.headers, 'countersign-hold', hold.id, ...(isOpen(hold.state) || hold.state === 'running' ? ['retry-after', '5'] : [])] }
}

const sendResult = (request: IncomingMessage, response: ServerResponse, kept: Uint8Array): void => {
  const { status, headers, body } = readKept(kept)
  sendAnswer(request, response, { status, headers, body, close: false }, ['countersign-replayed', 'true'])
}
