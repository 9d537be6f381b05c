import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'

export type Behaviour = 'ok' | '500' | 'reset-mid-body' | 'reset-before-answer' | 'hang' | 'partial' | '429' | 'redirect' | '401'

/** What became of one line. `there`: it had been kept before. `bad`: this place never takes it. */
export type Fate = 'taken' | 'there' | 'busy' | 'bad'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** How a place speaks. */
export interface Dialect {
  /** Speaks of each line by itself: takes the good ones beside a bad one. Others take none of them. */
  readonly byLine?: boolean
  /** Takes a request as a whole or not at all. */
  readonly wholly?: boolean
  /** Keeps what it has once, by the id of the record. */
  readonly keepsOnce?: boolean
  /** The lines of a request, each as it stands in the journal; or the answer to a request that carries none. Throws what the place would turn away: that fails the test. */
  read(asked: Asked): readonly string[] | Reply
  answer(texts: readonly string[], fates: readonly Fate[], asked: Asked): Reply
}

export interface Place extends AsyncDisposable {
  readonly url: string
  /** Every line it kept, in the order of arrival; repeats included, unless it keeps things once. */
  readonly kept: string[]
  readonly requests: { readonly at: number; readonly behaviour: Behaviour; readonly lines: number }[]
  /** By the number of the delivery. */
  behave: (delivery: number) => Behaviour
  isBad: (text: string) => boolean
  /** What was wrong with requests. */
  readonly complaints: string[]
}

export const idOf = (text: string): string => (JSON.parse(text) as { id: string }).id

/** A strict receiver over HTTP, with the manners that it is told. */
export const startPlace = async (dialect: Dialect, path = ''): Promise<Place> => {
  const state = { kept: [] as string[], requests: [] as Place['requests'], complaints: [] as string[], behave: (() => 'ok') as Place['behave'], isBad: (() => false) as Place['isBad'] }
  const ids = new Set<string>()

  const fatesOf = (texts: readonly string[], behaviour: Behaviour): readonly Fate[] => {
    const bad = texts.some(state.isBad)
    return texts.map((text, index): Fate => {
      if (state.isBad(text)) return 'bad'
      if (behaviour === 'partial' && (dialect.wholly === true || index >= texts.length >> 1)) return 'busy'
      if (bad && dialect.byLine !== true) return 'busy'
      if (dialect.keepsOnce === true && ids.has(idOf(text))) return 'there'
      state.kept.push(text)
      ids.add(idOf(text))
      return 'taken'
    })
  }

  const serve = (asked: Asked, response: ServerResponse): void => {
    const say = ({ status, headers = {}, body = {} }: Reply): void => void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body))
    const read = dialect.read(asked)
    if (!Array.isArray(read)) return say(read as Reply)
    const texts = read as readonly string[]
    const behaviour = state.behave(state.requests.length)
    state.requests.push({ at: Date.now(), behaviour, lines: texts.length })
    if (behaviour === 'hang') return
    if (behaviour === '500' || behaviour === '401') return say({ status: Number(behaviour) })
    if (behaviour === 'redirect') return say({ status: 307, headers: { location: '/elsewhere' } })
    if (behaviour === '429') return say({ status: 429, headers: { 'retry-after': '1' } })
    const reply = dialect.answer(texts, fatesOf(texts, behaviour), asked)
    if (behaviour === 'reset-before-answer') return void response.socket?.resetAndDestroy()
    if (behaviour === 'reset-mid-body') return void response.writeHead(reply.status, { 'content-length': '100' }).write('half', () => response.socket?.resetAndDestroy())
    say(reply)
  }

  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    const asked = await readAsked(request).catch(() => undefined)
    if (asked === undefined) return
    try {
      serve(asked, response)
    } catch (error) {
      state.complaints.push(String(error))
      response.writeHead(400).end()
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      if (state.complaints.length > 0) throw new Error(`the place had to complain: ${state.complaints.join('; ')}`)
    },
  })
}

const readAsked = async (request: IncomingMessage): Promise<Asked> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const raw = Buffer.concat(chunks)
  const url = new URL(request.url ?? '', 'http://place')
  return { method: request.method ?? '', path: url.pathname, query: url.searchParams, headers: request.headers, body: request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw }
}
