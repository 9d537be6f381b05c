import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startSampleApi, type SampleApi } from '../../examples/world/sample-api.ts'
import { startIdp, type Idp } from '../support/idp.ts'
import { until } from '../support/until.ts'
import { canIsolate, prepare, runContainer, runInPlace, type Container, type Mount } from './container.ts'
import { makeContextFilter, readDockerfile } from './dockerfile.ts'
import { buildImage, isRoot, root, type Image } from './image.ts'

const user = 65_532
const tree = (folder: string, except: readonly string[]): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => !except.some((other) => path === other || path.startsWith(`${other}/`))).map((path) => {
    const { mode, size, mtimeMs } = lstatSync(join(folder, path))
    return `${path} ${mode} ${size} ${mtimeMs}`
  }).toSorted()

describe('the image', { concurrency: 1 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-deploy-'))
  const isolated = canIsolate()
  let image: Image
  let idp: Idp
  let api: SampleApi
  let container: Container
  let mounts: readonly Mount[]
  let before_: readonly string[]
  const start = (command: readonly string[], env?: Readonly<Record<string, string>>): Container => (isolated ? runContainer : runInPlace)(image, command, mounts, env)
  const addresses = (): Readonly<Record<'http' | 'console' | 'admin', string>> => JSON.parse(container.output().split('\n').find((line) => line.includes('"msg":"ready"')) ?? '{}')

  before(async () => {
    image = buildImage('')
    idp = await startIdp()
    api = await startSampleApi()
    const [volume, config] = ['volume', 'config'].map((name) => join(home, name)) as [string, string]
    for (const folder of [volume, config]) mkdirSync(folder)
    mounts = [
      { source: config, target: '/etc/countersign' },
      { source: join(root, 'policies'), target: '/policies' },
      { source: volume, target: '/var/lib/countersign', writable: true },
    ]
    const place = (target: string): string => (isolated ? target : (mounts.find((mount) => mount.target === target)?.source ?? target))
    writeFileSync(
      join(config, 'countersign.yaml'),
      JSON.stringify({
        data: place('/var/lib/countersign'),
        listeners: { http: { address: '127.0.0.1:0' }, console: { address: '127.0.0.1:0', url: 'http://127.0.0.1:8081' }, admin: { address: '127.0.0.1:0' } },
        issuers: { corp: { issuer: idp.issuer, audiences: ['countersign'] } },
        agents: { 'invoice-agent': { issuer: 'corp', subject: 'invoice-agent', owner: { issuer: 'corp', subject: 'alice' }, groups: ['agents'] } },
        services: { 'orders-api': { upstream: api.url, labels: { environment: 'production' } } },
        policies: [`${place('/policies')}/agents-baseline.yaml`],
        sinks: { out: { kind: 'stdout' } },
      }),
    )
    prepare(image, mounts)
    before_ = tree(image.path, ['dev', 'proc', 'lib', 'usr/lib', 'lib64'])
  })
  after(async () => {
    if (container?.process.exitCode === null) container.process.kill('SIGKILL')
    await container?.ended()
    for (const part of [api, idp]) await part?.[Symbol.asyncDispose]()
    image?.[Symbol.dispose]()
    rmSync(home, { recursive: true, force: true })
  })

  test('holds what runs and nothing else', () => {
    const names = readdirSync(join(image.path, 'app'))
    assert.deepEqual(names.toSorted(), ['LICENSE', 'docs', 'node_modules', 'package.json', 'src'])
    const packages = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Readonly<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>
    const installed = readdirSync(join(image.path, 'app/node_modules'))
    for (const name of Object.keys({ ...packages.devDependencies, ...packages.optionalDependencies })) assert.ok(!installed.includes(name), `${name} is for development`)
    for (const name of Object.keys(packages.dependencies)) assert.ok(installed.includes(name.split('/')[0] ?? ''), `${name} is missing`)
  })

  test('what is private never reaches a builder', () => {
    const isSent = makeContextFilter(root)
    for (const path of ['.env', '.git/config', '.npmrc.bak', 'var/world/bob.token', 'var/world/data/approval.key', 'countersign.yaml', 'examples/countersign.yaml', 'node_modules/x/index.js', 'docs/http.md', 'a.log']) assert.ok(!isSent(path), path)
    for (const path of ['src/main.ts', 'docs/openapi.yaml', 'package-lock.json', '.npmrc', 'examples/world/compose.ts']) assert.ok(isSent(path), path)
  })

  test('both images: a numbered user that is not root, exact bases, no secret in a layer', () => {
    for (const stage of readDockerfile(root).filter(({ entrypoint }) => entrypoint.length > 0)) {
      assert.equal(stage.user, `${user}:${user}`)
      assert.match(stage.base, /^node:24\.\d+\.\d+-slim$|^gcr\.io\/distroless\/nodejs24-debian13:nonroot$/)
      assert.deepEqual(Object.keys(stage.env).filter((name) => /key|token|secret|password/i.test(name)), [])
    }
  })

  test('starts as it says, is ready and healthy', { timeout: 60_000 }, async (t) => {
    if (!isolated) t.diagnostic('no namespaces for this user: started in place, without the read-only root')
    container = start([...image.stage.entrypoint, ...image.stage.command])
    await until('the container to be ready', () => {
      if (container.process.exitCode !== null) throw new Error(container.output())
      return addresses().admin !== undefined
    }, 30_000)
    assert.equal((await fetch(`http://${addresses().admin}/readyz`)).status, 200)
    const check = start(image.stage.healthcheck, { COUNTERSIGN_ADMIN_URL: `http://${addresses().admin}` })
    assert.equal(await check.ended(), 0, check.output())
    const lost = start(image.stage.healthcheck, { COUNTERSIGN_ADMIN_URL: 'http://127.0.0.1:1' })
    assert.notEqual(await lost.ended(), 0, 'an unhealthy container must not look healthy')
  })

  test('governs', async () => {
    const headers = { authorization: `Bearer ${await idp.agentToken('invoice-agent')}` }
    const ask = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`http://${addresses().http}${path}`, { ...init, headers: { ...headers, prefer: 'wait=0' } })
    assert.equal((await ask('/v1/orders')).status, 200)
    assert.equal((await ask('/admin/settings', { method: 'PUT' })).status, 403)
    const held = await ask('/v1/orders/o-1003/refund', { method: 'POST' })
    assert.equal(held.status, 503)
    assert.match(held.headers.get('countersign-hold') ?? '', /./)
    assert.deepEqual(api.seen, ['GET /v1/orders'])
    await until('the audit stream on standard output', () => container.output().includes('"type":"hold-opened"') || container.output().includes('"type":"held"'))
  })

  test('the commands are in it', { timeout: 60_000 }, async () => {
    const main = image.stage.entrypoint
    for (const command of [['version'], ['config', 'check', '/etc/countersign/countersign.yaml'], ['policy', 'test', '/policies'], ['login', '--help']]) {
      const done = start([...main, ...command])
      assert.equal(await done.ended(), 0, `${command.join(' ')}: ${done.output()}`)
    }
  })

  test('nothing is writable but the volume', { skip: !isolated && 'needs namespaces' }, async () => {
    const probe = start(['/nodejs/bin/node', '-e', `
      const write = (file) => { try { require('node:fs').writeFileSync(file, ''); return 'written' } catch (error) { return error.code } }
      console.log(JSON.stringify([process.pid, process.getuid(), process.getgroups().length, ...['/x', '/app/x', '/app/src/main.ts', '/etc/countersign/x', '/policies/x', '/var/lib/countersign/x'].map(write)]))
    `])
    assert.equal(await probe.ended(), 0, probe.output())
    const [pid, uid, groups, ...writes] = JSON.parse(probe.output()) as readonly unknown[]
    assert.deepEqual([pid, uid, groups], [1, user, 1])
    assert.deepEqual(writes, ['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'written'])
    rmSync(join(home, 'volume/x'))
  })

  test('ends on SIGTERM with 0, and has written its volume only, for itself only', { timeout: 30_000 }, async () => {
    const asked = Date.now()
    container.signal('SIGTERM')
    assert.equal(await container.ended(), 0, container.output())
    assert.ok(Date.now() - asked < 10_000, `it took ${Date.now() - asked} ms`)
    assert.deepEqual(tree(image.path, ['dev', 'proc', 'lib', 'usr/lib', 'lib64']), before_)
    const written = readdirSync(join(home, 'volume'), { recursive: true, encoding: 'utf8' }).map((path) => join(home, 'volume', path))
    assert.ok(written.some((path) => path.endsWith('.ndjson')) && written.some((path) => path.endsWith('approval.key')), written.join(' '))
    for (const path of written) {
      const { mode, uid } = lstatSync(path)
      assert.equal(mode & 0o077, 0, `${relative(home, path)} is open to others`)
      if (isolated && isRoot) assert.equal(uid, user)
    }
  })
})
