import type { Frame } from './frame.ts'
import type { FrameRules } from './frames.ts'
import { malformed, Reader } from './text.ts'

/** What a client says once it is logged in. Buffers are views into the frame. */
export type FrontendMessage =
  | { readonly type: 'query'; readonly sql: string }
  | { readonly type: 'parse'; readonly name: string; readonly sql: string; readonly parameterTypes: readonly number[] }
  | Bind
  | { readonly type: 'describe' | 'close'; readonly what: 'statement' | 'portal'; readonly name: string }
  /** `maxRows`: 0 and less mean all. */
  | { readonly type: 'execute'; readonly portal: string; readonly maxRows: number }
  | { readonly type: 'flush' | 'sync' | 'copy-done' | 'terminate' }
  | { readonly type: 'function-call'; readonly oid: number }
  | { readonly type: 'copy-data'; readonly bytes: Buffer }
  | { readonly type: 'copy-fail'; readonly reason: string }

export interface Bind {
  readonly type: 'bind'
  readonly portal: string
  readonly statement: string
  /** 0 text, 1 binary. Empty: all text. One: for all. */
  readonly parameterFormats: readonly number[]
  readonly parameters: readonly (Buffer | null)[]
  readonly resultFormats: readonly number[]
}

export const frontend = {
  query: 0x51, parse: 0x50, bind: 0x42, describe: 0x44, execute: 0x45, close: 0x43, flush: 0x48, sync: 0x53, functionCall: 0x46,
  copyData: 0x64, copyDone: 0x63, copyFail: 0x66, password: 0x70, terminate: 0x58,
} as const

const names = 16_384
const types = 2 + 4 * 65_535

/** Limits by kind, so that nobody needs a megabyte to say Sync. */
export const frontendRules = (limits: { readonly sqlBytes: number; readonly parameterBytes: number }): FrameRules => ({
  broken: malformed,
  limit(type) {
    switch (type) {
      case frontend.query:
        return limits.sqlBytes + 6
      case frontend.parse:
        return limits.sqlBytes + names + types
      case frontend.bind:
      case frontend.copyData:
      case frontend.functionCall:
        return limits.parameterBytes + names
      case frontend.execute:
      case frontend.describe:
      case frontend.close:
      case frontend.copyFail:
        return names
      case frontend.flush:
      case frontend.sync:
      case frontend.copyDone:
      case frontend.terminate:
        return 5
      default:
        return 0
    }
  },
})

/** Strict: a frame that says more or less than its type has room for is malformed. */
export const decodeFrontend = ({ type, bytes }: Frame): FrontendMessage => {
  const reader = new Reader(bytes, 5)
  const message = decode(type, reader)
  reader.done()
  return message
}

const decode = (type: number, reader: Reader): FrontendMessage => {
  switch (type) {
    case frontend.query:
      return { type: 'query', sql: reader.text() }
    case frontend.parse:
      return { type: 'parse', name: reader.text(), sql: reader.text(), parameterTypes: list(reader, oid) }
    case frontend.bind:
      return bind(reader)
    case frontend.describe:
      return { type: 'describe', what: target(reader), name: reader.text() }
    case frontend.close:
      return { type: 'close', what: target(reader), name: reader.text() }
    case frontend.execute:
      return { type: 'execute', portal: reader.text(), maxRows: reader.int32() }
    case frontend.flush:
      return { type: 'flush' }
    case frontend.sync:
      return { type: 'sync' }
    case frontend.copyDone:
      return { type: 'copy-done' }
    case frontend.terminate:
      return { type: 'terminate' }
    case frontend.copyData:
      return { type: 'copy-data', bytes: reader.slice(reader.left) }
    case frontend.copyFail:
      return { type: 'copy-fail', reason: reader.text() }
    case frontend.functionCall:
      return functionCall(reader)
    default:
      throw malformed('There is no such message.')
  }
}

const bind = (reader: Reader): Bind => {
  const portal = reader.text()
  const statement = reader.text()
  const parameterFormats = list(reader, format)
  const parameters = list(reader, value)
  if (parameterFormats.length > 1 && parameterFormats.length !== parameters.length) throw malformed('A Bind has another number of formats than of parameters.')
  return { type: 'bind', portal, statement, parameterFormats, parameters, resultFormats: list(reader, format) }
}

const functionCall = (reader: Reader): FrontendMessage => {
  const called = oid(reader)
  const formats = list(reader, format)
  const parameters = list(reader, value)
  if (formats.length > 1 && formats.length !== parameters.length) throw malformed('A FunctionCall has another number of formats than of arguments.')
  format(reader)
  return { type: 'function-call', oid: called }
}

const empty: readonly never[] = Object.freeze([])

/** The announced count is believed one element at a time. */
const list = <T>(reader: Reader, element: (reader: Reader) => T): readonly T[] => {
  const count = reader.uint16()
  if (count === 0) return empty
  const found: T[] = []
  for (let n = 0; n < count; n++) found.push(element(reader))
  return found
}

const oid = (reader: Reader): number => reader.uint32()

const format = (reader: Reader): number => {
  const code = reader.uint16()
  if (code > 1) throw malformed('There is no such format.')
  return code
}

const value = (reader: Reader): Buffer | null => {
  const length = reader.int32()
  if (length === -1) return null
  if (length < 0) throw malformed('A value has a negative length.')
  return reader.slice(length)
}

const target = (reader: Reader): 'statement' | 'portal' => {
  const what = reader.byte()
  if (what !== 0x53 && what !== 0x50) throw malformed('Only statements and portals can be described and closed.')
  return what === 0x53 ? 'statement' : 'portal'
}
