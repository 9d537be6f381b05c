import type { Hold } from '../../model/hold.ts'
import type { Refusal, RefusalCode } from '../../model/refusal.ts'
import type { RouteOptions } from './options.ts'

interface Saying {
  readonly status: number
  readonly title: string
  /** Repeating the same request cannot help: SDKs that retry on the status alone are told not to. */
  readonly final: boolean
  /** The bytes on this connection are not to be trusted any further. */
  readonly close?: true
  readonly retryAfter?: number
  /** OpenAI's and Anthropic's word for it. */
  readonly provider: readonly [openai: string, anthropic: string]
}

const invalid = ['invalid_request_error', 'invalid_request_error'] as const
const identity = ['authentication_error', 'authentication_error'] as const
const forbidden = ['permission_error', 'permission_error'] as const
const waiting = ['approval_pending', 'overloaded_error'] as const
const crowded = ['rate_limit_error', 'rate_limit_error'] as const
const broken = ['server_error', 'api_error'] as const

/** How HTTP says each refusal. */
const sayings: Record<RefusalCode, Saying> = {
  'malformed': { status: 400, title: 'Malformed request', final: true, close: true, provider: invalid },
  'too-large': { status: 413, title: 'Too large', final: true, close: true, provider: invalid },
  'unsupported-media': { status: 415, title: 'Unsupported media', final: true, provider: invalid },
  'misdirected': { status: 421, title: 'Misdirected request', final: true, provider: invalid },
  'not-found': { status: 404, title: 'Not found', final: true, provider: ['not_found_error', 'not_found_error'] },
  'no-identity': { status: 401, title: 'No identity', final: true, provider: identity },
  'bad-identity': { status: 401, title: 'Identity not accepted', final: true, provider: identity },
  'two-identities': { status: 400, title: 'Two identities in one request', final: true, provider: invalid },
  'identity-unavailable': { status: 503, title: 'Identity cannot be checked', final: false, retryAfter: 5, provider: broken },
  'denied': { status: 403, title: 'Denied by policy', final: true, provider: forbidden },
  'upgrade-refused': { status: 403, title: 'Upgrade refused', final: true, close: true, provider: invalid },
  'hold-pending': { status: 503, title: 'Waiting for approval', final: false, retryAfter: 5, provider: waiting },
  'hold-denied': { status: 403, title: 'Denied by an approver', final: true, provider: forbidden },
  'hold-expired': { status: 410, title: 'Nobody approved in time', final: true, provider: forbidden },
  'hold-withdrawn': { status: 403, title: 'Withdrawn by the requester', final: true, provider: forbidden },
  'hold-spent': { status: 409, title: 'Approval already used', final: true, provider: forbidden },
  'hold-changed': { status: 409, title: 'The action changed while it waited', final: true, provider: forbidden },
  'too-many-holds': { status: 429, title: 'Too many open holds', final: false, retryAfter: 30, provider: crowded },
  'too-many-waiting': { status: 429, title: 'Too many requests are waiting', final: false, retryAfter: 5, provider: crowded },
  'not-eligible': { status: 403, title: 'Not eligible', final: true, provider: forbidden },
  'self-approval': { status: 403, title: 'Nobody approves their own action', final: true, provider: forbidden },
  'assurance-too-low': { status: 403, title: 'Not sure enough of the approver', final: true, provider: forbidden },
  'wrong-channel': { status: 403, title: 'Decided elsewhere', final: true, provider: forbidden },
  'not-together': { status: 403, title: 'To be decided by itself', final: true, provider: forbidden },
  'already-voted': { status: 409, title: 'Already voted', final: true, provider: forbidden },
  'already-settled': { status: 409, title: 'Already settled', final: true, provider: forbidden },
  'wrong-digest': { status: 409, title: 'Not the action that was shown', final: true, provider: forbidden },
  'reason-required': { status: 400, title: 'A reason is required', final: true, provider: invalid },
  'store-unavailable': { status: 503, title: 'Holds cannot be kept at the moment', final: false, retryAfter: 5, provider: broken },
  'journal-unavailable': { status: 503, title: 'Nothing can be recorded, so nothing runs', final: false, retryAfter: 5, provider: broken },
  'record-unconfirmed': { status: 503, title: 'Its record is not where it has to be, so nothing runs', final: false, retryAfter: 5, provider: broken },
  'upstream-unavailable': { status: 502, title: 'The service cannot be reached', final: false, provider: broken },
  'upstream-timeout': { status: 504, title: 'The service did not answer in time', final: false, provider: broken },
  'draining': { status: 503, title: 'This replica is going away', final: false, retryAfter: 1, provider: broken },
}

/** An answer of our own, ready for the wire: headers as a flat list. */
export interface Answer {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: string | Buffer
  readonly close: boolean
}

