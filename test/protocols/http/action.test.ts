import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson } from '../../../src/lib/canonical-json.ts'
import { Refusal } from '../../../src/model/refusal.ts'
import { digestOf, type HttpBody, type HttpFrame, makeHttpAction, mustReadBody, verbOf } from '../../../src/protocols/http/action.ts'
import { forwardableHeaders } from '../../../src/protocols/http/codec/headers.ts'
import { parseTarget } from '../../../src/protocols/http/codec/target.ts'
import { work } from '../../support/work.ts'

const plain = { jsonRpc: false, graphql: false, caseVariants: 'refuse', methodOverride: {} } as const
const json = ['Content-Type', 'application/json']

interface Change extends Partial<Omit<HttpFrame, 'headers' | 'target'>> {
  readonly target?: string
  readonly headers?: readonly string[]
}

const frame = ({ target = '/v1/customers/4711?limit=5', headers = ['X-Tenant', 'north'], ...change }: Change = {}): HttpFrame => ({
  service: 'crm', upstream: { id: 'https://crm.internal', allowed: ['10.0.0.0/8'] }, route: plain, method: 'POST', host: 'crm.test', scheme: 'https',
  target: parseTarget(target), headers: forwardableHeaders(headers), ...change,
})
const noTags = (): readonly string[] => []
const action = (change?: Change, body?: string | Uint8Array | 'streamed') => makeHttpAction(frame(change), bodyOf(body), noTags)
const bodyOf = (body: string | Uint8Array | undefined): HttpBody => (body === undefined ? undefined : body === 'streamed' ? body : { bytes: typeof body === 'string' ? Buffer.from(body) : body })
const facts = (made: ReturnType<typeof action>) => made.facts['http'] as Record<string, unknown>

const assertFrozen = (value: unknown, path: string): void => {
  if (typeof value !== 'object' || value === null) return
  assert.ok(Object.isFrozen(value), path)
  for (const key of Object.keys(value)) assertFrozen((value as Record<string, unknown>)[key], `${path}.${key}`)
}

