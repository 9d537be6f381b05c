import { backend, readFields, readNotification } from '../codec/backend.ts'
import type { Frame } from '../codec/frame.ts'
import { errorResponse, noticeResponse } from '../codec/reply.ts'
import { cstring, int32, message } from '../codec/writing.ts'

/** Longest text of one field that reaches a client, and longest payload of a notification, in characters. The server's own limit for payloads is 8000 bytes. */
export const LONGEST_FIELD = 8_000

/** Severity in both spellings and SQLSTATE. */
const KEPT = new Set(['S', 'V', 'C'])

/**
 * Position, and names: schema, table, column, type, constraint. Where there is a context, code of somebody's own may have written into them what it
 * likes, and the position may be one in a value (`ssn::regtype`).
 */
const KEPT_WITHOUT_CONTEXT = new Set(['P', 's', 't', 'c', 'd', 'n'])

const WITHHELD = 'The text of the error is withheld: it may quote masked values.'

/** What went wrong, in our words. */
const MEANINGS: Readonly<Record<string, string>> = {
  '22001': 'A value is too long for its type.',
  '22003': 'A number is out of the range of its type.',
  '22007': 'A value has not the form of a date or time.',
  '22008': 'A date or time is out of range.',
  '22012': 'Division by zero.',
  '22P02': 'A value has not the form of its type.',
  '23502': 'A column that must have a value would have none.',
  '23503': 'A foreign key is violated: a row that is referred to is not there, or one that is referred to would go.',
  '23505': 'A value that must be unique is there already.',
  '23514': 'A check constraint is violated.',
  '23P01': 'An exclusion constraint is violated.',
  '25006': 'The transaction is read-only.',
  '25P02': 'current transaction is aborted, commands ignored until end of transaction block',
  '40001': 'could not serialize access: try the transaction again',
  '40P01': 'deadlock detected',
  '53300': 'too many connections',
  '55P03': 'lock not available',
  '57014': 'The statement was cancelled, by request or because a timeout was over.',
  '57P01': 'terminating connection due to administrator command',
}

/** The server's words about a bound value: the client's own. */
const PARAMETER = /^(?:unnamed portal|portal "[^\n]*") parameter \$\d+(?: = [^\n]*)?$/

/**
 * Whether an error can only quote the client: it points into the client's own text, which the server does while it reads it and not when it runs,
 * or it is about the form of a bound value.
 */
const quotesOnlyTheClient = (fields: ReadonlyMap<string, string>): boolean => {
  if (fields.has('p') || fields.has('q')) return false
  const context = fields.get('W')
  return context === undefined ? fields.has('P') : PARAMETER.test(context)
}

/**
 * An ErrorResponse or NoticeResponse as it may reach the client of a session with masks: without texts that may quote values.
 * A SQLSTATE is one of a few hundred: it tells that something failed, not with which value.
 */
export const guardDiagnostic = (frame: Frame): Buffer => {
  const all = readFields(frame)
  const error = frame.type === backend.error
  if (error && quotesOnlyTheClient(all)) return boundDiagnostic(frame)
  const fields = new Map([...all].filter(([letter]) => KEPT.has(letter) || (KEPT_WITHOUT_CONTEXT.has(letter) && !all.has('W'))))
  if (!error) return noticeResponse(fields.set('M', 'The text of this notice is withheld: it may quote masked values.'))
  const meaning = MEANINGS[fields.get('C') ?? '']
  return errorResponse(meaning === undefined ? fields.set('M', `The statement failed. ${WITHHELD}`) : fields.set('M', meaning).set('D', WITHHELD))
}

/** Without masks: texts are cut to `LONGEST_FIELD`. The frame itself where nothing is longer. */
export const boundDiagnostic = (frame: Frame): Buffer => {
  if (frame.bytes.length <= LONGEST_FIELD) return frame.bytes
  const fields = new Map([...readFields(frame)].map(([letter, text]) => [letter, cut(text)]))
  return frame.type === backend.error ? errorResponse(fields) : noticeResponse(fields)
}

/** A notification comes from any session, so of its payload nothing is known: a session with masks gets none. */
export const guardNotification = (frame: Frame, masks: boolean): Buffer => {
  if (!masks && frame.bytes.length <= LONGEST_FIELD) return frame.bytes
  const { pid, channel, payload } = readNotification(frame)
  return message(backend.notification, int32(pid), cstring(cut(channel)), cstring(masks ? '' : cut(payload)))
}

const cut = (text: string): string => (text.length <= LONGEST_FIELD ? text : `${text.slice(0, LONGEST_FIELD)} [cut]`)

/** In the place of what ends a result that has more rows than the limit: CommandComplete, PortalSuspended, or the error of our own cancelling. */
export const limitError = (rows: number, writes: boolean): Buffer =>
  errorResponse(
    new Map([
      ['S', 'ERROR'],
      ['V', 'ERROR'],
      ['C', '53400'],
      ['M', `The result has more than the ${rows} rows that the policy allows. What came so far is not all of it.`],
      ...(writes ? ([['D', 'The statement also changes data. Whether the change stands is told by the transaction: it was cancelled where it had not ended yet.']] as const) : []),
      ['H', 'Ask for fewer rows, with a condition or LIMIT.'],
    ]),
  )

/** In the place of the server's word that a change by a grant is done, where it was a larger one than was counted. It is rolled back. */
export const grantError = (rows: number, uncounted: boolean): Buffer =>
  errorResponse(
    new Map([
      ['S', 'ERROR'],
      ['V', 'ERROR'],
      ['C', '53400'],
      ['M', `NOT EXECUTED. ${uncounted ? 'The server did not say at once how many rows it changed' : `It would have changed more than the ${rows} rows that were counted`} when a grant let it run, and it is rolled back.`],
      ['H', uncounted ? 'Fetch all rows of it at once.' : 'Send it again to ask for approval.'],
    ]),
  )

/** In the place of the server's word that the statement was cancelled, where the time that a policy gives it was over. */
export const timeError = (ms: number): Buffer =>
  errorResponse(
    new Map([
      ['S', 'ERROR'],
      ['V', 'ERROR'],
      ['C', '57014'],
      ['M', `The statement was stopped: it took longer than the ${ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`} that the policy allows.`],
      ['H', 'Ask for less at once.'],
    ]),
  )