export interface Occasion {
  readonly route?: Pick<RouteOptions, 'errors' | 'hold'>
  /** The client asked for it with `Prefer: respond-async`. */
  readonly respondAsync?: boolean
  readonly consoleUrl?: string
  /** The status, where the situation has one of its own (a parser error, a header overflow). */
  readonly status?: number
  /** This replica is going away: come back soon, on another connection. */
  readonly draining?: boolean
}

export const holdPath = (id: string): string => `/.countersign/holds/${id}`

/** The public half of a refusal as HTTP says it. The private cause is nowhere in here. */
export const answerOf = (refusal: Refusal, occasion: Occasion = {}): Answer => {
  const { code, detail } = refusal
  const saying = sayings[code]
  const pending = code === 'hold-pending' || (code === 'draining' && detail.hold !== undefined)
  const accepted = pending && occasion.respondAsync === true
  const status = accepted ? 202 : pending ? (occasion.route?.hold.pendingStatus ?? saying.status) : (occasion.status ?? saying.status)
  const retryAfter = pending && occasion.draining ? 1 : (detail.retryAfterSeconds ?? saying.retryAfter)
  const { hold } = detail
  const headers = ['content-type', 'application/problem+json', 'cache-control', 'no-store']
  if (retryAfter !== undefined) headers.push('retry-after', String(retryAfter))
  if (hold) headers.push('countersign-hold', hold.id)
  if (accepted && hold) headers.push('location', holdPath(hold.id), 'preference-applied', 'respond-async')
  if (saying.final) headers.push('x-should-retry', 'false')
  if (status === 401) headers.push('www-authenticate', code === 'bad-identity' ? 'Bearer error="invalid_token"' : 'Bearer')
  const text = pending && hold ? pendingText(hold, detail.rule) : detailText(refusal)
  const problem = {
    type: `urn:countersign:refusal:${code}`,
    title: saying.title,
    status,
    detail: text,
    code,
    executed: false,
    rule: detail.rule,
    instead: detail.instead,
    retry_after: retryAfter,
    ...(hold ? holdMembers(hold, occasion.consoleUrl) : {}),
  }
  return { status, headers, body: `${JSON.stringify(dressed(problem, occasion.route?.errors ?? 'problem', saying, text))}\n`, close: saying.close === true || occasion.draining === true }
}

/** Bytes went out and nobody can say what they did. Not a refusal: a refusal promises that nothing ran. */
export const answerUnknown = (status: 502 | 504, headSeen: boolean, occasion: Occasion): Answer => {
  const text = `OUTCOME UNKNOWN. The request was sent to the service and ${headSeen ? 'its answer broke off' : 'no answer came back'}: it may or may not have taken effect. Check before you repeat it.`
  const saying: Saying = { status, title: 'Outcome unknown', final: true, provider: broken }
  const problem = { type: 'urn:countersign:outcome-unknown', title: saying.title, status, detail: text, code: 'outcome-unknown' }
  const body = `${JSON.stringify(dressed(problem, occasion.route?.errors ?? 'problem', saying, text))}\n`
  return { status, headers: ['content-type', 'application/problem+json', 'cache-control', 'no-store', 'x-should-retry', 'false'], body, close: false }
}

const pendingText = (hold: Hold, rule: string | undefined): string => {
  const because = rule ?? hold.matched.find((match) => match.then === 'hold' && !match.observed)?.rule
  return `NOT EXECUTED, waiting for approval ${hold.code}${because === undefined ? '' : ` (rule ${because})`}. Repeat the identical request to keep waiting, or follow ${holdPath(hold.id)}.`
}

const detailText = ({ code, message, detail }: Refusal): string => {
  const instead = detail.instead === undefined ? '' : ` Instead: ${detail.instead}`
  return code.startsWith('hold-') && !message.startsWith('NOT EXECUTED') ? `NOT EXECUTED. ${message}${instead}` : `${message}${instead}`
}

const holdMembers = (hold: Hold, consoleUrl: string | undefined) => ({
  instance: holdPath(hold.id),
  hold: hold.id,
  hold_code: hold.code,
  hold_state: hold.state,
  expires_at: new Date(Math.min(hold.runBy ?? hold.deadline, 8.64e15)).toISOString(),
  ...(consoleUrl === undefined ? {} : { approve_at: `${consoleUrl.replace(/\/$/, '')}/holds/${hold.id}` }),
})

/** SDKs of LLM providers show `error.message` and nothing else; on their routes it says what `detail` says. */
const dressed = (problem: object, shape: RouteOptions['errors'], saying: Saying, text: string): object => {
  if (shape === 'openai') return { ...problem, error: { message: text, type: saying.provider[0], param: null, code: 'code' in problem ? problem.code : null } }
  if (shape === 'anthropic') return { ...problem, problem: 'type' in problem ? problem.type : null, type: 'error', error: { type: saying.provider[1], message: text } }
  return problem
}
