import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAdminListener, type Health } from '../../../src/channels/web/health.ts'
import { rawHttp, statusOf } from '../../support/raw-http.ts'
import { silent } from './hold-desk.ts'

const start = async (health: Health = { live: true, ready: false, started: true, detail: { store: 'down' } }) => {
  let reloads = 0
  const listener = makeAdminListener({ host: '127.0.0.1', port: 0 }, { log: silent, health: () => health, reload: async () => ({ applied: ++reloads === 1, policyVersion: 'v', problems: reloads === 1 ? [] : ['line 3'] }) })
  const { port } = await listener.listen()
  const send = (line: string, ...headers: string[]) => rawHttp(port, [`${line} HTTP/1.1`, ...headers, 'Connection: close', '', ''].join('\r\n'))
  return { send, reloads: () => reloads, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}

test('probes say what is so, with the detail', async () => {
  await using admin = await start()
  const ask = (path: string) => admin.send(`GET ${path}`, 'Host: 10.0.0.7:9901')
  assert.deepEqual(await Promise.all(['/healthz', '/readyz', '/startupz', '/config', '/metrics'].map(async (path) => statusOf(await ask(path)))), [200, 503, 200, 404, 404])
  assert.match(await ask('/readyz'), /"store":"down"/)
})

test('reload is for this machine, on purpose, and never for a page', async () => {
  await using admin = await start()
  const reload = async (...headers: string[]) => statusOf(await admin.send('POST /-/reload', ...headers))
  const right = 'Countersign-Admin: reload'
  assert.equal(await reload('Host: 127.0.0.1'), 403)
  assert.equal(await reload('Host: evil.example', right), 421)
  assert.equal(await reload('Host: 10.0.0.7', right), 403)
  assert.equal(await reload('Host: 127.0.0.1', right, 'Origin: http://127.0.0.1'), 403)
  assert.equal(await reload('Host: 127.0.0.1', right, 'Sec-Fetch-Site: none'), 403)
  assert.equal(statusOf(await admin.send('GET /-/reload', 'Host: 127.0.0.1', right)), 405)
  for (const path of ['/load', '/config', '/-/config']) assert.equal(statusOf(await admin.send(`POST ${path}`, 'Host: 127.0.0.1', right, 'Content-Length: 0')), 404)
  assert.equal(admin.reloads(), 0)
  assert.equal(await reload('Host: 127.0.0.1:9901', right), 200)
  assert.equal(await reload('Host: localhost', right), 422)
})
