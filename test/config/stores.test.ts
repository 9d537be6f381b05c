import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeTls } from '../support/postgres-tls.ts'
import { configText, makeFolder } from './folder.ts'

const env = { KEY: 'k'.repeat(32), PW: 'secret' }
const text = (store: string, more = ''): string => configText(`store: { kind: redis, ${store} }\napprovals: { keys: ["\${env:KEY}"] }\n${more}`)
const certificate = 'ca-file: ca.crt, client-certificate: { cert-file: server.crt, key-file: server.key }'

test('how Redis is spoken to over TLS arrives, alone, behind Sentinels and in a Cluster', async () => {
  using folder = makeFolder()
  await makeTls(folder.path)
  const file = (name: string): string => join(folder.path, name)
  const files = { ca: file('ca.crt'), certificate: { cert: file('server.crt'), key: file('server.key') } }
  const tlsOf = async (store: string) => {
    const { store: made } = await folder.config(text(store), env)
    return made.kind === 'redis' ? made.connect.tls : assert.fail()
  }
  for (const where of ['url: "rediss://:${env:PW}@redis:6379"', 'sentinel: { nodes: ["a:26379"], name: holds }, tls: true', 'cluster: { nodes: ["a:6379"] }, tls: true']) assert.deepEqual(await tlsOf(`${where}, ${certificate}`), files, where)
  assert.deepEqual(await tlsOf('url: "rediss://redis:6379"'), {})
  assert.equal(await tlsOf('url: "redis://redis:6379"'), undefined)
  assert.equal(await tlsOf('cluster: { nodes: ["a:6379"] }'), undefined)
  const { sinks } = await folder.config(text('url: "redis://redis:6379"', 'sinks: { feed: { kind: redis, url: "rediss://redis:6379", ca-file: ca.crt, tls: { cert-file: server.crt, key-file: server.key } } }\n'), env)
  assert.deepEqual(sinks.map((sink) => (sink.kind === 'redis' ? sink.tls : '')), [files])
})

test('what nobody would look at, and what does not fit together, is said', async () => {
  using folder = makeFolder()
  await makeTls(folder.path)
  folder.write('other.crt', 'x')
  const said = (store: string, more = '') => folder.problems(text(store, more), env).then((problems) => problems.map((problem) => problem.replace(/^\d+:\d+ /, '')))
  assert.deepEqual(await said(`url: "redis://redis:6379", ${certificate}`), ['store.ca-file: is not looked at without TLS: begin the URL with rediss://', 'store.client-certificate: is not looked at without TLS: begin the URL with rediss://'])
  assert.deepEqual(await said('cluster: { nodes: ["a:6379"] }, ca-file: ca.crt'), ['store.ca-file: is not looked at without TLS: say "tls: true"'])
  assert.deepEqual(await said('url: "rediss://redis:6379", ca-file: other.crt, client-certificate: { cert-file: ca.crt, key-file: server.key }'), ['store.ca-file: is no certificate in PEM', 'store.client-certificate: is no certificate in PEM with its own key'])
  folder.write('empty.crt', '')
  assert.deepEqual(await said('url: "rediss://redis:6379", ca-file: empty.crt'), ['store.ca-file: is empty'])
  assert.deepEqual(await said('url: "redis://redis:6379"', 'listeners: { console: { address: "127.0.0.1:0", tls: { cert-file: empty.crt, key-file: server.key } } }\n'), ['listeners.console.tls.cert-file: is empty'])
  assert.match((await said('url: "rediss://redis:6379", ca-file: nowhere')).join(), /store\.ca-file: cannot be read \(ENOENT\)/)
  assert.deepEqual(await said('url: "redis://redis:6379"', 'sinks: { feed: { kind: redis, url: "redis://redis:6379", ca-file: ca.crt } }\n'), ['sinks.feed.ca-file: is not looked at without TLS: begin the URL with rediss://'])
  assert.deepEqual(await said('url: "redis://redis:6379"', 'listeners: { console: { address: "127.0.0.1:0", tls: { cert-file: server.crt, key-file: ca.key } } }\n'), ['listeners.console.tls: is no certificate in PEM with its own key'])
})
