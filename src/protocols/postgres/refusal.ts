import type { Hold } from '../../model/hold.ts'
import type { Refusal, RefusalCode } from '../../model/refusal.ts'
import { errorResponse } from './codec/reply.ts'
import type { Fields } from './codec/backend.ts'

interface Saying {
  readonly sqlstate: string
  /** FATAL: the connection ends with it. */
  readonly severity: 'ERROR' | 'FATAL'
}

const fatal = (sqlstate: string): Saying => ({ sqlstate, severity: 'FATAL' })
const error = (sqlstate: string): Saying => ({ sqlstate, severity: 'ERROR' })

/** How PostgreSQL says each refusal. */
const sayings: Record<RefusalCode, Saying> = {
  'malformed': fatal('08P01'),
  'too-large': fatal('54000'),
  'unsupported-media': error('0A000'),
  'misdirected': fatal('3D000'),
  'not-found': fatal('3D000'),
  'no-identity': fatal('28000'),
  'bad-identity': fatal('28P01'),
  'two-identities': fatal('28000'),
  'identity-unavailable': error('57P03'),
  'denied': error('42501'),
  'upgrade-refused': error('0A000'),
  'hold-pending': error('57014'),
  'hold-denied': error('42501'),
  'hold-expired': error('57014'),
  'hold-withdrawn': error('57014'),
  'hold-spent': error('42501'),
  'hold-changed': error('42501'),
  'too-many-holds': error('53300'),
  'too-many-waiting': error('53300'),
  'not-eligible': error('42501'),
  'self-approval': error('42501'),
  'assurance-too-low': error('42501'),
  'not-together': error('42501'),
  'wrong-channel': error('42501'),
  'already-voted': error('42501'),
  'already-settled': error('42501'),
  'wrong-digest': error('42501'),
  'reason-required': error('42501'),
  'store-unavailable': error('57P03'),
  'journal-unavailable': error('57P03'),
  'record-unconfirmed': error('57P03'),
  'upstream-unavailable': fatal('08006'),
  'upstream-timeout': fatal('08006'),
  'draining': fatal('57P01'),
}

export interface Occasion {
  /** The connection ends with it, whatever the code. */
  readonly fatal?: boolean
  /** Nobody is logged in yet: then it is fatal, and who goes away has not been there. */
  readonly login?: boolean
  readonly consoleUrl?: string
}

export const isFatal = (refusal: Refusal): boolean => sayings[refusal.code].severity === 'FATAL'

/** The public half of a refusal as the fields of an ErrorResponse. The private cause is nowhere in here. */
export const fieldsOf = (refusal: Refusal, occasion: Occasion = {}): Fields => {
  const { code, detail } = refusal
  const { sqlstate, severity } = occasion.login && code === 'draining' ? fatal('57P03') : sayings[code]
  const said = occasion.fatal || occasion.login ? 'FATAL' : severity
  const hint = hintOf(refusal, occasion.consoleUrl)
  const fields: [string, string][] = [['S', said], ['V', said], ['C', sqlstate], ['M', plain(messageOf(refusal))]]
  if (detail.rule !== undefined) fields.push(['D', plain(`Rule: ${detail.rule}`)])
  if (hint !== '') fields.push(['H', plain(hint)])
  return new Map(fields)
}

export const errorOf = (refusal: Refusal, occasion: Occasion = {}): Buffer => errorResponse(fieldsOf(refusal, occasion))

const messageOf = ({ code, message }: Refusal): string => (code.startsWith('hold-') && !message.startsWith('NOT EXECUTED') ? `NOT EXECUTED. ${message}` : message)

/** The usual mistakes: the database's password, and a token that has expired. */
const freshToken = 'Connect with an access token that is valid now, not with a password of the database.'

const hintOf = ({ code, detail: { instead = code === 'bad-identity' ? freshToken : undefined, hold } }: Refusal, consoleUrl: string | undefined): string => {
  const named = hold === undefined ? undefined : `Hold ${hold.code} (${hold.id})${consoleUrl === undefined ? '' : `: ${holdUrl(consoleUrl, hold)}`}`
  return [instead, named].filter((part) => part !== undefined).join(' ')
}

/** Where people decide on it. */
export const holdUrl = (consoleUrl: string, { id }: Pick<Hold, 'id'>): string => `${consoleUrl.replace(/\/$/, '')}/holds/${id}`

const longestText = 8_192

/** Terminals obey control characters, and a NUL ends the field. Some of the texts are an approver's own words. */
export const plain = (text: string): string => text.slice(0, longestText).replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => (character === '\n' || character === '\t' ? character : '\ufffd'))
