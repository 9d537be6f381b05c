import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Log } from '../../lib/log.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import type { Arrival, Serve } from './arrival.ts'
import { Gone } from './byte-source.ts'
import { makeCancelKeys } from './cancel-keys.ts'
import { readTls, Stuffed } from './greeting.ts'
import type { PostgresListenerOptions } from './options.ts'
import { makePlaces } from './places.ts'
import { errorOf } from './refusal.ts'
import { type Progress, startUp, type StartupParts, type StartupShared, type StartupState } from './startup.ts'

export interface PostgresListener extends AsyncDisposable {
  listen(): Promise<AddressInfo>
  /** Reads all that other options may fail at, and changes nothing. What it returns takes them over, and cannot fail: services, limits, certificates and the way of logging in, for connections that come from then on. Address and TLS on or off stay. */
  prepare(options: PostgresListenerOptions): () => void
  /** Refuses who comes, tells sessions to end when they are idle, and closes what is left after `graceMs`. Requests to cancel are served to the end. */
  drain(graceMs: number): Promise<void>
}

export interface PostgresListenerParts extends StartupParts {
  readonly serve: Serve
  readonly log: Log
}

/** Connections that may knock at one moment. */
const burst = 4_096

/** Room for clients that are not logged in yet, and for requests to cancel, beside the sessions. Where it is full the one that has taken longest makes room: nobody keeps others out by coming slowly. */
const roomToKnock = 256

/** How long the last word to a client may take. */
const lastWordMs = 1_000

export const makePostgresListener = (first: PostgresListenerOptions, parts: PostgresListenerParts): PostgresListener => {
  let state: StartupState = { options: first, tls: readTls(first), draining: false }
  const shared: StartupShared = { keys: makeCancelKeys(), places: makePlaces(), current: () => state }
  const open = new Map<Socket, Leaving>()
  /** Those that are not logged in, the oldest first. */
  const knocking = new Set<Socket>()
  const sessions = new Set<Promise<void>>()
  const ended = new Set<Promise<void>>()

  const server = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => {
    const leaving: Leaving = { leaving: new AbortController(), closing: new AbortController() }
    open.set(socket, leaving)
    const [oldest] = knocking
    knocking.add(socket)
    if (oldest !== undefined && open.size > state.options.limits.connections + roomToKnock) {
      knocking.delete(oldest)
      oldest.destroy()
    }
    const serve = async (arrival: Arrival): Promise<void> => {
      knocking.delete(socket)
      const session = parts.serve(arrival)
      sessions.add(session)
      await session.finally(() => sessions.delete(session))
    }
    const done = connection(socket, { ...parts, serve }, shared, leaving).finally(() => (open.delete(socket), knocking.delete(socket), ended.delete(done)))
    ended.add(done)
  })
  // A connection that cannot be accepted (no more file descriptors) is no reason to end those that are there.
  server.on('error', (error) => parts.log.error({ cause: causeText(error) }, 'the PostgreSQL listener has trouble'))

  const leave = (): void => {
    state = { ...state, draining: true }
    for (const { leaving } of open.values()) leaving.abort()
  }

  const close = async (): Promise<void> => {
    const closed = server.listening ? new Promise<void>((resolve) => server.close(() => resolve())) : undefined
    for (const socket of open.keys()) socket.destroy()
    await Promise.all([closed, ...ended])
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host: first.host, port: first.port, backlog: burst }, () => {
          server.off('error', reject)
          resolve(server.address() as AddressInfo)
        })
      }),
    prepare(options) {
      const tls = readTls(options)
      return () => void (state = { ...state, options, tls })
    },
    async drain(graceMs) {
      leave()
      await within(graceMs, Promise.allSettled(sessions))
      for (const { closing } of open.values()) closing.abort()
      await within(lastWordMs, Promise.allSettled(sessions))
      await close()
    },
    async [Symbol.asyncDispose]() {
      leave()
      await close()
    },
  }
}

type Leaving = Pick<Progress, 'leaving' | 'closing'>

const within = async (ms: number, work: Promise<unknown>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}

/** One connection from its first byte to its last. Never rejects. */
const connection = async (raw: Socket, { serve, log, ...parts }: PostgresListenerParts, shared: StartupShared, leaving: Leaving): Promise<void> => {
  raw.on('error', () => {}) // 'close' follows
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new Refusal('upstream-timeout', 'The login took too long.')), shared.current().options.timeouts.startupMs)
  const progress: Progress = { socket: raw, stack: new AsyncDisposableStack(), ...leaving }
  try {
    const arrival = await startUp(raw, parts, shared, progress, deadline.signal).catch((error: unknown) => refuse(progress.socket, error, log))
    clearTimeout(timer)
    if (arrival === 'cancelled') await farewell(progress.socket) // libpq takes an end of TLS that is not announced for a failure
    else if (arrival !== undefined && !arrival.client.destroyed) await serve(arrival)
  } catch (error) {
    log.error({ err: error }, 'a PostgreSQL session failed in a way that nobody foresaw')
  } finally {
    progress.socket.destroy()
    raw.destroy()
    await progress.stack.disposeAsync().catch((error: unknown) => log.warn({ cause: causeText(error) }, 'a PostgreSQL connection did not end as it should'))
  }
}

const refuse = async (socket: Socket, error: unknown, log: Log): Promise<undefined> => {
  if (error instanceof Gone || error instanceof Stuffed) return
  if (!(error instanceof Refusal)) log.error({ err: error }, 'a PostgreSQL connection failed in a way that nobody foresaw')
  else if (error.code === 'upstream-unavailable' || error.code === 'upstream-timeout') log.warn({ code: error.code, cause: causeText(error.cause) }, 'no session at the server')
  const refusal = error instanceof Refusal ? error : new Refusal('upstream-unavailable', 'Internal error.')
  await farewell(socket, errorOf(refusal, { login: true }))
}

/** What the client still sends is read and thrown away: closing on unread bytes would take back what we have said. */
const farewell = async (socket: Socket, bytes: Buffer = Buffer.alloc(0)): Promise<void> => {
  if (socket.destroyed) return
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const timer = setTimeout(() => socket.destroy(), lastWordMs)
  socket.end(bytes)
  socket.resume()
  await closed
  clearTimeout(timer)
}
