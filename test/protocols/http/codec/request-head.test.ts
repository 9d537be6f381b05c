import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { requestHead as headOf, type RequestFraming } from '../../../../src/protocols/http/codec/request-head.ts'

const requestHead = (method: string, target: string, headers: readonly string[], framing: RequestFraming): string => headOf(method, target, headers, framing).text

test('a head says how much follows it, and nothing where nothing is expected', () => {
  assert.equal(requestHead('GET', '/a?b', ['Host', 'app', 'X', ''], 'none'), 'GET /a?b HTTP/1.1\r\nHost: app\r\nX: \r\nconnection: keep-alive\r\n\r\n')
  assert.match(requestHead('POST', '/', [], 'none'), /\r\ncontent-length: 0\r\n/)
  assert.match(requestHead('POST', '/', [], 12), /\r\nconnection: keep-alive\r\ncontent-length: 12\r\n\r\n$/)
  assert.match(requestHead('PUT', '/', [], 'chunks'), /\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n$/)
})

test('a body where a service may expect none is the last thing on its connection', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
    assert.match(requestHead(method, '/', [], 3), /\r\nconnection: close\r\ncontent-length: 3\r\n/)
    assert.deepEqual([headOf(method, '/', [], 3).isLast, headOf(method, '/', [], 'none').isLast], [true, false])
    assert.match(requestHead(method, '/', [], 'chunks'), /\r\nconnection: close\r\ntransfer-encoding: chunked\r\n/)
    assert.doesNotMatch(requestHead(method, '/', [], 0), /content-length|close/)
  }
})

test('it is one request or none', () => {
  for (const [method, target, headers] of [
    ['GE T', '/', []], ['GET\r\n', '/', []], ['', '/', []],
    ['GET', '', []], ['GET', '/a b', []], ['GET', '/\r\nX: y', []], ['GET', '/\u0100', []],
    ['GET', '/', ['X', 'a\r\nY: b']], ['GET', '/', ['X', 'a\nb']], ['GET', '/', ['X', '\0']], ['GET', '/', ['X', '\u010a']], ['GET', '/', ['X: y\r\nZ', '1']], ['GET', '/', ['', '1']], ['GET', '/', ['X ', '1']],
    ['POST', '/', ['Content-Length', '9']], ['POST', '/', ['transfer-encoding', 'chunked']], ['GET', '/', ['Connection', 'x']],
  ] as const) assert.throws(() => requestHead(method, target, headers, 'none'), /one request/, JSON.stringify([method, target, headers]))
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 }), (target, name, value) => {
      let head: string
      try {
        head = requestHead('POST', `/${target}`, [name, value], 5)
      } catch {
        return
      }
      assert.equal(head.match(/[\r\n]+/g)?.join('|'), '\r\n|\r\n|\r\n|\r\n\r\n')
      assert.ok([...head].every((character) => character.charCodeAt(0) < 256))
    }),
    { numRuns: 2_000 },
  )
})
