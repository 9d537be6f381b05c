import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import OpenAI from 'openai'
import { rawHttp, statusOf } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { type Client, dial, head, startStub, startWorld } from './world.ts'

const close = 'Connection: close'
const post = (path: string, body: string, ...headers: string[]): string => `${head(`POST ${path} HTTP/1.1`, close, `Content-Length: ${body.length}`, ...headers)}${body}`
const headerOf = (answer: string, name: string): string | undefined => new RegExp(`^${name}: (.*)\\r$`, 'im').exec(answer)?.[1]
const bodyOf = (answer: string): Record<string, unknown> => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>

test('silence, then 503 that says that nothing ran; a repeat joins and runs once; later repeats are replayed', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port, { routes: [{ hold: { waitMs: 60, pendingStatus: 503 } }] })
  const first = await rawHttp(world.port, post('/admin/users', '{}'))
  assert.equal(statusOf(first), 503)
  assert.equal(headerOf(first, 'countersign-hold'), 'hold_1')
  assert.equal(headerOf(first, 'retry-after'), '5')
  assert.match(bodyOf(first)['detail'] as string, /^NOT EXECUTED, waiting for approval CS-0/)
  assert.equal(stub.requests.length, 0)
  world.settle('hold_1', 'approved')
  const second = await rawHttp(world.port, post('/admin/users', '{}'))
  assert.equal(statusOf(second), 200)
  const third = await rawHttp(world.port, post('/admin/users', '{}'))
  assert.equal(headerOf(third, 'countersign-replayed'), 'true')
  assert.equal(third.split('\r\n\r\n')[1], second.split('\r\n\r\n')[1]?.replace(/^[0-9a-f]+\r\n|\r\n0$/g, ''))
  assert.equal(stub.requests.length, 1)
  assert.equal(statusOf(await rawHttp(world.port, post('/admin/users', '{}', 'Countersign-Hold: hold_1'))), 409)
})

test('an approval while the client waits sends the very bytes that were held', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(post('/admin/users', '{"n":1}'))
  await until('a hold', () => world.holds.size === 1)
  assert.equal(client.text(), '')
  world.settle('hold_1', 'approved')
  await until('an answer', client.closed)
  assert.equal(statusOf(client.text()), 200)
  assert.deepEqual(stub.requests.map(({ body }) => body.toString()), ['{"n":1}'])
})

/** So many clients whose actions were held, and approved at one moment. */
const approvedAtOnce = async (world: Awaited<ReturnType<typeof startWorld>>, count: number): Promise<readonly ReturnType<typeof dial>[]> => {
  const clients = Array.from({ length: count }, (_, n) => {
    const client = dial(world.port)
    client.write(post('/admin/users', `{"n":${n}}`))
    return client
  })
  await until('all holds', () => world.holds.size === count)
  for (const id of world.holds.keys()) world.settle(id, 'approved')
  return clients
}

test('what was approved together waits for the few connections that its service has; what nobody approved is told that there are none', async () => {
  const silent: ServerResponse[] = []
  const answerAll = (): void => silent.splice(0).forEach((response) => response.end('done'))
  await using stub = await startStub((_request, response) => silent.push(response) > 0)
  await using world = await startWorld(stub.port, { service: { connections: 2, connectTimeoutMs: 300 } })
  const clients = await approvedAtOnce(world, 25)
  await until('both connections to be taken', () => stub.requests.length === 2)
  assert.equal(statusOf(await rawHttp(world.port, `${head('GET /orders HTTP/1.1', close)}`)), 502)
  await until('all to be answered', () => {
    answerAll()
    return clients.every(({ closed }) => closed())
  }, 20_000)
  assert.deepEqual(clients.map((client) => statusOf(client.text())), clients.map(() => 200))
  assert.equal(stub.requests.length, 25)
})

