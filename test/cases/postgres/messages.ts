import { isTree, list, type Tree } from '../loader.ts'
import { pending } from '../outcome.ts'

/* The cases' notation of PostgreSQL messages as bytes, and bytes as messages. Written on its own: what is under test reads with another hand. */

const text = (value: unknown): Buffer => Buffer.from(`${String(value ?? '')}\0`)
const bytes = (value: string): Buffer => Buffer.from(value.replaceAll(/\s/g, ''), 'hex')

const int16 = (value: number): Buffer => {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}

const int32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value | 0)
  return buffer
}

const framed = (type: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type, 'latin1'), int32(body.length + 4), body])
}

const untyped = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length + 4), body])
}

const valueOf = (value: unknown): Buffer => {
  if (value === null) return int32(-1)
  const content = Buffer.from(String(value))
  return Buffer.concat([int32(content.length), content])
}

const bind = (fields: Tree): Buffer => {
  const parameters = list(fields['params'])
  const formats = (name: string): Buffer => Buffer.concat([int16(list(fields[name]).length), ...list(fields[name]).map((format) => int16(format === 'binary' || format === 1 ? 1 : 0))])
  return framed('B', text(fields['portal']), text(fields['statement']), formats('formats'), int16(parameters.length), ...parameters.map(valueOf), formats('result_formats'))
}

const target = (type: string) => (fields: Tree): Buffer => ('statement' in fields ? framed(type, Buffer.from('S'), text(fields['statement'])) : framed(type, Buffer.from('P'), text(fields['portal'])))

const makers: Readonly<Record<string, (fields: Tree) => Buffer>> = {
  StartupMessage: (fields) => untyped(int32(196_608), ...Object.entries(fields).flatMap(([name, value]) => [text(name), text(value)]), Buffer.from([0])),
  SSLRequest: () => untyped(int32(80_877_103)),
  GSSENCRequest: () => untyped(int32(80_877_104)),
  CancelRequest: ({ pid, key }) => untyped(int32(80_877_102), int32(Number(pid)), typeof key === 'string' && /^[0-9a-f]{8,}$/.test(key) ? bytes(key) : int32(Number(key))),
  Query: ({ sql }) => framed('Q', text(sql)),
  Parse: (fields) => framed('P', text(fields['name']), text(fields['sql']), int16(list(fields['types']).length), ...list(fields['types']).map((oid) => int32(Number(oid)))),
  Bind: bind,
  Describe: target('D'),
  Close: target('C'),
  Execute: (fields) => framed('E', text(fields['portal']), int32(Number(fields['max_rows'] ?? 0))),
  Sync: () => framed('S'),
  Flush: () => framed('H'),
  FunctionCall: (fields) => framed('F', int32(Number(fields['oid'])), int16(0), int16(list(fields['args']).length), ...list(fields['args']).map(valueOf), int16(0)),
  CopyData: ({ data }) => framed('d', Buffer.from(String(data), 'latin1')),
  CopyDone: () => framed('c'),
  CopyFail: ({ reason }) => framed('f', text(reason)),
  Terminate: () => framed('X'),
  Password: ({ password }) => framed('p', text(password)),
}

/** One message of a case, `{ Query: "…" }`. */
export const message = (source: Tree): Buffer => {
  const [[name, fields] = ['', {}]] = Object.entries(source)
  const make = Object.hasOwn(makers, name) ? makers[name] : undefined
  if (make === undefined) return pending(`no PostgreSQL message is called ${name}`)
  return make(isTree(fields) ? fields : { sql: fields })
}

export const opening: ReadonlySet<string> = new Set(['StartupMessage', 'SSLRequest', 'GSSENCRequest', 'CancelRequest'])

export const nameOf = (source: Tree): string => Object.keys(source)[0] ?? ''

export { bytes as hex }

/** A message of the server. */
export interface Said {
  readonly type: string
  readonly body: Buffer
  /** When it came, by `performance.now()`. */
  readonly at: number
}

/** Complete messages of a stream so far, and how many bytes they take. */
export const cut = (stream: Buffer): { readonly messages: readonly { readonly type: string; readonly body: Buffer }[]; readonly taken: number } => {
  const messages: { readonly type: string; readonly body: Buffer }[] = []
  let at = 0
  while (stream.length >= at + 5) {
    const length = stream.readInt32BE(at + 1)
    if (length < 4 || stream.length < at + 1 + length) break
    messages.push({ type: String.fromCharCode(stream[at] ?? 0), body: stream.subarray(at + 5, at + 1 + length) })
    at += 1 + length
  }
  return { messages, taken: at }
}

/** Fields of an ErrorResponse or a NoticeResponse by their letter. */
export const fieldsOf = (body: Buffer): Readonly<Record<string, string>> => {
  const fields: Record<string, string> = {}
  for (const part of body.toString().split('\0')) if (part !== '') fields[part[0] ?? ''] = part.slice(1)
  return fields
}

/** Values of a DataRow; binary ones as they came, in latin1. */
export const valuesOf = (body: Buffer): readonly (string | null)[] => {
  const values: (string | null)[] = []
  let at = 2
  for (let left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    values.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return values
}

export const strings = (body: Buffer): readonly string[] => body.toString().split('\0')
