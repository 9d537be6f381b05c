import { malformed, Reader } from './text.ts'
import { int32, packet } from './writing.ts'

/** What may be the first packet of a connection, before messages have types. */
export type FirstPacket =
  | { readonly type: 'ssl' }
  | { readonly type: 'gss' }
  | { readonly type: 'cancel'; readonly pid: number; readonly key: Buffer }
  /** `minor` of protocol 3. `options`: names of protocol extensions that the client asks for. */
  | { readonly type: 'startup'; readonly minor: number; readonly parameters: ReadonlyMap<string, string>; readonly options: readonly string[] }
  | { readonly type: 'unsupported'; readonly major: number; readonly minor: number }

/** As the server has it. */
const longest = 10_000

const sslCode = 80_877_103
const gssCode = 80_877_104
const cancelCode = 80_877_102
const specialMajor = 1234

/** The first packet of what has been read, and where it ends; `undefined`: not all of it is here yet. */
export const takeFirstPacket = (bytes: Buffer): { readonly packet: FirstPacket; readonly end: number } | undefined => {
  if (bytes.length < 4) return undefined
  const length = bytes.readUInt32BE(0)
  if (length < 8 || length > longest) throw malformed('The first packet has an impossible length.')
  if (bytes.length < length) return undefined
  const reader = new Reader(bytes, 4, length)
  const found = firstPacket(reader)
  reader.done()
  return { packet: found, end: length }
}

const firstPacket = (reader: Reader): FirstPacket => {
  const code = reader.uint32()
  if (code === sslCode) return { type: 'ssl' }
  if (code === gssCode) return { type: 'gss' }
  if (code === cancelCode) return cancel(reader)
  const [major, minor] = [code >>> 16, code & 0xffff]
  if (major === specialMajor) throw malformed('There is no such request.')
  if (major !== 3) {
    reader.slice(reader.left)
    return { type: 'unsupported', major, minor }
  }
  return startup(reader, minor)
}

const cancel = (reader: Reader): FirstPacket => {
  const pid = reader.int32()
  if (reader.left < 4 || reader.left > 256) throw malformed('A cancel key has 4 to 256 bytes.')
  return { type: 'cancel', pid, key: reader.slice(reader.left) }
}

const startup = (reader: Reader, minor: number): FirstPacket => {
  const parameters = new Map<string, string>()
  const options: string[] = []
  for (;;) {
    const name = reader.text()
    if (name === '') return { type: 'startup', minor, parameters, options }
    const value = reader.text()
    if (name.startsWith('_pq_.')) options.push(name)
    else if (parameters.has(name)) throw malformed(`The start-up parameter "${name.slice(0, 64)}" stands there twice.`)
    else parameters.set(name, value)
  }
}

export const sslRequest = packet(int32(sslCode))

export const cancelRequest = (pid: number, key: Buffer): Buffer => packet(int32(cancelCode), int32(pid), key)

export const startupPacket = (minor: number, parameters: Iterable<readonly [name: string, value: string]>): Buffer =>
  packet(int32((3 << 16) | minor), ...[...parameters].flat().map((part) => `${part}\0`), '\0')
