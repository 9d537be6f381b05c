import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { rawHttp, statusOf } from '../support/raw-http.ts'
import { until } from '../support/until.ts'
import { dial, head, startStub, startWorld } from './world.ts'

const close = 'Connection: close'
const header = (raw: readonly string[], name: string): string[] => raw.flatMap((text, n) => (n % 2 === 0 && text.toLowerCase() === name ? [raw[n + 1] as string] : []))

test('an allowed request arrives once, with our headers and without the client’s credentials', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const answer = await rawHttp(world.port, head('GET /public/x?y=1 HTTP/1.1', close, 'X-Countersign-User: root', 'X-Forwarded-For: 1.2.3.4'))
  assert.equal(statusOf(answer), 200)
  const [seen] = stub.requests
  assert.equal(seen?.url, '/public/x?y=1')
  assert.deepEqual(header(seen?.rawHeaders ?? [], 'authorization'), [])
  assert.deepEqual(header(seen?.rawHeaders ?? [], 'x-countersign-user'), ['req-a'])
  assert.deepEqual(header(seen?.rawHeaders ?? [], 'x-forwarded-for'), ['127.0.0.1'])
  assert.deepEqual(header(seen?.rawHeaders ?? [], 'x-upstream-key'), ['lent'])
  assert.equal(header(seen?.rawHeaders ?? [], 'host')[0], `127.0.0.1:${stub.port}`)
})

test('a chunked DELETE whose body looks like a request stays one request', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const inner = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n'
  for (const path of ['/public/x', '/stream/x']) {
    const answer = await rawHttp(world.port, `${head(`DELETE ${path} HTTP/1.1`, close, 'Transfer-Encoding: chunked')}${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`)
    assert.equal(statusOf(answer), 200)
    assert.equal(stub.requests.at(-1)?.body.toString(), inner)
  }
  assert.deepEqual(stub.requests.map(({ url }) => url), ['/public/x', '/stream/x'])
})

test('what a client lists in Connection is gone, and ours is not', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const answer = await rawHttp(world.port, head('GET /public/x HTTP/1.1', 'Connection: close, X-Countersign-User, X-Mine', 'X-Mine: 1'))
  assert.equal(statusOf(answer), 200)
  assert.equal(header(stub.requests[0]?.rawHeaders ?? [], 'x-mine').length, 0)
  assert.equal(header(stub.requests[0]?.rawHeaders ?? [], 'x-countersign-user').length, 1)
})

test('a header that we say ourselves is nobody else’s in any spelling', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port, { options: { claimHeaders: { team: 'X-Agent-Team' } } })
  const spellings = ['X_Agent_Team: mine', 'x.agent-team: mine', 'X-AGENT-TEAM: mine', 'X_Upstream_Key: mine', 'x-upstream.key: mine', 'X-Upstream-Key: mine']
  assert.equal(statusOf(await rawHttp(world.port, head('GET /public/x HTTP/1.1', close, 'X-Other: 1', ...spellings))), 200)
  const raw = stub.requests[0]?.rawHeaders ?? []
  assert.equal(raw.includes('mine'), false, raw.join(' '))
  assert.deepEqual(header(raw, 'x-upstream-key'), ['lent'])
  assert.deepEqual(header(raw, 'x-other'), ['1'])
})

test('on one connection each request is its own sender’s, whatever the one before said', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const ask = (...headers: string[]): string => ['GET /public/x HTTP/1.1', 'Host: app.test', ...headers, '', ''].join('\r\n')
  const [a, b] = ['Authorization: Bearer req-a', 'Authorization: Bearer req-b']
  const answer = await rawHttp(world.port, ask(a) + ask(a) + ask(b) + ask(a) + ask(b, 'X-Api-Key: req-b') + ask(b) + ask(a, 'X-Api-Key: req-b', close))
  assert.deepEqual(stub.requests.map(({ rawHeaders }) => header(rawHeaders, 'x-countersign-user')[0]), ['req-a', 'req-a', 'req-b', 'req-a', 'req-b', 'req-b'])
  assert.match(answer, /urn:countersign:refusal:two-identities/)
  const anonymous = await rawHttp(world.port, ask(a) + ask(a) + ask(close))
  assert.match(anonymous, /urn:countersign:refusal:no-identity/)
  assert.equal(stub.requests.length, 8)
})

