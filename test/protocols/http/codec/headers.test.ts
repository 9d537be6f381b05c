import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Refusal } from '../../../../src/model/refusal.ts'
import { foldedName } from '../../../../src/protocols/http/codec/header-names.ts'
import { checkRequestHeaders, forwardableHeaders, forwardRules, responseHeaders, withOurHeaders } from '../../../../src/protocols/http/codec/headers.ts'
import { forwardingHeaders, headerValue, identityHeaders } from '../../../../src/protocols/http/codec/identity-headers.ts'
import type { Caller } from '../../../../src/model/caller.ts'

const host = ['Host', 'app.test']
const refused = (pairs: readonly string[], code = 'malformed'): void => assert.throws(() => checkRequestHeaders(pairs), (error) => error instanceof Refusal && error.code === code, JSON.stringify(pairs).slice(0, 200))
const names = (pairs: readonly string[]): string[] => pairs.filter((_, index) => index % 2 === 0).map(foldedName)

describe('request headers', () => {
  test('framing is read, or refused', () => {
    assert.deepEqual(checkRequestHeaders([...host, 'content-length', '5', 'Content-Type', 'text/plain']), { host: 'app.test', contentLength: 5, chunked: false, contentType: 'text/plain', contentEncoding: undefined, upgrade: undefined, expectContinue: false })
    const head = checkRequestHeaders([...host, 'Transfer-Encoding', 'Chunked', 'Expect', '100-Continue', 'Upgrade', 'WebSocket'])
    assert.deepEqual([head.chunked, head.expectContinue, head.upgrade], [true, true, 'websocket'])
    for (const value of ['', '+5', '-1', '5 5', '2, 5', '0x5', '5.0', '1e3', ' 5', '\u0665', '9'.repeat(16)]) refused([...host, 'Content-Length', value])
    for (const value of ['', 'xchunked', 'chunked, identity', 'gzip, chunked', '\u000bchunked', 'identity', 'chunked ']) refused([...host, 'Transfer-Encoding', value])
    for (const name of ['Content-Length', 'content_length', 'CONTENT.LENGTH']) refused([...host, 'Content-Length', '5', name, '5'])
    refused([...host, 'Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'])
    refused([...host, 'Content-Length', '5', 'Transfer-Encoding', 'chunked'])
    for (const name of ['Transfer_Encoding', 'transfer.encoding', 'Content_Type', 'Content.Encoding', 'Content_Length']) refused([...host, name, 'chunked'])
    refused([...host, 'Expect', '200-ok'])
  })

  test('one host, one content type', () => {
    refused([])
    refused(['Host', ''])
    refused([...host, 'host', 'app.test'])
    refused([...host, 'Content-Type', 'application/json', 'content-type', 'text/plain'])
  })

  test('names are tokens and values are text', () => {
    for (const name of ['', 'a b', 'a:', 'Transfer-Encoding ', '\ta', 'a\0', 'na\u00efve', 'a(b)']) refused([...host, name, 'x'])
    for (const value of ['a\rb', 'a\nb', 'a\r\n b', 'a\0', '\u007f', '\u0100']) refused([...host, 'x-a', value])
    checkRequestHeaders([...host, 'x-a', 'tab\there \u00e9'])
  })

  test('limits', () => {
    refused([...host, ...Array.from({ length: 200 }, () => 'a')], 'too-large')
    refused([...host, 'x-a', 'a'.repeat(16_384)], 'too-large')
  })
})

