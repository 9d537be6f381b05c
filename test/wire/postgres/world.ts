import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { Secret } from '../../../src/lib/secret.ts'
import type { AuditEvent } from '../../../src/model/audit-event.ts'
import type { Caller } from '../../../src/model/caller.ts'
import type { Claim } from '../../../src/model/claim.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import type { Arrival, Serve } from '../../../src/protocols/postgres/arrival.ts'
import { backendRules } from '../../../src/protocols/postgres/codec/backend.ts'
import type { Frame } from '../../../src/protocols/postgres/codec/frame.ts'
import { makeFrameReader } from '../../../src/protocols/postgres/codec/frames.ts'
import { makePostgresListener, type PostgresListener } from '../../../src/protocols/postgres/listener.ts'
import type { PostgresListenerOptions, PostgresServiceOptions } from '../../../src/protocols/postgres/options.ts'
import { errorOf } from '../../../src/protocols/postgres/refusal.ts'
import { loginRoles, type TestPostgres } from '../../support/postgres.ts'
import { until } from '../../support/until.ts'

export const serviceFor = (port: number, change: Partial<PostgresServiceOptions> = {}): PostgresServiceOptions => ({
  name: 'crm', host: '127.0.0.1', port, tls: 'disable', database: 'postgres', databases: ['crm', 'postgres'], allow: [], leastIterations: 4_096, connectTimeoutMs: 5_000,
  credential: { user: loginRoles.scram.user, password: new Secret(loginRoles.scram.password) }, roles: new Map(), hold: { inTransactionMs: 60_000 }, ...change,
})

const defaults: Omit<PostgresListenerOptions, 'services'> = {
  host: '127.0.0.1', port: 0, plaintext: 'loopback', login: 'password',
  limits: { connections: 20, connectionsPerCaller: 10, tokenBytes: 16_384, sqlBytes: 1 << 20, parameterBytes: 1 << 20 },
  timeouts: { startupMs: 10_000, sessionRecheckMs: 3_600_000 }, consoleUrl: 'https://console.test',
}

/** The token is the subject; one that begins with `bad` is nobody, `short 300` is good for 300 ms. */
const authenticate = async ({ token, address }: Claim): Promise<Caller> => {
  if (token.startsWith('bad')) throw new Refusal('bad-identity', 'The token is not accepted.', { cause: 'it is bad' })
  return { issuer: 'https://idp.test', subject: token, kind: 'agent', groups: [], onBehalfOf: [], claims: {}, session: 's', authenticatedAt: 0, expiresAt: Date.now() + Number(/^short (\d+)$/.exec(token)?.[1] ?? 3_600_000), address }
}

/** Serves by passing everything on, without looking. Ends with the first of both sides; idle clients are told when we go away. */
export const pipeThrough: Serve = (arrival) =>
  new Promise((resolve) => {
    const { client, backend, draining } = arrival
    arrival.cancelled(() => void backend.cancel(AbortSignal.timeout(5_000)).catch(() => {}))
    client.once('close', resolve)
    backend.socket.once('close', resolve)
    draining.addEventListener('abort', () => client.end(errorOf(new Refusal('draining', 'This replica is going away.'))))
    backend.socket.write(arrival.rest)
    client.write(backend.rest)
    client.on('data', (bytes: Buffer) => void backend.socket.write(bytes)).resume()
    backend.socket.on('data', (bytes: Buffer) => void client.write(bytes)).resume()
  })

export interface World extends AsyncDisposable {
  readonly port: number
  readonly listener: PostgresListener
  readonly options: PostgresListenerOptions
  readonly arrivals: Arrival[]
  readonly claims: Claim[]
  readonly events: AuditEvent[]
  readonly logged: string[]
}

export const startWorld = async (services: readonly PostgresServiceOptions[], change: Partial<PostgresListenerOptions> = {}, serve: Serve = pipeThrough, recheck?: () => undefined): Promise<World> => {
  const [arrivals, claims, events, logged]: [Arrival[], Claim[], AuditEvent[], string[]] = [[], [], [], []]
  const options: PostgresListenerOptions = { ...defaults, services, ...change }
  const write = (detail: object, text: string): void => void logged.push(`${text} ${JSON.stringify(detail)}`)
  const listener = makePostgresListener(options, {
    identity: { authenticate: (claim) => (claims.push(claim), authenticate(claim)), recheck: async (caller) => recheck?.() ?? caller },
    note: (event) => void events.push(event),
    log: { info: write, warn: write, error: write },
    serve: (arrival) => (arrivals.push(arrival), serve(arrival)),
  })
  const { port } = await listener.listen()
  return { port, listener, options, arrivals, claims, events, logged, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}

export const worldFor = (server: TestPostgres, change: Partial<PostgresListenerOptions> = {}): Promise<World> => startWorld([serviceFor(server.port)], change)

/** A client that sends what it is told and collects what comes. */
export interface RawClient {
  readonly socket: Socket
  readonly received: () => Buffer
  /** Waits until the other side has closed, and gives the messages that came before. */
  readonly toEnd: () => Promise<readonly Frame[]>
  /** Waits until a message of this type has come. */
  readonly until: (type: string) => Promise<Frame>
}

export const framesOf = (bytes: Buffer): readonly Frame[] => {
  const reader = makeFrameReader(backendRules({ rowBytes: 1 << 20 }))
  reader.feed(bytes)
  const frames: Frame[] = []
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame)
  return frames
}

/** Everything in one segment. */
export const rawClient = (port: number, ...bytes: readonly Buffer[]): RawClient => collect(connect(port, '127.0.0.1'), ...bytes)

export const collect = (socket: Socket, ...bytes: readonly Buffer[]): RawClient => {
  let received: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
  socket.on('error', () => {})
  socket.write(Buffer.concat(bytes))
  return {
    socket,
    received: () => received,
    toEnd: async () => {
      await until('the connection to be closed', () => socket.closed)
      return framesOf(received)
    },
    until: (type) => until(`a message ${type}`, () => framesOf(received).find((frame) => frame.type === type.charCodeAt(0))),
  }
}
