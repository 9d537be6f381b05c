import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { defined } from '../../lib/defined.ts'
import { makeReplyReader } from './codec/reply-reader.ts'
import { requestHead } from './codec/request-head.ts'
import { makeReadMemory } from './read-memory.ts'
import { upload } from './upload.ts'

/** One request as it goes on the wire. `headers` is flat and complete but for the framing, which follows from `body`. */
export interface Outgoing {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: Uint8Array | Readable | null
  /** People let it through, once: it waits for a free connection rather than have their approval come to nothing. */
  readonly released: boolean
}

/** A request that has found its connection, and where its answer goes. Ends with exactly one of `end` and `fail`. */
export interface Exchange {
  readonly request: Outgoing
  /** This and `data` return false to be asked again only after `resume`. */
  head(status: number, headers: string[], resume: () => void): boolean
  /** `alone`: nobody else has a part of the memory that it is in. */
  data(piece: Buffer, alone: boolean): boolean
  end(): void
  fail(cause: Error): void
}

export interface Destination {
  readonly host: string
  readonly port: number
  readonly lookup: LookupFunction
  /** Over TLS, and with which authorities beside those of the system. */
  readonly tls: { readonly ca: string | undefined; session?: Buffer } | undefined
  readonly connectTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly bodyTimeoutMs: number
}

export interface ConnectionEvents {
  /** It can carry a request, the first or another one. */
  free(): void
  /** Once, and nothing comes after it. `cause`: it never stood. */
  closed(cause?: Error): void
}

/** Carries one request at a time and none twice. */
export interface Connection {
  /** Throws where it cannot be written as one request; `sending` is called before the first byte leaves. */
  run(exchange: Exchange, sending: () => void): void
  /** Cuts it. What is under way fails for this reason. */
  cut(reason: Error): void
  /** Whether it could carry a request now. */
  readonly rests: boolean
}

export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/** Shorter than servers keep what is idle: a request that meets a closing connection has an unknown end. */
const idleMs = 4_000
const longestIdleMs = 60_000
/** A server that says how long it keeps a connection counts from another moment than we do. */
const idleMarginMs = 1_000
const smallBytes = 16 << 10

type Phase = 'connect' | 'head' | 'body' | 'idle' | 'closed'

