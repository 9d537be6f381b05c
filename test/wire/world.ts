import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createConnection, type AddressInfo, type Socket } from 'node:net'
import { pino } from 'pino'
import type { Approvals } from '../../src/approval/approvals.ts'
import type { Journal } from '../../src/audit/journal.ts'
import type { HeaderReceipts } from '../../src/audit/receipts/header-receipts.ts'
import { makeGate } from '../../src/gate.ts'
import type { Identity } from '../../src/identity/identity.ts'
import type { Action } from '../../src/model/action.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { Decision, Terms, Verdict } from '../../src/model/decision.ts'
import type { Hold } from '../../src/model/hold.ts'
import { Refusal } from '../../src/model/refusal.ts'
import type { PolicySet } from '../../src/policy/policy-set.ts'
import { makeAssertions } from '../../src/protocols/http/assertion.ts'
import { makeHttpListener } from '../../src/protocols/http/listener.ts'
import type { HttpListenerOptions, HttpServiceOptions, RouteOptions } from '../../src/protocols/http/options.ts'

export interface Stub extends AsyncDisposable {
  readonly port: number
  readonly requests: { readonly method: string; readonly url: string; readonly rawHeaders: readonly string[]; body: Buffer; complete: boolean; aborted: boolean }[]
  readonly sockets: Set<Socket>
  /** How many there have been. */
  connections(): number
}

/** A recording upstream. What is not handled by `answer` is echoed. */
export const startStub = async (answer?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean | void, early = false): Promise<Stub> => {
  const requests: Stub['requests'] = []
  const sockets = new Set<Socket>()
  const server = createServer({ highWaterMark: 256 * 1024 }, (request, response) => {
    const record = { method: request.method ?? '', url: request.url ?? '', rawHeaders: request.rawHeaders, body: Buffer.alloc(0), complete: false, aborted: false }
    requests.push(record)
    response.on('close', () => (record.aborted = !response.writableFinished))
    const chunks: Buffer[] = []
    if (early && answer?.(request, response, record.body)) return
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      record.body = Buffer.concat(chunks)
      record.complete = true
      if (!early && answer?.(request, response, record.body)) return
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.end(`${request.method} ${request.url} ${record.body.length}`)
    })
    request.on('error', () => {})
  })
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sockets,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const route: RouteOptions = {
  service: 'app', host: 'app.test', path: '/', stripPrefix: false, encodedSlash: 'refuse', inspectBytes: 1 << 20, maxBodyBytes: 64 << 20, jsonRpc: false, graphql: false, caseVariants: 'refuse',
  methodOverride: {}, unboundHeaders: [], upgrades: [], hold: { waitMs: 5_000, pendingStatus: 503 }, errors: 'problem',
}

const terms: Terms = { requirements: [], withinMs: 60_000, runWithinMs: 60_000, askReason: false, run: 'attached' }

/** `/internal` is denied, `/admin` is held, everything else allowed; a WebSocket only where it says so. */
const verdictOf = ({ verb, resources }: Action): Verdict => {
  const path = resources[0]?.name ?? ''
  if (path.startsWith('/internal')) return 'deny'
  if (verb === 'http.websocket') return path.startsWith('/ws') ? 'allow' : 'deny'
  return path.startsWith('/admin') ? 'hold' : 'allow'
}

export const testPolicies: PolicySet = {
  version: 'sha256:test',
  decide: (_caller, action): Decision => {
    const verdict = verdictOf(action)
    return { verdict, matched: [{ policy: 'p', rule: 'r', then: verdict, at: 'p.yaml:1', because: 'because', observed: false }], obligations: { masks: {}, limits: {} }, policyVersion: 'v', ...(verdict === 'hold' ? { terms } : {}) }
  },
  needsBody: (_service, _verb, path) => !path.startsWith('/stream'),
  needsEstimate: () => false,
  reasons: () => undefined,
  masksOf: () => ({}),
  pinned: () => undefined,
  tagsOf: () => [],
}

const expiresAt = Date.now() + 3_600_000

/** The token is the subject, and behind bars the audiences that a service may ask for; `bad` is nobody. */
const callerOf = (token: string, address: string): Caller => ({ issuer: 'https://idp.test', subject: token, kind: 'agent', groups: ['agents'], onBehalfOf: [], claims: {}, session: `s-${token}`, authenticatedAt: 0, expiresAt, address })

export interface World extends AsyncDisposable {
  readonly port: number
  readonly listener: ReturnType<typeof makeHttpListener>
  readonly options: HttpListenerOptions
  readonly events: AuditEvent[]
  /** Holds in memory, with just enough behaviour for this listener's tests. */
  readonly holds: Map<string, { hold: Hold; result?: Uint8Array }>
  settle(id: string, state: 'approved' | 'denied' | 'expired'): void
  drainApprovals(): void
  /** Makes every later recheck fail. */
  revoke(): void
}

