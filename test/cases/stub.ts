import { createServer, type AddressInfo, type Socket } from 'node:net'
import { cutChunks } from './wire-client.ts'

/** One request as it came over the wire. */
export interface Seen {
  readonly stub: string
  readonly head: string
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  readonly trailers: readonly string[]
  readonly raw: Buffer
  readonly socket: Socket
}

/** Answers one request; nothing returned means that it sends what it wants itself, or nothing. */
export type Behaviour = (seen: Seen, socket: Socket, index: number) => string | Buffer | undefined | Promise<string | Buffer | undefined>

export interface Stub extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** Complete requests. */
  readonly seen: Seen[]
  /** Bytes of requests that never became complete. */
  unfinished(): readonly Buffer[]
  connections(): number
  openSockets(): readonly Socket[]
  behave(behaviour: Behaviour): void
}

export const answer = (body: string, headers: readonly string[] = [], status = '200 OK'): string =>
  [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n')

const ok: Behaviour = () => answer('ok', ['Content-Type: text/plain'])

/** Names folded the way CGI-like upstreams do. */
export const foldName = (name: string): string => name.toLowerCase().replace(/[_.]/g, '-')

export const startStub = async (name: string): Promise<Stub> => {
  const seen: Seen[] = []
  const sockets = new Map<Socket, Buffer>()
  let behaviour = ok
  let connections = 0
  const server = createServer({ noDelay: true }, (socket) => {
    connections++
    sockets.set(socket, Buffer.alloc(0))
    let busy = Promise.resolve()
    socket.on('error', () => {})
    socket.on('close', () => { if (sockets.get(socket)?.length === 0) sockets.delete(socket) })
    socket.on('data', (chunk: Buffer) => {
      let bytes = Buffer.concat([sockets.get(socket) ?? Buffer.alloc(0), chunk])
      for (;;) {
        const found = upgraded(socket) ? undefined : cutRequest(name, bytes, socket)
        if (found === undefined) break
        bytes = bytes.subarray(found.raw.length)
        const index = seen.push(found) - 1
        busy = busy.then(async () => {
          const out = await behaviour(found, socket, index)
          if (out !== undefined && socket.writable) socket.write(typeof out === 'string' ? Buffer.from(out, 'latin1') : out)
        })
      }
      sockets.set(socket, bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    name,
    port: (server.address() as AddressInfo).port,
    seen,
    unfinished: () => [...sockets.values()].filter((bytes) => bytes.length > 0),
    connections: () => connections,
    openSockets: () => [...sockets.keys()].filter((socket) => !socket.destroyed),
    behave: (next) => void (behaviour = next),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.keys()) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const tunnels = new WeakSet<Socket>()
const upgraded = (socket: Socket): boolean => tunnels.has(socket)
/** From here on the bytes of this connection are no requests. */
export const tunnel = (socket: Socket): void => void tunnels.add(socket)

const cutRequest = (stub: string, bytes: Buffer, socket: Socket): Seen | undefined => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.subarray(0, end).toString('latin1')
  const [line = '', ...fields] = head.split('\r\n')
  const [method = '', target = ''] = line.split(' ')
  const headers = fields.map((field): [string, string] => {
    const at = field.indexOf(':')
    return [field.slice(0, at), field.slice(at + 1).trim()]
  })
  const all = (name: string): string[] => headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value)
  const start = end + 4
  const seen = (body: Buffer, until: number, trailers: readonly string[] = []): Seen => ({ stub, head, method, target, headers, body, trailers, raw: bytes.subarray(0, until), socket })
  if (all('transfer-encoding').length > 0) {
    const chunked = cutChunks(bytes, start)
    return chunked && seen(chunked.body, chunked.end, chunked.trailers)
  }
  const length = Number(all('content-length')[0] ?? 0)
  return bytes.length < start + length ? undefined : seen(bytes.subarray(start, start + length), start + length)
}
