import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Claim } from '../../model/claim.ts'

/** Requests that one connection may have in progress by pipelining. */
export const pipelined = 16

/** An `Authorization` line that has been read, and the claim that it made. */
export interface Said {
  readonly authorization: string
  readonly claim: Claim
}

const none: ServerResponse[] = []
const ended = (response: ServerResponse): boolean => response.writableFinished || response.destroyed

/** What we know about one client connection. Nothing about who sends: each request says that itself, and is asked about anew. Small, because thousands wait at one time. */
export class Connection {
  readonly #socket: Socket
  #active = none
  #gone: AbortController | undefined
  /** The parser gave up and the answer to that has been written past the response objects. */
  broken = false
  /** The client's address where no proxy is trusted to say another one. */
  peer: string | undefined = undefined
  /** What the last request on it said about its sender, so that the same words are not read again. */
  said: Said | undefined = undefined

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Fires when the client has gone. Made on first use: only those who wait need it. */
  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      const made = (this.#gone = new AbortController())
      if (this.#socket.destroyed) made.abort()
      else this.#socket.on('close', () => made.abort())
    }
    return this.#gone.signal
  }

  /** False when there are too many already. */
  begin(response: ServerResponse): boolean {
    this.#prune()
    if (this.#active.length >= pipelined) return false
    if (this.#active === none) this.#active = [response]
    else this.#active.push(response)
    return true
  }

  /** No answer is under way. */
  idle(): boolean {
    this.#prune()
    return this.#active.length === 0
  }

  /** An answer written past the response objects would be understood. */
  mayAnswerRaw(): boolean {
    this.#prune()
    return this.#active.length === 0 || (this.#active.length === 1 && !(this.#active[0] as ServerResponse).headersSent)
  }

  #prune(): void {
    const active = this.#active
    for (let n = active.length - 1; n >= 0; n--) if (ended(active[n] as ServerResponse)) active.splice(n, 1)
  }
}

const connections = new WeakMap<Socket, Connection>()

export const connectionOf = (socket: Socket): Connection => {
  const known = connections.get(socket)
  if (known) return known
  const connection = new Connection(socket)
  connections.set(socket, connection)
  return connection
}
