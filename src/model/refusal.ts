import type { Hold } from './hold.ts'

/** Every way in which we say no. Adding one breaks the build until every protocol can say it. */
export type RefusalCode =
  | 'malformed'
  | 'too-large'
  | 'unsupported-media'
  | 'misdirected'
  | 'not-found'
  | 'no-identity'
  | 'bad-identity'
  | 'two-identities'
  | 'identity-unavailable'
  | 'denied'
  | 'upgrade-refused'
  | 'hold-pending'
  | 'hold-denied'
  | 'hold-expired'
  | 'hold-withdrawn'
  | 'hold-spent'
  | 'hold-changed'
  | 'too-many-holds'
  | 'too-many-waiting'
  | 'not-eligible'
  | 'self-approval'
  | 'assurance-too-low'
  | 'not-together'
  | 'wrong-channel'
  | 'already-voted'
  | 'already-settled'
  | 'wrong-digest'
  | 'reason-required'
  | 'store-unavailable'
  | 'journal-unavailable'
  | 'record-unconfirmed'
  | 'upstream-unavailable'
  | 'upstream-timeout'
  | 'draining'

export interface RefusalDetail {
  /** Private; goes to the log, never to the client. */
  readonly cause?: unknown
  /** Which rule, for the client. */
  readonly rule?: string
  /** What the client should do instead. */
  readonly instead?: string
  readonly hold?: Hold
  readonly retryAfterSeconds?: number
}

/** Our no: a code, a public text for the client, a private cause for the log. Bugs are `Error`s. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode
  readonly detail: RefusalDetail

  constructor(code: RefusalCode, publicText: string, detail: RefusalDetail = {}) {
    super(publicText, 'cause' in detail ? { cause: detail.cause } : undefined)
    this.code = code
    this.detail = detail
  }
}

/** The private reason, flattened for a log line. */
export const causeText = (cause: unknown): string | undefined => {
  if (cause === undefined) return undefined
  if (cause instanceof Error) return cause.cause === undefined ? cause.message : `${cause.message}: ${causeText(cause.cause)}`
  return String(cause)
}
