import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { BadReply, makeReplyReader } from '../../../../src/protocols/http/codec/reply-reader.ts'

interface Read {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: string
  readonly whole: boolean
  readonly reusable: boolean
}

/** What comes of these segments, and of the connection's end behind them; `bad` is what was wrong with them. */
const play = (segments: readonly Buffer[], { method = 'GET', ends = false, pauses = false } = {}): Read & { readonly bad?: string } => {
  let [status, headers, body, whole] = [0, [] as readonly string[], '', false]
  const reader = makeReplyReader({
    head(code, pairs) {
      assert.equal(status, 0, 'one head')
      ;[status, headers] = [code, pairs]
      return !pauses
    },
    data(piece) {
      assert.ok(status > 0 && !whole && piece.length > 0)
      body += piece.toString('latin1')
      return !pauses
    },
    end() {
      assert.ok(!whole, 'one end')
      whole = true
    },
  })
  reader.begin(method === 'HEAD')
  let bad: string | undefined
  try {
    for (const segment of segments) {
      const copy = Buffer.from(segment)
      reader.push(copy)
      copy.fill('#') // what is kept for later is not a view of it
      while (reader.paused) reader.resume()
    }
    if (ends && !whole) reader.finish()
  } catch (error) {
    if (!(error instanceof BadReply)) throw error
    bad = error.message
  }
  return { status, headers, body, whole, reusable: whole && bad === undefined && reader.reusable, ...(bad === undefined ? {} : { bad }) }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const playText = (text: string, how: Parameters<typeof play>[1] = {}) => play([bytes(text)], how)

const good: readonly (readonly [name: string, text: string, expected: Partial<Read>, how?: Parameters<typeof play>[1]])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', { status: 200, headers: ['Content-Length', '5'], body: 'hello', whole: true, reusable: true }],
  ['a length of nothing', 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', { status: 201, body: '', whole: true, reusable: true }],
  ['no reason, and no blank before it', 'HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx', { status: 200, body: 'x', whole: true }],
  ['chunks with extensions and trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n00001;q="x"\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n', { body: 'hello!', whole: true, reusable: true }],
  ['as long as the connection', 'HTTP/1.1 200 OK\r\n\r\nall of it', { body: 'all of it', whole: true, reusable: false }, { ends: true }],
  ['nothing, as long as the connection', 'HTTP/1.1 200 OK\r\n\r\n', { body: '', whole: true, reusable: false }, { ends: true }],
  ['an old server', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok', { body: 'ok', whole: true, reusable: false }],
  ['the last answer of its connection', 'HTTP/1.1 200 OK\r\nConnection: X-Foo, Close\r\nContent-Length: 2\r\n\r\nok', { body: 'ok', whole: true, reusable: false }],
  ['interim answers', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', { status: 200, headers: ['Content-Length', '2'], body: 'ok', whole: true }],
  // So does Go, where a handler sets it before the hints; Node takes what follows for something that should not be there.
  ['an interim answer that speaks of the end', 'HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', { status: 200, body: 'ok', whole: true, reusable: false }],
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', { body: '', whole: true, reusable: true }, { method: 'HEAD' }],
  ['HEAD of what would come in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', { body: '', whole: true, reusable: true }, { method: 'HEAD' }],
  ['204', 'HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n', { status: 204, body: '', whole: true, reusable: true }],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n', { status: 304, body: '', whole: true, reusable: true }],
  ['blanks around values, empty values, bytes above ASCII', 'HTTP/1.1 200 \xfcml\xe4ut\r\nA:  \t b c \t\r\nB:\r\nC:\xe4\r\nContent-Length:2\r\n\r\nok', { headers: ['A', 'b c', 'B', '', 'C', '\xe4', 'Content-Length', '2'], body: 'ok', whole: true }],
  ['204 that announces a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX: 1\r\n\r\n', { headers: ['X', '1'], body: '', whole: true, reusable: false }],
  ['a long line between chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;${'a'.repeat(4_094)}\r\nok\r\n0\r\n\r\n`, { body: 'ok', whole: true, reusable: true }],
]

describe('an answer', () => {
  for (const [name, text, expected, how] of good) {
    test(name, () => {
      const read = playText(text, how)
      assert.equal(read.bad, undefined)
      assert.partialDeepStrictEqual(read, expected)
    })
  }

  test('is the same however it is cut, and however often its reader stops', () => {
    for (const [name, text, , how] of good) {
      const all = bytes(text)
      const whole = play([all], how)
      assert.deepEqual(play([...all].map((byte) => Buffer.of(byte)), how), whole, name)
      fc.assert(
        fc.property(fc.array(fc.nat(all.length), { maxLength: 6 }), fc.boolean(), (cuts, pauses) => {
          const at = [0, ...cuts.toSorted((a, b) => a - b), all.length]
          assert.deepEqual(play(at.slice(1).map((to, n) => all.subarray(at[n], to)), { ...how, pauses }), whole, name)
        }),
        { numRuns: 50 },
      )
    }
  })

  test('tells how long its connection is kept', () => {
    const keepOf = (header: string): number | undefined => {
      const reader = makeReplyReader({ head: () => true, data: () => true, end() {} })
      reader.begin(false)
      reader.push(bytes(`HTTP/1.1 200 OK\r\n${header}Content-Length: 0\r\n\r\n`))
      return reader.keepMs
    }
    assert.deepEqual(['', 'Keep-Alive: timeout=5\r\n', 'Keep-Alive: max=3, timeout=72\r\n', 'Keep-Alive: timeout=x\r\n'].map(keepOf), [undefined, 5_000, 72_000, undefined])
  })
})

const ok = 'HTTP/1.1 200 OK\r\n'
const bad: readonly (readonly [name: string, text: string, how?: Parameters<typeof play>[1]])[] = [
  ['no answer', '', { ends: true }],
  ['half a head', `${ok}Content-Len`, { ends: true }],
  ['half a body', `${ok}Content-Length: 5\r\n\r\nhell`, { ends: true }],
  ['half a chunk', `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhell`, { ends: true }],
  ['no last chunk', `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, { ends: true }],
  ['no end of the trailers', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n`, { ends: true }],
  ['something else', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
  ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['two blanks', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['an empty line before it', `\r\n${ok}Content-Length: 0\r\n\r\n`],
  ['bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['one bare line feed', `${ok}A: b\nContent-Length: 2\r\n\r\nok`],
  ['a bare carriage return', `${ok}A: b\rContent-Length: 2\r\n\r\nok`],
  ['a folded line', `${ok}A: b\r\n c\r\nContent-Length: 2\r\n\r\nok`],
  ['a blank before the colon', `${ok}Content-Length : 2\r\n\r\nok`],
  ['a line without a colon', `${ok}Content-Length\r\n\r\n`],
  ['a header without a name', `${ok}: x\r\n\r\n`],
  ['a NUL', `${ok}A: \0\r\nContent-Length: 2\r\n\r\nok`],
  ['two lengths', `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`],
  ['the same length twice', `${ok}Content-Length: 2\r\ncontent-length: 2\r\n\r\nok`],
  ['a list of lengths', `${ok}Content-Length: 2, 2\r\n\r\nok`],
  ['a signed length', `${ok}Content-Length: +2\r\n\r\nok`],
  ['a length in hex', `${ok}Content-Length: 0x2\r\n\r\nok`],
  ['an empty length', `${ok}Content-Length:\r\n\r\nok`],
  ['a length beyond numbers', `${ok}Content-Length: 99999999999999999999\r\n\r\nok`],
  ['a length and chunks', `${ok}Content-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['another coding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['a coding that is none', `${ok}Transfer-Encoding: identity\r\n\r\n`],
  ['two codings', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks of an old server', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a chunk without a size', `${ok}Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n`],
  ['a blank behind a size', `${ok}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`],
  ['a signed chunk', `${ok}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n`],
  ['a chunk of 0x5', `${ok}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`],
  ['a chunk beyond numbers', `${ok}Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\nhello`],
  ['a chunk longer than its size', `${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n`],
  ['a chunk that ends in a line feed', `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n`],
  ['a size that ends in a line feed', `${ok}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`],
  ['a bare line feed in the trailers', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\nC: d\r\n\r\n`],
  ['an endless size', `${ok}Transfer-Encoding: chunked\r\n\r\n0;${'a'.repeat(5_000)}`],
  ['a trailer without a colon', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nA\r\n\r\n`],
  ['a trailer about the framing', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n`],
  ['endless trailers', `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\n${`A: ${'b'.repeat(1_000)}\r\n`.repeat(20)}\r\n`],
  ['an endless head', `${ok}${`A: ${'b'.repeat(1_000)}\r\n`.repeat(20)}`],
  ['a head that is too long', `${ok}${`A: ${'b'.repeat(1_000)}\r\n`.repeat(20)}\r\n`],
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['an interim answer of a protocol that has none', `HTTP/1.0 100 Continue\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`],
  ['a tab behind the coding', `${ok}Transfer-Encoding: chunked\t\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['a tab before the coding', `${ok}Transfer-Encoding:\tchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['endless interim answers', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(30)],
  ['more than the answer', `${ok}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
  ['a body behind HEAD', `${ok}Content-Length: 2\r\n\r\nok`, { method: 'HEAD' }],
  ['a body behind 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok'],
]

describe('what is no answer', () => {
  for (const [name, text, how] of bad) {
    test(name, () => {
      const read = playText(text, how)
      assert.ok(read.bad !== undefined && !read.reusable)
      const inBytes = play([...bytes(text)].map((byte) => Buffer.of(byte)), how)
      assert.ok(inBytes.bad !== undefined && !inBytes.reusable)
      assert.equal(inBytes.whole, read.whole)
    })
  }
})

test('what was not asked for is no answer', () => {
  const reader = makeReplyReader({ head: () => assert.fail(), data: () => assert.fail(), end: () => assert.fail() })
  assert.throws(() => reader.push(bytes(`${ok}Content-Length: 0\r\n\r\n`)), BadReply)
})

test('whatever comes, nothing but BadReply is thrown', () => {
  const parts = fc.constantFrom('HTTP/1.1 ', '200', ' OK', '\r\n', '\r', '\n', ':', ' ', '0', '5', 'a', 'Content-Length', 'Transfer-Encoding', 'chunked', '\r\n\r\n', ';', '\xff', '\0', ...good.map(([, text]) => text))
  fc.assert(fc.property(fc.array(parts, { maxLength: 20 }), fc.boolean(), (found, pauses) => void play(found.map(bytes), { ends: true, pauses })), { numRuns: 2_000 })
})

/** Node's own reader, strict as it is by default. */
const asNodeReads = async (port: number): Promise<Omit<Read, 'reusable' | 'whole'> | undefined> => {
  const request = get({ port, host: '127.0.0.1', agent: false })
  request.on('upgrade', (_answer, socket) => socket.destroy()).on('error', () => {})
  try {
    const [answer] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
    answer.setEncoding('latin1')
    let body = ''
    for await (const piece of answer) body += String(piece)
    return answer.complete ? { status: answer.statusCode ?? 0, headers: answer.rawHeaders, body } : undefined
  } catch {
    return undefined
  }
}

test('what is read as an answer here is read as the same one by Node', { timeout: 60_000 }, async () => {
  let reply: Buffer = Buffer.alloc(0)
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(reply))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  let agreed = 0
  try {
    const texts = good.filter(([name, , , how]) => how?.method !== 'HEAD' && !name.startsWith('204 that') && !name.startsWith('an interim answer that') && !name.startsWith('a long line')).map(([, text]) => text)
    const change = fc.record({ at: fc.nat(200), drop: fc.nat(3), add: fc.constantFrom('', '', ' ', '\t', '\r', '\n', '\r\n', ':', ',', ';', '0', '1', 'f', 'x', '\xff', '\0', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n') })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...texts), fc.array(change, { maxLength: 2 }), async (text, changes) => {
        for (const { at, drop, add } of changes) text = text.slice(0, at) + add + text.slice(at + drop)
        reply = bytes(text)
        const ours = play([reply], { ends: true })
        if (!ours.whole || ours.bad !== undefined || ours.status === 204) return
        agreed++
        const { status, headers, body } = ours
        assert.deepEqual(await asNodeReads(port), { status, headers, body })
      }),
      { numRuns: 1_500 },
    )
    assert.ok(agreed > 100, `only ${agreed} answers were compared`)
  } finally {
    server.close()
  }
})
