import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { readFileSync } from 'node:fs'
import { until } from '../../support/until.ts'

/** A server that follows a script, and keeps what it was sent. */
export interface Rogue extends AsyncDisposable {
  readonly port: number
  /** All bytes of all connections, TLS taken off. */
  readonly heard: () => Buffer
  readonly connections: () => number
}

export interface RogueTalk {
  /** What the client says next; waits until it says something. */
  hear(): Promise<Buffer>
  say(...bytes: readonly Buffer[]): void
}

export interface RogueManner {
  /** The answer to SSLRequest: TLS with this certificate, or these bytes. Absent: no TLS is expected. */
  readonly tls?: { readonly cert: string; readonly key: string } | Buffer
  /** What follows the start-up packet. */
  readonly talk?: (talk: RogueTalk) => Promise<void>
}

export const startRogue = async ({ tls, talk }: RogueManner): Promise<Rogue> => {
  const sockets = new Set<Socket>()
  const heard: Buffer[] = []
  let connections = 0
  const converse = (socket: Socket): void => {
    let [next, first] = [Buffer.alloc(0), true]
    const hear = async (): Promise<Buffer> => {
      await until('the client to say something', () => next.length > 0)
      const said = next
      next = Buffer.alloc(0)
      return said
    }
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes)
      next = Buffer.concat([next, bytes])
      if (!first) return
      first = false
      next = Buffer.alloc(0)
      talk?.({ hear, say: (...said) => void socket.write(Buffer.concat(said)) }).catch(() => {})
    })
    socket.on('error', () => {})
  }
  const server = createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    if (tls === undefined) return converse(socket)
    socket.once('data', (bytes: Buffer) => {
      heard.push(bytes)
      if (Buffer.isBuffer(tls)) {
        socket.write(tls)
        return converse(socket)
      }
      socket.write('S')
      converse(new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }) }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => Buffer.concat(heard),
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
