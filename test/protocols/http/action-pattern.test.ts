import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type HttpFrame, makeHttpAction } from '../../../src/protocols/http/action.ts'
import { forwardableHeaders } from '../../../src/protocols/http/codec/headers.ts'
import { parseTarget } from '../../../src/protocols/http/codec/target.ts'

const plain = { jsonRpc: false, graphql: false, caseVariants: 'refuse', methodOverride: {} } as const

interface Asked extends Partial<Omit<HttpFrame, 'headers' | 'target'>> {
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: string
}

const patternOf = ({ target = '/v1/orders/1/refund', headers = ['content-type', 'application/json', 'x-tenant', 'north'], body, ...more }: Asked = {}) =>
  makeHttpAction(
    { service: 'orders', upstream: { id: 'https://orders.internal', allowed: [] }, route: plain, method: 'POST', host: 'orders.test', scheme: 'https', target: parseTarget(target), headers: forwardableHeaders(headers), ...more },
    body === undefined ? undefined : { bytes: Buffer.from(body) },
    () => [],
  ).pattern

const same = (one: Asked, other: Asked): boolean => {
  const [a, b] = [patternOf(one), patternOf(other)]
  assert.ok(a !== undefined && b !== undefined)
  return a.same === b.same
}
const bodies = (one: string, other: string): boolean => same({ body: one }, { body: other })
const form = ['content-type', 'application/x-www-form-urlencoded']

describe('requests of one kind', () => {
  test('differ in the texts and numbers of their fields', () => {
    assert.ok(bodies('{"amount":5,"to":"x"}', '{"to":"a longer one","amount":-7.25}'))
    assert.ok(bodies('{"lines":[{"sku":"a"},{"sku":"b"}]}', '{"lines":[{"sku":"c"},{"sku":"d"}]}'))
    assert.ok(same({ target: '/x?page=2&q=a' }, { target: '/x?q=b&page=22' }))
    assert.ok(same({ headers: form, body: 'a=5&b=2' }, { headers: form, body: 'b=x&a=y!' }))
    assert.ok(same({ headers: ['x-tenant', 'north', 'x-request-id', '1', 'idempotency-key', 'a'] }, { headers: ['x-tenant', 'north', 'x-request-id', '2', 'idempotency-key', 'b'] }))
  })

  test('and in nothing else of a body', () => {
    for (const other of [
      '{"amount":5}', '{"amount":5,"to":"x","admin":true}', '{"amount":5,"To":"x"}', '{"amount":"5","to":"x"}', '{"amount":5,"to":null}', '{"amount":5,"to":""}', '{"amount":5,"to":["x"]}', '{"amount":5,"to":{"x":1}}',
      '{"amount":true,"to":"x"}', '[{"amount":5,"to":"x"}]', '"x"', '{}', '',
    ]) assert.ok(!bodies('{"amount":5,"to":"x"}', other), other)
    assert.ok(!bodies('{"flag":true}', '{"flag":false}'))
    assert.ok(!bodies('{"lines":["a"]}', '{"lines":["a","b"]}'))
    assert.ok(!bodies('["text"]', '{"0":"text"}'))
    assert.ok(!bodies('["list","x"]', '[["x"]]'))
    assert.ok(!same({}, { body: '{}' }))
  })

  test('nor in a text that reads as yes or no', () => {
    for (const [one, other] of [['true', 'false'], ['1', '0'], ['on', 'off'], ['yes', 'maybe'], ['5', '1'], ['x', 'TRUE']] as const) {
      assert.ok(!same({ target: `/x?dry-run=${one}` }, { target: `/x?dry-run=${other}` }), other)
      assert.ok(!same({ headers: form, body: `force=${one}` }, { headers: form, body: `force=${other}` }), other)
      assert.ok(!bodies(`{"force":"${one}"}`, `{"force":"${other}"}`), other)
    }
    assert.ok(!bodies('["is","no"]', '[["is","no"]]'))
  })

  test('nor of the rest of a request', () => {
    for (const other of [{ method: 'PUT' }, { host: 'other.test' }, { service: 'ledger' }, { upstream: { id: 'https://elsewhere', allowed: [] } }, { headers: ['content-type', 'application/json', 'x-tenant', 'south'] }, { headers: ['content-type', 'application/json'] }] satisfies Asked[])
      assert.ok(!same({ body: '{"a":1}' }, { ...other, body: '{"a":1}' }), JSON.stringify(other))
    assert.ok(!same({ target: '/x?a=1' }, { target: '/x?a=1&b=2' }))
    assert.ok(!same({ target: '/x?a=1' }, { target: '/x?a=' }))
    assert.ok(!same({ target: '/x?a=1' }, { target: '/x' }))
    assert.ok(!same({ target: '/x?a=1&a=2' }, { target: '/x?a=1&a=3' }), 'what can be read in two ways stays')
    assert.ok(!same({ target: '/x?a=1;b=2' }, { target: '/x?a=1;b=3' }))
  })

  test('a body that is not taken apart, or whose inside says what is done, stays byte for byte', () => {
    const text = ['content-type', 'text/plain']
    assert.ok(!same({ headers: text, body: 'one' }, { headers: text, body: 'two' }))
    assert.ok(same({ headers: text, body: 'one' }, { headers: text, body: 'one' }))
    const patch = (path: string, type = 'application/json-patch+json'): Asked => ({ headers: ['content-type', type], body: `[{"op":"replace","path":"${path}","value":"x"}]` })
    assert.ok(!same(patch('/note'), patch('/admin')))
    assert.ok(!same(patch('/note', 'Application/JSON-Patch+JSON; charset=utf-8'), patch('/admin', 'Application/JSON-Patch+JSON; charset=utf-8')))
    assert.ok(same(patch('/note'), patch('/note')))
    const rpc = { ...plain, jsonRpc: true }
    const call = (name: string): Asked => ({ route: rpc, body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}"}}` })
    assert.ok(!same(call('read'), call('drop')))
    const graphql = { ...plain, graphql: true }
    assert.ok(!same({ route: graphql, body: '{"query":"mutation { a }"}' }, { route: graphql, body: '{"query":"mutation { b }"}' }))
    assert.ok(!same({ headers: form, body: 'a=1&a=2' }, { headers: form, body: 'a=1&a=3' }))
  })

  test('are shown with what may differ left open, and nothing in them can pass for that', () => {
    assert.equal(patternOf({ target: '/v1/orders/1/refund?dry=1&by=olga&x=', body: '{"amount":5,"lines":[{"sku":"a","gift":true}],"none":[],"note":""}' })?.text('/v1/orders/*/refund'), `POST /v1/orders/*/refund?dry=1&by=<text>&x=
{
  "amount": <number>,
  "lines": [
    {
      "sku": <text>,
      "gift": true
    }
  ],
  "none": [],
  "note": ""
}`)
    assert.equal(patternOf({ body: '{"a\\": <number>, \\"b":"x\\u202e"}' })?.text('/x'), 'POST /x\n{\n  "a\\": <number>, \\"b": <text>\n}')
    assert.match(patternOf({ headers: ['content-type', 'text/plain'], body: 'hello' })?.text('/x') ?? '', /^POST \/x\nexactly this body of 5 bytes, sha256:[0-9a-f]{64}$/)
    assert.equal(patternOf({ method: 'GET', upgrade: 'websocket' }), undefined)
  })
})
