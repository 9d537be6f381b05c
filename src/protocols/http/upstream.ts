import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { readFileSync } from 'node:fs'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import type { HttpServiceOptions } from './options.ts'

/** One request as it goes on the wire. `headers` is flat and complete but for the framing, which follows from `body`. */
export interface Outgoing {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array | Readable | null
  /** People let it through, once: it waits for a free connection rather than have their approval come to nothing. */
  readonly released: boolean
}

export interface UpstreamFailure {
  /** The request may have reached the service: from here on nobody may say that it did not run. */
  readonly sent: boolean
  readonly timedOut: boolean
  readonly cause: Error
}

/** Where an answer goes, piece by piece. `head` and `data` return false to be asked again only after `resume`. */
export interface ReplySink {
  head(status: number, rawHeaders: readonly Buffer[], resume: () => void): boolean
  data(chunk: Buffer): boolean
  end(): void
  fail(failure: UpstreamFailure): void
}

/** How to reach one service: its connections, and nothing about policy. */
export interface Upstream extends AsyncDisposable {
  readonly service: string
  readonly origin: URL
  /** Resolves names to allowed addresses only; for connections made elsewhere (upgrades). */
  readonly lookup: LookupFunction
  readonly ca: string | undefined
  /** How long the answer to a handshake may take. */
  readonly handshakeMs: number
  /** How long a client may leave its answer unread. */
  readonly stallMs: number
  /** Whether this address may be connected to. */
  mayReach(address: string): boolean
  /** Sends once, never again. Ends with exactly one of `end` and `fail`. What it returns gives up: the request ends in `fail`, and its connection is never used again. */
  send(request: Outgoing, sink: ReplySink): (reason: Error) => void
  /** Equal for options that make the same upstream. */
  readonly key: string
  /** Takes no more requests and closes when the running ones have ended. */
  retire(): void
}

/** Some servers do not expect a body here and take it for the next request: it must be the last thing on its connection, and say so. */
const seldomWithBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])

/** Requests that may wait for a free connection, in multiples of the connections. */
const queuePerConnection = 4

export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

const timeoutCodes: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : '')

const makeFence = (cidrs: readonly string[]) => {
  const fence = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    fence.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return (address: string): boolean => cidrs.length === 0 || fence.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** Every connection asks anew, so a name that moved out of its range while an action waited is not followed. */
const makeLookup = (mayReach: (address: string) => boolean): LookupFunction => (hostname, options, callback) => {
  systemLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
    if (error) return callback(error, '', 4)
    const allowed = found.filter(({ address }) => mayReach(address))
    const first = allowed[0]
    if (first === undefined) return callback(new AddressRefused(`${hostname} resolves outside its allowed range (${found.map(({ address }) => address).join(', ')})`), '', 4)
    if (options.all) return callback(null, allowed)
    return callback(null, first.address, first.family)
  })
}

const authorityOf = ({ caFile }: HttpServiceOptions): string | undefined => (caFile === undefined ? undefined : readFileSync(caFile, 'utf8'))

/** Everything that an upstream is made from, and what its certificate authority's file says now. */
export const upstreamKey = (options: HttpServiceOptions): string =>
  JSON.stringify([options.name, options.upstream, options.allowedCidrs, authorityOf(options), options.connections, options.connectTimeoutMs, options.headersTimeoutMs, options.bodyTimeoutMs])

export const makeUpstream = (options: HttpServiceOptions): Upstream => {
  const origin = new URL(options.upstream)
  const literal = origin.hostname.replace(/^\[|\]$/g, '')
  const mayReach = makeFence(options.allowedCidrs)
  const lookup = makeLookup(mayReach)
  const ca = authorityOf(options)
  const barred = isIP(literal) !== 0 && !mayReach(literal)
  const pool = new Pool(origin.origin, {
    connections: options.connections,
    pipelining: 1,
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
    connect: { timeout: options.connectTimeoutMs, lookup, keepAlive: true, ...(ca === undefined ? {} : { ca }) },
  })
  const most = options.connections * (1 + queuePerConnection)
  let inFlight = 0
  let released = 0

  const send: Upstream['send'] = (request, sink) => {
    const hindrance = barred ? new AddressRefused(`${literal} is outside the allowed range`) : !request.released && inFlight - released >= most ? new Error('too many requests wait for a connection') : undefined
    if (hindrance) {
      sink.fail({ sent: false, timedOut: false, cause: hindrance })
      return () => {}
    }
    inFlight++
    if (request.released) released++
    let sent = false
    let over = false
    let givenUp: Error | undefined
    let abort: ((reason: Error) => void) | undefined
    const finish = (): boolean => {
      if (over) return false
      over = true
      inFlight--
      if (request.released) released--
      clearTimeout(patience)
      return true
    }
    const fail = (cause: Error): void => {
      if (finish()) sink.fail({ sent, timedOut: timeoutCodes.has(codeOf(cause)), cause })
    }
    const giveUp = (reason: Error): void => {
      if (over) return
      givenUp = reason
      if (abort) return abort(reason)
      if (request.body instanceof Readable) request.body.destroy()
      fail(reason)
    }
    // Only who finds no free connection needs a deadline for getting one: the connect timeout covers the others.
    const patience = inFlight > options.connections ? setTimeout(giveUp, request.released ? options.connectTimeoutMs + options.headersTimeoutMs : options.connectTimeoutMs, new Error('no connection became free in time')) : undefined
    const handler: Dispatcher.DispatchHandler = {
      onConnect(end) {
        if (givenUp) throw givenUp // as `end` would, but for the connection: that has sent nothing of it, and is the next one's
        // undici may hand a request to a second connection after the first was lost: that would be a second execution.
        if (sent) return end(new Error('the connection was lost after the request was sent'))
        sent = true
        clearTimeout(patience)
        abort = end
      },
      onHeaders(status, rawHeaders, resume) {
        return status < 200 || sink.head(status, rawHeaders, resume)
      },
      onData: (chunk) => sink.data(chunk),
      onComplete() {
        if (finish()) sink.end()
      },
      onError: fail,
      onUpgrade(_status, _headers, socket) {
        socket.destroy()
      },
    }
    try {
      pool.dispatch({ method: request.method as Dispatcher.HttpMethod, path: request.target, headers: request.headers as string[], body: request.body as Readable | null, ...(request.body !== null && seldomWithBody.has(request.method) ? { reset: true } : {}) }, handler)
    } catch (error) {
      fail(error as Error)
    }
    return giveUp
  }

  return {
    service: options.name,
    key: upstreamKey(options),
    origin,
    lookup,
    ca,
    handshakeMs: options.connectTimeoutMs + options.headersTimeoutMs,
    stallMs: options.bodyTimeoutMs,
    mayReach: (address) => !barred && mayReach(address),
    send,
    retire() {
      pool.close().catch(() => {})
    },
    async [Symbol.asyncDispose]() {
      await pool.destroy()
    },
  }
}
