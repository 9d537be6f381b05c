import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Approvals, Wait } from '../../approval/approvals.ts'
import { type Attempt, type Gate, redeem } from '../../gate.ts'
import type { Identity } from '../../identity/identity.ts'
import { defined } from '../../lib/defined.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import type { Assertions } from './assertion.ts'
import { connectionOf } from './connection.ts'
import { readKept } from './kept-reply.ts'
import type { ListenerState } from './listener.ts'
import { type Progress, receive, type Received, type ReceptionParts } from './reception.ts'
import { answerOf, type Occasion } from './refusal.ts'
import { forward, sendAnswer } from './reply.ts'
import { refuseAnnounced, readBody, streamBody } from './request-body.ts'
import { readPreference } from './request-notes.ts'
import { makeStatus } from './status.ts'

export interface SessionParts extends Pick<ReceptionParts, 'note'> {
  readonly gate: Gate
  readonly identity: Identity
  readonly policies: () => PolicySet
  readonly approvals: Approvals
  readonly log: Logger
  readonly assertions: Assertions
}

export interface Session {
  serve(request: IncomingMessage, response: ServerResponse): Promise<void>
}

/** Longest client wishes that we look at. */
const headerWish = 1_000

/** One request from its head to its last byte. Everything that decides is in `gate.pass`. */
export const makeSession = (parts: SessionParts, state: () => ListenerState): Session => {
  const { gate, policies, log } = parts
  const status = makeStatus(parts, state)
  const closing = (): boolean => state().draining

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const connection = connectionOf(request.socket)
    const progress: Progress = {}
    const { options } = state()
    try {
      if (!connection.begin(response)) throw new Refusal('too-many-waiting', 'Too many requests are under way on this connection.')
      const received = await receive(request, parts, state(), progress)
      if ('reserved' in received) return await status.serve(request, response, received)
      await run(request, response, received, options.timeouts.bodyMs)
    } catch (error) {
      if (connection.broken || response.destroyed) return
      const occasion = { ...occasionOf(progress, options.consoleUrl), draining: closing() }
      if (!(error instanceof Refusal)) log.error({ err: error }, 'a request failed in a way that nobody foresaw')
      else if (log.isLevelEnabled('debug')) log.debug({ code: error.code, cause: causeText(error.cause) }, 'refused')
      sendAnswer(request, response, error instanceof Refusal ? answerOf(error, occasion) : unforeseen)
    }
  }

  const run = async (request: IncomingMessage, response: ServerResponse, received: Received, bodyMs: number): Promise<void> => {
    const { entry, frame, caller, hasBody } = received
    const inspect = hasBody && (frame.mustRead || policies().needsBody(entry.service.name, frame.verb, frame.target.path))
    refuseAnnounced(received.contentLength, inspect ? entry.route.inspectBytes : entry.route.maxBodyBytes)
    if (hasBody && received.expectContinue) response.writeContinue()
    const bytes = inspect ? await readBody(request, entry.route.inspectBytes, bodyMs) : undefined
    const action = frame.action(hasBody ? (bytes === undefined ? 'streamed' : { bytes }) : undefined)
    const streamed = hasBody && bytes === undefined
    let kept: Uint8Array | undefined

    const attempt: Attempt = {
      recheck() {
        // Only a policy that changed in this very moment gets here: what nobody has read, nobody has approved.
        if (streamed) throw new Refusal('hold-changed', 'The policy changed. Send the request again.')
        return parts.identity.recheck(caller, received.claim)
      },
      async run(permit, credential) {
        const receipt = await permit.receipt?.()
        const headers = frame.headers(permit.caller, action, credential.headers, receipt)
        const body = streamed ? streamBody(request, entry.route.maxBodyBytes, bodyMs) : (bytes ?? null)
        redeem(permit, action.digest)
        const outgoing = { method: frame.method, target: frame.target.raw, headers, body, released: permit.hold !== undefined }
        const forwarded = await forward({ request, response, upstream: entry.upstream, outgoing, occasion: () => occasionOf(received, undefined), keep: permit.hold !== undefined, closing, receipt })
        kept = forwarded.kept
        return forwarded.outcome
      },
      async replay({ result }) {
        const { status: code, headers, body } = readKept(result)
        sendAnswer(request, response, { status: code, headers, body, close: false }, ['countersign-replayed', 'true'])
        return { result: 'executed', status: String(code), bytes: body.length, ms: 0 }
      },
      result: () => kept,
    }
    const keep = (): Uint8Array | undefined => {
      const standing = streamed ? undefined : parts.identity.standing(caller)
      return standing === undefined ? undefined : frame.keep(bytes, standing)
    }
    await gate.pass({ caller, action, wait: waitOf(received, keep) }, attempt, connectionOf(request.socket).gone)
  }

  return { serve }
}

/** How this client waits, in its own words and within what its route allows. */
const waitOf = ({ entry, notes }: Received, keep: NonNullable<Wait['keep']>): Wait => {
  const most = entry.route.hold.waitMs
  const { respondAsync, waitMs } = readPreference(notes.prefer)
  const budgetMs = Math.min(most, waitMs ?? (respondAsync ? 0 : most))
  if (notes.hold === undefined && notes.idempotencyKey === undefined && notes.reason === undefined) return { budgetMs, keep }
  return {
    budgetMs,
    keep,
    ...defined({ hold: notes.hold?.slice(0, headerWish), idempotencyKey: notes.idempotencyKey?.slice(0, headerWish), statedReason: notes.reason?.slice(0, headerWish) }),
  }
}

const unforeseen = { status: 500, headers: ['content-type', 'application/problem+json'], body: '{"type":"urn:countersign:internal-error","title":"Internal error","status":500}\n', close: true }

export const occasionOf = ({ entry, notes, status }: Progress, consoleUrl: string | undefined): Occasion => ({
  ...defined({ route: entry?.route, consoleUrl, status }),
  respondAsync: notes !== undefined && readPreference(notes.prefer).respondAsync,
})
