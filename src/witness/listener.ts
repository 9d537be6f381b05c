import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { RecoveredJournal } from '../audit/file-journal.ts'
import type { Log } from '../lib/log.ts'
import { serverCertificate, type CertificateFiles } from '../lib/tls-server.ts'
import { causeText } from '../model/refusal.ts'
import { mostRequestBytes } from './request.ts'
import type { Witness } from './witness.ts'

export interface WitnessListener extends AsyncDisposable {
  listen(): Promise<{ readonly host: string; readonly port: number }>
}

export interface WitnessListenerOptions {
  readonly host: string
  readonly port: number
  readonly tls?: CertificateFiles
}

export interface WitnessListenerParts {
  readonly witness: Witness
  readonly journal: Pick<RecoveredJournal, 'read' | 'check'>
  /** Our public keys, one a line. */
  readonly keys: string
  readonly log: Log
}

const serverLimits: ServerOptions = { maxHeaderSize: 8 * 1024, headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 30_000, connectionsCheckingInterval: 5_000, requireHostHeader: true, insecureHTTPParser: false }
const mostConnections = 500
const page = { lines: 5_000, bytes: 1024 * 1024 }

interface Reply {
  readonly status: number
  readonly body: string
  readonly type?: string
  readonly next?: string
}

class TooLong extends Error {}

const readBody = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    if ((bytes += chunk.length) > mostRequestBytes) throw new TooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** A witness over HTTP. Nobody logs in: what is posted is believed for its signatures alone, and what can be read holds names, sizes and hashes. */
export const makeWitnessListener = ({ host, port, tls }: WitnessListenerOptions, { witness, journal, keys, log }: WitnessListenerParts): WitnessListener => {
  const rootLog = async (after: string | null): Promise<Reply> => {
    if (after !== null && !/^\d{10}-\d{15}\.ndjson:\d{1,15}$/.test(after)) return { status: 400, body: 'after is what countersign-next said before\n' }
    const { lines, cursor } = await journal.read(after ?? undefined, page)
    return { status: 200, body: lines.map(({ text }) => `${text}\n`).join(''), type: 'application/x-ndjson', ...(cursor === undefined ? {} : { next: cursor }) }
  }

  const health = (): Reply => {
    try {
      journal.check()
      return { status: 200, body: `${JSON.stringify({ status: 'ok', logs: witness.logs() })}\n`, type: 'application/json' }
    } catch (error) {
      return { status: 503, body: `${JSON.stringify({ status: 'failing', cause: causeText(error instanceof Error ? error.cause : error) })}\n`, type: 'application/json' }
    }
  }

  const answer = async (request: IncomingMessage): Promise<Reply> => {
    const url = URL.parse(request.url ?? '', 'http://witness')
    if (url === null) return { status: 400, body: 'not an address\n' }
    if (url.pathname === '/add-checkpoint') {
      if (request.method !== 'POST') return { status: 405, body: 'POST\n' }
      const { status, body, isSize } = await witness.add(await readBody(request))
      return { status, body, ...(isSize ? { type: 'text/x.tlog.size' } : {}) }
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: 'GET\n' }
    if (url.pathname === '/logs') return { status: 200, body: witness.newest() }
    if (url.pathname === '/root-log') return await rootLog(url.searchParams.get('after'))
    if (url.pathname === '/keys') return { status: 200, body: keys }
    if (url.pathname === '/healthz') return health()
    return { status: 404, body: 'nothing is here\n' }
  }

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request)
      .catch((error: unknown): Reply => {
        if (error instanceof TooLong) return { status: 413, body: `at most ${mostRequestBytes} bytes\n` }
        if (!request.complete) return { status: 400, body: 'the request broke off\n' }
        log.error({ cause: causeText(error) }, 'a request failed')
        return { status: 500, body: 'failed\n' }
      })
      .then(({ status, body, type = 'text/plain; charset=utf-8', next }) => {
        const all = { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...(next === undefined ? {} : { 'countersign-next': next }), ...(request.complete ? {} : { connection: 'close' }) }
        response.writeHead(status, all).end(request.method === 'HEAD' ? undefined : body)
      })
      .catch(() => response.destroy())
  }

  const server = tls ? createTlsServer({ ...serverLimits, ...serverCertificate(tls) }, onRequest) : createServer(serverLimits, onRequest)
  server.maxConnections = mostConnections
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          const address = server.address() as AddressInfo
          resolve({ host: address.address, port: address.port })
        })
      }),
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeIdleConnections()
      const cut = setTimeout(() => server.closeAllConnections(), 5_000)
      await closed
      clearTimeout(cut)
    },
  }
}
