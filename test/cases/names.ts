import type { HoldState } from '../../src/model/hold.ts'
import { pending } from './outcome.ts'
import type { Recorded } from './world.ts'

/* The cases' placeholder names and ours, in one place. Where an answer of ours differs by design, the reason stands beside it. */

/** Their states of an approval, and the states of a hold that are that. */
export const statesOf: Readonly<Record<string, readonly HoldState[]>> = {
  held: ['pending'],
  approved: ['approved'],
  consumed: ['running', 'executed', 'failed'],
  rejected: ['denied'],
  expired: ['expired'],
  cancelled: ['withdrawn'],
  unknown: ['unknown'],
}

type Test = (event: Recorded) => boolean

/** Their events, and what in our journal is that event. */
const events: Readonly<Record<string, Test>> = {
  'decision.allow': (event) => event.type === 'started' && event.decision.verdict === 'allow',
  'decision.deny': (event) => event.type === 'decided' && event.decision.verdict === 'deny',
  'hold.opened': (event) => event.type === 'held',
  'hold.expired': (event) => event.type === 'hold-expired',
  'hold.cancelled': (event) => event.type === 'hold-withdrawn',
  'vote.approve': (event) => event.type === 'voted' && event.vote.verdict === 'approve',
  'vote.reject': (event) => event.type === 'voted' && event.vote.verdict === 'deny',
  'vote.refused': (event) => event.type === 'vote-refused',
  'breakglass.used': (event) => event.type === 'broke-glass',
  'breakglass.refused': (event) => event.type === 'break-glass-refused',
  'review.overdue': (event) => event.type === 'review-overdue',
  'vote.dropped': (event) => event.type === 'vote-dropped',
  'approval.consumed': (event) => event.type === 'released',
  'upstream.result': (event) => event.type === 'finished' && event.outcome.result !== 'unknown',
  // A try that was given up on our side: before its start, or at the upstream's door.
  'upstream.refused': (event) => (event.type === 'refused' && event.hold !== undefined) || (event.type === 'finished' && event.outcome.result === 'failed'),
  'upstream.unknown': (event) => event.type === 'outcome-unknown' || (event.type === 'finished' && event.outcome.result === 'unknown'),
  'config.loaded': (event) => event.type === 'config-loaded',
  'config.rejected': (event) => event.type === 'config-rejected',
  'auth.failed': (event) => event.type === 'authentication-failed',
  'session.revoked': (event) => event.type === 'session-ended',
  'schema.drift': (event) => event.type === 'columns-renamed',
  'audit.payload_erased': (event) => event.type === 'erased',
  'store.tampered': (event) => event.type === 'store-tampered',
}

export const eventTest = (name: string): Test => (Object.hasOwn(events, name) ? (events[name] as Test) : pending(`no record is called ${name} here`))

/** Where an item goes on the approvals API. */
export interface Endpoint {
  readonly method: string
  readonly target: string
  /** Whether the body is a vote, and which. */
  readonly vote?: 'approve' | 'deny'
  /** The hold that is to be released in an emergency. */
  readonly glass?: string
  /** Nothing is there, so that 404 and 405 say what a 401 or 403 would say. */
  readonly absent?: true
}

export const endpointOf = (method: string, target: string, body = ''): Endpoint => {
  const glass = target === '/api/break-glass' ? /"request":"([^"]+)"/.exec(body)?.[1] : undefined
  if (glass !== undefined) return { method, target: `/api/holds/${glass}/break-glass`, glass }
  const [, id, verb] = /^\/api\/approvals\/([^/?]+)\/(approve|reject)$/.exec(target) ?? []
  if (id !== undefined) return { method, target: `/api/holds/${id}/votes`, vote: verb === 'approve' ? 'approve' : 'deny' }
  if (/^\/api\/approvals(?:\?|$)/.test(target)) return { method, target: target.replace('/api/approvals', '/api/holds') }
  if (target.startsWith('/api/approvals/')) return { method, target: target.replace('/api/approvals', '/api/holds') }
  if (target === '/api/me') return { method, target: '/api/whoami' }
  if (target.startsWith('/api/audit?approval=')) return { method, target: target.replace('approval=', 'case=') }
  if (/^\/(?:oauth2\/(?:start|callback)(?:\?|$)|holds\/|$)/.test(target)) return { method, target }
  return { method, target, absent: true }
}

export interface Tolerance {
  readonly statuses: readonly number[]
  readonly reason: string
}

/**
 * Statuses that are ours by design where the cases list another one. Never used for a reply that let an action through:
 * each is a refusal, and what the upstream saw is compared as it stands.
 */
export const tolerances = (listed: readonly unknown[], { absent, listener, mcp, denial, vote, glass }: { readonly glass: boolean; readonly absent: boolean; readonly listener: string; readonly mcp: boolean; readonly denial: boolean; readonly vote: boolean }): readonly Tolerance[] => {
  const found: Tolerance[] = []
  if (mcp && denial) found.push({ statuses: [403], reason: 'MCP is carried as JSON-RPC over HTTP: a denial is that of HTTP' })
  if (listed.includes(426)) found.push({ statuses: [403], reason: 'an upgrade that is not offered is refused by policy; nothing else is offered instead' })
  if (glass && listed.includes(403)) found.push({ statuses: [422], reason: 'a reason that is missing or too short is 422' })
  if (absent && [400, 401, 403].some((status) => listed.includes(status))) found.push({ statuses: [404, 405], reason: 'the interface that the case names does not exist here' })
  if (vote && listed.includes(403)) found.push({ statuses: [404], reason: 'a hold on which somebody may not vote is not there for them' })
  if (listener === 'admin' && (listed.includes(401) || listed.includes(403))) found.push({ statuses: [403, 404, 405, 421], reason: 'the admin listener knows no login: it is bound to loopback, and nothing can be loaded through it' })
  if (listed.includes(410) && listed.includes(404)) found.push({ statuses: [409], reason: 'a hold that is gone is no longer there to be executed' })
  return found
}

/** `Keep-Alive` belongs to one hop: on ours it says how long we keep a connection, in seconds of ours, and never what an upstream said. */
export const isOurs = (name: string, value: string): boolean => name === 'keep-alive' && /^timeout=\d+$/.test(value) && value !== 'timeout=5'

/** Channels by which a vote can come in today. */
export const channelOf = (via: string): { readonly replica?: string } => {
  const [, channel = '', replica] = /^(console|api|cli|api with personal token|slack|teams)(?: on (\S+))?$/.exec(via) ?? pending(`a vote cannot come in via ${via} here`)
  if (channel === 'teams') pending('votes of a step come in by Slack here, of all chats')
  return replica === undefined ? {} : { replica }
}

/** Areas, and what stands between them and a run. */
export const notYet: Readonly<Record<string, string>> = {
  mysql: 'MySQL is not spoken yet',
}

/** What kind of item is not driven, and why. */
export const notYetItem: Readonly<Record<string, string>> = {
  mysql: 'MySQL is not spoken yet',
  mysql_packets: 'MySQL is not spoken yet',
  mysql_hex: 'MySQL is not spoken yet',
  h2: 'HTTP/2 is not spoken',
}

/** What is not there by design, and will not be. */
export const neverItem: Readonly<Record<string, string>> = {
  edit: 'a held action is never edited: a changed action is another action, with a digest and votes of its own',
}
