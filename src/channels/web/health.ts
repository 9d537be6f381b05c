import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Log } from '../../lib/log.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import { headerValues } from './boundary.ts'
import { lifeOf, serverLimits, type WebListener } from './listener.ts'
import type { AdminOptions } from './options.ts'
import { sendProblem, WrongMethod } from './problem.ts'

export interface Health {
  /** Should this process go on, or be started anew? */
  readonly live: boolean
  /** Should it get traffic now? */
  readonly ready: boolean
  readonly started: boolean
  /** For people: which part is how. No secrets, no names of callers. */
  readonly detail: Readonly<Record<string, unknown>>
}

export interface ReloadResult {
  /** Whether the new configuration is in force; if not, the old one still is. */
  readonly applied: boolean
  readonly policyVersion: string
  readonly problems: readonly string[]
}

export interface AdminParts {
  readonly health: () => Health | Promise<Health>
  readonly reload: () => Promise<ReloadResult>
  readonly log: Log
}

const healthWithinMs = 3_000

/** Probes for an orchestrator, and reload for whoever is on this machine. No configuration comes in this way: a reload reads the file that is in force. */
export const makeAdminListener = (options: AdminOptions, { health, reload, log }: AdminParts): WebListener => {
  let reloading: Promise<ReloadResult> | undefined

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    const host = hostOf(request)
    if (headerValues(request, 'origin').length > 0 || headerValues(request, 'sec-fetch-site').length > 0) throw new Refusal('denied', 'Pages do not speak to this address.')
    const path = request.url ?? ''
    if (path === '/-/reload') {
      if (request.method !== 'POST') throw new WrongMethod(['POST'])
      if (!isLoopback(request.socket.remoteAddress ?? '') || !['localhost', '127.0.0.1', '[::1]'].includes(host)) throw new Refusal('denied', 'Reload is for this machine only.')
      if (request.headers['countersign-admin'] !== 'reload') throw new Refusal('denied', 'Reload needs the header Countersign-Admin: reload.')
      // One at a time: whoever asks meanwhile gets the same answer.
      reloading ??= reload().finally(() => (reloading = undefined))
      const result = await reloading
      return send(response, result.applied ? 200 : 422, result)
    }
    const part = ({ '/healthz': 'live', '/readyz': 'ready', '/startupz': 'started' } as const)[path]
    if (part === undefined) throw new Refusal('not-found', 'There is nothing here.')
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new WrongMethod(['GET', 'HEAD'])
    const state = await within(healthWithinMs, health)
    send(response, state[part] ? 200 : 503, { status: state[part] ? 'ok' : 'failing', ...state.detail })
  }

  const server = createServer(serverLimits, (request, response) => {
    request.resume() // no request here has a body worth reading
    answer(request, response).catch((error: unknown) => {
      if (!(error instanceof Refusal) && !(error instanceof WrongMethod)) log.error({ cause: causeText(error) }, 'admin request failed')
      sendProblem(response, error)
    })
  })
  server.maxConnections = 100
  return lifeOf(server, options, () => {})
}

/** A name could be somebody's who points it at us; an address or `localhost` cannot. Probes come by address. */
const hostOf = (request: IncomingMessage): string => {
  const [host, ...more] = headerValues(request, 'host')
  const name = host?.toLowerCase().replace(/:\d{1,5}$/, '')
  if (name === undefined || more.length > 0 || (name !== 'localhost' && isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0)) throw new Refusal('misdirected', 'This address serves another host name.')
  return name
}

const isLoopback = (address: string): boolean => address === '::1' || /^(?:::ffff:)?127\./.test(address)

const within = async (ms: number, health: AdminParts['health']): Promise<Health> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Health>((resolve) => {
    timer = setTimeout(() => resolve({ live: true, ready: false, started: false, detail: { late: true } }), ms)
  })
  try {
    return await Promise.race([Promise.resolve().then(health), late])
  } finally {
    clearTimeout(timer)
  }
}

const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}