test('a client that leaves before its request has a connection: nothing is sent for it, and that is on record', async () => {
  const silent: ServerResponse[] = []
  await using stub = await startStub((_request, response) => silent.push(response) > 0)
  await using world = await startWorld(stub.port, { service: { connections: 1 } })
  const [first, second, third] = Array.from({ length: 3 }, () => dial(world.port)) as [Client, Client, Client]
  const started = (many: number) => until(`${many} to have started`, () => world.events.filter(({ type }) => type === 'started').length === many)
  first.write(head('GET /first HTTP/1.1', close))
  await until('the connection to be taken', () => stub.requests.length === 1)
  second.write(head('GET /second HTTP/1.1', close))
  await started(2)
  third.write(head('GET /third HTTP/1.1', close))
  await started(3)
  second.socket.destroy()
  const end = await until('its end', () => world.events.find((event) => event.type === 'finished'))
  assert.deepEqual([end.type === 'finished' && end.outcome.result, world.events.findLast((event) => event.type === 'refused')?.cause], ['failed', 'the client went away'])
  for (const client of [first, third]) {
    await until('a request to arrive', () => silent.length === 1)
    silent.shift()?.end('done')
    await until('its answer', client.closed)
  }
  assert.deepEqual(stub.requests.map(({ url }) => url), ['/first', '/third'])
  assert.equal(stub.connections(), 1)
})

test('what waits there by an approval keeps nobody else out', async () => {
  const silent: ServerResponse[] = []
  await using stub = await startStub((_request, response) => silent.push(response) > 0)
  await using world = await startWorld(stub.port, { service: { connections: 1, connectTimeoutMs: 20_000 } })
  const clients = await approvedAtOnce(world, 12)
  await until('the connection to be taken', () => stub.requests.length === 1)
  const reader = dial(world.port)
  reader.write(head('GET /orders HTTP/1.1', close))
  await until('all to be answered', () => {
    silent.splice(0).forEach((response) => response.end('done'))
    return [...clients, reader].every(({ closed }) => closed())
  }, 20_000)
  assert.equal(statusOf(reader.text()), 200)
})

test('Prefer: respond-async gives 202 and a place to look; wait=N shortens the silence', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const answer = await rawHttp(world.port, post('/admin/users', '{}', 'Prefer: respond-async'))
  assert.equal(statusOf(answer), 202)
  assert.equal(headerOf(answer, 'location'), '/.countersign/holds/hold_1')
  assert.equal(headerOf(answer, 'preference-applied'), 'respond-async')
  const began = Date.now()
  assert.equal(statusOf(await rawHttp(world.port, post('/admin/users', '{}', 'Prefer: wait=0'))), 503)
  assert.ok(Date.now() - began < 10_000)
})

test('denied 403 with the reason, expired 410, both final', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  for (const [state, status, reason] of [['denied', 403, /Not today/], ['expired', 410, /Nobody answered/]] as const) {
    const client = dial(world.port)
    client.write(post('/admin/users', `{"${state}":1}`))
    const id = await until('a hold', () => [...world.holds.values()].find(({ hold }) => hold.state === 'pending')?.hold.id)
    world.settle(id, state)
    await until('an answer', client.closed)
    assert.equal(statusOf(client.text()), status)
    assert.match(client.text(), reason)
    assert.equal(headerOf(client.text(), 'x-should-retry'), 'false')
  }
  assert.equal(stub.requests.length, 0)
})

test('a result is for tokens that its service would take', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port, { service: { audience: 'app' } })
  const ask = (line: string, token: string): Promise<string> => rawHttp(world.port, `${line} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer ${token}\r\nPrefer: wait=0\r\nConnection: close\r\n\r\n`)
  assert.equal(statusOf(await ask('DELETE /admin/users', 'req-a')), 401)
  assert.equal(statusOf(await ask('DELETE /admin/users', 'req-a|app')), 503)
  world.settle('hold_1', 'approved')
  assert.equal(statusOf(await ask('DELETE /admin/users', 'req-a|app')), 200)
  const result = 'GET /.countersign/holds/hold_1/result'
  assert.deepEqual([statusOf(await ask(result, 'req-a')), statusOf(await ask(result, 'req-a|other')), statusOf(await ask(result, 'req-b|app')), statusOf(await ask(result, 'req-a|app'))], [401, 401, 404, 200])
})

