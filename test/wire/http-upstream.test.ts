import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import fc from 'fast-check'
import type { HttpServiceOptions } from '../../src/protocols/http/options.ts'
import type { Outgoing } from '../../src/protocols/http/upstream-connection.ts'
import type { UpstreamFailure } from '../../src/protocols/http/upstream-pool.ts'
import { makeUpstream, type Upstream } from '../../src/protocols/http/upstream.ts'
import { freePort } from '../support/ports.ts'
import { makeTls, type PostgresTls } from '../support/postgres-tls.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'

interface Scripted extends AsyncDisposable {
  readonly port: number
  readonly sockets: Socket[]
  /** All that each connection has sent. */
  readonly heard: string[]
}

/** A server that does what it is told on each connection; `told` is called with what has come since it was called last. */
const scripted = async (told: (socket: Socket, text: string, connection: number) => void, tls?: PostgresTls, greet?: (socket: Socket) => unknown): Promise<Scripted> => {
  const sockets: Socket[] = []
  const heard: string[] = []
  const serve = (socket: Socket): void => {
    const n = sockets.push(socket) - 1
    heard.push('')
    greet?.(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      heard[n] += bytes.toString('latin1')
      told(socket, bytes.toString('latin1'), n)
    })
  }
  const server = tls === undefined ? createServer(serve) : createTlsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key), SNICallback: (name, done) => done(name === 'localhost' ? null : new Error(`no such name: ${name}`)) }, serve)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    heard,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const upstreamAt = (port: number, options: Partial<HttpServiceOptions> = {}): Upstream =>
  makeUpstream({ name: 'app', upstream: `http://127.0.0.1:${port}`, allowedCidrs: [], connections: 1, connectTimeoutMs: 2_000, headersTimeoutMs: 5_000, bodyTimeoutMs: 5_000, routes: [], ...options })

interface Answer {
  readonly status: number
  readonly body: string
  readonly failure?: UpstreamFailure
}

interface Asked {
  readonly answer: Promise<Answer>
  readonly giveUp: (reason: Error) => void
  /** Of the body so far. */
  readonly received: () => number
  /** Goes on, where its reader stops at each piece. */
  readonly resume: () => void
}

/** Checks on the way that it ends once and that nothing comes behind the end. `stops`: its reader stops at the head and at each piece. */
const ask = (upstream: Upstream, request: Partial<Outgoing> = {}, stops = false): Asked => {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  let [status, received, over] = [0, 0, false]
  const pieces: Buffer[] = []
  let resume = (): void => {}
  const conclude = (failure?: UpstreamFailure): void => {
    assert.equal(over, false, 'one end')
    over = true
    resolve({ status, body: Buffer.concat(pieces).toString('latin1'), ...(failure === undefined ? {} : { failure }) })
  }
  const giveUp = upstream.send({ method: 'GET', target: '/', headers: ['host', 'app'], body: null, released: false, ...request }, {
    head(code, _headers, go) {
      assert.ok(!over && status === 0)
      ;[status, resume] = [code, go]
      return !stops
    },
    data(piece) {
      assert.ok(!over && status !== 0)
      pieces.push(piece)
      received += piece.length
      return !stops
    },
    end: () => conclude(),
    fail: conclude,
  })
  return { answer: promise, giveUp, received: () => received, resume: () => resume() }
}

