import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'

/** One connection of the replica's. */
export interface Relayed {
  /** What the replica has sent. */
  readonly sent: readonly Buffer[]
  /** What the server says is kept back from now on. */
  silence(): void
  /** Speaks in the server's name. */
  say(...bytes: readonly Buffer[]): void
  /** Breaks it, on both sides. */
  cut(): void
}

/** Stands between a replica and its server, and writes down what the replica sends on each connection. It can speak in the server's name. */
export interface RecordingRelay extends AsyncDisposable {
  readonly port: number
  /** Where it leads; set before the first connection comes. */
  target: number
  /** New connections get no further before this resolves. */
  open: Promise<void>
  /** What was sent on each connection, in the order in which they were opened. */
  readonly sent: readonly Buffer[][]
  readonly connections: readonly Relayed[]
}

export const startRelay = async (): Promise<RecordingRelay> => {
  const sent: Buffer[][] = []
  const connections: Relayed[] = []
  const sockets = new Set<Socket>()
  const server = createServer((from) => {
    const to = createConnection(relay.target, '127.0.0.1')
    const chunks: Buffer[] = []
    sent.push(chunks)
    connections.push({
      sent: chunks,
      silence: () => void to.unpipe(from).resume(),
      say: (...bytes) => void from.write(Buffer.concat(bytes)),
      cut: () => void [from, to].map((socket) => socket.resetAndDestroy()),
    })
    for (const [one, other] of [[from, to], [to, from]] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => (sockets.delete(one), other.destroy()))
    }
    from.on('data', (chunk: Buffer) => chunks.push(chunk)).pause()
    void relay.open.then(() => {
      from.pipe(to)
      to.pipe(from)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const relay: RecordingRelay = {
    port: (server.address() as AddressInfo).port,
    target: 0,
    open: Promise.resolve(),
    sent,
    connections,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return relay
}
