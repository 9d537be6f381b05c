import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { stringify } from 'yaml'
import { launch } from '../scenarios/process.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'

/** What docs/operations.md says of a process that runs with workers. */
describe('two workers', { concurrency: 1 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-operations-'))
  const file = join(home, 'countersign.yaml')
  let running: ReturnType<typeof launch>
  let admin = ''
  let config: Record<string, unknown>
  const get = async (path: string) => {
    const response = await fetch(admin + path, { headers: { connection: 'close' } })
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> }
  }
  const reload = (headers: Readonly<Record<string, string>> = {}): Promise<Response> => fetch(`${admin}/-/reload`, { method: 'POST', headers: { connection: 'close', ...headers } })
  const said = (what: string): number => running.log().split('\n').filter((line) => line.includes(`"msg":"${what}"`)).length

  before(async () => {
    admin = `http://127.0.0.1:${await freePort()}`
    config = {
      workers: 2,
      replica: 'r',
      data: home,
      listeners: { http: { address: '127.0.0.1:0' }, console: { address: `127.0.0.1:${await freePort()}` }, admin: { address: admin.slice(7) } },
      issuers: { corp: { issuer: 'http://127.0.0.1:1', audiences: ['countersign'] } },
      services: { orders: { upstream: 'http://127.0.0.1:1' } },
      policies: [join(home, 'policy.yaml')],
    }
    writeFileSync(join(home, 'policy.yaml'), stringify({ policy: 'orders', services: ['orders'], rules: [{ name: 'read', then: 'allow', callers: { kind: 'human' }, methods: ['GET'] }] }))
    writeFileSync(file, stringify(config))
    running = launch(file)
    await until('both workers', () => said('ready') === 2, 30_000)
  })
  after(async () => {
    running.child.kill('SIGKILL')
    await running.exited
    rmSync(home, { recursive: true, force: true })
  })

  test('are ready though the identity provider is away, and say so', async () => {
    for (const path of ['/startupz', '/readyz', '/healthz']) assert.equal((await get(path)).status, 200, path)
    const { body } = await get('/readyz')
    assert.deepEqual([body['status'], body['journal'], body['store'], body['draining'], body['waiting']], ['ok', 'ok', 'ok', false, 0])
    assert.match(String(body['replica']), /^r-[12]$/)
    assert.match(JSON.stringify(body['issuers']), /"corp":\{"stale":true,"lastError"/)
  })

  test('each has a journal of its own', () => {
    for (const name of ['r-1', 'r-2']) assert.ok(existsSync(join(home, 'journal', name, 'wal')), name)
  })

  test('reload together, when the request says that it means it; what does not load changes nothing', { timeout: 20_000 }, async () => {
    assert.equal((await reload()).status, 403)
    const meant = { 'countersign-admin': 'reload' }
    writeFileSync(file, stringify({ ...config, isuers: {} }))
    const refused = await reload(meant)
    assert.equal(refused.status, 422)
    assert.match(await refused.text(), /unknown key \\"isuers\\"/)
    assert.match(JSON.stringify((await get('/readyz')).body['policy']), /"lastReload":"refused"/)
    writeFileSync(file, stringify({ ...config, limits: { token: '8KiB' } }))
    assert.equal((await reload(meant)).status, 200)
    await until('a reload on record at both', () => ['r-1', 'r-2'].every((name) => readFileSync(join(home, 'journal', name, 'wal', '0000000001-000000000000000.ndjson'), 'utf8').includes('"generation":2')), 10_000)
  })

  test('end with 0 within seconds', { timeout: 20_000 }, async () => {
    running.child.kill('SIGTERM')
    const asked = Date.now()
    assert.equal(await running.exited, 0)
    assert.ok(Date.now() - asked < 10_000)
    assert.equal(said('draining'), 2)
  })
})
