import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '../../identity/identity.ts'
import { clientAddress } from '../../lib/address.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller } from '../../model/caller.ts'
import type { Claim } from '../../model/claim.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import type { Assertions } from './assertion.ts'
import { claimOn, refuseCrossSite, refuseForeignOrigin } from './claim.ts'
import { checkRequestHeaders } from './codec/headers.ts'
import { canonicalHost } from './codec/host.ts'
import { parseTarget } from './codec/target.ts'
import { type Connection, connectionOf } from './connection.ts'
import { type Frame, makeFrame } from './frame.ts'
import type { ListenerState } from './listener.ts'
import { readNotes, type RequestNotes } from './request-notes.ts'
import { type Entry, entryFor } from './routes.ts'

export const reservedPrefix = '/.countersign'

/** What is known so far; an answer that has to be given early uses it. */
export interface Progress {
  notes?: RequestNotes
  entry?: Entry
  status?: number
}

/** A request for ourselves. Never forwarded, whatever the routes say. */
export interface Reserved {
  readonly reserved: string
  readonly notes: RequestNotes
  /** Who asks; refuses where nobody does. `audience`: what the token must be for as well. */
  identify(audience?: string): Promise<Caller>
}

/** A request whose head has been understood and whose sender is known. */
export interface Received {
  readonly notes: RequestNotes
  readonly entry: Entry
  readonly host: string
  readonly address: string
  readonly caller: Caller
  readonly claim: Claim
  readonly frame: Frame
  readonly contentLength: number | undefined
  readonly expectContinue: boolean
  readonly hasBody: boolean
}

export interface ReceptionParts {
  readonly identity: Identity
  readonly policies: () => PolicySet
  readonly assertions: Assertions
  /** Told of requests that say who they are in two ways, and of sessions that ended while a connection was open. */
  readonly note?: (event: Extract<AuditEvent, { type: 'authentication-failed' | 'session-ended' }>) => void
}

const harmless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** From bytes to meaning, in this order: form, host, route, identity. Nothing is asked of anybody before the form is right. */
export const receive = async (request: IncomingMessage, parts: ReceptionParts, { options, routes, trusted }: ListenerState, progress: Progress, upgrade = false): Promise<Received | Reserved> => {
  const { rawHeaders, socket } = request
  const method = request.method ?? ''
  if (request.httpVersionMajor !== 1) throw new Refusal('malformed', 'Only HTTP/1.0 and HTTP/1.1 are spoken here.')
  const notes = readNotes(rawHeaders)
  progress.notes = notes
  const connection = connectionOf(socket)
  const head = sized(progress, 431, () => checkRequestHeaders(rawHeaders, { bytes: options.limits.headerBytes, count: options.limits.headerCount }, connection.said?.authorization))
  if (head.chunked && request.httpVersionMinor === 0) throw new Refusal('malformed', 'Transfer-Encoding is not a part of HTTP/1.0.')
  const host = canonicalHost(head.host)
  const { servername } = socket as TLSSocket
  if (typeof servername === 'string' && servername !== '' && canonicalHost(servername) !== host) throw new Refusal('misdirected', 'Host and TLS server name differ.')
  const target = sized(progress, 414, () => parseTarget(request.url ?? '', { maxBytes: options.limits.targetBytes, encodedSlash: 'keep' }))
  if (socket.remoteAddress === undefined) throw new Refusal('malformed', 'The client has gone.')
  const address = trusted.length === 0 ? (connection.peer ??= clientAddress(socket.remoteAddress, [], [])) : clientAddress(socket.remoteAddress, notes.forwardedFor, trusted)

  const claimFor = (audience: string | undefined, safe: boolean): Claim => {
    const claim = readClaim(connection, notes, address, audience, parts)
    refuseCrossSite(claim, notes, host, safe)
    return claim
  }

  if (target.path === reservedPrefix || target.path.startsWith(`${reservedPrefix}/`)) return { reserved: target.path, notes, identify: async (audience) => parts.identity.authenticate(claimFor(audience, harmless.has(method))) }
  const entries = routes.forHost(host)
  if (entries === undefined) throw new Refusal('misdirected', 'Nothing here answers to that host name.')
  const entry = entryFor(entries, target.path)
  if (entry) progress.entry = entry
  if (entry?.route.jsonRpc) refuseForeignOrigin(notes, host)
  const claim = claimFor(entry?.service.audience, harmless.has(method) && !upgrade)
  const caller = await parts.identity.authenticate(claim)
  if (entry === undefined) throw new Refusal('not-found', 'No service has this path.')
  const frame = makeFrame({
    entry, method, target, host, rawHeaders, address, upgrade, secure: 'encrypted' in socket, policies: parts.policies(), assertions: parts.assertions, claimHeaders: options.claimHeaders,
  })
  return { notes, entry, host, address, caller, claim, frame, contentLength: head.contentLength, expectContinue: head.expectContinue, hasBody: head.chunked || (head.contentLength ?? 0) > 0 }
}

/** Two identities in one request never reach whoever checks identities, so it is put on record here. */
const readClaim = (connection: Connection, notes: RequestNotes, address: string, audience: string | undefined, { note }: ReceptionParts): Claim => {
  try {
    return claimOn(connection, notes, address, audience)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'two-identities') note?.({ type: 'authentication-failed', step: 'claim', address, from: 'authorization', cause: error.message })
    throw error
  }
}

/** What is too long says where: in the target (414) or in the headers (431). */
const sized = <T>(progress: Progress, status: number, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'too-large') progress.status = status
    throw error
  }
}
