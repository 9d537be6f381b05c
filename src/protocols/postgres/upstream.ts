import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Refusal } from '../../model/refusal.ts'
import { makeByteSource, nextFrame } from './byte-source.ts'
import { backend, readKeyData, readNegotiation, readParameterStatus, readStatus } from './codec/backend.ts'
import { type FrameRules, makeFrameReader } from './codec/frames.ts'
import { frontend } from './codec/frontend.ts'
import { cancelRequest, startupPacket } from './codec/greeting.ts'
import { message } from './codec/writing.ts'
import type { PostgresRole, PostgresTarget } from './options.ts'
import { authenticate, type Exchange, serverError } from './upstream-login.ts'
import { openSocket } from './upstream-socket.ts'

/** A session at the server, logged in and idle. Whoever holds it owns the socket; disposing ends it. */
export interface Backend extends AsyncDisposable {
  /** Paused, without listeners but one that swallows errors: 'close' says that it is over. */
  readonly socket: Socket | TLSSocket
  /** What the server has reported of its settings so far. */
  readonly parameters: ReadonlyMap<string, string>
  readonly pid: number
  /** For a cancel at the server. Never shown to a client. */
  readonly key: Buffer
  /** What the server sent behind its first ReadyForQuery. */
  readonly rest: Buffer
  /**
   * Asks the server, over a connection of its own, to stop what this session runs. Resolves when the server has taken note; rejects when nobody could be reached.
   * There is one such connection at a time: who asks meanwhile waits for the same.
   */
  cancel(signal: AbortSignal): Promise<void>
}

export interface SessionWishes {
  readonly applicationName: string
  /** Start-up parameters that pass from the client. The caller has looked at their names. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Longest message of a server that is not yet trusted. */
const longest = 65_536

const spokenAtLogin: ReadonlySet<number> = new Set([backend.authentication, backend.keyData, backend.parameterStatus, backend.readyForQuery, backend.error, backend.notice, backend.negotiate])

const loginRules: FrameRules = {
  broken: (text) => new Error(text),
  limit: (type) => (spokenAtLogin.has(type) ? longest : 0),
}

/** The server sends a few dozen lines at most; one that never comes to an end is none. */
const mostMessages = 1_000

/**
 * Logs in at the server. Rejects with `upstream-unavailable` or `upstream-timeout`; their public text names neither the address nor the role.
 * No byte of the client's is among what is sent, but for the values of the parameters.
 */
export const connectUpstream = async (target: PostgresTarget, role: PostgresRole, wishes: SessionWishes, signal: AbortSignal): Promise<Backend> => {
  const deadline = AbortSignal.timeout(target.connectTimeoutMs)
  const both = AbortSignal.any([signal, deadline])
  try {
    const socket = await openSocket(target, both)
    try {
      return await logIn(socket, target, role, wishes, both)
    } catch (error) {
      socket.destroy()
      throw error
    }
  } catch (failure) {
    const error = new Error(`${target.host}:${target.port}`, { cause: failure })
    if (deadline.aborted && !signal.aborted) throw new Refusal('upstream-timeout', 'The service did not answer in time.', { cause: error })
    throw new Refusal('upstream-unavailable', 'The service cannot be reached.', { cause: error })
  }
}

const logIn = async (socket: Socket | TLSSocket, target: PostgresTarget, role: PostgresRole, wishes: SessionWishes, signal: AbortSignal): Promise<Backend> => {
  const exchange: Exchange = { socket, source: makeByteSource(socket, signal), reader: makeFrameReader(loginRules) }
  try {
    socket.write(startupPacket(0, startUp(target, role, wishes)))
    await authenticate(exchange, target, role)
    const { parameters, pid, key } = await untilReady(exchange)
    checkSettings(parameters)
    return {
      socket,
      parameters,
      pid,
      key,
      rest: exchange.reader.rest(),
      cancel: makeCancel(target, socket.remoteAddress, pid, key),
      [Symbol.asyncDispose]: () => end(socket),
    }
  } finally {
    exchange.source.release()
  }
}

const startUp = (target: PostgresTarget, role: PostgresRole, { applicationName, parameters }: SessionWishes): Map<string, string> => {
  const all = new Map(parameters)
  all.set('user', role.user).set('database', target.database).set('application_name', applicationName).set('client_encoding', 'UTF8')
  if (target.searchPath !== undefined) all.set('search_path', target.searchPath)
  return all
}

interface Ready {
  readonly parameters: Map<string, string>
  readonly pid: number
  readonly key: Buffer
}

const untilReady = async ({ source, reader }: Exchange): Promise<Ready> => {
  const parameters = new Map<string, string>()
  let keys: ReturnType<typeof readKeyData> | undefined
  for (let messages = 0; messages < mostMessages; messages++) {
    const frame = await nextFrame(source, reader)
    switch (frame.type) {
      case backend.parameterStatus: {
        const { name, value } = readParameterStatus(frame)
        parameters.set(name, value)
        break
      }
      case backend.keyData: {
        const { pid, key } = readKeyData(frame)
        keys = { pid, key: Buffer.from(key) }
        break
      }
      case backend.readyForQuery:
        if (readStatus(frame) !== 'I' || keys === undefined) throw new Error('the server is ready in a state in which no session begins')
        return { parameters, ...keys }
      case backend.error:
        throw serverError(frame)
      case backend.negotiate:
        readNegotiation(frame)
        break
      case backend.notice:
        break
      default:
        throw new Error('the server asked for a proof of identity behind the last')
    }
  }
  throw new Error('the server does not come to an end')
}

/** What we read in a statement must be what the server reads in it. */
const checkSettings = (parameters: ReadonlyMap<string, string>): void => {
  const encoding = parameters.get('client_encoding')
  if (encoding !== 'UTF8') throw new Error(`the server insists on client_encoding ${encoding}`)
  if (parameters.get('standard_conforming_strings') !== 'on') throw new Error('the role has standard_conforming_strings switched off; strings would be read in another way than they are judged')
}

/** A name may stand for several servers; only the one at this address knows the key. */
const makeCancel = (target: PostgresTarget, address: string | undefined, pid: number, key: Buffer): Backend['cancel'] => {
  let running: Promise<void> | undefined
  const cancel = async (signal: AbortSignal): Promise<void> => {
    const both = AbortSignal.any([signal, AbortSignal.timeout(target.connectTimeoutMs)])
    const socket = await openSocket(target, both, address)
    const source = makeByteSource(socket, both)
    try {
      socket.write(cancelRequest(pid, key))
      await source.read().catch(() => {}) // the server answers by closing
      both.throwIfAborted()
    } finally {
      source.release()
      socket.destroy()
    }
  }
  return (signal) => (running ??= cancel(signal).finally(() => (running = undefined)))
}

const farewellMs = 1_000

const end = async (socket: Socket | TLSSocket): Promise<void> => {
  if (socket.destroyed) return
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const timer = setTimeout(() => socket.destroy(), farewellMs)
  socket.end(message(frontend.terminate))
  socket.resume()
  await closed
  clearTimeout(timer)
}