const malformed: readonly (readonly [string, string])[] = [
  ['dots', head('GET /a/../b HTTP/1.1')],
  ['encoded dots', head('GET /a/%2e%2e/b HTTP/1.1')],
  ['backslash', head('GET /a\\b HTTP/1.1')],
  ['absolute form', head('GET http://app.test/a HTTP/1.1')],
  ['asterisk', head('OPTIONS * HTTP/1.1')],
  ['fragment', head('GET /a#b HTTP/1.1')],
  ['HTTP/0.9', 'GET /\r\n\r\n'],
  ['no Host', 'GET / HTTP/1.1\r\nAuthorization: Bearer req-a\r\n\r\n'],
  ['two Hosts', head('GET / HTTP/1.1', 'Host: other.test')],
  ['bare LF', head('GET / HTTP/1.1').replaceAll('\r\n', '\n')],
  ['bare CR', head('GET / HTTP/1.1', 'X-A: 1\rX-B: 2')],
  ['length and chunks', `${head('POST / HTTP/1.1', 'Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\nG`],
  ['unknown coding', `${head('POST / HTTP/1.1', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`],
  ['coding twice', `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`],
  ['two lengths', `${head('POST / HTTP/1.1', 'Content-Length: 2', 'Content-Length: 5')}hello`],
  ['chunks in HTTP/1.0', `${head('POST / HTTP/1.0', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`],
  ['LF behind a chunk size', `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}2\nok\r\n0\r\n\r\n`],
  ['chunk size overflow', `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}fffffffffffffffff\r\nok\r\n0\r\n\r\n`],
  ['no line end behind a chunk', `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}2\r\nok0\r\n\r\n`],
  ['two identities', head('GET / HTTP/1.1', 'x-api-key: other')],
  ['two bearers', head('GET / HTTP/1.1', 'Authorization: Bearer req-b')],
]

test('what two parsers could read in two ways is refused, and the connection closes', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  for (const [name, raw] of malformed) {
    const client = dial(world.port)
    client.write(Buffer.from(raw, 'latin1'))
    const status = await until(name, () => statusOf(client.text()) || undefined)
    assert.equal(status, 400, name)
    assert.match(client.text(), /content-type: application\/problem\+json/, name)
    if (!name.startsWith('two identities') && !name.startsWith('two bearers')) await until(`${name} closes`, client.closed)
    client.socket.destroy()
  }
  assert.equal(stub.requests.length, 0)
})

test('what is too long says where: 413, 414, 431', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  assert.equal(statusOf(await rawHttp(world.port, head(`GET /${'a'.repeat(9_000)} HTTP/1.1`))), 414)
  assert.equal(statusOf(await rawHttp(world.port, head('GET / HTTP/1.1', `X-A: ${'a'.repeat(30_000)}`))), 431)
  assert.equal(statusOf(await rawHttp(world.port, head('GET / HTTP/1.1', ...Array.from({ length: 200 }, (_, n) => `X-${n}: 1`)))), 431)
  assert.equal(statusOf(await rawHttp(world.port, head('POST / HTTP/1.1', `Content-Length: ${2 << 20}`))), 413)
  assert.equal(statusOf(await rawHttp(world.port, `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}2;${'e'.repeat(1 << 20)}\r\nok\r\n0\r\n\r\n`)), 413)
  const big = 'a'.repeat((1 << 20) + 1)
  assert.equal(statusOf(await rawHttp(world.port, `${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`)), 413)
  assert.equal(stub.requests.length, 0)
})

test('slow heads and slow bodies end in 408 or 400', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const answers = await Promise.all([
    rawHttp(world.port, 'GET /public/x HTTP/1.1\r\nHost: app.test\r\nX-A: a', 4_000),
    rawHttp(world.port, `${head('POST /public/x HTTP/1.1', 'Content-Length: 600')}a`, 4_000),
    rawHttp(world.port, `${head('POST /public/x HTTP/1.1', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n`, 4_000),
  ])
  assert.deepEqual(answers.map(statusOf), [408, 400, 400])
  assert.equal(stub.requests.length, 0)
})

test('CONNECT is refused', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  assert.equal(statusOf(await rawHttp(world.port, head('CONNECT app.test:443 HTTP/1.1'))), 405)
})

test('no identity 401, an unknown host 421, a denied path 403; the stub hears nothing', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  assert.equal(statusOf(await rawHttp(world.port, `GET /public/x?access_token=req-a HTTP/1.1\r\nHost: app.test\r\n${close}\r\n\r\n`)), 401)
  assert.equal(statusOf(await rawHttp(world.port, `GET /x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer bad\r\n${close}\r\n\r\n`)), 401)
  assert.equal(statusOf(await rawHttp(world.port, `GET /x HTTP/1.1\r\nHost: wide.test\r\nAuthorization: Bearer a\r\n${close}\r\n\r\n`)), 421)
  assert.equal(statusOf(await rawHttp(world.port, head('GET /internal/keys HTTP/1.1', close))), 403)
  assert.equal(stub.requests.length, 0)
})

/** An upstream that answers with exactly these bytes. */
const rawUpstream = async (answer: string, then: 'keep' | 'cut') => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.from(answer, 'latin1'))
      if (then === 'cut') setImmediate(() => socket.destroy())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, connections: () => connections, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