export const openConnection = (to: Destination, events: ConnectionEvents): Connection => {
  const { host, port, lookup, tls } = to
  let current: Exchange | undefined
  let phase: Phase = 'connect'
  let answered = false
  let broken: Error | undefined
  let stopUpload: (() => void) | undefined
  /** The request said that nothing comes after it. Who does not listen to that may take its body for another request, and answer that, too. */
  let last = false
  const memory = makeReadMemory()

  // One timer for all that is waited for. It is rarely set: it looks whether its time has really come.
  let due = 0
  let planned = 0
  let timer: NodeJS.Timeout | undefined
  const plan = (at: number, ms: number): void => {
    clearTimeout(timer)
    planned = at
    timer = setTimeout(look, ms)
  }
  const watch = (what: Phase, ms: number): void => {
    phase = what
    due = performance.now() + ms
    if (timer === undefined || planned > due) plan(due, ms)
  }
  const look = (): void => {
    const rest = due - performance.now()
    timer = undefined
    if (rest > 1) return plan(due, rest)
    if (phase === 'body' && reader.paused) return watch('body', to.bodyTimeoutMs)
    if (phase === 'idle') return close()
    cut(new TimedOut(phase === 'connect' ? 'the connection could not be made in time' : 'the service did not answer in time'))
  }

  const close = (cause?: Error): void => {
    if (phase === 'closed') return
    const never = phase === 'connect'
    phase = 'closed'
    clearTimeout(timer)
    stopUpload?.()
    socket.destroy()
    events.closed(never ? (cause ?? new Error('the connection was closed')) : undefined)
  }

  const cut = (reason: Error): void => {
    const failed = current
    current = undefined
    close(reason)
    failed?.fail(reason)
  }

  const reader = makeReplyReader({
    head(status, headers) {
      const exchange = current as Exchange
      watch('body', to.bodyTimeoutMs)
      return exchange.head(status, headers, () => { if (current === exchange) resume() })
    },
    data(piece) {
      if (current === undefined) return true // it gave up within this very read
      due = performance.now() + to.bodyTimeoutMs
      if (tls !== undefined) return current.data(piece, piece.byteLength === piece.buffer.byteLength)
      const taken = memory.take(piece)
      return current.data(taken.piece, taken.alone)
    },
    end() {
      answered = true
    },
  })

  const read = (step: () => void): void => {
    let bad: Error | undefined
    try {
      step()
    } catch (error) {
      bad = error as Error
    }
    if (answered) conclude(bad === undefined)
    else if (bad) cut(bad)
  }

  /** Only now, with all that came looked at: what stands behind an answer is never taken for the next one. Nor does a request go behind one that has not left yet. */
  const conclude = (clean: boolean): void => {
    const done = current
    current = undefined
    answered = false
    const restMs = reader.keepMs === undefined ? idleMs : Math.min(longestIdleMs, reader.keepMs - idleMarginMs)
    const again = clean && reader.reusable && restMs > 0 && !last && stopUpload === undefined && socket.writableLength === 0 && phase === 'body'
    if (again) {
      watch('idle', restMs)
      events.free()
    } else close()
    done?.end()
  }

  const resume = (): void => {
    if (phase === 'body') due = performance.now() + to.bodyTimeoutMs
    read(() => reader.resume())
    if (!reader.paused && phase !== 'closed') socket.resume()
  }

  /** Whether more may come at once. */
  const receive = (bytes: Buffer): boolean => {
    if (phase === 'idle') close()
    else if (current !== undefined) read(() => reader.push(bytes))
    return !reader.paused
  }

  const base = { host, port, lookup, keepAlive: true, keepAliveInitialDelay: 60_000, noDelay: true }
  let socket: Socket
  if (tls === undefined) {
    const callback = (count: number): boolean => {
      const more = receive(memory.buffer.subarray(0, count))
      memory.turn(count)
      return more
    }
    socket = connect({ ...base, onread: { buffer: () => memory.buffer, callback } })
  } else {
    socket = connectTls({ ...base, ...(isIP(host) === 0 ? { servername: host } : {}), ...defined({ ca: tls.ca, session: tls.session }), ALPNProtocols: ['http/1.1'] })
    socket.on('session', (session: Buffer) => { tls.session = session })
    socket.on('data', (bytes: Buffer) => { if (!receive(bytes)) socket.pause() })
  }
  watch('connect', to.connectTimeoutMs)

  socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
    watch('idle', idleMs)
    events.free()
  })
  socket.on('error', (error) => { broken = error })
  const over = (): void => {
    if (current === undefined) return close(broken)
    if (broken !== undefined) return cut(broken)
    const exchange = current
    read(() => reader.finish())
    // Somebody still reads what came: it is told how it ended when it has got there.
    if (current === exchange) close()
  }
  socket.on('end', over)
  socket.on('close', over)

  return {
    cut,
    get rests() { return phase === 'idle' },
    run(exchange, sending) {
      const { method, target, headers, body } = exchange.request
      const streamed = body instanceof Readable
      const { text: head, isLast } = requestHead(method, target, headers, body === null ? 'none' : streamed ? 'chunks' : body.byteLength)
      sending()
      current = exchange
      last = isLast
      reader.begin(method === 'HEAD')
      watch('head', to.headersTimeoutMs)
      if (body === null) socket.write(head, 'latin1')
      else if (streamed) {
        socket.write(head, 'latin1')
        stopUpload = upload(body, socket, {
          moved() { due = performance.now() + (phase === 'body' ? to.bodyTimeoutMs : to.headersTimeoutMs) },
          ended() { stopUpload = undefined },
          failed: cut,
        })
      } else if (body.byteLength <= smallBytes) socket.write(head + Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'), 'latin1')
      else {
        socket.cork()
        socket.write(head, 'latin1')
        socket.write(body)
        socket.uncork()
      }
    },
  }
}
