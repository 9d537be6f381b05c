import { makeHttpAction } from '../src/protocols/http/action.ts'
import { checkRequestHeaders, forwardableHeaders, responseHeaders } from '../src/protocols/http/codec/headers.ts'
import { canonicalHost } from '../src/protocols/http/codec/host.ts'
import { parseJson } from '../src/protocols/http/codec/json.ts'
import { parseTarget } from '../src/protocols/http/codec/target.ts'

/** What understanding one request costs, without sockets. `node bench/micro-http.ts` prints microseconds for each step. */
const rawHeaders = [
  'Host', 'crm.example:8443', 'User-Agent', 'python-httpx/0.27', 'Accept', 'application/json', 'Accept-Encoding', 'gzip, deflate', 'Connection', 'keep-alive',
  'Authorization', `Bearer ${'a'.repeat(700)}`, 'X-Tenant', 'north', 'X-Request-Id', '0f8fad5b-d9cb-469f-a165-70867728950e', 'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
]
const postHeaders = [...rawHeaders, 'Content-Type', 'application/json', 'Content-Length', '4096']
const target = '/v1/customers/4711/orders?limit=50&sort=created_at'
const answer = ['content-type', 'application/json', 'content-length', '1024', 'date', 'Sat, 21 Nov 2026 10:00:00 GMT', 'server', 'api', 'cache-control', 'no-store']
const body = Buffer.from(JSON.stringify(Array.from({ length: 34 }, (_, id) => ({ id, name: `customer ${id}`, email: `c${id}@example.com`, active: true, balance: id * 1.5, tags: ['a', 'b'] }))))

const route = { jsonRpc: false, graphql: false, caseVariants: 'refuse', methodOverride: {} } as const
const upstream = { id: 'http://127.0.0.1:9000', allowed: ['127.0.0.0/8'] }
const unbound = new Set<string>()
const tags = Object.freeze([])
const tagsOf = () => tags

const get = () => {
  const head = checkRequestHeaders(rawHeaders)
  const headers = forwardableHeaders(rawHeaders, { unbound })
  return makeHttpAction({ service: 'crm', upstream, route, method: 'GET', target: parseTarget(target), host: canonicalHost(head.host), scheme: 'https', headers }, undefined, tagsOf)
}

const post = () => {
  const head = checkRequestHeaders(postHeaders)
  const headers = forwardableHeaders(postHeaders, { unbound })
  return makeHttpAction({ service: 'crm', upstream, route, method: 'POST', target: parseTarget(target), host: canonicalHost(head.host), scheme: 'https', headers }, { bytes: body }, tagsOf)
}

const text = body.toString()
const steps: Readonly<Record<string, () => unknown>> = {
  'parseTarget': () => parseTarget(target),
  'checkRequestHeaders': () => checkRequestHeaders(rawHeaders),
  'forwardableHeaders': () => forwardableHeaders(rawHeaders, { unbound }),
  'responseHeaders': () => responseHeaders(answer),
  'canonicalHost': () => canonicalHost('crm.example:8443'),
  'GET: target, headers, action, digest': get,
  [`JSON.parse, ${body.length} bytes`]: () => JSON.parse(text),
  [`parseJson, ${body.length} bytes`]: () => parseJson(body),
  'POST with that body: all of it': post,
  'POST, text as well': () => post().text,
}

let kept: unknown
const measure = (run: () => unknown): number => {
  const until = performance.now() + 300
  let best = Number.POSITIVE_INFINITY
  while (performance.now() < until) {
    const began = performance.now()
    for (let round = 0; round < 500; round++) kept = run()
    best = Math.min(best, (performance.now() - began) * 2)
  }
  return best
}

for (const name in steps) console.log(`${name.padEnd(40)} ${measure(steps[name] as () => unknown).toFixed(2)} µs`)
if (kept === undefined) throw new Error('nothing ran')
