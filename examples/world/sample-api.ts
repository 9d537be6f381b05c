import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The internal API that the tour protects: orders, refunds, customers, exports, settings. It trusts whoever reaches it. */
export interface SampleApi extends AsyncDisposable {
  readonly url: string
  /** Every request that arrived, oldest first. */
  readonly seen: readonly string[]
}

const orders = [
  { id: 'o-1001', customer: 'c-1', total: 129.9, currency: 'EUR', state: 'shipped' },
  { id: 'o-1002', customer: 'c-2', total: 19.5, currency: 'EUR', state: 'paid' },
  { id: 'o-1003', customer: 'c-1', total: 420, currency: 'EUR', state: 'paid' },
]
const customers = [
  { id: 'c-1', name: 'Ada Example', email: 'ada@example.org', country: 'DE' },
  { id: 'c-2', name: 'Bo Example', email: 'bo@example.org', country: 'SE' },
]

export const startSampleApi = async (options: { readonly host?: string; readonly port?: number } = {}): Promise<SampleApi> => {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    void answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve))
  const { address, port } = server.address() as AddressInfo
  return {
    url: `http://${address}:${port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { pathname } = new URL(request.url ?? '/', 'http://sample')
  const body = await read(request)
  const who = request.headers['x-countersign-user']
  const json = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(`${JSON.stringify(value)}\n`)
  }
  const [, version, kind, id, verb] = pathname.split('/')
  if (pathname === '/admin/settings') return json(200, { refunds: 'automatic', changedBy: request.method === 'PUT' ? who : undefined })
  if (version !== 'v1') return json(404, { error: 'not found' })
  switch (`${request.method} ${kind}${id ? '/{id}' : ''}${verb ? `/${verb}` : ''}`) {
    case 'GET orders':
      return json(200, { orders })
    case 'GET orders/{id}':
      return json(...found(orders.find((order) => order.id === id)))
    case 'POST orders/{id}/refund':
      return json(200, { refunded: id, amount: orders.find((order) => order.id === id)?.total ?? 0, note: parse(body)?.['reason'], runBy: who })
    case 'GET customers/{id}':
      return json(...found(customers.find((customer) => customer.id === id)))
    case 'DELETE customers/{id}':
      return json(200, { deleted: id, runBy: who })
    case 'POST exports':
      return json(202, { export: 'x-1', rows: customers.length, runBy: who })
    case 'GET events':
      return events(response)
    default:
      return json(404, { error: 'not found' })
  }
}

const found = (value: unknown): [number, unknown] => (value === undefined ? [404, { error: 'not found' }] : [200, value])

const parse = (body: string): Record<string, unknown> | undefined => {
  try {
    return JSON.parse(body) as Record<string, unknown>
  } catch {
    return undefined
  }
}

const read = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request) if (text.length < 1 << 20) text += String(chunk)
  return text
}

/** Three server-sent events, one every 200 ms: shows that streams pass through as they come. */
const events = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let sent = 0
  const timer = setInterval(() => {
    response.write(`id: ${++sent}\ndata: ${JSON.stringify({ order: orders[sent - 1]?.id })}\n\n`)
    if (sent === orders.length) {
      clearInterval(timer)
      response.end()
    }
  }, 200)
  response.on('close', () => clearInterval(timer))
}