const reply = (body: string, more = ''): string => `HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
const lineOf = (text: string): string => text.split('\r\n', 1)[0] ?? ''

describe('an answer belongs to its request', () => {
  test('what stands behind it is nobody’s', async () => {
    await using server = await scripted((socket, text, n) => socket.write(n === 0 ? reply('first') + reply('of nobody') : reply(lineOf(text))))
    using upstream = upstreamAt(server.port)
    assert.equal((await ask(upstream).answer).body, 'first')
    assert.equal((await ask(upstream, { target: '/second' }).answer).body, 'GET /second HTTP/1.1')
    assert.equal(server.sockets.length, 2)
  })

  test('what comes while nobody asks ends the connection', async () => {
    await using server = await scripted((socket, text) => socket.write(reply(lineOf(text))))
    using upstream = upstreamAt(server.port)
    await ask(upstream).answer
    server.sockets[0]?.write(reply('of nobody'))
    await until('the connection to end', () => server.sockets[0]?.destroyed)
    assert.equal((await ask(upstream, { target: '/second' }).answer).body, 'GET /second HTTP/1.1')
  })

  test('many on one connection, of readers that stop at every piece', { timeout: 20_000 }, async () => {
    const bodies = Array.from({ length: 20 }, (_, n) => randomBytes(n % 3 === 0 ? 200_000 : 50).toString('latin1'))
    using folder = temporaryFolder('upstream-tls')
    const own = await makeTls(folder.path)
    for (const tls of [undefined, own]) {
      await using server = await scripted((socket, text) => {
        const n = Number(/^GET \/(\d+) /.exec(text)?.[1])
        const body = bodies[n] as string
        socket.write(n % 2 === 0 ? reply(body) : `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`, 'latin1')
      }, tls)
      using upstream = upstreamAt(server.port, tls && { upstream: `https://localhost:${server.port}`, caFile: tls.ca })
      for (const [n, body] of bodies.entries()) {
        const asked = ask(upstream, { target: `/${n}` }, true)
        const going = setInterval(asked.resume, 1)
        const answer = await asked.answer
        clearInterval(going)
        assert.equal(answer.body, body)
        assert.equal(answer.failure, undefined)
        asked.resume() // too late, and of no effect
      }
      assert.equal(server.sockets.length, 1)
    }
  })

  test('an early answer ends the upload, and the connection carries nothing else', async () => {
    await using server = await scripted((socket, text) => { if (text.startsWith('P') || text.startsWith('G')) socket.write(reply(lineOf(text))) })
    using upstream = upstreamAt(server.port)
    const body = new Readable({ read() {} })
    body.push('begun')
    assert.equal((await ask(upstream, { method: 'POST', body }).answer).body, 'POST / HTTP/1.1')
    assert.equal(body.destroyed, true)
    assert.equal((await ask(upstream).answer).body, 'GET / HTTP/1.1')
    assert.equal(server.sockets.length, 2)
    assert.doesNotMatch(server.heard[0] ?? '', /\r\n0\r\n\r\n/)
  })
})