test('the status URL answers its requester alone, decides nothing, withdraws and gives the result', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  await rawHttp(world.port, post('/admin/users', '{}', 'Prefer: respond-async'))
  const url = '/.countersign/holds/hold_1'
  assert.equal(bodyOf(await rawHttp(world.port, head(`GET ${url} HTTP/1.1`, close)))['state'], 'pending')
  assert.equal(statusOf(await rawHttp(world.port, `GET ${url} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer req-b\r\n${close}\r\n\r\n`)), 404)
  assert.equal(statusOf(await rawHttp(world.port, `GET ${url} HTTP/1.1\r\nHost: app.test\r\n${close}\r\n\r\n`)), 401)
  assert.equal(statusOf(await rawHttp(world.port, post(`${url}/votes`, '{"verdict":"approve"}'))), 404)
  assert.equal(statusOf(await rawHttp(world.port, `DELETE ${url} HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer req-b\r\n${close}\r\n\r\n`)), 404)
  const poll = rawHttp(world.port, head(`GET ${url} HTTP/1.1`, close, 'Prefer: wait=10'))
  const stream = dial(world.port)
  stream.write(head(`GET ${url} HTTP/1.1`, 'Accept: text/event-stream'))
  await until('the first event', () => stream.text().includes('"state":"pending"'))
  world.settle('hold_1', 'approved')
  assert.equal(bodyOf(await poll)['state'], 'approved')
  await until('the second event', () => stream.text().includes('"state":"approved"'))
  stream.socket.destroy()
  await rawHttp(world.port, post('/admin/users', '{}'))
  const result = await rawHttp(world.port, head(`GET ${url}/result HTTP/1.1`, close))
  assert.match(result, /countersign-replayed: true[\s\S]*POST \/admin\/users 2/i)
  await rawHttp(world.port, post('/admin/users', '{"other":1}', 'Prefer: respond-async'))
  assert.equal(bodyOf(await rawHttp(world.port, head('DELETE /.countersign/holds/hold_2 HTTP/1.1', close)))['state'], 'withdrawn')
})

test('drain answers those who wait, tells them to go elsewhere, and lets the running end', async () => {
  let finish = (): void => {}
  await using stub = await startStub((request, response) => (request.url === '/public/slow' ? ((finish = () => response.end('done')), true) : false))
  await using world = await startWorld(stub.port)
  const waiting = dial(world.port)
  waiting.write(`${head('POST /admin/users HTTP/1.1', 'Content-Length: 2')}{}`)
  const running = dial(world.port)
  running.write(head('GET /public/slow HTTP/1.1'))
  await until('both are under way', () => world.holds.size === 1 && stub.requests.length === 1)
  let drained = false
  const draining = world.listener.drain(5_000).then(() => (drained = true))
  // What main does on its way down: the listener first, so that the answers say `close`.
  const { hold } = world.holds.get('hold_1')!
  assert.equal(hold.state, 'pending')
  world.drainApprovals()
  await until('the waiter is answered', () => statusOf(waiting.text()) === 503)
  assert.match(waiting.text(), /connection: close/i)
  await until('and closed', waiting.closed)
  assert.equal(drained, false)
  finish()
  await draining
  await until('the running one has its answer', () => running.text().includes('done'))
})

test('the openai SDK retries a held route into its approval, and shows the reason of a denial', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}]}'), true))
  await using world = await startWorld(stub.port, { routes: [{ host: '127.0.0.1', errors: 'openai', hold: { waitMs: 30, pendingStatus: 503 } }] })
  const client = new OpenAI({ apiKey: 'req-a', baseURL: `http://127.0.0.1:${world.port}/admin/v1`, maxRetries: 2 })
  const ask = (content: string) => client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content }] })
  const answer = ask('one')
  await until('a hold', () => world.holds.size === 1)
  world.settle('hold_1', 'approved')
  assert.equal((await answer).choices[0]?.message.content, 'hi')
  const denied = ask('two').catch((error: Error) => error)
  await until('another hold', () => world.holds.size === 2)
  world.settle('hold_2', 'denied')
  const error = (await denied) as Error & { status?: number }
  assert.equal(error.status, 403)
  assert.match(error.message, /NOT EXECUTED. Not today/)
  assert.equal(stub.requests.length, 1)
})
