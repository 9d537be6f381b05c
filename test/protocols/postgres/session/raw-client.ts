import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { makeFrameReader } from '../../../../src/protocols/postgres/codec/frames.ts'
import { readFields } from '../../../../src/protocols/postgres/codec/backend.ts'
import { cancelRequest, sslRequest, startupPacket } from '../../../../src/protocols/postgres/codec/greeting.ts'
import { int16, int32, message } from '../../../../src/protocols/postgres/codec/writing.ts'
import { until } from '../../../support/until.ts'

const z = (text: string): string => `${text}\0`
const type = (letter: string): number => letter.charCodeAt(0)

/** Messages as a client would send them. */
export const query = (sql: string): Buffer => message(type('Q'), z(sql))
export const parse = (sql: string, name = '', types: readonly number[] = []): Buffer => message(type('P'), z(name), z(sql), int16(types.length), ...types.map(int32))
export const bind = (values: readonly (string | null)[] = [], { statement = '', portal = '' } = {}): Buffer =>
  message(type('B'), z(portal), z(statement), int16(0), int16(values.length), ...values.flatMap((value) => (value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), value])), int16(0))
export const execute = (portal = '', rows = 0): Buffer => message(type('E'), z(portal), int32(rows))
export const describe = (what: 'S' | 'P', name = ''): Buffer => message(type('D'), what, z(name))
export const close = (what: 'S' | 'P', name = ''): Buffer => message(type('C'), what, z(name))
export const flush = message(type('H'))
export const sync = message(type('S'))
export const terminate = message(type('X'))
export const copyData = (text: string): Buffer => message(type('d'), text)
export const copyDone = message(type('c'))
export const functionCall = (oid: number): Buffer => message(type('F'), int32(oid), int16(0), int16(0), int16(0))
export const raw = (letter: string, ...parts: Buffer[]): Buffer => message(type(letter), ...parts)

/** One message of the server, short: `Z I`, `C SELECT 1`, `E 42501`, `D 1|x`, `N 00000`, else its letter. */
const short = (bytes: Buffer): string => {
  const letter = String.fromCharCode(bytes[0] as number)
  const body = bytes.subarray(5)
  switch (letter) {
    case 'Z':
      return `Z ${String.fromCharCode(body[0] as number)}`
    case 'C':
      return `C ${body.toString('utf8', 0, body.length - 1)}`
    case 'E':
    case 'N':
      return `${letter} ${readFields({ type: bytes[0] as number, bytes }).get('C')}`
    case 'D':
      return `D ${valuesOf(body).join('|')}`
    default:
      return letter
  }
}

const valuesOf = (body: Buffer): string[] => {
  const values: string[] = []
  for (let at = 2, left = body.readUInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    values.push(length < 0 ? 'NULL' : body.toString('utf8', at + 4, at + 4 + length))
    at += 4 + Math.max(0, length)
  }
  return values
}

export interface RawClient extends AsyncDisposable {
  readonly socket: Socket
  readonly pid: number
  readonly key: Buffer
  /** What came since the login, in short. */
  readonly heard: readonly string[]
  /** The same as bytes. */
  bytes(): Buffer
  /** The fields of the last error. */
  error(): ReadonlyMap<string, string> | undefined
  /** The texts of all notices. */
  notices(): readonly string[]
  closed(): boolean
  send(...messages: readonly Buffer[]): void
  /** Sends, and waits for so many ReadyForQuery from now on. Gives what came. */
  ask(messages: readonly Buffer[], ready?: number): Promise<readonly string[]>
  /** Resolves when something in this form has come. */
  hears(form: RegExp): Promise<string>
}

const open = async (port: number, tls: boolean): Promise<Socket> => {
  const socket = createConnection(port, '127.0.0.1')
  socket.setNoDelay(true)
  await once(socket, 'connect')
  if (!tls) return socket
  socket.write(sslRequest)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (answer.toString() !== 'S') throw new Error('TLS is not offered')
  const secure = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['postgresql'] })
  await once(secure, 'secureConnect')
  return secure
}

export const connectRaw = async (port: number, token: string, { tls = false } = {}): Promise<RawClient> => {
  const socket = await open(port, tls)
  const reader = makeFrameReader({ limit: () => 2 ** 30, broken: (text) => new Error(text) })
  const heard: string[] = []
  const chunks: Buffer[] = []
  const notices: string[] = []
  let error: ReadonlyMap<string, string> | undefined
  let closed = false
  let [pid, key, loggedIn] = [0, Buffer.alloc(0), false]
  socket.on('error', () => {})
  socket.on('close', () => (closed = true))
  socket.on('data', (chunk: Buffer) => {
    reader.feed(chunk)
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const letter = String.fromCharCode(frame.type)
      if (!loggedIn) {
        if (letter === 'R' && frame.bytes.readInt32BE(5) === 3) socket.write(message(type('p'), z(token)))
        if (letter === 'K') [pid, key] = [frame.bytes.readInt32BE(5), Buffer.from(frame.bytes.subarray(9))]
        if (letter === 'E') error = readFields(frame)
        loggedIn = letter === 'Z'
        continue
      }
      chunks.push(Buffer.from(frame.bytes))
      if (letter === 'E') error = readFields(frame)
      if (letter === 'N') notices.push(readFields(frame).get('M') ?? '')
      heard.push(short(frame.bytes))
    }
  })
  socket.write(startupPacket(0, [['user', 'crm-agent'], ['database', 'crm']]))
  await until('the login', () => loggedIn || closed, 10_000)
  if (!loggedIn) throw new Error(`the login failed: ${error?.get('M')}`)
  const readies = (): number => heard.filter((one) => one.startsWith('Z')).length
  return {
    socket, pid, key, heard,
    bytes: () => Buffer.concat(chunks),
    error: () => error,
    notices: () => notices,
    closed: () => closed,
    send: (...messages) => void socket.write(Buffer.concat(messages)),
    async ask(messages, ready = 1) {
      const [from, before] = [heard.length, readies()]
      socket.write(Buffer.concat(messages))
      await until(`${ready} ReadyForQuery`, () => readies() >= before + ready || closed, 10_000)
      return heard.slice(from)
    },
    hears: (form) => until(String(form), () => heard.find((one) => form.test(one)), 10_000),
    async [Symbol.asyncDispose]() {
      if (closed) return
      const over = once(socket, 'close')
      socket.destroy()
      await over
    },
  }
}

/** A request to cancel, on a connection of its own. Resolves when that has been closed. */
export const cancel = async (port: number, pid: number, key: Buffer): Promise<void> => {
  const socket = createConnection(port, '127.0.0.1')
  const closed = once(socket, 'close')
  socket.on('error', () => {})
  socket.on('connect', () => socket.write(cancelRequest(pid, key)))
  await closed
}

/** Resolves when this number has not changed for a while. */
export const standsStill = async (what: string, number: () => number): Promise<number> => {
  let [last, looks] = [number(), 0]
  await until(`${what} to stand still`, () => {
    const now = number()
    looks = now === last ? looks + 1 : 0
    last = now
    return looks > 60
  }, 20_000)
  return last
}
