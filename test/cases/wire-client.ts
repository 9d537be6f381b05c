import { createConnection, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  readonly at: number
}

/** A connection on which bytes are written as they stand, and answers are cut out of what comes back. */
export interface Wire {
  readonly socket: Socket
  readonly replies: readonly Reply[]
  /** The other side ended the connection. */
  closed(): boolean
  /** Everything that came and is no complete answer yet. */
  rest(): Buffer
  write(bytes: Buffer | string): void
  /** The answer with this number (from 0), or `closed` when none can come any more, or `silent` when the time is over. */
  reply(index: number, withinMs: number, method?: string): Promise<Reply | 'closed' | 'silent'>
  untilClosed(withinMs: number): Promise<boolean>
  destroy(): void
}

export const headerOf = ({ headers }: Pick<Reply, 'headers'>, name: string): string | undefined => headers.find(([key]) => key.toLowerCase() === name)?.[1]

/** `servername`: over TLS, with that name in its greeting. */
export const connectWire = (port: number, servername?: string): Wire => {
  const host = '127.0.0.1'
  const socket: Socket = servername === undefined ? createConnection({ port, host, noDelay: true }) : connectTls({ port, host, servername, rejectUnauthorized: false })
  const replies: Reply[] = []
  const listeners = new Set<() => void>()
  let pending = Buffer.alloc(0)
  let closed = false
  let bodiless = false
  const wake = (): void => listeners.forEach((listener) => listener())
  const advance = (): void => {
    for (;;) {
      const found = cutReply(pending, closed, bodiless)
      if (found === undefined) return
      pending = pending.subarray(found.length)
      if (found.reply.status >= 200 || found.reply.status === 101) replies.push(found.reply)
      if (found.reply.status === 101) return
    }
  }
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    if (replies.at(-1)?.status !== 101) advance()
    wake()
  })
  socket.on('error', () => {})
  const over = (): void => {
    closed = true
    if (replies.at(-1)?.status !== 101) advance()
    wake()
  }
  socket.on('end', over)
  socket.on('close', over)

  const until = (done: () => boolean, withinMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      if (done()) return resolve(true)
      const finish = (value: boolean): void => {
        clearTimeout(timer)
        listeners.delete(look)
        resolve(value)
      }
      const look = (): void => void (done() && finish(true))
      const timer = setTimeout(finish, withinMs, false)
      listeners.add(look)
    })

  return {
    socket,
    replies,
    closed: () => closed,
    rest: () => pending,
    write: (bytes) => void (socket.writable && socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)),
    async reply(index, withinMs, method) {
      bodiless = method === 'HEAD'
      advance()
      await until(() => replies.length > index || closed, withinMs)
      return replies[index] ?? (closed ? 'closed' : 'silent')
    },
    untilClosed: (withinMs) => until(() => closed, withinMs),
    destroy: () => void socket.destroy(),
  }
}

/** The first complete answer in these bytes. */
const cutReply = (bytes: Buffer, closed: boolean, bodiless: boolean): { readonly reply: Reply; readonly length: number } | undefined => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...fields] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) return undefined
  const headers = fields.map((field): [string, string] => {
    const at = field.indexOf(':')
    return [field.slice(0, at), field.slice(at + 1).trim()]
  })
  const start = end + 4
  const done = (body: Buffer, length: number) => ({ reply: { status, headers, body, at: performance.now() }, length })
  if (status < 200 || status === 204 || status === 304 || bodiless) return done(Buffer.alloc(0), start)
  const value = (name: string): string | undefined => headerOf({ headers }, name)
  if (value('transfer-encoding')?.toLowerCase() === 'chunked') {
    const chunked = cutChunks(bytes, start)
    return chunked && done(chunked.body, chunked.end)
  }
  const length = value('content-length')
  if (length === undefined) return closed ? done(bytes.subarray(start), bytes.length) : undefined
  return bytes.length < start + Number(length) ? undefined : done(bytes.subarray(start, start + Number(length)), start + Number(length))
}

export interface Chunked {
  readonly body: Buffer
  readonly trailers: readonly string[]
  readonly end: number
}

/** A chunked body that begins at `start`; `undefined` while it is incomplete. Throws for bytes that are none. */
export const cutChunks = (bytes: Buffer, start: number): Chunked | undefined => {
  const parts: Buffer[] = []
  for (let at = start; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return undefined
    const text = bytes.subarray(at, line).toString('latin1')
    if (!/^[0-9A-Fa-f]{1,12}(?:;.*)?$/.test(text)) throw new Error(`no chunk size: ${text.slice(0, 40)}`)
    const size = Number.parseInt(text, 16)
    at = line + 2
    if (size === 0) {
      const trailers: string[] = []
      for (;;) {
        const next = bytes.indexOf('\r\n', at)
        if (next < 0) return undefined
        if (next === at) return { body: Buffer.concat(parts), trailers, end: next + 2 }
        trailers.push(bytes.subarray(at, next).toString('latin1'))
        at = next + 2
      }
    }
    if (bytes.length < at + size + 2) return undefined
    parts.push(bytes.subarray(at, at + size))
    at += size + 2
  }
}
