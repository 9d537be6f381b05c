import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { rawHttp, statusOf } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { dial, head, startStub, startWorld } from './world.ts'

const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']
const routes = [{}, { path: '/ws', upgrades: ['websocket' as const] }]

/** A WebSocket server that echoes, and a note of every message and connection. */
const startSocketServer = async () => {
  const messages: string[] = []
  const requests: { url: string; headers: Readonly<Record<string, unknown>> }[] = []
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  server.on('connection', (socket, request) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    socket.on('error', () => {})
    socket.on('message', (data) => {
      messages.push(String(data))
      socket.send(`echo ${String(data)}`)
    })
  })
  return {
    port: (server.address() as AddressInfo).port, messages, requests, clients: server.clients,
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const open = async (port: number, token = 'req-a'): Promise<WebSocket> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/chat?room=1`, { headers: { host: 'app.test', authorization: `Bearer ${token}` } })
  await once(socket, 'open')
  return socket
}

test('an allowed WebSocket passes in both directions, as our caller and with nobody’s credentials', async () => {
  await using stub = await startSocketServer()
  await using world = await startWorld(stub.port, { routes, options: { timeouts: { headersMs: 1_000, bodyMs: 1_000, keepAliveMs: 5_000, sessionRecheckMs: 60_000 } } })
  const socket = await open(world.port)
  for (const text of ['one', 'x'.repeat(100_000)]) {
    socket.send(text)
    const [data] = (await once(socket, 'message')) as [Buffer]
    assert.equal(String(data), `echo ${text}`)
  }
  assert.equal(stub.requests[0]?.url, '/ws/chat?room=1')
  assert.equal(stub.requests[0]?.headers['authorization'], undefined)
  assert.equal(stub.requests[0]?.headers['x-countersign-user'], 'req-a')
  socket.close(1000)
  await once(socket, 'close')
  await until('the upstream side closes', () => stub.clients.size === 0)
  await until('its end is recorded', () => world.events.at(-1)?.type === 'finished')
})

test('a handshake carries a receipt to the service and back, and nobody else’s', async () => {
  await using stub = await startSocketServer()
  await using world = await startWorld(stub.port, { routes, receipts: async ({ action }) => `of ${action.digest.slice(0, 12)}` })
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/ws/chat`, { headers: { host: 'app.test', authorization: 'Bearer req-a', 'x-countersign-receipt': 'mine', 'countersign-receipt': 'mine' } })
  const [answer] = (await once(socket, 'upgrade')) as [{ readonly headers: Readonly<Record<string, unknown>> }]
  const given = stub.requests[0]?.headers ?? {}
  assert.match(String(given['x-countersign-receipt']), /^of sha256:/)
  assert.deepEqual([answer.headers['countersign-receipt'], given['countersign-receipt']], [given['x-countersign-receipt'], undefined])
  socket.terminate()
})

test('an upgrade runs the whole policy, and nothing but a WebSocket is one', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port, { routes })
  const status = async (raw: string): Promise<number> => statusOf(await rawHttp(world.port, raw))
  assert.equal(await status(head('GET /public/x HTTP/1.1', ...handshake)), 403)
  assert.equal(await status(['GET /ws/chat HTTP/1.1', 'Host: app.test', ...handshake, '', ''].join('\r\n')), 401)
  assert.equal(await status(head('GET /internal/keys HTTP/1.1', ...handshake)), 403)
  assert.equal(await status(`${head('POST /admin/users HTTP/1.1', 'Connection: Upgrade', 'Upgrade: anything', 'Content-Length: 2')}{}`), 403)
  assert.equal(await status(head('GET /public/x HTTP/1.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__')), 403)
  assert.equal(await status(head('GET /ws/chat HTTP/1.1', ...handshake.slice(0, 3))), 400)
  assert.equal(stub.requests.length, 0)
  assert.equal(await status(head('GET /public/x HTTP/1.1', 'Connection: HTTP2-Settings, close', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__')), 200)
  assert.doesNotMatch(JSON.stringify(stub.requests[0]?.rawHeaders), /upgrade|http2/i)
})

test('without a 101 there is no tunnel', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(200, { 'content-length': 2 }).end('ok'), true))
  await using world = await startWorld(stub.port, { routes })
  const client = dial(world.port)
  client.write(head('GET /ws/chat HTTP/1.1', ...handshake) + head('GET /internal/keys HTTP/1.1'))
  await until('an answer', client.closed)
  assert.equal(statusOf(client.text()), 502)
  assert.deepEqual(stub.requests.map(({ url }) => url), ['/ws/chat'])
})

test('a 101 that does not prove that the key was read opens nothing', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm8=\r\n\r\n'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using world = await startWorld((server.address() as AddressInfo).port, { routes })
  const client = dial(world.port)
  client.write(head('GET /ws/chat HTTP/1.1', ...handshake))
  await until('an answer', client.closed)
  assert.equal(statusOf(client.text()), 502)
  server.close()
})

test('a tunnel dies with the session: 1008 to the client, and the upstream side closes', async () => {
  await using stub = await startSocketServer()
  await using world = await startWorld(stub.port, { routes })
  const socket = await open(world.port)
  socket.send('one')
  await once(socket, 'message')
  world.revoke()
  const [code] = (await once(socket, 'close')) as [number]
  assert.equal(code, 1008)
  await until('the upstream side closes', () => stub.clients.size === 0)
  assert.deepEqual(stub.messages, ['one'])
})

test('drain ends tunnels with 1001', async () => {
  await using stub = await startSocketServer()
  await using world = await startWorld(stub.port, { routes })
  const socket = await open(world.port)
  const closed = once(socket, 'close')
  await world.listener.drain(3_000)
  assert.equal(((await closed) as [number])[0], 1001)
})

test('resets and failures at any moment leave the process standing', async () => {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.resetAndDestroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using world = await startWorld(port, { routes })
  for (let n = 0; n < 5; n++) {
    const client = dial(world.port)
    await once(client.socket, 'connect')
    client.write(head('GET /ws/chat HTTP/1.1', ...handshake))
    if (n % 2 === 0) client.socket.resetAndDestroy()
    await until('it ends', client.closed)
  }
  const answer = await rawHttp(world.port, head('GET /ws/chat HTTP/1.1', ...handshake))
  assert.equal(statusOf(answer), 502)
  assert.match(answer, /OUTCOME UNKNOWN/)
  server.close()
  await once(server, 'close')
  assert.equal(statusOf(await rawHttp(world.port, head('GET /ws/chat HTTP/1.1', ...handshake))), 502)
  assert.equal(statusOf(await rawHttp(world.port, head('GET /.countersign/jwks.json HTTP/1.1', 'Connection: close'))), 200)
})
