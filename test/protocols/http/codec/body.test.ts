import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Refusal, type RefusalCode } from '../../../../src/model/refusal.ts'
import { readBody, requireJson } from '../../../../src/protocols/http/codec/body.ts'
import { parseContentType } from '../../../../src/protocols/http/codec/content.ts'
import { parseJsonText } from '../../../../src/protocols/http/codec/json.ts'
import { checkMcpHeaders, readJsonRpc } from '../../../../src/protocols/http/codec/json-rpc.ts'

const refuses = (code: RefusalCode, run: () => unknown): void => assert.throws(run, (error) => error instanceof Refusal && error.code === code)
const read = (text: string | Uint8Array, type?: string, encoding?: string) => readBody(typeof text === 'string' ? Buffer.from(text) : text, type, encoding, { caseVariants: 'refuse' })

describe('bodies', () => {
  test('the one media type decides', () => {
    assert.deepEqual(read(''), { kind: 'empty' })
    assert.deepEqual(read('', 'application/json'), { kind: 'empty' })
    for (const type of ['application/json', 'APPLICATION/JSON; Charset="UTF-8"', 'application/problem+json', 'application/json;charset=utf8;'])
      assert.equal(read('{"a":1}', type).kind, 'json')
    assert.equal(read('a=1', 'application/x-www-form-urlencoded').kind, 'form')
    for (const type of [undefined, 'text/plain', 'application/octet-stream', 'multipart/form-data; boundary=x', 'application/json-seq']) assert.equal(read('{"a":1}', type).kind, 'opaque')
    refuses('malformed', () => read('{"a":1,"a":2}', 'application/json'))
  })

  test('another encoding is another body', () => {
    for (const charset of ['utf-16', 'latin1', 'utf-7', '""']) refuses('unsupported-media', () => read('{}', `application/json; charset=${charset}`))
    for (const encoding of ['gzip', 'br', 'identity, x-unknown', 'gzip, gzip, br', '']) refuses('unsupported-media', () => read('{}', 'application/json', encoding))
    assert.equal(read('{}', 'application/json', 'Identity').kind, 'json')
  })

  test('a content type is one media type with each parameter once', () => {
    for (const value of ['', '/', 'json', 'application/', 'application/json, text/plain', 'application/json/x', 'application /json', 'application/json; charset=utf-8; charset=utf-16', 'application/json; charset', 'application/json; charset="utf-8', 'application/json; =x', 'application/json; a=b c=d', `a/b; x=${'y'.repeat(600)}`]) refuses('malformed', () => parseContentType(value))
    assert.deepEqual(parseContentType('Multipart/Form-Data; boundary="a;b"; CharSet=UTF-8'), { essence: 'multipart/form-data', charset: 'utf-8' })
  })
})

describe('JSON-RPC', () => {
  const call = (text: string) => readJsonRpc(parseJsonText(text))

  test('one message with a method', () => {
    assert.deepEqual(call('{"jsonrpc":"2.0","id":1,"method":"tools/list"}'), { method: 'tools/list', params: undefined, id: 1 })
    assert.equal(call('{"jsonrpc":"2.0","method":"notifications/initialized"}')?.id, undefined)
    assert.equal(call('{"jsonrpc":"2.0","id":"a","result":{}}'), undefined)
  })

  test('batches and other shapes', () => {
    for (const text of ['[]', '[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', 'null', '1', '{}', '{"jsonrpc":"1.0","id":1,"method":"a"}', '{"jsonrpc":"2.0","id":1}', '{"jsonrpc":"2.0","id":1,"method":1}', '{"jsonrpc":"2.0","id":1,"method":""}', '{"jsonrpc":"2.0","id":1,"method":"a b"}', '{"jsonrpc":"2.0","id":1.5,"method":"a"}', '{"jsonrpc":"2.0","id":{},"method":"a"}', '{"jsonrpc":"2.0","id":1,"method":"a","params":"x"}', '{"jsonrpc":"2.0","id":1,"method":"a","result":1}', '{"jsonrpc":"2.0","id":1,"method":"a","extra":1}'])
      refuses('malformed', () => call(text))
    refuses('unsupported-media', () => requireJson(read('{}', 'text/plain')))
  })

  test('headers that say something else than the body', () => {
    const drop = call('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop_table"}}')
    checkMcpHeaders(['Mcp-Method', 'tools/call', 'Mcp-Name', 'drop_table'], drop)
    checkMcpHeaders([], drop)
    for (const pairs of [['Mcp-Method', 'tools/list'], ['mcp_method', 'tools/list'], ['Mcp-Name', 'read_item'], ['Mcp-Name', 'drop_table', 'mcp-name', 'drop_table'], ['Mcp-Method', 'tools/call', 'Mcp-Method', 'tools/call']]) refuses('malformed', () => checkMcpHeaders(pairs, drop))
    refuses('malformed', () => checkMcpHeaders(['Mcp-Name', 'x'], call('{"jsonrpc":"2.0","id":1,"method":"toString"}')))
    refuses('malformed', () => checkMcpHeaders(['Mcp-Method', 'x'], undefined))
  })
})
