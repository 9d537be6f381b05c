import { backend, readFields, readNotification } from '../codec/backend.ts'
import type { Frame } from '../codec/frame.ts'
import { errorResponse, noticeResponse } from '../codec/reply.ts'
import { cstring, int32, message } from '../codec/writing.ts'

/** Longest text of one field that reaches a client, and longest payload of a notification, in characters. The server's own limit for payloads is 8000 bytes. */
export const LONGEST_FIELD = 8_000

/** Severity in both spellings, SQLSTATE, position: they tell where, and quote nothing. */
const KEPT = new Set(['S', 'V', 'C', 'P'])

const TEXTS = { error: 'The statement failed. The text of the error is withheld: it may quote masked values.', notice: 'The text of this notice is withheld: it may quote masked values.' }

/**
 * An ErrorResponse or NoticeResponse as it may reach the client of a session with masks: without the texts, which quote values.
 * A SQLSTATE is one of a few hundred: it tells that something failed, not with which value.
 */
export const guardDiagnostic = (frame: Frame): Buffer => {
  const fields = new Map([...readFields(frame)].filter(([letter]) => KEPT.has(letter)))
  const error = frame.type === backend.error
  fields.set('M', error ? TEXTS.error : TEXTS.notice)
  return error ? errorResponse(fields) : noticeResponse(fields)
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