export const startWorld = async (stubPort: number, change: { readonly routes?: Partial<RouteOptions>[]; readonly service?: Partial<HttpServiceOptions>; readonly options?: Partial<HttpListenerOptions>; readonly receipts?: HeaderReceipts } = {}): Promise<World> => {
  const events: AuditEvent[] = []
  const holds: World['holds'] = new Map()
  const waiters = new Map<string, Set<() => void>>()
  let revoked = false
  let draining = false
  const wake = (id: string): void => waiters.get(id)?.forEach((waiter) => waiter())
  const changed = (id: string, ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const set = waiters.get(id) ?? new Set()
      waiters.set(id, set)
      const done = (): void => (clearTimeout(timer), set.delete(done), resolve())
      const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1))
      set.add(done)
      signal.addEventListener('abort', done)
    })
  const patch = (id: string, change: Partial<Hold>): Hold => {
    const entry = holds.get(id)!
    entry.hold = { ...entry.hold, ...change, revision: entry.hold.revision + 1 }
    wake(id)
    return entry.hold
  }
  const approvals = {
    async obtain({ caller, action, decision, wait }, signal) {
      let entry = [...holds.values()].find(({ hold }) => hold.action.digest === action.digest && hold.caller.subject === caller.subject && (wait.hold === hold.id || ['pending', 'approved', 'executed'].includes(hold.state)))
      if (entry?.hold.state === 'executed' && wait.hold !== undefined) throw new Refusal('hold-spent', 'It ran.', { hold: entry.hold })
      if (entry?.hold.state === 'executed' && entry.result) return { hold: entry.hold, result: entry.result }
      if (!entry) {
        const id = `hold_${holds.size + 1}`
        entry = { hold: { id, code: `CS-${holds.size}`, revision: 1, state: 'pending', caller, action, terms: decision.terms!, matched: decision.matched, policyVersion: 'v', votes: [], openedAt: Date.now(), deadline: Date.now() + 60_000 } }
        holds.set(id, entry)
      }
      const { id } = entry.hold
      wait.onHeld?.(entry.hold)
      const end = Date.now() + wait.budgetMs
      while (entry.hold.state === 'pending' && !draining && !signal.aborted && Date.now() < end) await changed(id, end - Date.now(), signal)
      const { hold } = entry
      if (hold.state === 'pending') throw new Refusal('hold-pending', 'Waiting.', { hold })
      if (hold.state === 'denied') throw new Refusal('hold-denied', 'Not today.', { hold })
      if (hold.state === 'expired') throw new Refusal('hold-expired', 'Nobody answered.', { hold })
      return { hold }
    },
    spend: async ({ hold }, attempt) => ({ hold: patch(hold.id, { state: 'running', spent: { replica: 'r', attempt, at: 0 } }) }),
    async finish({ hold }, outcome, result) {
      patch(hold.id, { state: outcome.result === 'executed' ? 'executed' : 'unknown', outcome })
      if (result) holds.get(hold.id)!.result = result
    },
    async follow(id, caller, budgetMs, signal) {
      const entry = holds.get(id)
      if (!entry || entry.hold.caller.subject !== caller.subject) throw new Refusal('not-found', 'No such hold.')
      if (entry.hold.state === 'pending' && budgetMs > 0) await changed(id, budgetMs, signal)
      return entry.hold
    },
    withdraw: async (id) => patch(id, { state: 'withdrawn' }),
    result: async (id, caller) => {
      const entry = holds.get(id)
      if (!entry?.result || entry.hold.caller.subject !== caller.subject) throw new Refusal('not-found', 'No such result.')
      return entry.result
    },
    drain() {
      draining = true
      for (const id of holds.keys()) wake(id)
    },
  } as Partial<Approvals> as Approvals
  const identity: Identity = {
    async authenticate({ token, address, audience }) {
      const [subject = '', ...audiences] = token.split('|')
      if (subject === 'bad' || (audience !== undefined && !audiences.includes(audience))) throw new Refusal('bad-identity', 'This token is not accepted.')
      return callerOf(subject, address)
    },
    async recheck(caller) {
      if (revoked) throw new Refusal('bad-identity', 'This token is not accepted.')
      return caller
    },
    standing: () => (revoked ? undefined : 'standing'),
  }
  const journal = { append: async (event: AuditEvent) => void events.push(event), check() {} } as unknown as Journal
  const policies = () => testPolicies
  const vault = { lend: async () => ({ headers: [['x-upstream-key', 'lent']] as const, async [Symbol.asyncDispose]() {} }) }
  const gate = makeGate({ policies, approvals, vault, journal, recordBefore: (event, weight) => journal.append(event, weight === 'read' ? 'written' : 'synced'), ...(change.receipts === undefined ? {} : { receipts: change.receipts }) })
  const options: HttpListenerOptions = {
    host: '127.0.0.1', port: 0, trustedProxies: [], consoleUrl: 'https://console.test', claimHeaders: {},
    limits: { targetBytes: 8_192, headerBytes: 16_384, headerCount: 100, connections: 1_000 },
    timeouts: { headersMs: 1_000, bodyMs: 1_000, keepAliveMs: 5_000, sessionRecheckMs: 50 },
    services: [
      {
        name: 'app', upstream: `http://127.0.0.1:${stubPort}`, allowedCidrs: [], connections: 32, connectTimeoutMs: 1_000, headersTimeoutMs: 2_000, bodyTimeoutMs: 2_000,
        routes: (change.routes ?? [{}]).map((part) => ({ ...route, ...part })), ...change.service,
      },
    ],
    ...change.options,
  }
  const key = generateKeyPairSync('ed25519').privateKey
  const listener = makeHttpListener(options, { gate, identity, policies, approvals, log: pino({ level: process.env['LOG'] ?? 'silent' }), assertions: makeAssertions(key, 'https://countersign.test') })
  const { port } = await listener.listen()
  return {
    port, listener, options, events, holds,
    settle: (id, state) => void patch(id, { state }),
    drainApprovals: () => approvals.drain(),
    revoke: () => void (revoked = true),
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  }
}

export interface Client {
  readonly socket: Socket
  text(): string
  closed(): boolean
  write(bytes: string | Buffer): void
}

export const dial = (port: number): Client => {
  const socket = createConnection(port, '127.0.0.1')
  const chunks: Buffer[] = []
  let closed = false
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  socket.on('close', () => (closed = true))
  return { socket, text: () => Buffer.concat(chunks).toString('latin1'), closed: () => closed, write: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes) }
}

export const head = (line: string, ...headers: string[]): string => [line, 'Host: app.test', 'Authorization: Bearer req-a', ...headers, '', ''].join('\r\n')
