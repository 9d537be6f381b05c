import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listenAt } from './listening.ts'

/** One request as it reached the protected service. */
export interface Arrival {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** The protected service: it trusts whoever reaches it, and writes down who did. */
export interface Recorder extends AsyncDisposable {
  readonly url: string
  /** Everything that arrived whole, oldest first. */
  readonly arrivals: readonly Arrival[]
  /** How often this path was executed: each arrival that is no mere reading. */
  executions(path: string): number
  /** Answers instead of the usual 200. Give it back `undefined` to return to the usual. */
  answer: ((arrival: Arrival, response: ServerResponse) => void | Promise<void>) | undefined
  /** No connection is taken any more, and those there are end. */
  goAway(): Promise<void>
  comeBack(): Promise<void>
}

export const startRecorder = async (): Promise<Recorder> => {
  const arrivals: Arrival[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    response.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const arrival: Arrival = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() }
      arrivals.push(arrival)
      if (recorder.answer) return void recorder.answer(arrival, response)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ran: recorder.executions(arrival.path), path: arrival.path }))
    })
  })
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  await listenAt(server, 0)
  const { port } = server.address() as AddressInfo
  const recorder: Recorder = {
    url: `http://127.0.0.1:${port}`,
    arrivals,
    executions: (path) => arrivals.filter((arrival) => arrival.path === path && arrival.method !== 'GET' && arrival.method !== 'HEAD').length,
    answer: undefined,
    goAway: close,
    comeBack: () => listenAt(server, port),
    [Symbol.asyncDispose]: close,
  }
  return recorder
}
