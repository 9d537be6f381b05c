import { Refusal } from '../../../model/refusal.ts'
import type { Frame } from './frame.ts'
import type { FrameRules } from './frames.ts'
import { Reader } from './text.ts'

export const backend = {
  authentication: 0x52, keyData: 0x4b, parameterStatus: 0x53, readyForQuery: 0x5a, negotiate: 0x76, error: 0x45, notice: 0x4e, notification: 0x41,
  rowDescription: 0x54, dataRow: 0x44, commandComplete: 0x43, emptyQuery: 0x49, parameterDescription: 0x74, noData: 0x6e, portalSuspended: 0x73,
  parseComplete: 0x31, bindComplete: 0x32, closeComplete: 0x33, copyIn: 0x47, copyOut: 0x48, copyBoth: 0x57, copyData: 0x64, copyDone: 0x63, functionResult: 0x56,
} as const

const known: ReadonlySet<number> = new Set(Object.values(backend))

/** Most that a server says in one message that is no row. */
const longestOther = 16 << 20

const broken = (text: string): Refusal => new Refusal('upstream-unavailable', 'The service sent what is not the PostgreSQL protocol.', { cause: text })

/** `rowBytes`: longest row that is read whole. One that only passes may be as long as the protocol has it. */
export const backendRules = (limits: { readonly rowBytes: number }): FrameRules => ({
  broken,
  limit(type, streamed) {
    if (!known.has(type)) return 0
    if (streamed) return 2 ** 31
    return type === backend.dataRow || type === backend.copyData ? limits.rowBytes : longestOther
  },
})

/** One letter each: S, V, C, M, D, H, P … */
export type Fields = ReadonlyMap<string, string>

export type TransactionStatus = 'I' | 'T' | 'E'

export interface Column {
  readonly name: string
  /** 0: not a column of a table. */
  readonly table: number
  readonly attribute: number
  readonly type: number
  readonly size: number
  readonly modifier: number
  readonly format: number
}

export type Authentication =
  | { readonly method: 'ok' | 'cleartext' | 'other'; readonly code: number }
  | { readonly method: 'md5'; readonly salt: Buffer }
  | { readonly method: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly method: 'sasl-continue' | 'sasl-final'; readonly data: Buffer }

const body = <T>({ bytes }: Frame, read: (reader: Reader) => T): T => {
  const reader = new Reader(bytes, 5, bytes.length, broken)
  const found = read(reader)
  reader.done()
  return found
}

export const readRowDescription = (frame: Frame): readonly Column[] =>
  body(frame, (reader) => {
    const columns: Column[] = []
    for (let left = reader.uint16(); left > 0; left--) columns.push({ name: reader.looseText(), table: reader.uint32(), attribute: reader.int16(), type: reader.uint32(), size: reader.int16(), modifier: reader.int32(), format: reader.uint16() })
    return columns
  })

/** Of an ErrorResponse or a NoticeResponse. */
export const readFields = (frame: Frame): Fields =>
  body(frame, (reader) => {
    const fields = new Map<string, string>()
    for (let letter = reader.byte(); letter !== 0; letter = reader.byte()) fields.set(String.fromCharCode(letter), reader.looseText())
    return fields
  })

export const readParameterStatus = (frame: Frame): { readonly name: string; readonly value: string } => body(frame, (reader) => ({ name: reader.looseText(), value: reader.looseText() }))

export const readKeyData = (frame: Frame): { readonly pid: number; readonly key: Buffer } =>
  body(frame, (reader) => {
    const pid = reader.int32()
    if (reader.left < 4 || reader.left > 256) throw broken('A cancel key has 4 to 256 bytes.')
    return { pid, key: reader.slice(reader.left) }
  })

const statuses: Readonly<Record<number, TransactionStatus>> = { 0x49: 'I', 0x54: 'T', 0x45: 'E' }

export const readStatus = (frame: Frame): TransactionStatus =>
  body(frame, (reader) => {
    const status = statuses[reader.byte()]
    if (status === undefined) throw broken('There is no such transaction status.')
    return status
  })

/** The command tag, such as `UPDATE 3`. */
export const readCommandComplete = (frame: Frame): string => body(frame, (reader) => reader.looseText())

/** The rows that a command tag counts. */
export const rowsOf = (tag: string): number | undefined => {
  const digits = / (\d{1,15})$/.exec(tag)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export const readParameterDescription = (frame: Frame): readonly number[] =>
  body(frame, (reader) => Array.from({ length: reader.uint16() }, () => reader.uint32()))

export const readNotification = (frame: Frame): { readonly pid: number; readonly channel: string; readonly payload: string } =>
  body(frame, (reader) => ({ pid: reader.int32(), channel: reader.looseText(), payload: reader.looseText() }))

export const readNegotiation = (frame: Frame): { readonly minor: number; readonly options: readonly string[] } =>
  body(frame, (reader) => {
    const version = reader.uint32()
    if (version >>> 16 !== 3) throw broken('There is no such protocol.')
    const options: string[] = []
    for (let left = reader.uint32(); left > 0; left--) options.push(reader.looseText())
    return { minor: version & 0xffff, options }
  })

export const readAuthentication = (frame: Frame): Authentication => body(frame, authentication)

const authentication = (reader: Reader): Authentication => {
  const code = reader.int32()
  switch (code) {
    case 0:
      return { method: 'ok', code }
    case 3:
      return { method: 'cleartext', code }
    case 5:
      return { method: 'md5', salt: reader.slice(4) }
    case 10:
      return { method: 'sasl', mechanisms: mechanisms(reader) }
    case 11:
      return { method: 'sasl-continue', data: reader.slice(reader.left) }
    case 12:
      return { method: 'sasl-final', data: reader.slice(reader.left) }
    default:
      reader.slice(reader.left)
      return { method: 'other', code }
  }
}

const mechanisms = (reader: Reader): string[] => {
  const found: string[] = []
  for (let name = reader.looseText(); name !== ''; name = reader.looseText()) found.push(name)
  return found
}
