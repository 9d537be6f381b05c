import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { rawHttp, statusOf } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { dial, head, startStub, startWorld } from './world.ts'

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const upload = (port: number, path: string, body: Buffer, chunked: boolean): Promise<{ status: number; body: Buffer }> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest({ port, path, method: 'POST', agent: false, headers: { host: 'app.test', authorization: 'Bearer req-a', ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length }) } }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks) })).on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })

test('10 MB pass in both directions unchanged, with a length and in chunks', async () => {
  await using stub = await startStub((_request, response, body) => (response.writeHead(200, { 'content-length': body.length }).end(body), true))
  await using world = await startWorld(stub.port)
  const body = randomBytes(10 << 20)
  for (const chunked of [false, true]) {
    const answer = await upload(world.port, '/stream/echo', body, chunked)
    assert.equal(answer.status, 200)
    assert.equal(digest(answer.body), digest(body))
    assert.equal(digest(stub.requests.at(-1)?.body ?? Buffer.alloc(0)), digest(body))
  }
})

test('large answers pass unchanged in whatever pieces they come, to quick readers and to slow ones', { timeout: 30_000 }, async () => {
  const body = randomBytes(12 << 20)
  await using stub = await startStub((request, response) => {
    response.writeHead(200, request.url === '/public/length' ? { 'content-length': body.length } : {})
    let at = 0
    const more = (): void => {
      for (let n = 0; at < body.length; n++) {
        const size = [70_000, 300, 33_000, 45_000, 5][n % 5] as number
        if (!response.write(body.subarray(at, (at += size)))) return void response.once('drain', more)
      }
      response.end()
    }
    more()
    return true
  })
  await using world = await startWorld(stub.port)
  for (const path of ['/public/length', '/public/chunks']) {
    for (const slow of [false, true]) {
      const hash = createHash('sha256')
      const answer = httpRequest({ port: world.port, path, agent: false, headers: { host: 'app.test', authorization: 'Bearer req-a' } }).end()
      const [reply] = (await once(answer, 'response')) as [IncomingMessage]
      let n = 0
      for await (const piece of reply) {
        hash.update(piece as Buffer)
        if (slow && ++n % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      assert.equal(hash.digest('hex'), digest(body), `${path} ${slow}`)
    }
  }
})

test('a streamed body over the limit ends in 413, and the upstream never takes the part for the whole', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port, { routes: [{ maxBodyBytes: 1 << 20 }] })
  const { status } = await upload(world.port, '/stream/x', Buffer.alloc(3 << 20), true)
  assert.equal(status, 413)
  assert.equal(stub.requests.filter(({ complete }) => complete).length, 0)
})

