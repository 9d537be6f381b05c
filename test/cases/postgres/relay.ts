import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { cut, message, strings } from './messages.ts'

/** What the product said to the server, message by message. */
export interface Heard {
  /** Which of the connections to the server. */
  readonly connection: number
  readonly type: string
  readonly body: Buffer
  readonly at: number
}

export interface Relayed {
  readonly connection: number
  /** What a Query asks for, or the statement behind an Execute, in the bytes that reached the server. */
  readonly sql: string
  readonly parameters: readonly (string | null)[]
}

/** Stands between the product and a real server and writes down what passes. */
export interface Relay extends AsyncDisposable {
  readonly port: number
  /** From now on another server is reached here; connections to the one before are cut. */
  readonly lead: (serverPort: number) => void
  readonly heard: readonly Heard[]
  /** Parameters of each start-up message, in the order of the connections. */
  readonly startups: readonly Readonly<Record<string, string>>[]
  /** Everything that was asked to run, in order. */
  readonly ran: () => readonly Relayed[]
  /** Texts that the server was asked to read: of every Query and every Parse. */
  readonly texts: () => readonly string[]
  /** Bytes to the server: of each connection, after its log-in too. */
  readonly bytes: () => Buffer
  /** Numbers of the connections that clients' sessions have to the server and that are open. */
  readonly open: () => readonly number[]
  /** The secrets by which the server lets each connection be cancelled. */
  readonly keys: readonly string[]
  /** Runs a statement on a connection of the product while nothing else happens there; the product hears nothing of it. */
  readonly inject: (connection: number, sql: string) => Promise<void>
  /** What a Query gets from somebody between the product and the server, instead of the server's answer. */
  answer: ((sql: string) => Buffer | undefined) | undefined
}

interface Line {
  readonly number: number
  rest: Buffer
  started: boolean
  readonly bytes: Buffer[]
  upstream: Socket
  /** While set, the server's words go here and not to the product. */
  swallow: ((chunk: Buffer) => void) | undefined
}

const startupOf = (body: Buffer): Readonly<Record<string, string>> => {
  const words = strings(body.subarray(4))
  const parameters: Record<string, string> = {}
  for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2) parameters[words[at] ?? ''] = words[at + 1] ?? ''
  return parameters
}

const bound = (body: Buffer): { readonly portal: string; readonly statement: string; readonly parameters: readonly (string | null)[] } => {
  const [portal = '', statement = ''] = strings(body)
  let at = Buffer.byteLength(portal) + Buffer.byteLength(statement) + 2
  at += 2 + 2 * body.readUInt16BE(at)
  const parameters: (string | null)[] = []
  const count = body.readUInt16BE(at)
  at += 2
  for (let left = count; left > 0; left--) {
    const length = body.readInt32BE(at)
    at += 4
    parameters.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return { portal, statement, parameters }
}

const runs = (heard: readonly Heard[]): readonly Relayed[] => {
  const statements = new Map<string, string>()
  const portals = new Map<string, { readonly sql: string; readonly parameters: readonly (string | null)[] }>()
  const found: Relayed[] = []
  for (const { connection, type, body } of heard) {
    const [first = '', second = ''] = strings(body)
    if (type === 'Q') found.push({ connection, sql: first, parameters: [] })
    else if (type === 'P') statements.set(`${connection} ${first}`, second)
    else if (type === 'B') {
      const { portal, statement, parameters } = bound(body)
      portals.set(`${connection} ${portal}`, { sql: statements.get(`${connection} ${statement}`) ?? '', parameters })
    } else if (type === 'E') {
      const portal = portals.get(`${connection} ${first}`)
      if (portal !== undefined) found.push({ connection, ...portal })
    } else if (type === 'F') found.push({ connection, sql: `function ${body.readInt32BE(0)}`, parameters: [] })
  }
  return found
}

/** What the connection by which the product learns names calls itself. */
const catalogName = 'countersign catalog'

export const startRelay = async (serverPort: number): Promise<Relay> => {
  let target = serverPort
  const heard: Heard[] = []
  const startups: Readonly<Record<string, string>>[] = []
  const lines: Line[] = []
  const keys: string[] = []
  const sockets = new Set<Socket>()
  const take = (line: Line, chunk: Buffer): void => {
    line.bytes.push(chunk)
    line.rest = Buffer.concat([line.rest, chunk])
    if (!line.started) {
      if (line.rest.length < 8 || line.rest.length < line.rest.readInt32BE(0)) return
      const length = line.rest.readInt32BE(0)
      startups[line.number] = startupOf(line.rest.subarray(4, length))
      line.rest = line.rest.subarray(length)
      line.started = true
    }
    const { messages, taken } = cut(line.rest)
    line.rest = line.rest.subarray(taken)
    for (const { type, body } of messages) heard.push({ connection: line.number, type, body: Buffer.from(body), at: performance.now() })
  }
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    const line: Line = { number: lines.length, rest: Buffer.alloc(0), started: false, bytes: [], upstream, swallow: undefined }
    lines.push(line)
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        sockets.delete(socket)
        ;(socket === client ? upstream : client).destroy()
      })
    }
    client.on('data', (chunk: Buffer) => {
      const from = heard.length
      take(line, chunk)
      const [only] = heard.slice(from)
      const instead = only?.type === 'Q' ? relay.answer?.(strings(only.body)[0] ?? '') : undefined
      if (instead === undefined) upstream.write(chunk)
      else client.write(instead)
    })
    let greeting: Buffer = Buffer.alloc(0)
    upstream.on('data', (chunk: Buffer) => {
      if (keys[line.number] !== undefined) return
      greeting = Buffer.concat([greeting, chunk])
      const key = cut(greeting).messages.find(({ type }) => type === 'K')
      if (key !== undefined) keys[line.number] = key.body.subarray(4).toString('hex')
    })
    upstream.on('data', (chunk: Buffer) => (line.swallow === undefined ? client.write(chunk) : line.swallow(chunk)))
    client.once('end', () => upstream.end())
    upstream.once('end', () => client.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    lead(port) {
      target = port
      for (const socket of sockets) socket.destroy()
    },
    heard,
    startups,
    ran: () => runs(heard),
    texts: () => heard.flatMap(({ type, body }) => (type === 'Q' ? [strings(body)[0] ?? ''] : type === 'P' ? [strings(body)[1] ?? ''] : [])),
    bytes: () => Buffer.concat(lines.flatMap(({ bytes }) => bytes)),
    open: () => lines.filter(({ upstream, number }) => !upstream.destroyed && startups[number]?.['application_name'] !== catalogName).map(({ number }) => number),
    keys,
    answer: undefined,
    inject: (connection, sql) =>
      new Promise((resolve, reject) => {
        const line = lines[connection]
        if (line === undefined) return reject(new Error(`no connection ${connection}`))
        let rest: Buffer = Buffer.alloc(0)
        line.swallow = (chunk) => {
          rest = Buffer.concat([rest, chunk])
          if (!cut(rest).messages.some(({ type }) => type === 'Z')) return
          line.swallow = undefined
          resolve()
        }
        line.upstream.write(message({ Query: sql }))
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return relay
}
