import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { inTheEnd } from '../../support/until.ts'
import { cut, fieldsOf, message, type Said, strings } from './messages.ts'

/** One connection of a client that keeps everything it hears and repairs nothing. */
export interface RawClient {
  readonly said: Said[]
  /** BackendKeyData as it was told. */
  readonly key: { pid: number; secret: string } | undefined
  /** Settings that the server has reported. */
  readonly settings: ReadonlyMap<string, string>
  /** How many messages had come when the session began. */
  readonly began: number
  readonly closed: boolean
  readonly bytes: () => Buffer
  write(bytes: Buffer): void
  /** Waits until so many ReadyForQuery came since the session began, or it is closed, or the time is over. */
  ready(count: number, withinMs: number): Promise<boolean>
  /** Waits until something that satisfies this was said, or it is closed, or the time is over. */
  until(condition: () => boolean, withinMs: number): Promise<boolean>
  end(): void
}

export interface Login {
  readonly user?: string
  readonly database?: string
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly token: string | undefined
}

const open = async (place: number | string, tls: boolean): Promise<Socket> => {
  const socket = typeof place === 'number' ? connect(place, '127.0.0.1') : connect(place)
  socket.setNoDelay(true)
  await once(socket, 'connect')
  if (!tls) return socket
  socket.write(message({ SSLRequest: {} }))
  await once(socket, 'data')
  const secured = connectTls({ socket, rejectUnauthorized: false })
  await once(secured, 'secureConnect')
  return secured
}

/** Connected to a port or a Unix socket; nothing is said yet. */
export const connectRaw = async (place: number | string, tls = false): Promise<RawClient> => {
  const socket = await open(place, tls)
  const said: Said[] = []
  const settings = new Map<string, string>()
  const state = { closed: false, began: 0, key: undefined as { pid: number; secret: string } | undefined }
  let rest: Buffer = Buffer.alloc(0)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    rest = Buffer.concat([rest, chunk])
    const { messages, taken } = cut(rest)
    rest = rest.subarray(taken)
    for (const { type, body } of messages) {
      said.push({ type, body: Buffer.from(body), at: performance.now() })
      if (type === 'K') state.key = { pid: body.readInt32BE(0), secret: body.subarray(4).toString('hex') }
      if (type === 'S') settings.set(strings(body)[0] ?? '', strings(body)[1] ?? '')
    }
  })
  socket.on('error', () => {})
  socket.once('close', () => {
    state.closed = true
  })
  const until = async (condition: () => boolean, withinMs: number): Promise<boolean> => {
    for (const end = performance.now() + withinMs; ; await pause(3)) {
      if (condition()) return true
      if (state.closed || performance.now() > end) return condition()
    }
  }
  return {
    said,
    settings,
    get key() {
      return state.key
    },
    get began() {
      return state.began
    },
    set began(value: number) {
      state.began = value
    },
    get closed() {
      return state.closed
    },
    bytes: () => Buffer.concat(chunks),
    write: (bytes) => void (socket.writable && socket.write(bytes)),
    ready: (count, withinMs) => until(() => said.slice(state.began).filter(({ type }) => type === 'Z').length >= count, withinMs),
    until,
    end: () => socket.destroy(),
  } as RawClient
}

/** Says who it is, and waits for the first ReadyForQuery, a refusal or the end. Whether it is in. */
export const logIn = async (client: RawClient, login: Login, withinMs = inTheEnd): Promise<boolean> => {
  client.write(message({ StartupMessage: { user: login.user ?? 'req-a', ...(login.database === undefined ? {} : { database: login.database }), ...login.parameters } }))
  const asked = await client.until(() => client.said.some(({ type }) => type === 'R' || type === 'E'), withinMs)
  if (!asked) return false
  const first = client.said.find(({ type }) => type === 'R')
  if (first === undefined) return false
  if (first.body.readInt32BE(0) === 3) client.write(message({ Password: { password: login.token ?? '' } }))
  await client.until(() => client.said.some(({ type }) => type === 'Z' || type === 'E'), withinMs)
  const isIn = client.said.some(({ type }) => type === 'Z')
  ;(client as { began: number }).began = isIn ? client.said.length : 0
  return isIn
}

/** What came since the session began (or from the start, where it never did). */
export const heard = (client: RawClient, from = client.began): readonly Said[] => client.said.slice(from)

export const errorsIn = (said: readonly Said[]): readonly Readonly<Record<string, string>>[] => said.filter(({ type }) => type === 'E').map(({ body }) => fieldsOf(body))

export const statusesIn = (said: readonly Said[]): readonly string[] => said.filter(({ type }) => type === 'Z').map(({ body }) => String.fromCharCode(body[0] ?? 0))