test('a body where a service expects none does not become its next request', async () => {
  const heads: string[] = []
  // Reads heads only, as some servers do for a GET, and minds `Connection: close`.
  const careless = createServer((socket) => {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0 && !socket.writableEnded; end = text.indexOf('\r\n\r\n')) {
        const seen = text.slice(0, end)
        text = text.slice(end + 4)
        heads.push(seen.split('\r\n', 1)[0] ?? '')
        const last = /\r\nconnection: close/i.test(seen)
        const answer = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${last ? 'Connection: close\r\n' : ''}\r\nok`
        if (last) socket.end(answer)
        else socket.write(answer)
      }
    })
  })
  await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve))
  try {
    await using world = await startWorld((careless.address() as AddressInfo).port)
    const hidden = 'PUT /admin/settings HTTP/1.1\r\nHost: app.test\r\n\r\n'
    for (const method of ['GET', 'DELETE', 'OPTIONS']) {
      heads.length = 0
      const answer = await rawHttp(world.port, `${head(`${method} /public/x HTTP/1.1`, `Content-Length: ${hidden.length}`, 'Connection: close')}${hidden}`)
      assert.equal(statusOf(answer), 200, method)
      assert.deepEqual(heads, [`${method} /public/x HTTP/1.1`])
    }
  } finally {
    careless.close()
  }
})

test('an early answer reaches a client that is still sending', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(413, { connection: 'close' }).end('enough'), true), true)
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(head('POST /stream/x HTTP/1.1', `Content-Length: ${8 << 20}`))
  client.write(Buffer.alloc(64 << 10))
  await until('the early answer', () => client.text().includes('enough'))
  assert.equal(statusOf(client.text()), 413)
  await until('the connection closes', client.closed)
})

test('a client that stops in mid upload leaves no complete request behind', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(`${head('POST /stream/x HTTP/1.1', 'Content-Length: 1000')}abc`)
  await until('the upstream sees it', () => stub.requests.length === 1)
  client.socket.destroy()
  await until('and sees it break', () => stub.requests[0]?.aborted)
  assert.equal(stub.requests[0]?.complete, false)
})

test('events arrive one by one, as they are sent', async () => {
  let next = (_text: string): void => {}
  await using stub = await startStub((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    next = (text) => void response.write(text)
    return true
  })
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(head('GET /public/events HTTP/1.1'))
  await until('the head', () => statusOf(client.text()) === 200)
  for (const n of [1, 2, 3]) {
    assert.equal(client.text().includes(`data: ${n}`), false)
    next(`data: ${n}\n\n`)
    await until(`event ${n}`, () => client.text().includes(`data: ${n}`))
  }
  client.socket.destroy()
  await until('the upstream is told', () => stub.requests[0]?.aborted)
})

test('connections are kept on both sides', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  for (let n = 1; n <= 5; n++) {
    client.write(head(`GET /public/${n} HTTP/1.1`))
    await until(`answer ${n}`, () => client.text().includes(`GET /public/${n} 0`))
  }
  assert.equal(stub.sockets.size, 1)
  client.socket.destroy()
})

test('Expect: 100-continue is answered when the body is wanted, and not before', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(head('POST /public/x HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 2'))
  await until('continue', () => client.text().startsWith('HTTP/1.1 100 Continue'))
  client.write('ok')
  await until('the answer', () => client.text().includes('POST /public/x 2'))
  client.socket.destroy()
  const refused = await rawHttp(world.port, head('POST /public/x HTTP/1.1', 'Expect: 100-continue', `Content-Length: ${2 << 20}`))
  assert.equal(statusOf(refused), 413)
})

test('HEAD and 304 have lengths and no bodies', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(200, { 'content-length': 1000 }).end(), true))
  await using world = await startWorld(stub.port)
  const client = dial(world.port)
  client.write(head('HEAD /public/1 HTTP/1.1'))
  await until('the first', () => /content-length: 1000\r\n/i.test(client.text()) && client.text().endsWith('\r\n\r\n'))
  client.write(head('HEAD /public/2 HTTP/1.1'))
  await until('the second on the same connection', () => client.text().match(/HTTP\/1\.1 200/g)?.length === 2)
  client.socket.destroy()
})

test('how a request is cut into segments changes nothing', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const stream = `${head('POST /public/a HTTP/1.1', 'Transfer-Encoding: chunked')}5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n${head('GET /internal/b HTTP/1.1')}${head('POST /public/c HTTP/1.1', 'Content-Length: 2')}ok${head('GET /a/../b HTTP/1.1')}`
  const bytes = Buffer.from(stream, 'latin1')
  const strip = (text: string): string => text.replace(/^date: .*\r\n/gim, '')
  const play = async (cuts: readonly number[]): Promise<{ client: string; upstream: readonly string[] }> => {
    const before = stub.requests.length
    const client = dial(world.port)
    client.socket.setNoDelay(true)
    let from = 0
    for (const cut of [...new Set(cuts)].toSorted((a, b) => a - b).concat(bytes.length)) {
      client.write(bytes.subarray(from, cut))
      from = cut
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until('the last one closes the connection', client.closed)
    return { client: strip(client.text()), upstream: stub.requests.slice(before).map(({ method, url, body }) => `${method} ${url} ${body.toString()}`).toSorted() }
  }
  const whole = await play([])
  assert.deepEqual(whole.upstream, ['POST /public/a helloabc', 'POST /public/c ok'])
  assert.deepEqual([...whole.client.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status), ['200', '403', '200', '400'])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 40 }), async (cuts) => assert.deepEqual(await play(cuts), whole)),
    { numRuns: 60 },
  )
  assert.deepEqual(await play(Array.from({ length: bytes.length - 1 }, (_, n) => n + 1)), whole)
})

test('a client that never reads its answer does not keep an upstream connection', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(200).end(Buffer.alloc(64 << 20)), true))
  await using world = await startWorld(stub.port, { service: { bodyTimeoutMs: 200 } })
  const client = dial(world.port)
  client.socket.pause()
  client.write(head('GET /public/big HTTP/1.1'))
  await until('the upstream request is ended', () => stub.requests[0]?.aborted)
  client.socket.destroy()
})

test('a new configuration takes new requests elsewhere and lets the running one end', async () => {
  let finish = (): void => {}
  await using before = await startStub((_request, response) => ((finish = () => response.end('old')), true))
  await using after = await startStub((_request, response) => (response.end('new'), true))
  await using world = await startWorld(before.port)
  const running = dial(world.port)
  running.write(head('GET /public/1 HTTP/1.1'))
  await until('it is under way', () => before.requests.length === 1)
  world.listener.prepare({ ...world.options, services: world.options.services.map((service) => ({ ...service, upstream: `http://127.0.0.1:${after.port}` })) })()
  assert.match(await rawHttp(world.port, head('GET /public/2 HTTP/1.1', 'Connection: close')), /new/)
  finish()
  await until('the old answer', () => running.text().includes('old'))
  running.socket.destroy()
  assert.equal(before.requests.length, 1)
})

test('what a new configuration leaves as it was goes on: its connections, and requests that are between the gate and the upstream', async () => {
  const ever = new Set<unknown>()
  await using stub = await startStub((request) => void ever.add(request.socket))
  await using world = await startWorld(stub.port)
  const ask = async (): Promise<void> => {
    assert.equal(statusOf(await rawHttp(world.port, head('GET /public/1 HTTP/1.1', 'Connection: close'))), 200)
  }
  await ask()
  world.listener.prepare({ ...world.options, services: world.options.services.map((service) => ({ ...service })), claimHeaders: { team: 'x-team' } })()
  await ask()
  assert.equal(ever.size, 1)
  world.listener.prepare({ ...world.options, services: world.options.services.map((service) => ({ ...service, bodyTimeoutMs: service.bodyTimeoutMs + 1 })) })()
  await ask()
  assert.equal(ever.size, 2)
  // As often as not a request is past the gate while the configuration changes.
  const answers = Array.from({ length: 60 }, () => rawHttp(world.port, head('GET /public/2 HTTP/1.1', 'Connection: close')))
  const changes = (async () => {
    for (let change = 0; change < 60; change++) {
      world.listener.prepare({ ...world.options, services: world.options.services.map((service) => ({ ...service })) })()
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  for (const answer of await Promise.all(answers)) assert.equal(statusOf(answer), 200)
  await changes
})
