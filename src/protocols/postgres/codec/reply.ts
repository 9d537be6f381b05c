import { backend, type Fields, type TransactionStatus } from './backend.ts'
import { cstring, int32, message } from './writing.ts'

/** What we say to a client in the server's place. */

const fieldsOf = (fields: Iterable<readonly [letter: string, text: string]>): string => {
  let text = ''
  for (const [letter, value] of fields) text += cstring(`${letter}${value}`)
  return `${text}\0`
}

export const errorResponse = (fields: Fields): Buffer => message(backend.error, fieldsOf(fields))

export const noticeResponse = (fields: Fields): Buffer => message(backend.notice, fieldsOf(fields))

export const parameterStatus = (name: string, value: string): Buffer => message(backend.parameterStatus, cstring(name), cstring(value))

export const keyData = (pid: number, key: Buffer): Buffer => message(backend.keyData, int32(pid), key)

/** Only behind a login of our own: any later one is the server's to say. */
export const readyForQuery = (status: TransactionStatus): Buffer => message(backend.readyForQuery, status)

export const negotiateProtocolVersion = (minor: number, options: readonly string[]): Buffer => message(backend.negotiate, int32((3 << 16) | minor), int32(options.length), ...options.map(cstring))

export const authenticationOk = message(backend.authentication, int32(0))

export const authenticationCleartext = message(backend.authentication, int32(3))

export const authenticationSasl = (mechanisms: readonly string[]): Buffer => message(backend.authentication, int32(10), ...mechanisms.map(cstring), '\0')

export const authenticationSaslContinue = (data: string): Buffer => message(backend.authentication, int32(11), data)