test('an upstream that announces trailers, lists headers, and says our names, harms nobody', async () => {
  await using upstream = await rawUpstream('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTrailer: X-T\r\nConnection: X-Foo\r\nX-Foo: 1\r\nX-Countersign-User: root\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok', 'keep')
  await using world = await startWorld(upstream.port)
  const answer = await rawHttp(world.port, head('GET /public/x HTTP/1.1', close))
  assert.equal(statusOf(answer), 200)
  assert.doesNotMatch(answer, /x-foo|x-countersign-user|trailer|early hints|keep-alive: timeout=5/i)
  assert.equal(answer.match(/set-cookie/gi)?.length, 2)
  assert.match(answer, /ok$/)
})

test('an upstream cut in mid body cuts the client', async () => {
  await using upstream = await rawUpstream('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', 'cut')
  await using world = await startWorld(upstream.port)
  const client = dial(world.port)
  client.write(head('GET /public/x HTTP/1.1'))
  await until('the client is cut', client.closed)
  assert.equal(world.events.at(-1)?.type, 'finished')
})

test('an upstream that answers nothing and leaves is an unknown outcome', async () => {
  await using upstream = await rawUpstream('', 'cut')
  await using world = await startWorld(upstream.port)
  const answer = await rawHttp(world.port, `${head('POST /public/x HTTP/1.1', close, 'Content-Length: 2')}{}`)
  assert.equal(statusOf(answer), 502)
  assert.match(answer, /OUTCOME UNKNOWN/)
  assert.equal(upstream.connections(), 1)
  const event = world.events.at(-1)
  assert.equal(event?.type === 'finished' && event.outcome.result, 'unknown')
})

test('an upstream that is not there is a refusal, and nothing was sent', async () => {
  const port = await (async () => {
    await using gone = await rawUpstream('', 'cut')
    return gone.port
  })()
  await using world = await startWorld(port)
  const answer = await rawHttp(world.port, head('GET /public/x HTTP/1.1', close))
  assert.equal(statusOf(answer), 502)
  assert.match(answer, /"executed":false/)
})

test('an address outside the allowed range is never connected to', async () => {
  await using stub = await startStub()
  for (const host of ['127.0.0.1', 'localhost']) {
    await using world = await startWorld(stub.port, { service: { upstream: `http://${host}:${stub.port}`, allowedCidrs: ['10.0.0.0/8'] } })
    assert.equal(statusOf(await rawHttp(world.port, head('GET /public/x HTTP/1.1', close))), 502)
  }
  assert.equal(stub.sockets.size, 0)
  await using world = await startWorld(stub.port, { service: { upstream: `http://localhost:${stub.port}`, allowedCidrs: ['127.0.0.0/8'] } })
  assert.equal(statusOf(await rawHttp(world.port, head('GET /public/x HTTP/1.1', close))), 200)
})

test('a client that leaves takes its upstream request with it, and the connection serves nobody else', async () => {
  await using stub = await startStub((request, response) => {
    if (request.url !== '/public/big') return false
    response.writeHead(200, { 'content-length': '1048576' })
    response.write('x'.repeat(2_000))
    return true
  })
  await using world = await startWorld(stub.port, { service: { connections: 1 } })
  const client = dial(world.port)
  client.write(head('GET /public/big HTTP/1.1'))
  await until('some bytes', () => client.text().length > 1_000)
  client.socket.destroy()
  await until('the upstream hears it', () => stub.requests[0]?.aborted)
  const answer = await rawHttp(world.port, head('GET /public/echo HTTP/1.1', close))
  assert.match(answer, /GET \/public\/echo 0$/m)
})

test('redirects are passed on', async () => {
  await using stub = await startStub((_request, response) => (response.writeHead(302, { location: 'http://169.254.169.254/' }).end(), true))
  await using world = await startWorld(stub.port)
  assert.match(await rawHttp(world.port, head('GET /public/x HTTP/1.1', close)), /302 [\s\S]*location: http:\/\/169/)
  assert.equal(stub.requests.length, 1)
})

test('pipelined requests each get their own decision, in order', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  const answer = await rawHttp(world.port, head('GET /public/1 HTTP/1.1') + head('GET /internal/2 HTTP/1.1') + head('GET /public/3 HTTP/1.1', close))
  assert.deepEqual([...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status), ['200', '403', '200'])
  assert.deepEqual(stub.requests.map(({ url }) => url).toSorted(), ['/public/1', '/public/3'])
})

test('reserved paths are ours on every host, and never forwarded', async () => {
  await using stub = await startStub()
  await using world = await startWorld(stub.port)
  assert.match(await rawHttp(world.port, head('GET /.countersign/jwks.json HTTP/1.1', close)), /"kty":"OKP"/)
  assert.equal(statusOf(await rawHttp(world.port, head('GET /.countersign/other HTTP/1.1', close))), 404)
  assert.equal(statusOf(await rawHttp(world.port, head('GET /%2ecountersign/holds/x HTTP/1.1', close))), 404)
  assert.equal(stub.requests.length, 0)
})