describe('HTTP action', () => {
  test('verb, effect, resource and tags', () => {
    const made = makeHttpAction(frame({ method: 'GET' }), undefined, (path) => (path.startsWith('/v1/customers') ? ['pii'] : []))
    assert.deepEqual([made.verb, made.effect, made.tags, made.resources], ['http.GET', 'read', ['pii'], [{ kind: 'path', name: '/v1/customers/4711', access: 'read', tags: ['pii'] }]])
    assert.equal(action().effect, 'write')
    assert.equal(action({ method: 'GET', upgrade: 'websocket' }).verb, 'http.websocket')
    assert.equal(action({ method: 'GET', upgrade: 'websocket' }).effect, 'write')
    assert.equal(verbOf({ method: 'HEAD' }), 'http.HEAD')
    for (const method of ['CONNECT', 'TRACE']) assert.throws(() => action({ method }), Refusal)
  })

  test('facts come from the values that are sent', () => {
    const made = action({ target: '/v1/a;x=1//b?role=user&role=admin', headers: [...json, 'X-Tenant', 'a', 'x-tenant', 'b', 'X-Session-Token', 'secret', 'Cookie', 'a=b', 'Authorization', 'Bearer x'] }, '{"a":{"b":[1,"x"]}}')
    const seen = structuredClone(facts(made))
    assert.deepEqual(seen, {
      method: 'POST', path: '/v1/a;x=1//b', host: 'crm.test', scheme: 'https', query: { role: ['user', 'admin'] }, ambiguous: ['repeated'],
      headers: { 'content-type': ['application/json'], 'x-tenant': ['a', 'b'] }, segments: ['v1', 'a;x=1', '', 'b'], contentType: 'application/json', bodyBytes: 19, json: { a: { b: [1, 'x'] } },
    })
    assert.equal('json' in facts(action({ headers: json }, 'streamed')), false)
    assert.equal('bodyBytes' in facts(action({ headers: json }, 'streamed')), false)
    assert.deepEqual(structuredClone(facts(action({ headers: ['Content-Type', 'application/x-www-form-urlencoded'] }, 'a=1&a=2'))['form']), { a: ['1', '2'] })
  })

  test('is frozen to the bottom, and can be stored', () => {
    const made = action({ headers: json }, '{"a":[{"b":{}}]}')
    assertFrozen(made, 'action')
    assert.equal(canonicalJson(made), canonicalJson(JSON.parse(canonicalJson(made))))
  })

  test('the digest is SHA-256 over canonical JSON of what will run', () => {
    const one = frame({ headers: ['X-B', '\u00e9"\\', 'x-a', '\t', 'User-Agent', 'u'], upstream: { id: 'https://u', allowed: ['b', 'a'] } })
    const bytes = Buffer.from('hello')
    const body = { bytes: 5, sha256: createHash('sha256').update(bytes).digest('hex') }
    const text = canonicalJson({ v: 1, service: 'crm', upstream: { id: 'https://u', allowed: ['a', 'b'] }, target: '/v1/customers/4711?limit=5', verb: 'http.POST', method: 'POST', host: 'crm.test', headers: [['x-a', '\t'], ['x-b', '\u00e9"\\']], body })
    assert.equal(digestOf(one, 'http.POST', body), `sha256:${createHash('sha256').update(text).digest('hex')}`)
    assert.equal(makeHttpAction(one, { bytes }, noTags).digest, digestOf(one, 'http.POST', body))
  })

  test('every single change is another digest', () => {
    const base: Change = { headers: [...json, 'X-Tenant', 'north'] }
    const made = [
      action(base, '{"a":1}'), action(base, '{"a":2}'), action(base, '{"a":1} '), action(base, ''), action(base, 'streamed'), action(base),
      action({ ...base, method: 'PUT' }, '{"a":1}'), action({ ...base, host: 'other.test' }, '{"a":1}'), action({ ...base, service: 'billing' }, '{"a":1}'), action({ ...base, target: '/v1/customers/4712?limit=5' }, '{"a":1}'),
      action({ ...base, target: '/v1/customers/471%31?limit=5' }, '{"a":1}'), action({ ...base, target: '/v1/customers/4711?limit=6' }, '{"a":1}'), action({ ...base, target: '/v1/customers/4711?limit=5&' }, '{"a":1}'), action({ ...base, target: '//v1/customers/4711?limit=5' }, '{"a":1}'),
      action({ ...base, upstream: { id: 'https://other', allowed: ['10.0.0.0/8'] } }, '{"a":1}'), action({ ...base, upstream: { id: 'https://crm.internal', allowed: [] } }, '{"a":1}'),
      action({ headers: [...json, 'X-Tenant', 'south'] }, '{"a":1}'), action({ headers: [...json, 'X-Tenant', 'north', 'X-New', ''] }, '{"a":1}'), action({ headers: json }, '{"a":1}'), action({ headers: [...json, 'X-Tenant', 'north', 'X-Tenant', 'north'] }, '{"a":1}'),
      action({ ...base, method: 'GET', upgrade: 'websocket' }), action({ ...base, method: 'GET' }),
    ]
    assert.equal(new Set(made.map(({ digest }) => digest)).size, made.length)
  })

  test('what says nothing about the action is not bound', () => {
    const { digest } = action({ headers: ['X-Tenant', 'north'] })
    for (const noise of [['User-Agent', 'x'], ['traceparent', 'x'], ['X-Request-Id', '1'], ['Idempotency-Key', 'k'], ['x-stainless-retry-count', '2'], ['Authorization', 'Bearer other'], ['Countersign-Hold', 'h'], ['X-Forwarded-For', '1.2.3.4'], ['Connection', 'keep-alive'], ['Prefer', 'wait=5']])
      assert.equal(action({ headers: [...noise, 'x-TENANT', 'north'] }).digest, digest, noise[0])
    assert.notEqual(action({ headers: ['Prefer', 'wait=5, resolution=merge-duplicates', 'X-Tenant', 'north'] }).digest, digest)
  })

  test('what a person reads shows everything that could mislead', () => {
    const made = action({ headers: [...json, 'X-Note', 'caf\u00e9\\u{41}', 'X-Auth-Token', 'hunter2'] }, JSON.stringify({ to: 'alice\u202e', zero: '\u200b\u0007', path: 'c:\\x' }))
    assert.equal(made.text, 'POST /v1/customers/4711?limit=5\nhost: crm.test\ncontent-type: application/json\nx-auth-token: (not shown, 7 characters)\nx-note: caf\u00e9\\\\u{41}\n\n{\n  "to": "alice\\u{202e}",\n  "zero": "\\u{200b}\\u0007",\n  "path": "c:\\\\x"\n}')
    assert.equal(made.textCut, false)
    const form = action({ headers: ['Content-Type', 'application/x-www-form-urlencoded'] }, 'a=%0Ahost:%20evil&b=%E2%80%AE')
    assert.match(form.text, /\n\n"a" = "\\nhost: evil"\n"b" = "\\u\{202e\}"$/)
    const raw = action({ headers: ['Content-Type', 'text/plain'] }, 'a\r\u001b[2Jb\\u{1b}\n')
    assert.match(raw.text, /\n\na\\u\{d\}\\u\{1b\}\[2Jb\\\\u\{1b\}\n$/)
  })

  test('a value that opens doors is shown to nobody, whatever its header is called', () => {
    for (const name of ['api_key', 'X.Session.Id', 'Ocp-Apim-Subscription-Key', 'X-Functions-Key', 'X-Auth-Key', 'X-Parse-Master-Key', 'DD-Application-Key', 'X-Secret_Key', 'apikey', 'X-Passphrase', 'X-Authentication'])
      assert.doesNotMatch(action({ headers: [name, 'hunter2'] }).text, /hunter2/, name)
    for (const name of ['X-Partition-Key', 'X-Cache-Key', 'X-Keys', 'X-Author']) assert.match(action({ headers: [name, 'hunter2'] }).text, /hunter2/, name)
  })

  test('what is not shown whole says so', () => {
    const cut = action({ headers: json }, JSON.stringify({ a: '\ud83d\ude00'.repeat(9000) }))
    assert.equal(cut.textCut, true)
    assert.ok(cut.text.length < 9000 && cut.text.isWellFormed())
    assert.match(cut.text, /\(cut: 36008 bytes in all, sha256 [0-9a-f]{64}\)$/)
    const long = action({ headers: ['Content-Type', 'text/plain'] }, '\u00e9'.repeat(30_001))
    assert.equal(long.textCut, true)
    const binary = action({ headers: ['Content-Type', 'image/png'] }, Buffer.from([0x89, 0x50, 0xff]))
    assert.deepEqual([binary.textCut, /\(3 bytes of image\/png, sha256/.test(binary.text)], [true, true])
    assert.equal(action({}, 'streamed').textCut, true)
    assert.equal(action({}, '').textCut, false)
  })

  test('the shape forgets ids and values', () => {
    const shape = (target: string, body?: string): string => action({ target, headers: json }, body).shape
    assert.equal(shape('/v1/customers/4711?b=1&a=2'), 'crm http.POST /v1/customers/*?a&b')
    assert.equal(shape('/v1/x/0f8fad5b-d9cb-469f-a165-70867728950e'), shape('/v1/x/7c9e6679-7425-40de-944b-e07fc1f90ae7'))
    assert.equal(shape('/v1/a', '{"b":[{"c":1},{"c":2}],"a":"x"}'), 'crm http.POST /v1/a a,b[].c')
    assert.notEqual(shape('/v1/a', '{"a":1}'), shape('/v1/a', '{"b":1}'))
    assert.ok(shape('/v1/a', JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`key${n}`, n])))).length < 500)
  })
})

