import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Readonly<Record<string, unknown>>
  readonly at: number
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** What it has taken, and what it has turned away. */
  readonly taken: Received[]
  readonly refused: Received[]
  /** The status of the next answers and their headers. */
  readonly answers: (readonly [status: number, headers?: Record<string, string>])[]
  /** The status of all others; 202 to begin with. */
  usual: number
}

/** Somebody's endpoint: a whole JSON object of less than 20 KB by POST, or it takes nothing. */
export const startReceiver = async (check: (received: Received) => string | undefined = () => undefined): Promise<Receiver> => {
  const [taken, refused]: [Received[], Received[]] = [[], []]
  const answers: Receiver['answers'] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const received: Received = { headers: request.headers, text, body: JSON.parse(text) as Received['body'], at: performance.now() }
    const wrong = request.method !== 'POST' ? 'not a POST' : request.headers['content-type'] !== 'application/json' ? 'not JSON' : text.length >= 20_000 ? 'too long' : check(received)
    const [status, headers = {}] = wrong === undefined ? (answers.shift() ?? [receiver.usual]) : [400]
    ;(status >= 200 && status < 300 ? taken : refused).push(received)
    response.writeHead(status, headers).end(JSON.stringify({ said: wrong ?? 'ok' }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const receiver: Receiver = {
    usual: 202,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    taken,
    refused,
    answers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}