describe('forwarded headers', () => {
  const dropped = (extra: readonly string[]): string[] => names(forwardableHeaders([...host, 'X-Tenant', 'a', ...extra]).pairs)

  test('hop-by-hop, ours, credentials and everything that names another request stay here, in any spelling', () => {
    const kinds = ['Connection', 'Keep-Alive', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'HTTP2-Settings', 'Proxy-Connection', 'Proxy-Authorization', 'Authorization', 'X-Api-Key', 'X-Countersign-User', 'X-Countersign-Anything', 'Countersign-Hold', 'X-Forwarded-For', 'X-Forwarded-Prefix', 'Forwarded', 'X-Real-IP', 'X-Original-URL', 'X-Rewrite-URL', 'X-Replaced-Path', 'X-Original-Method', 'X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method', 'Host', 'Content-Length', 'Remote-User', 'X-Remote-User', 'X-Auth-Request-Email', 'X-Goog-Authenticated-User-Email', 'X-Envoy-Original-Path', 'X-Client-Cert']
    for (const kind of kinds)
      for (const spelling of [kind, kind.toLowerCase(), kind.toUpperCase(), kind.replaceAll('-', '_'), kind.replaceAll('-', '.'), kind.replace('-', '_').toUpperCase()]) assert.deepEqual(dropped([spelling, 'close']), ['x-tenant'], spelling)
  })

  test('Connection takes the client\'s own headers, never ours', () => {
    const { pairs } = forwardableHeaders([...host, 'Connection', 'close', 'connection', 'X-COUNTERSIGN-USER, x-secret-hop,\tx-forwarded-for', 'X-Secret-Hop', '1', 'X-B', '2'])
    assert.deepEqual(pairs, ['X-B', '2'])
    const all = withOurHeaders(pairs, ['x-countersign-user', 'u', 'X-Forwarded-For', '192.0.2.1'])
    assert.deepEqual(all, ['X-B', '2', 'x-countersign-user', 'u', 'X-Forwarded-For', '192.0.2.1'])
    for (const name of ['content-type', 'Content-Encoding', 'Cookie', 'Host', 'content-length']) assert.throws(() => forwardableHeaders([...host, 'Connection', `close, ${name}`]), Refusal)
  })

  test('ours replace what has the same name in any spelling', () => {
    assert.deepEqual(withOurHeaders(['X_Team', 'evil', 'x.team', 'evil', 'A', '1'], ['x-team', 'ours']), ['A', '1', 'x-team', 'ours'])
    assert.deepEqual(forwardableHeaders([...host, 'X_Team', 'evil', 'X-Team', 'evil'], forwardRules([], ['X_Team'])).pairs, [])
  })

  test('our session cookie stays here, others go', () => {
    const cookie = (value: string): string | undefined => forwardableHeaders([...host, 'Cookie', value]).pairs[1]
    assert.equal(cookie('__Host-countersign=abc; theme=dark'), 'theme=dark')
    assert.equal(cookie('theme=dark;__Host-countersign=abc;x=1'), 'theme=dark; x=1')
    assert.equal(cookie('__Host-countersign=abc'), undefined)
    assert.equal(cookie('a=1 ;  b=2'), 'a=1 ;  b=2')
    assert.equal(cookie('__Host-countersign =abc; b=2'), 'b=2')
    for (const name of ['__Host-countersign-session', '__Host-countersign-login', 'countersign-session', 'countersign-login', ' countersign-session ']) assert.equal(cookie(`a=1; ${name}=abc`), 'a=1', name)
    assert.equal(cookie('a=countersign-session; countersign-theme=dark'), 'a=countersign-session; countersign-theme=dark')
    assert.equal(cookie('__Host-countersigned=abc'), '__Host-countersigned=abc')
  })

  test('all that is forwarded is bound, but what says nothing about the action', () => {
    const raw = [...host, 'User-Agent', 'x', 'X-Tenant', 'b', 'traceparent', 't', 'x-tenant', 'a', 'Accept', 'j', 'X-Stainless-Retry-Count', '1', 'X-Trace', '9', 'User_Agent', 'odd']
    const { pairs, bound } = forwardableHeaders(raw, forwardRules(['X-Trace'], []))
    assert.equal(pairs.length, 16)
    assert.deepEqual(bound, [['accept', 'j'], ['user_agent', 'odd'], ['x-tenant', 'b'], ['x-tenant', 'a']])
  })

  test('of a preference only the waiting is left out of what is bound', () => {
    const bound = (...values: string[]): string[] => forwardableHeaders([...host, ...values.flatMap((value) => ['Prefer', value])]).bound.map(([, value]) => value)
    assert.deepEqual(forwardableHeaders([...host, 'Prefer', 'wait=5, return=minimal']).pairs, ['Prefer', 'wait=5, return=minimal'])
    for (const value of ['wait=5', 'respond-async', 'Wait = 20,Respond-Async', '', ' , ']) assert.deepEqual(bound(value), [], value)
    assert.deepEqual(bound('wait=5, resolution=merge-duplicates,respond-async'), ['resolution=merge-duplicates'])
    assert.deepEqual(bound('tx=rollback', 'wait=1'), ['tx=rollback'])
    for (const value of ['wait=5;x=1', 'wait=never', 'respond-async=1', 'x="a, wait=5, b"']) assert.deepEqual(bound(value), [value])
  })

  test('no spelling and no list brings a managed name through', () => {
    const name = fc.constantFrom('X-Countersign-User', 'countersign-hold', 'X-Forwarded-For', 'authorization', 'x-original-url', 'x-a', 'Connection')
    const respelled = fc.tuple(name, fc.infiniteStream(fc.constantFrom('-', '_', '.')), fc.boolean()).map(([text, signs, upper]) => (upper ? text.toUpperCase() : text).replace(/-/g, () => String(signs.next().value)))
    fc.assert(
      fc.property(fc.array(fc.tuple(respelled, fc.constantFrom('x', 'close', 'x-a, x-countersign-user', 'keep-alive'))), (headers) => {
        const { pairs } = forwardableHeaders([...host, ...headers.flat()])
        assert.deepEqual(names(pairs).filter((folded) => folded !== 'x-a'), [])
      }),
      { numRuns: 500 },
    )
  })
})