describe('routes that read more', () => {
  test('a field that makes a POST another method', () => {
    const route = { ...plain, methodOverride: { form: '_method' } }
    const form = ['Content-Type', 'application/x-www-form-urlencoded']
    const verb = (body: string, headers: readonly string[] = form, target = '/forms/1'): string => action({ route, headers, target }, body).verb
    assert.equal(mustReadBody({ route }), true)
    assert.equal(verb('a=1'), 'http.POST')
    for (const body of ['_method=DELETE&a=1', '_method=delete', '%5Fmethod=DELETE', '_METHOD=DELETE', '.method=DELETE', '_method[]=DELETE', 'a=1;_method=DELETE', '+_method=DELETE', '%20%20_method=DELETE', '_method%00x=DELETE', '%20.method%00[=DELETE']) assert.equal(verb(body), 'http.DELETE', body)
    assert.equal(verb('a=1', form, '/forms/1?_method=DELETE'), 'http.DELETE')
    assert.equal(verb('{"_method":"DELETE"}', json), 'http.DELETE')
    for (const body of ['_method=DELETE&_method=GET', '_method=GET;_method=DELETE', '_method=a+b', '_method=%00']) assert.throws(() => verb(body), Refusal, body)
    assert.throws(() => verb('--x\r\n', ['Content-Type', 'multipart/form-data; boundary=x']), (error) => error instanceof Refusal && error.code === 'unsupported-media')
    assert.throws(() => action({ route, method: 'GET', target: '/forms/1?_method=DELETE' }), Refusal)
    assert.equal(facts(action({ route, headers: form }, '_method=DELETE'))['method'], 'DELETE')
    assert.match(action({ route, headers: form }, '_method=DELETE').text, /acts as DELETE/)
    assert.equal(action({ headers: form }, '_method=DELETE').verb, 'http.POST')
    const took = work(() => {
      for (const name of ['_', ' ', '.', '_ ']) assert.equal(verb(JSON.stringify({ [`${name.repeat(500_000)}x`]: 'DELETE' }), json), 'http.POST')
    })
    assert.ok(took < 2_000, 'a long name is read in one pass')
  })

  test('GraphQL says what it does', () => {
    const route = { ...plain, graphql: true }
    const read = action({ route, headers: json, target: '/graphql' }, '{"query":"{ me { id } }"}')
    assert.equal(read.effect, 'read')
    const write = action({ route, headers: json, target: '/graphql' }, '{"query":"mutation M { deleteUser(id: 1) { id } }"}')
    assert.deepEqual([write.effect, write.verb, facts(write)['graphql']], ['write', 'http.POST', { kind: 'mutation', operation: 'M', kinds: ['mutation'], fields: ['deleteUser'], persisted: '', variables: null }])
    assert.equal(action({ route, headers: json, target: '/graphql' }, '{"id":"x"}').effect, 'write')
    assert.throws(() => action({ route, target: '/graphql' }, '{"query":"{a}"}'), Refusal)
    assert.throws(() => action({ route, target: '/graphql' }, 'streamed'))
    assert.equal(action({ route, method: 'OPTIONS', target: '/graphql' }).effect, 'read')
  })

  test('JSON-RPC is one message, and headers agree with it', () => {
    const route = { ...plain, jsonRpc: true }
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_item"}}'
    assert.equal(action({ route, headers: [...json, 'Mcp-Name', 'read_item'] }, call).verb, 'http.POST')
    assert.equal(action({ route, method: 'GET' }).effect, 'read')
    assert.throws(() => action({ route, method: 'GET', headers: json }, call), Refusal)
    assert.throws(() => action({ route, headers: json }), Refusal)
    for (const [headers, body] of [[json, ''], [json, `[${call}]`], [[...json, 'Mcp-Method', 'tools/list'], call], [['Content-Type', 'text/plain'], call], [[], call], [[...json, 'Content-Encoding', 'gzip'], call]] as const) assert.throws(() => action({ route, headers }, body), Refusal)
  })
})

test('one value: path, query, digest and the bytes that are sent', () => {
  const piece = fc.constantFrom('/', 'a', '%41', ';x', '?', 'b=c', '&', '%20', '4711', '%2f', '.', 'é', '//', '~', '%7e')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), fc.array(piece, { maxLength: 10 }), fc.string(), fc.string(), (first, second, bodyA, bodyB) => {
      const make = (pieces: readonly string[], body: string) => {
        try {
          return action({ target: `/${pieces.join('')}` }, body)
        } catch (error) {
          assert.ok(error instanceof Refusal)
          return undefined
        }
      }
      const a = make(first, bodyA)
      const b = make(second, bodyB)
      if (a === undefined || b === undefined) return
      assert.equal(a.digest === b.digest, first.join('') === second.join('') && bodyA === bodyB)
      assert.ok(a.text.startsWith(`POST /${first.join('')}\n`))
      assert.equal(a.resources[0]?.name, facts(a)['path'])
    }),
    { numRuns: 300 },
  )
})
