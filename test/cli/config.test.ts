import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { checkConfig, readWorld, showConfig, showSchema } from '../../src/cli/config.ts'
import { parse } from 'yaml'
import { configText, type Folder, makeFolder, policyText } from '../config/folder.ts'

const io = (folder: Folder, env: Record<string, string> = {}) => {
  const out: string[] = []
  const err: string[] = []
  return { stdout: { write: (text: string) => out.push(text) }, stderr: { write: (text: string) => err.push(text) }, env, cwd: folder.path, out: () => out.join(''), err: () => err.join('') }
}

test('check: 0 and one line, or 3 and every problem with its place', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', configText())
  const good = io(folder)
  assert.equal(await checkConfig([], good), 0)
  assert.match(good.out(), /^countersign\.yaml: ok, 1 service, 1 issuer, 1 rule, policies sha256:[0-9a-f]{64}\n$/)
  folder.write('other.yaml', configText('grops: []\nworker: 2\n'))
  const bad = io(folder)
  assert.equal(await checkConfig(['other.yaml'], bad), 3)
  assert.match(bad.err(), /other\.yaml:6:1 grops: unknown key "grops"; did you mean "groups"\?\n {2}\| grops.*\n.*\nother\.yaml:7:1 worker/)
  assert.equal(bad.out(), '')
})

test('check: policies are a part of it, and JSON has the same problems', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', configText())
  folder.write('policies/orders.yaml', policyText.replace('orders-api', 'order-api'))
  const asked = io(folder)
  assert.equal(await checkConfig(['--json'], asked), 3)
  const answer = JSON.parse(asked.out()) as { valid: boolean; problems: { file: string; line: number; message: string }[] }
  assert.equal(answer.valid, false)
  assert.deepEqual(answer.problems.map(({ file, line }) => [file, line]), [['policies/orders.yaml', 2]])
  const elsewhere = { ...io(folder), cwd: join(folder.path, 'policies') }
  assert.equal(await checkConfig(['../countersign.yaml'], elsewhere), 3)
  assert.match(elsewhere.err(), /^orders\.yaml:2:/)
})

test('render: defaults filled in, secrets as references, and it loads again as the same', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', configText('', ', credential: { bearer: "${env:A:-hunter2}" }'))
  const first = io(folder, { A: 'swordfish', HOSTNAME: 'pod-1' })
  assert.equal(await showConfig([], first), 0)
  assert.doesNotMatch(first.out(), /hunter2|swordfish/)
  const shown = parse(first.out()) as { replica: string; listeners: { http: { address: string } }; services: { 'orders-api': { credential: { bearer: string } } } }
  assert.deepEqual([shown.replica, shown.listeners.http.address, shown.services['orders-api'].credential.bearer], ['pod-1', '127.0.0.1:8080', '${env:A:-…}'])
  folder.write('again.yaml', first.out())
  const second = io(folder, { A: 'swordfish', HOSTNAME: 'pod-2' })
  assert.equal(await showConfig(['again.yaml'], second), 0)
  assert.equal(second.out(), first.out())
})

test('schema: one that compiles', async () => {
  using folder = makeFolder()
  const asked = io(folder)
  assert.equal(await showSchema([], asked), 0)
  assert.ok(new Ajv({ strict: false, validateFormats: false }).compile(JSON.parse(asked.out()) as object))
})

test('a file that is not there is a problem like others', async () => {
  using folder = makeFolder()
  const asked = io(folder, { COUNTERSIGN_CONFIG: 'nowhere.yaml' })
  assert.equal(await checkConfig([], asked), 3)
  assert.match(asked.err(), /nowhere\.yaml:1:1 the file cannot be read \(ENOENT\)/)
  await assert.rejects(checkConfig(['a', '--config', 'b'], asked), /one file/)
})

test('for policies, secrets and files of the place where it runs need not be here; everything else counts', async () => {
  using folder = makeFolder()
  const text = (more = ''): string => `issuers:
  corp: { issuer: https://login.example.com, audiences: [countersign], keys: { jwks-file: /nowhere/jwks.json } }
listeners: { postgres: { tls: { cert-file: /nowhere/tls.crt, key-file: /nowhere/tls.key } } }
services:
  orders-api: { upstream: "http://127.0.0.1:9000", credential: { bearer: "\${env:TOKEN}" } }
  crm-db: { protocol: postgres, upstream: "db.internal:5432", ca-file: /nowhere/ca, database: crm, credential: { user: app, password-file: /nowhere/password } }
approvals: { keys: ["\${file:/nowhere/key}"] }
store: { kind: redis, url: "redis://:\${env:REDIS_PASSWORD}@redis:6379" }
groups: [agents]
policies: [/nowhere/policies]
${more}`
  folder.write('countersign.yaml', text())
  const { services, groups } = await readWorld('countersign.yaml', io(folder))
  assert.deepEqual([services.map(({ name }) => name), groups], [['orders-api', 'crm-db'], ['agents']])
  assert.equal(await checkConfig([], io(folder)), 3, 'it does not serve with that')
  folder.write('countersign.yaml', text('worker: 2\n'))
  const refused = io(folder)
  await assert.rejects(readWorld('countersign.yaml', refused), /does not load/)
  assert.match(refused.err(), /worker/)
  folder.write('countersign.yaml', text().replace('tls: {', 'plaintext: never, address: "127.0.0.1:8080", tls: {'))
  const port = io(folder)
  await assert.rejects(readWorld('countersign.yaml', port), /does not load/)
  assert.match(port.err(), /same port/)
})
