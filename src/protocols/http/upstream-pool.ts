import { Readable } from 'node:stream'
import { type Connection, type Destination, type Exchange, openConnection, type Outgoing, TimedOut } from './upstream-connection.ts'

/** Requests that may wait for a free connection, in multiples of the connections. What people let through is not counted. */
const queuePerConnection = 4

export interface UpstreamFailure {
  /** The request may have reached the service: from here on nobody may say that it did not run. */
  readonly sent: boolean
  readonly timedOut: boolean
  readonly cause: Error
}

/** Where an answer goes, piece by piece. `head` and `data` return false to be asked again only after `resume`. */
export interface ReplySink {
  head(status: number, headers: readonly string[], resume: () => void): boolean
  /** `alone`: nobody else has a part of the memory that it is in, so who is done with it may give it back. */
  data(piece: Buffer, alone: boolean): boolean
  end(): void
  fail(failure: UpstreamFailure): void
}

export interface UpstreamPool {
  /** Sends once, never again. Ends with exactly one of `end` and `fail`. What it returns gives up: the request ends in `fail`, and a connection that carries it is never used again. */
  send(request: Outgoing, sink: ReplySink): (reason: Error) => void
  /** Takes no more requests and closes when the running ones have ended. */
  retire(): void
  /** Cuts everything. */
  close(): void
}

interface Ticket {
  readonly request: Outgoing
  readonly sink: ReplySink
  /** The connection that carries it: from then on it counts as sent. */
  on: Connection | undefined
  over: boolean
  patience: NodeJS.Timeout | undefined
}

/** A request takes the connection that rested last, or a new one, or waits for the next that is free; in that order, and each in its turn. */
export const makeUpstreamPool = (to: Destination, most: number, barred?: Error): UpstreamPool => {
  const connections = new Set<Connection>()
  const idle: Connection[] = []
  const queue = new Set<Ticket>()
  let waitingByRight = 0
  /** Why nothing is sent any more. */
  let retired = barred
  /** And what was on its way is cut. */
  let closed: Error | undefined

  const finish = (ticket: Ticket): boolean => {
    if (ticket.over) return false
    ticket.over = true
    clearTimeout(ticket.patience)
    return true
  }

  const fail = (ticket: Ticket, cause: Error): void => {
    if (!finish(ticket)) return
    const sent = ticket.on !== undefined
    if (!sent && ticket.request.body instanceof Readable) ticket.request.body.destroy()
    ticket.sink.fail({ sent, timedOut: isTimeout(cause), cause })
  }

  const exchangeOf = (ticket: Ticket): Exchange => ({
    request: ticket.request,
    head: (status, headers, resume) => ticket.sink.head(status, headers, resume),
    data: (piece, alone) => ticket.sink.data(piece, alone),
    end() {
      if (finish(ticket)) ticket.sink.end()
    },
    fail: (cause) => fail(ticket, cause),
  })

  const enqueue = (ticket: Ticket): void => {
    queue.add(ticket)
    if (ticket.request.released) waitingByRight++
    ticket.patience = setTimeout(giveUp, ticket.request.released ? to.connectTimeoutMs + to.headersTimeoutMs : to.connectTimeoutMs, ticket, new Error('no connection became free in time'))
  }

  const dequeue = (ticket: Ticket): void => {
    if (queue.delete(ticket) && ticket.request.released) waitingByRight--
  }

  const next = (): Ticket | undefined => {
    for (const ticket of queue) {
      dequeue(ticket)
      clearTimeout(ticket.patience)
      return ticket
    }
    return undefined
  }

  /** False where nothing was written, and nothing will be. */
  const start = (ticket: Ticket, connection: Connection): boolean => {
    const { body } = ticket.request
    try {
      if (body instanceof Readable && body.destroyed) throw body.errored ?? new Error('the body broke off before anything was sent')
      connection.run(exchangeOf(ticket), () => { ticket.on = connection })
      return true
    } catch (error) {
      fail(ticket, error as Error)
      return false
    }
  }

  /**
   * A server may have closed a connection that rests, or said something on it that nobody asked for. What came before now shows within this turn
   * of the loop: only then is anything written on it. Until then nothing was, so another one will do as well.
   */
  const reuse = (ticket: Ticket, connection: Connection): void => {
    setImmediate(() => {
      if (!connection.rests) return place(ticket)
      if (ticket.over || !start(ticket, connection)) rest(connection)
    })
  }

  const rest = (connection: Connection): void => {
    if (queue.size > 0) setImmediate(carryOn, connection) // the end of the connection may stand right behind the answer
    else if (retired) connection.cut(retired)
    else idle.push(connection)
  }

  const carryOn = (connection: Connection): void => {
    const ticket = connection.rests ? next() : undefined
    if (ticket !== undefined) reuse(ticket, connection)
    else if (connection.rests) rest(connection)
  }

  const place = (ticket: Ticket): void => {
    if (ticket.over) return
    if (closed) return fail(ticket, closed)
    const connection = idle.pop()
    if (connection !== undefined) reuse(ticket, connection)
    else if (connections.size < most) open(ticket)
    else enqueue(ticket)
  }

  /** For this request, unless it is gone when the connection stands. */
  const open = (first: Ticket): void => {
    let wanted: Ticket | undefined = first
    const connection = openConnection(to, {
      free() {
        const ticket = wanted
        wanted = undefined
        if (ticket === undefined || ticket.over || !start(ticket, connection)) rest(connection)
      },
      closed(cause) {
        connections.delete(connection)
        const at = idle.indexOf(connection)
        if (at >= 0) idle.splice(at, 1)
        const ticket = connections.size < most ? next() : undefined
        if (ticket !== undefined) open(ticket)
        if (wanted !== undefined && cause !== undefined) fail(wanted, cause)
      },
    })
    connections.add(connection)
  }

  const giveUp = (ticket: Ticket, reason: Error): void => {
    if (ticket.over) return
    if (ticket.on !== undefined) return ticket.on.cut(reason)
    dequeue(ticket)
    fail(ticket, reason)
  }

  return {
    send(request, sink) {
      const ticket: Ticket = { request, sink, on: undefined, over: false, patience: undefined }
      if (request.body instanceof Readable) request.body.on('error', () => {}) // looked for when its turn comes
      if (retired) fail(ticket, retired)
      else if (!request.released && queue.size - waitingByRight >= most * queuePerConnection) fail(ticket, new Error('too many requests wait for a connection'))
      else place(ticket)
      return (reason) => giveUp(ticket, reason)
    },
    retire() {
      retired ??= new Error('these connections are not used any more')
      while (idle.length > 0) idle.pop()?.cut(retired)
    },
    close() {
      retired = closed = new Error('this replica is going away')
      for (const ticket of queue) giveUp(ticket, closed)
      for (const connection of connections) connection.cut(closed)
    },
  }
}

const isTimeout = (cause: Error): boolean => cause instanceof TimedOut || ('code' in cause && cause.code === 'ETIMEDOUT')
