import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Identity } from '../../identity/identity.ts'
import { clientAddress } from '../../lib/address.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Claim } from '../../model/claim.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Arrival } from './arrival.ts'
import { sessionName } from './attribution.ts'
import { Gone } from './byte-source.ts'
import type { CancelKeys } from './cancel-keys.ts'
import { askForToken } from './client-login.ts'
import { authenticationOk, keyData, negotiateProtocolVersion, parameterStatus, readyForQuery } from './codec/reply.ts'
import { greet, type Greeting, Stuffed } from './greeting.ts'
import type { PostgresListenerOptions, PostgresServiceOptions } from './options.ts'
import type { Places } from './places.ts'
import { watchSession } from './session-watch.ts'
import { readWish, type StartupWish } from './startup-wish.ts'
import { type Backend, connectUpstream } from './upstream.ts'

export interface StartupParts {
  readonly identity: Pick<Identity, 'authenticate' | 'recheck'>
  /** Told of clients that never got as far as saying who they are, and of sessions whose token came to its end. */
  readonly note?: (event: Extract<AuditEvent, { type: 'authentication-failed' | 'session-ended' }>) => void
}

export interface StartupState {
  readonly options: PostgresListenerOptions
  readonly tls: SecureContext | undefined
  readonly draining: boolean
}

export interface StartupShared {
  readonly keys: CancelKeys
  readonly places: Places
  current(): StartupState
}

/** A connection between its first byte and its first ReadyForQuery. */
export interface Progress {
  /** Where an answer has to go: TLS may have been put around the socket that was accepted. */
  socket: Socket
  readonly stack: AsyncDisposableStack
  /** Aborted when this replica goes away. One for each connection: what listens to it goes with the connection. */
  readonly leaving: AbortController
  /** Aborted when the time that it was given is over. */
  readonly closing: AbortController
}

/** Protocol 3.2 is the newest that we speak; 3.1 has never been. */
const newestMinor = 2
const longKey = 32
const shortKey = 4

/**
 * From the first byte to a client that is logged in, in this order: encryption, form, who it is, what it may connect to, our own login.
 * Nothing is asked of the identity provider before the form is right, and nothing of the server before we know who asks.
 * Or it was a request to cancel, which is done.
 */
export const startUp = async (raw: Socket, parts: StartupParts, shared: StartupShared, progress: Progress, signal: AbortSignal): Promise<Arrival | 'cancelled'> => {
  const address = addressOf(raw)
  const greeting = await greeted(raw, address, parts, shared.current(), progress, signal)
  const { socket, packet } = greeting
  if (packet.type === 'cancel') {
    shared.keys.cancel(packet.pid, packet.key)
    return 'cancelled'
  }
  if (packet.type === 'unsupported') throw new Refusal('unsupported-media', `Protocol ${packet.major}.${packet.minor} is not spoken here, only 3.0 to 3.${newestMinor}.`)
  const { options, draining } = shared.current()
  if (draining) throw new Refusal('draining', 'This replica is going away.')
  const asked = readWish(packet.parameters)
  const protocol = Math.min(packet.minor, newestMinor)
  if (packet.minor > newestMinor || packet.options.length > 0) socket.write(negotiateProtocolVersion(protocol, packet.options))
  refusePlaintext(greeting.encrypted, address, options.plaintext)
  const service = serviceFor(asked, options)
  const { token, rest } = await askForToken(socket, greeting.rest, options, signal)
  const claim: Claim = { token, from: 'password', address, ...(service?.audience === undefined ? {} : { audience: service.audience }) }
  const caller = await within(parts.identity.authenticate(claim), signal)
  if (service === undefined) throw new Refusal('not-found', asked.database === undefined ? 'Say which database you want.' : 'There is no such database here.')
  progress.stack.defer(shared.places.take(caller, options.limits))
  const role = service.roles.get(asked.user) ?? service.credential
  const backend = progress.stack.use(await connectUpstream(service, role, { applicationName: sessionName(caller), parameters: asked.parameters }, signal))
  const key = shared.keys.issue(backend.pid, protocol >= newestMinor ? longKey : shortKey)
  progress.stack.defer(() => key.remove())
  if (shared.current().draining) throw new Refusal('draining', 'This replica is going away.')
  const { ended } = progress.stack.use(watchSession(parts, caller, claim, options.timeouts.sessionRecheckMs))
  welcome(socket, backend, key.key)
  return {
    client: socket, rest, protocol, claim, caller, service, role: role.user, database: service.database, backend,
    cancelled: key.listen, ended, draining: progress.leaving.signal, closing: progress.closing.signal, limits: () => shared.current().options.limits,
  }
}

const addressOf = (socket: Socket): string => {
  if (socket.remoteAddress === undefined) throw new Gone('the client has gone')
  return clientAddress(socket.remoteAddress, [], [])
}

const greeted = async (raw: Socket, address: string, { note }: StartupParts, { tls }: StartupState, progress: Progress, signal: AbortSignal): Promise<Greeting> => {
  try {
    return await greet(raw, tls, signal, (socket) => (progress.socket = socket))
  } catch (error) {
    if (error instanceof Stuffed) note?.({ type: 'authentication-failed', step: 'transport', address, from: 'password', cause: error.message })
    throw error
  }
}

/** Before the token is asked for: what has been sent in the clear is lost. */
const refusePlaintext = (encrypted: boolean, address: string, plaintext: PostgresListenerOptions['plaintext']): void => {
  if (encrypted || plaintext === 'anywhere') return
  if (plaintext === 'loopback' && (address.startsWith('127.') || address === '::1')) return
  throw new Refusal('no-identity', 'Tokens are accepted through TLS only.', { instead: 'Connect with sslmode=verify-full.' })
}

/** The database that the client names says which service it means. Without a name there must be only one; the user name never stands in for it. */
const serviceFor = ({ database }: StartupWish, { services }: PostgresListenerOptions): PostgresServiceOptions | undefined => {
  if (database === undefined) return services.length === 1 ? services[0] : undefined
  return services.find(({ databases }) => databases.includes(database))
}

const within = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason)
    signal.addEventListener('abort', aborted)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
    if (signal.aborted) aborted()
  })

const welcome = (socket: Socket, { parameters, pid }: Backend, key: Buffer): void => {
  const settings = [...parameters].map(([name, value]) => parameterStatus(name, value))
  socket.write(Buffer.concat([authenticationOk, ...settings, keyData(pid, key), readyForQuery('I')]))
}
