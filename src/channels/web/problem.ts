import type { ServerResponse } from 'node:http'
import { Refusal, type RefusalCode } from '../../model/refusal.ts'

/** How HTTP says each refusal. */
export const statusOf: Readonly<Record<RefusalCode, number>> = {
  'malformed': 400,
  'too-large': 413,
  'unsupported-media': 415,
  'misdirected': 421,
  'not-found': 404,
  'no-identity': 401,
  'bad-identity': 401,
  'two-identities': 400,
  'identity-unavailable': 503,
  'denied': 403,
  'upgrade-refused': 400,
  'hold-pending': 409,
  'hold-denied': 409,
  'hold-expired': 410,
  'hold-withdrawn': 409,
  'hold-spent': 409,
  'hold-changed': 409,
  'too-many-holds': 429,
  'too-many-waiting': 503,
  'not-eligible': 403,
  'self-approval': 403,
  'assurance-too-low': 403,
  'not-together': 403,
  'wrong-channel': 403,
  'already-voted': 409,
  'already-settled': 409,
  'wrong-digest': 409,
  'reason-required': 422,
  'store-unavailable': 503,
  'journal-unavailable': 503,
  'record-unconfirmed': 503,
  'upstream-unavailable': 502,
  'upstream-timeout': 504,
  'draining': 503,
}

/** A method that the resource does not have: said by HTTP alone, so it is no refusal code. */
export class WrongMethod extends Error {
  override readonly name = 'WrongMethod'
  readonly allowed: readonly string[]
  constructor(allowed: readonly string[]) {
    super(`This resource knows only ${allowed.join(', ')}.`)
    this.allowed = allowed
  }
}

interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

const titles: Readonly<Record<number, string>> = { 400: 'Bad request', 401: 'Not logged in', 403: 'Not allowed', 404: 'Not found', 405: 'Method not allowed', 409: 'Conflict', 410: 'Too late', 413: 'Too large', 415: 'Unsupported media type', 421: 'Misdirected', 422: 'Incomplete', 429: 'Too many', 503: 'Unavailable' }

/** The answer for anything thrown. What is not a refusal is our own fault and says nothing of itself. */
export const problemOf = (error: unknown): Problem => {
  if (error instanceof WrongMethod) return problem(405, 'method-not-allowed', error.message, { allow: error.allowed.join(', ') })
  if (!(error instanceof Refusal)) return problem(500, 'internal', 'Something went wrong here. It has been logged.')
  const status = statusOf[error.code]
  const { hold, instead, retryAfterSeconds } = error.detail
  const headers: Record<string, string> = {}
  if (status === 401) headers['www-authenticate'] = error.code === 'no-identity' ? 'Bearer' : 'Bearer error="invalid_token"'
  if (status === 503 || retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds ?? 5)
  return problem(status, error.code, error.message, headers, {
    ...(hold ? { hold: { id: hold.id, code: hold.code, state: hold.state } } : {}),
    ...(instead === undefined ? {} : { instead }),
  })
}

const problem = (status: number, code: string, detail: string, headers: Record<string, string> = {}, more: Record<string, unknown> = {}): Problem => ({
  status,
  headers: { ...headers, 'content-type': 'application/problem+json' },
  body: { type: `urn:countersign:problem:${code}`, title: titles[status] ?? 'Failed', status, code, detail, ...more },
})

export const sendProblem = (response: ServerResponse, error: unknown): void => {
  const { status, headers, body } = problemOf(error)
  if (response.headersSent) return void response.destroy()
  response.writeHead(status, headers)
  response.end(`${JSON.stringify(body)}\n`)
}