describe('a request', () => {
  test('that said it was the last is, also where the server does not listen to that', async () => {
    await using server = await scripted((socket, text) => {
      for (const [, path] of text.matchAll(/^(?:GET|DELETE) (\S+) /gm)) socket.write(reply(path as string))
    })
    using upstream = upstreamAt(server.port)
    const hidden = Buffer.from('GET /hidden HTTP/1.1\r\nHost: app\r\n\r\n')
    for (const method of ['GET', 'DELETE']) {
      assert.equal((await ask(upstream, { method, target: '/1', body: hidden }).answer).body, '/1')
      assert.equal((await ask(upstream, { target: '/2' }).answer).body, '/2')
    }
    assert.equal(server.sockets.length, 3)
  })

  test('that was never sent leaves nothing of its body behind', async () => {
    using away = upstreamAt(await freePort())
    using barred = upstreamAt(1, { allowedCidrs: ['10.0.0.0/8'] })
    for (const upstream of [away, barred]) {
      const body = new Readable({ read() {} })
      assert.equal((await ask(upstream, { method: 'POST', body }).answer).failure?.sent, false)
      assert.equal(body.destroyed, true)
    }
  })

  test('whose body fails while it waits fails for that reason, and was not sent', async () => {
    let first = (): void => {}
    await using server = await scripted((socket, text) => { first = () => socket.write(reply(lineOf(text))) })
    using upstream = upstreamAt(server.port)
    const running = ask(upstream)
    const body = new Readable({ read() {} })
    const waiting = ask(upstream, { method: 'POST', body })
    await until('the first', () => server.heard[0] !== undefined && server.heard[0] !== '')
    const cause = new Error('too long')
    body.destroy(cause)
    first()
    assert.equal((await running.answer).status, 200)
    assert.deepEqual((await waiting.answer).failure, { sent: false, timedOut: false, cause })
  })

  test('whose body breaks off is never whole', async () => {
    await using server = await scripted(() => {})
    using upstream = upstreamAt(server.port)
    for (const end of [(body: Readable) => body.destroy(new Error('broken')), (body: Readable) => body.destroy()]) {
      const before = server.sockets.length
      const body = new Readable({ read() {} })
      body.push('begun')
      const { answer } = ask(upstream, { method: 'POST', body })
      await until('a part to be there', () => server.heard[before]?.includes('5\r\nbegun\r\n'))
      end(body)
      const { failure } = await answer
      assert.deepEqual([failure?.sent, failure?.timedOut], [true, false])
      await until('the connection to end', () => server.sockets[before]?.destroyed)
      assert.doesNotMatch(server.heard[before] ?? '', /\r\n0\r\n\r\n/)
    }
  })

  test('whose body is gone before it is sent was not sent, and its connection is the next one’s', async () => {
    await using server = await scripted((socket, text) => socket.write(reply(lineOf(text))))
    using upstream = upstreamAt(server.port)
    await ask(upstream).answer
    const body = new Readable({ read() {} }).destroy()
    assert.equal((await ask(upstream, { method: 'POST', body }).answer).failure?.sent, false)
    assert.equal((await ask(upstream, { headers: ['x', 'a\r\nb: c'] }).answer).failure?.sent, false)
    assert.equal((await ask(upstream).answer).status, 200)
    assert.equal(server.sockets.length, 1)
    assert.equal(server.heard[0]?.match(/HTTP\/1\.1/g)?.length, 2)
  })

  test('that waits is sent in its turn, and one that gives up is not', async () => {
    const open: (() => void)[] = []
    await using server = await scripted((socket, text) => open.push(() => socket.write(reply(lineOf(text)))))
    using upstream = upstreamAt(server.port)
    const asked = ['/1', '/2', '/3', '/4'].map((target) => ask(upstream, { target }))
    await until('the first', () => open.length === 1)
    asked[1]?.giveUp(new Error('left'))
    assert.equal((await asked[1]?.answer)?.failure?.sent, false)
    for (const n of [0, 2, 3]) {
      await until('the next', () => open.length === 1)
      open.shift()?.()
      assert.equal((await asked[n]?.answer)?.body, `GET /${n + 1} HTTP/1.1`)
    }
    assert.equal(server.sockets.length, 1)
  })

  test('that gives up while it runs takes its connection with it', async () => {
    await using server = await scripted((socket, text, n) => { if (n > 0) socket.write(reply(lineOf(text))) })
    using upstream = upstreamAt(server.port)
    const first = ask(upstream)
    const second = ask(upstream, { target: '/2' })
    await until('the first to be sent', () => server.heard[0] !== undefined && server.heard[0] !== '')
    const reason = new Error('left')
    first.giveUp(reason)
    assert.deepEqual((await first.answer).failure, { sent: true, timedOut: false, cause: reason })
    first.giveUp(reason) // of no effect
    assert.equal((await second.answer).body, 'GET /2 HTTP/1.1')
  })
})

