import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { gunzipSync } from 'node:zlib'

export type Behaviour = 'ok' | '500' | 'reset-mid-body' | 'reset-before-answer' | 'hang' | 'partial' | '429' | '400' | 'redirect'

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** Every line it kept, in the order of arrival, repeats included. */
  readonly kept: string[]
  readonly requests: { readonly at: number; readonly behaviour: Behaviour; readonly lines: number }[]
  behave: (request: number, lines: readonly string[]) => Behaviour
}

/** Takes batches as a strict collector would: whole valid JSON objects in the announced format, or it says so by failing the test. */
export const startReceiver = async (format: 'ndjson' | 'json-array'): Promise<Receiver> => {
  const kept: string[] = []
  const requests: Receiver['requests'] = []
  const sockets = new Set<Socket>()
  const receiver = { behave: (() => 'ok') as Receiver['behave'] }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const raw = Buffer.concat(chunks)
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString()
    const lines = format === 'ndjson' ? text.split('\n').slice(0, -1) : (JSON.parse(text) as unknown[]).map((line) => JSON.stringify(line))
    for (const line of lines) JSON.parse(line)
    const behaviour = receiver.behave(requests.length, lines)
    requests.push({ at: Date.now(), behaviour, lines: lines.length })
    const answer = (status: number, headers: Record<string, string> = {}): void => void response.writeHead(status, headers).end('{}')
    if (behaviour === 'ok') {
      kept.push(...lines)
      answer(200)
    } else if (behaviour === '500') answer(500)
    else if (behaviour === '400') answer(400)
    else if (behaviour === 'redirect') answer(307, { location: '/elsewhere' })
    else if (behaviour === '429') answer(429, { 'retry-after': '1' })
    else if (behaviour === 'reset-mid-body') {
      kept.push(...lines)
      response.writeHead(200, { 'content-length': '100' })
      response.write('half', () => request.socket.resetAndDestroy())
    } else if (behaviour === 'reset-before-answer') {
      kept.push(...lines)
      request.socket.resetAndDestroy()
    } else if (behaviour === 'partial') {
      kept.push(...lines.slice(0, lines.length >> 1))
      answer(500)
    }
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`,
    kept,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
