import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { defined } from '../../lib/defined.ts'
import type { Log } from '../../lib/log.ts'
import { certificateRenewal, serverCertificate } from '../../lib/tls-server.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import type { Hook } from '../hook.ts'
import { makeApi, type ApiParts } from './api.ts'
import { headerValues, makeBoundary } from './boundary.ts'
import type { ConsoleOptions } from './options.ts'
import { sendProblem, WrongMethod } from './problem.ts'
import { readBytes } from './request-body.ts'
import { makeSite, type SiteParts } from './site.ts'

export interface WebListener extends AsyncDisposable {
  /** Starts to listen, and says where. */
  listen(): Promise<{ readonly host: string; readonly port: number }>
  /** No new connections; open requests end, streams are closed. Resolves when they have, or when the signal fires and they were cut off. */
  drain(signal: AbortSignal): Promise<void>
}

export interface ConsoleListener extends WebListener {
  /** Reads the certificate that stands in its files now, and changes nothing. What it returns shows it to new connections, and cannot fail. */
  prepare(): () => void
}

/** Longest any request other than a stream may take; the store and the issuer have shorter deadlines of their own. */
const answerWithinMs = 30_000

export const serverLimits: ServerOptions = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  requireHostHeader: true,
  insecureHTTPParser: false,
}

const securityHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': '',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** The approvals API and, where people log in with a browser, the pages: the one place where their decisions come in over HTTP. `site` goes with `options.signIn`. */
export const makeConsoleListener = (options: ConsoleOptions, parts: ApiParts & { readonly log: Log; readonly site?: SiteParts; readonly hooks?: readonly Hook[] }): ConsoleListener => {
  const boundary = makeBoundary(options.url, options.hosts)
  const { signIn } = options
  if ((signIn === undefined) !== (parts.site === undefined)) throw new Error('sign-in and pages go together')
  const site = signIn && parts.site && makeSite({ ...options, signIn }, boundary, { ...parts, ...parts.site })
  const api = makeApi({ ...parts, ...defined({ sessions: site?.sessions }) }, options)
  const secure = new URL(options.url).protocol === 'https:'
  const hookAt = (path: string): Hook | undefined => parts.hooks?.find((hook) => hook.path === path)
  let draining = false

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    for (const [name, value] of Object.entries(securityHeaders)) if (value !== '') response.setHeader(name, value)
    if (secure) response.setHeader('strict-transport-security', 'max-age=31536000')
    if (draining) response.setHeader('connection', 'close')
    boundary.host(request)
    const target = targetOf(request)
    const hook = hookAt(target.pathname)
    const isPage = hook === undefined && site?.serves(target.pathname) === true
    if (!isPage) boundary.origin(request)
    if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST') throw new WrongMethod(['GET', 'HEAD', 'POST'])
    if (request.method !== 'POST' && hasBody(request)) throw new Refusal('malformed', 'A GET has no body here.')
    if (draining) throw new Refusal('draining', 'This replica is shutting down.', { retryAfterSeconds: 1 })
    if (hook !== undefined) await answerHook(hook, request, response)
    else await (isPage ? site : api).answer(request, response, target)
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const late = setTimeout(() => {
      if (!response.headersSent) sendProblem(response, new Refusal('store-unavailable', 'This took too long. A decision may have been taken: look at the hold before you try again.'))
    }, answerWithinMs)
    response.once('close', () => clearTimeout(late))
    answer(request, response).catch((error: unknown) => {
      logged(parts.log, request, error)
      // What is left of a body is not waited for.
      if (!request.complete && !response.headersSent) response.setHeader('connection', 'close')
      if (response.writableEnded) return
      const path = request.url?.split('?', 1)[0] ?? ''
      if (hookAt(path) === undefined && site?.serves(path)) site.fail(request, response, error)
      else sendProblem(response, error)
    })
  }

  const server = options.tls
    ? createTlsServer({ ...serverLimits, ...serverCertificate(options.tls) }, onRequest)
    : createServer(serverLimits, onRequest)
  server.maxConnections = 1_000
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    else socket.destroy()
  })

  const life = lifeOf(server, options, () => {
    draining = true
    api.endStreams()
  })
  return { ...life, prepare: () => certificateRenewal(server, options.tls) }
}

const answerHook = async (hook: Hook, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  if (request.method !== 'POST') throw new WrongMethod(['POST'])
  const body = await readBytes(request, hook.mostBytes)
  const { status, body: answer } = await hook.answer({ headers: (name) => headerValues(request, name), body, address: request.socket.remoteAddress ?? '' })
  if (response.headersSent) return
  response.writeHead(status, answer === undefined ? {} : { 'content-type': 'application/json' })
  response.end(answer === undefined ? '' : JSON.stringify(answer))
}

/** Listening, draining and ending, the same for each server of this room. */
export const lifeOf = (server: ReturnType<typeof createServer>, { host, port }: { readonly host: string; readonly port: number }, onDrain: () => void): WebListener => {
  let draining = false
  // A connection that was busy when draining began would otherwise be kept for a next request.
  server.on('request', (_request, response) => response.once('close', () => draining && setImmediate(() => server.closeIdleConnections())))
  const closed = (): Promise<void> => new Promise((resolve) => (server.listening ? server.close(() => resolve()) : resolve()))
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          const address = server.address() as AddressInfo
          server.off('error', reject)
          resolve({ host: address.address, port: address.port })
        })
      }),
    async drain(signal) {
      draining = true
      onDrain()
      const cut = () => server.closeAllConnections()
      signal.addEventListener('abort', cut, { once: true })
      const end = closed()
      server.closeIdleConnections()
      if (signal.aborted) cut()
      await end
      signal.removeEventListener('abort', cut)
    },
    async [Symbol.asyncDispose]() {
      onDrain()
      const end = closed()
      server.closeAllConnections()
      await end
    },
  }
}

const targetOf = (request: IncomingMessage): URL => {
  const target = request.url ?? ''
  // The origin form only; and nothing that URL would quietly turn into another path.
  if (!target.startsWith('/') || target.startsWith('//') || /[\\#%]/.test(target.split('?', 1)[0] ?? '') || !URL.canParse(target, 'http://api')) throw new Refusal('not-found', 'There is nothing here.')
  const url = new URL(target, 'http://api')
  if (url.pathname !== target.split('?', 1)[0]) throw new Refusal('not-found', 'There is nothing here.')
  return url
}

const hasBody = (request: IncomingMessage): boolean => Number(headerValues(request, 'content-length')[0] ?? 0) > 0 || headerValues(request, 'transfer-encoding').length > 0

const logged = (log: Log, request: IncomingMessage, error: unknown): void => {
  const about = { method: request.method, path: request.url?.split('?', 1)[0]?.slice(0, 200), address: request.socket.remoteAddress }
  if (error instanceof Refusal) log.info({ ...about, code: error.code, cause: causeText(error.cause) }, 'refused')
  else if (!(error instanceof WrongMethod)) log.error({ ...about, cause: causeText(error) }, 'failed')
}