describe('what does not come in time', () => {
  const cases: readonly (readonly [string, (socket: Socket) => void, Partial<HttpServiceOptions>, Partial<UpstreamFailure>])[] = [
    ['an answer', () => {}, { headersTimeoutMs: 100 }, { sent: true, timedOut: true }],
    ['the rest of a head', (socket) => socket.write('HTTP/1.1 200'), { headersTimeoutMs: 100 }, { sent: true, timedOut: true }],
    ['the rest of a body', (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'), { bodyTimeoutMs: 100 }, { sent: true, timedOut: true }],
  ]
  for (const [name, told, options, expected] of cases) {
    test(name, async () => {
      await using server = await scripted(told)
      using upstream = upstreamAt(server.port, options)
      assert.partialDeepStrictEqual((await ask(upstream).answer).failure, expected)
    })
  }

  test('a handshake', async () => {
    await using server = await scripted(() => {})
    using upstream = upstreamAt(server.port, { upstream: `https://127.0.0.1:${server.port}`, connectTimeoutMs: 100 })
    assert.partialDeepStrictEqual((await ask(upstream).answer).failure, { sent: false, timedOut: true })
  })

  test('a free connection', async () => {
    await using server = await scripted(() => {})
    using upstream = upstreamAt(server.port, { connectTimeoutMs: 100 })
    const first = ask(upstream)
    assert.match(String((await ask(upstream).answer).failure?.cause), /no connection became free/)
    first.giveUp(new Error('enough'))
  })

  test('while nobody reads, nothing is late, and the time begins anew when somebody does', async () => {
    let more = (): void => {}
    await using server = await scripted((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf')
      more = () => socket.write('more')
    })
    await using silent = await scripted((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n'))
    /** Somebody else's answer has been late for the same reason. */
    const late = async (bodyTimeoutMs: number): Promise<void> => {
      using another = upstreamAt(silent.port, { bodyTimeoutMs })
      assert.equal((await ask(another).answer).failure?.timedOut, true)
    }
    using upstream = upstreamAt(server.port, { bodyTimeoutMs: 300 })
    const asked = ask(upstream, {}, true)
    await late(300)
    await late(200)
    asked.resume()
    asked.resume()
    await until('the first half', () => asked.received() === 4)
    await late(200) // with what went before, more than the time between two parts
    more()
    const going = setInterval(asked.resume, 1)
    const { body, failure } = await asked.answer
    clearInterval(going)
    assert.deepEqual([body, failure], ['halfmore', undefined])
  })
})

describe('connections', () => {
  test('are used again for as long as the server keeps them', async () => {
    await using server = await scripted((socket, text, n) => socket.write(reply(lineOf(text), n === 0 ? 'Keep-Alive: timeout=1\r\n' : '')))
    using upstream = upstreamAt(server.port)
    for (const expected of [1, 2, 2, 2]) {
      await ask(upstream).answer
      assert.equal(server.sockets.length, expected)
    }
  })

  test('to a server that is not there fail each request by itself', async () => {
    using upstream = upstreamAt(await freePort(), { connections: 2 })
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(upstream).answer))
    for (const { failure } of answers) assert.deepEqual([failure?.sent, failure?.timedOut], [false, false])
  })

  test('that the server closes at once leave room for the next', async () => {
    await using server = await scripted((socket, text, n) => { if (n % 2 === 0) socket.destroy(); else socket.end(reply(lineOf(text), 'Connection: close\r\n')) })
    using upstream = upstreamAt(server.port)
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(upstream).answer))
    assert.deepEqual(answers.map(({ status, failure }) => (status === 200 ? 'answered' : failure?.sent ? 'unknown' : 'not sent')), Array.from({ length: 5 }, (_, n) => (n % 2 === 0 ? 'unknown' : 'answered')))
  })

  test('that end right behind an answer carry nothing else', async () => {
    await using server = await scripted((socket, text) => socket.end(reply(lineOf(text))))
    using upstream = upstreamAt(server.port)
    const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => ask(upstream, { target: `/${n}` }).answer))
    assert.deepEqual(answers.map(({ body }) => body), Array.from({ length: 5 }, (_, n) => `GET /${n} HTTP/1.1`))
  })

  test('on which a request still leaves carry nothing else', async () => {
    await using server = await scripted((socket, text, n) => {
      socket.write(reply(lineOf(text)))
      if (n === 0) socket.pause()
    })
    using upstream = upstreamAt(server.port)
    assert.equal((await ask(upstream, { method: 'POST', body: Buffer.alloc(20 << 20) }).answer).status, 200)
    assert.equal((await ask(upstream, { target: '/2' }).answer).body, 'GET /2 HTTP/1.1')
    assert.equal(server.sockets.length, 2)
  })

  test('of which nobody reads are not read', { timeout: 20_000 }, async () => {
    using folder = temporaryFolder('upstream-tls')
    const own = await makeTls(folder.path)
    const size = 64 << 20
    for (const tls of [undefined, own]) {
      let left = size
      const more = (socket: Socket): void => {
        while (left > 0 && !socket.writableNeedDrain && !socket.destroyed) {
          left -= 1 << 16
          socket.write(Buffer.alloc(1 << 16))
        }
      }
      await using server = await scripted((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
        socket.on('drain', () => more(socket))
        more(socket)
      }, tls)
      using upstream = upstreamAt(server.port, tls && { upstream: `https://localhost:${server.port}`, caFile: tls.ca })
      const asked = ask(upstream, {}, true)
      let [before, same] = [-1, 0]
      await until('the server to stop', () => {
        same = left === before ? same + 1 : 0
        before = left
        return same === 30
      })
      assert.ok(left > size / 2, `${size - left} bytes are on the way`)
      const going = setInterval(asked.resume, 1)
      const stood = size - left
      await until('more to come', () => asked.received() > stood).finally(() => clearInterval(going))
      asked.giveUp(new Error('enough'))
      await asked.answer
    }
  })

  test('over TLS go to the named server of the given authority alone, and take their session up again', async () => {
    using folder = temporaryFolder('upstream-tls')
    using elsewhere = temporaryFolder('upstream-tls')
    const [own, other] = [await makeTls(folder.path, ['DNS:localhost']), await makeTls(elsewhere.path)]
    const reused: (boolean | string | false)[] = []
    await using server = await scripted((socket, text) => socket.write(reply(lineOf(text), 'Connection: close\r\n')), own, (socket) => reused.push((socket as TLSSocket).servername ?? '', (socket as TLSSocket).isSessionReused()))
    for (const [url, ca] of [[`https://localhost:${server.port}`, other.ca], [`https://127.0.0.1:${server.port}`, own.ca], [`https://localhost:${server.port}`, undefined]] as const) {
      using stranger = upstreamAt(server.port, { upstream: url, ...(ca === undefined ? {} : { caFile: ca }) })
      assert.deepEqual((await ask(stranger).answer).failure?.sent, false)
    }
    const before = reused.length
    using upstream = upstreamAt(server.port, { upstream: `https://localhost:${server.port}`, caFile: own.ca })
    for (let n = 0; n < 2; n++) assert.equal((await ask(upstream).answer).status, 200)
    assert.deepEqual(reused.slice(before), ['localhost', false, 'localhost', true])
    assert.equal(server.heard.slice(0, before).join(''), '')
  })

  test('that are not wanted any more finish what they carry and what waits for them', async () => {
    const open: (() => void)[] = []
    await using server = await scripted((socket, text) => open.push(() => socket.write(reply(lineOf(text)))))
    using upstream = upstreamAt(server.port)
    const [first, second] = [ask(upstream), ask(upstream, { target: '/2' })]
    await until('the first', () => open.length === 1)
    upstream.retire()
    assert.equal((await ask(upstream).answer).failure?.sent, false)
    open.shift()?.()
    assert.equal((await first.answer).status, 200)
    await until('the second', () => open.length === 1)
    open.shift()?.()
    assert.equal((await second.answer).status, 200)
    await until('the connection to end', () => server.sockets.every(({ destroyed }) => destroyed))
  })
})