describe('our headers', () => {
  const caller: Caller = {
    issuer: 'https://idp.test', subject: 'x\r\nX-Admin: 1', kind: 'agent', groups: ['a,b', 'dev'], onBehalfOf: [{ issuer: 'https://idp.test', subject: 'alice#1', kind: 'human', groups: [] }],
    claims: { name: '\u00e9\u4e2d \ud83d\ude00', teams: ['x', 'y,z'], level: 3, odd: '\0' }, session: 's', authenticatedAt: 0, expiresAt: 1, address: '192.0.2.1',
  }

  test('a claim cannot add a line, and every value can be read back', () => {
    const pairs = identityHeaders(caller, { digest: 'sha256:00' }, { assertion: 'a.b.c', claims: { name: 'X-Name', teams: 'X-Teams', level: 'X-Level', odd: 'X-Odd', absent: 'X-Absent', toString: 'X-Proto' } })
    checkRequestHeaders([...host, ...pairs])
    const value = (name: string): string => pairs[pairs.indexOf(name) + 1] ?? ''
    assert.equal(decodeURIComponent(value('x-countersign-user')), caller.subject)
    assert.equal(value('x-countersign-user').includes('\n'), false)
    assert.deepEqual(value('x-countersign-groups').split(',').map(decodeURIComponent), ['a,b', 'dev'])
    assert.deepEqual(value('x-countersign-chain').split('#').map(decodeURIComponent), ['https://idp.test', 'alice#1'])
    assert.equal(decodeURIComponent(value('x-name')), caller.claims['name'])
    assert.deepEqual(value('x-teams').split(',').map(decodeURIComponent), ['x', 'y,z'])
    assert.equal(value('x-level'), '3')
    assert.equal(pairs.includes('x-absent') || pairs.includes('x-proto'), false)
    assert.deepEqual(forwardingHeaders({ address: '192.0.2.1', scheme: 'https', host: 'app.test' }), ['x-forwarded-for', '192.0.2.1', 'x-forwarded-proto', 'https', 'x-forwarded-host', 'app.test'])
  })

  test('values are reversible and visible ASCII without separators', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const value = headerValue(text)
        assert.match(value, /^[!"$-+\--~]*$/)
        assert.equal(decodeURIComponent(value), text.toWellFormed())
      }),
    )
  })
})

describe('response headers', () => {
  test('an upstream cannot set our session', () => {
    assert.deepEqual(responseHeaders(['Set-Cookie', '__Host-countersign=x; Secure; Path=/', 'SET-COOKIE', ' __Host-countersign =x', 'Set-Cookie', '__Host-countersign', 'Set-Cookie', '__Host-countersign-session=x', 'Set-Cookie', 'countersign-login=x; Path=/']), [])
    const others = ['Set-Cookie', '__Host-countersigned=x', 'Set-Cookie', 'a=__Host-countersign=x']
    assert.deepEqual(responseHeaders(others), others)
  })

  test('hop-by-hop, listed and managed names are dropped', () => {
    const pairs = responseHeaders(['Connection', 'X-Foo', 'X-Foo', '1', 'X-Countersign-User', 'root', 'x_countersign_decision', 'approved', 'Countersign-Hold', '1', 'Keep-Alive', 'timeout=5', 'Content-Length', '2', 'Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'Trailer', 'X', 'Transfer-Encoding', 'chunked', 'Proxy-Authenticate', 'x', 'Alt-Svc', 'h3=":443"', 'X-Envoy-Upstream-Service-Time', '3'])
    assert.deepEqual(pairs, ['Content-Length', '2', 'Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Envoy-Upstream-Service-Time', '3'])
  })
})
