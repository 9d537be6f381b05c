import { Refusal } from '../../model/refusal.ts'
import { errorResponse } from './codec/reply.ts'
import { fieldsOf, plain } from './refusal.ts'
import type { Reading } from './sql/reading.ts'

/** What the server itself would say of a name that it does not know, or in a transaction that has failed. */
export type ServerCode = '25P02' | '26000' | '34000' | '42601' | '53400'

export const serverError = (code: ServerCode, text: string): Buffer =>
  errorResponse(new Map([['S', 'ERROR'], ['V', 'ERROR'], ['C', code], ['M', plain(text)]]))

export const aborted = serverError('25P02', 'current transaction is aborted, commands ignored until end of transaction block')

/** A refusal after which the session goes on. */
export const refusalError = (refusal: Refusal, consoleUrl: string): Buffer =>
  errorResponse(new Map([...fieldsOf(refusal, { consoleUrl }), ['S', 'ERROR'], ['V', 'ERROR']]))

/** Where no rule speaks of a text because it is no SQL, its author wants to know why. */
export const deniedText = (refusal: Refusal | Buffer, { problem }: Reading): Refusal | Buffer =>
  refusal instanceof Refusal && refusal.code === 'denied' && refusal.detail.rule === undefined && problem !== undefined && /^(?:syntax error|unterminated)/.test(problem) ? serverError('42601', problem) : refusal

/** Whether the session ends with it. */
export const endsSession = ({ code }: Refusal): boolean => code === 'malformed' || code === 'draining'
