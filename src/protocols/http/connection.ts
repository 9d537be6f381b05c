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

/** What we know about one client connection. Nothing about who sends: each request says that itself, and is asked about anew. */
export interface Connection {
  /** The parser gave up and the answer to that has been written past the response objects. */
  broken: boolean
  /** Fires when the client has gone. Made on first use: only those who wait need it. */
  readonly gone: AbortSignal
  /** The client's address where no proxy is trusted to say another one. */
  peer: string | undefined
  /** What the last request on it said about its sender, so that the same words are not read again. */
  said: Said | undefined
  /** False when there are too many already. */
  begin(response: ServerResponse): boolean
  /** No answer is under way. */
  idle(): boolean
  /** An answer written past the response objects would be understood. */
  mayAnswerRaw(): boolean
}

const ended = (response: ServerResponse): boolean => response.writableFinished || response.destroyed

const connections = new WeakMap<Socket, Connection>()

export const connectionOf = (socket: Socket): Connection => {
  const known = connections.get(socket)
  if (known) return known
  const active: ServerResponse[] = []
  const prune = (): void => {
    for (let n = active.length - 1; n >= 0; n--) if (ended(active[n] as ServerResponse)) active.splice(n, 1)
  }
  let controller: AbortController | undefined
  const connection: Connection = {
    broken: false,
    peer: undefined,
    said: undefined,
    get gone() {
      if (controller === undefined) {
        const made = new AbortController()
        controller = made
        if (socket.destroyed) made.abort()
        else socket.once('close', () => made.abort())
      }
      return controller.signal
    },
    begin(response) {
      prune()
      if (active.length >= pipelined) return false
      active.push(response)
      return true
    },
    idle: () => (prune(), active.length === 0),
    mayAnswerRaw: () => (prune(), active.length === 0 || (active.length === 1 && !(active[0] as ServerResponse).headersSent)),
  }
  connections.set(socket, connection)
  return connection
}