test('whatever a server does and whoever leaves: each request ends once, is sent at most once, and the connections stay usable', { timeout: 60_000 }, async () => {
  const seen = new Map<string, number>()
  const deeds: readonly ((socket: Socket, path: string) => void)[] = [
    (socket, path) => socket.write(reply(path)),
    (socket, path) => socket.write(reply(path)),
    (socket, path) => socket.write(reply(path) + reply('of nobody')),
    (socket, path) => socket.end(`HTTP/1.1 200 OK\r\n\r\n${path}`),
    (socket, path) => socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${path.length.toString(16)}\r\n${path}\r\n0\r\n\r\n`),
    (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf', () => socket.destroy()),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.write('nonsense\n\n'),
    () => {},
  ]
  await using server = await scripted((socket, text) => {
    for (const [, path = ''] of text.matchAll(/^(?:GET|POST) (\/\S*) HTTP/gm)) {
      seen.set(path, (seen.get(path) ?? 0) + 1)
      deeds[Number(path.split('/')[2])]?.(socket, path)
    }
  })
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ deed: fc.nat(deeds.length - 1), leaves: fc.option(fc.nat(20)), stops: fc.boolean(), body: fc.boolean() }), { minLength: 1, maxLength: 20 }), async (requests) => {
      using upstream = upstreamAt(server.port, { connections: 3, headersTimeoutMs: 60, bodyTimeoutMs: 60, connectTimeoutMs: 1_000 })
      round++
      const answers = await Promise.all(requests.map(async ({ deed, leaves, stops, body }, n) => {
        const target = `/${round}-${n}/${deed}`
        const asked = ask(upstream, { target, ...(body ? { method: 'POST', body: Readable.from([Buffer.from('a body')]) } : {}) }, stops)
        const going = setInterval(asked.resume, 1)
        const leaving = leaves === null ? undefined : setTimeout(asked.giveUp, leaves, new Error('left'))
        const answer = await asked.answer
        clearInterval(going)
        clearTimeout(leaving)
        return { target, ...answer }
      }))
      for (const { target, failure, body } of answers) {
        assert.ok((seen.get(target) ?? 0) <= 1, 'sent once')
        if (failure === undefined) assert.equal(body, target)
        if (failure?.sent === false) assert.equal(seen.get(target), undefined)
      }
      assert.equal((await ask(upstream, { target: `/${round}-last/0` }).answer).body, `/${round}-last/0`)
    }),
    { numRuns: 60 },
  )
})
