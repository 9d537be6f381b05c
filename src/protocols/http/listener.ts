import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type AddressRange, parseRange } from '../../lib/address.ts'
import { certificateRenewal, serverCertificate } from '../../lib/tls-server.ts'
import type { RunKept } from '../../approval/unattended.ts'
import { Refusal } from '../../model/refusal.ts'
import { connectionOf } from './connection.ts'
import { makeDeferred } from './deferred.ts'
import type { HttpListenerOptions } from './options.ts'
import { type Answer, answerOf } from './refusal.ts'
import { makeRoutes, type Routes } from './routes.ts'
import { makeSession, type SessionParts } from './session.ts'
import { answerSocket } from './socket-answer.ts'
import { makeUpgrade } from './upgrade.ts'

export interface HttpListener extends AsyncDisposable {
  listen(): Promise<AddressInfo>
  /** Reads all that other options may fail at, and changes nothing. What it returns takes them over, and cannot fail: routes, services, limits that are judged per request, and certificates. Address, TLS on or off, and the server's own limits stay. */
  prepare(options: HttpListenerOptions): () => void
  /** Runs what was held here or at another replica, and approved while its client was away. Rejects as the gate does. */
  runKept: RunKept
  /** Stops accepting, tells every client to go elsewhere, lets running requests end, and closes after `graceMs` at the latest. Who waits for an approval is answered by `approvals.drain()`. */
  drain(graceMs: number): Promise<void>
}

/** Connections that may knock at one moment. With the usual 511, a burst of clients loses handshakes and waits seconds for the next try. */
const burst = 4_096

export interface ListenerState {
  readonly options: HttpListenerOptions
  readonly routes: Routes
  /** Peers whose X-Forwarded-For is believed. */
  readonly trusted: readonly AddressRange[]
  readonly draining: boolean
}

const serverOptions = ({ limits, timeouts }: HttpListenerOptions): ServerOptions => ({
  insecureHTTPParser: false,
  requireHostHeader: false, // the answer to a missing Host is ours
  maxHeaderSize: limits.headerBytes + limits.targetBytes,
  headersTimeout: timeouts.headersMs,
  requestTimeout: 0, // every way of reading a body has a deadline of its own
  keepAliveTimeout: timeouts.keepAliveMs,
  connectionsCheckingInterval: Math.max(100, Math.min(timeouts.headersMs / 2, 2_000)),
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  noDelay: true,
  highWaterMark: 128 * 1_024,
})

const makeServer = (options: HttpListenerOptions): Server => {
  const server = options.tls ? createTlsServer({ ...serverOptions(options), ...serverCertificate(options.tls), ALPNProtocols: ['http/1.1'], handshakeTimeout: options.timeouts.headersMs }) : createServer(serverOptions(options))
  server.maxConnections = options.limits.connections
  server.maxHeadersCount = 0 // all are seen, so that too many are refused and none is silently cut
  server.timeout = 0
  return server
}

/** What the parser did not like, in our words. */
const parserAnswer = (error: NodeJS.ErrnoException): Answer => {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return answerOf(new Refusal('too-large', 'The request line and headers are too long.'), { status: 431 })
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return answerOf(new Refusal('too-large', 'The chunk extensions are too long.'))
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return answerOf(new Refusal('malformed', 'The request did not arrive in time.'), { status: 408 })
    default:
      return answerOf(new Refusal('malformed', 'This is not a well-formed HTTP/1.1 request.'))
  }
}

const trustedOf = ({ trustedProxies }: HttpListenerOptions): AddressRange[] =>
  trustedProxies.map((text) => {
    const range = parseRange(text)
    if (range === undefined) throw new Error(`trusted proxy ${text} is no address range`)
    return range
  })

export const makeHttpListener = (first: HttpListenerOptions, parts: SessionParts): HttpListener => {
  let state: ListenerState = { options: first, routes: makeRoutes(first), trusted: trustedOf(first), draining: false }
  const current = (): ListenerState => state
  const session = makeSession(parts, current)
  const upgrade = makeUpgrade(parts, current)
  const server = makeServer(first)

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => void session.serve(request, response)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const answer = answerOf(new Refusal('malformed', 'This expectation cannot be met.'), { status: 417 })
    response.writeHead(answer.status, [...answer.headers, 'connection', 'close'])
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  })
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => answerSocket(socket, answerOf(new Refusal('malformed', 'There are no tunnels here.'), { status: 405 })))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => void upgrade.serve(request, socket as Socket, head))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const connection = connectionOf(socket as Socket)
    if (connection.broken) return // it has been told, and is being read to its end
    // Behind an unfinished answer, or in the middle of one, ours would be read as a part of it.
    if (error.code === 'ECONNRESET' || !connection.mayAnswerRaw()) return void socket.destroy()
    connection.broken = true
    answerSocket(socket, parserAnswer(error))
  })
  server.on('tlsClientError', (_error: Error, socket: Duplex) => void socket.destroy())

  const listen = (): Promise<AddressInfo> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: first.host, port: first.port, backlog: burst }, () => {
        server.off('error', reject)
        resolve(server.address() as AddressInfo)
      })
    })

  const closed = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))

  return {
    listen,
    runKept: makeDeferred(parts, current),
    prepare(options) {
      const before = state.routes.upstreams
      const next = { options, routes: makeRoutes(options, before), trusted: trustedOf(options) }
      const renew = certificateRenewal(server, options.tls)
      return () => {
        renew()
        state = { ...state, ...next }
        for (const upstream of before) if (!next.routes.upstreams.includes(upstream)) upstream.retire()
      }
    },
    async drain(graceMs) {
      state = { ...state, draining: true }
      const idle = closed()
      server.closeIdleConnections()
      upgrade.drain()
      const timer = setTimeout(() => {
        server.closeAllConnections()
        upgrade.close()
      }, graceMs)
      await Promise.all([idle, upgrade.ended()])
      clearTimeout(timer)
    },
    async [Symbol.asyncDispose]() {
      upgrade.close()
      const ended = server.listening ? closed() : Promise.resolve()
      server.closeAllConnections()
      await ended
      for (const upstream of state.routes.upstreams) upstream[Symbol.dispose]()
    },
  }
}
