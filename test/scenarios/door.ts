import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { listenAt } from './listening.ts'

/** A way to something, which can be closed and opened while programs hold its address. */
export interface Door extends AsyncDisposable {
  readonly url: string
  /** Open connections are cut, new ones are refused. */
  close(): Promise<void>
  open(): Promise<void>
}

export const openDoor = async (target: string): Promise<Door> => {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const inner = createConnection(Number(port), hostname)
    for (const [one, other] of [[socket, inner], [inner, socket]] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => (sockets.delete(one), other.destroy()))
      one.pipe(other)
    }
  })
  await listenAt(server, 0)
  const own = (server.address() as AddressInfo).port
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { url: `http://127.0.0.1:${own}`, close, open: () => listenAt(server, own), [Symbol.asyncDispose]: close }
}
