import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { stringify } from 'yaml'
import { makeTls, type PostgresTls } from '../support/postgres-tls.ts'
import { until } from '../support/until.ts'
import { ask, heldFor, vote } from './client.ts'
import { policy, startDeployment, type Part } from './deployment.ts'
import type { Replica } from './process.ts'

/** The policy changes under a running process: at once and whole, or not at all. */
const withDeny: Part = { ...policy, rules: [...(policy['rules'] as readonly Part[]), { name: 'freeze', then: 'deny', methods: ['POST'], paths: ['/refunds/**'], because: 'Year end.', instead: 'Wait until January.' }] }

const ready = async (replica: Replica): Promise<Part> => (await ask(replica.admin, '/readyz', '', { method: 'GET' })).json
const versionOf = async (replica: Replica): Promise<unknown> => ((await ready(replica))['policy'] as Part | undefined)?.['version']
const changed = (replica: Replica, from: unknown): Promise<unknown> => until('another policy to be in force', async () => (await versionOf(replica)) !== from, 10_000)

test('what is held is decided again: denied now means denied, whatever was approved', async () => {
  await using world = await startDeployment('embedded')
  const replica = await world.start('a')
  const [agent, bob] = [await world.agent(), await world.person('bob')]
  const before = await versionOf(replica)
  const asked = ask(replica.http, '/refunds/1', agent, { body: '{}' })
  const { id } = await heldFor(replica, bob, '/refunds/1')
  writeFileSync(world.policyFile, stringify(withDeny))
  await changed(replica, before)
  await vote(replica, id, bob)
  const reply = await asked
  assert.deepEqual([reply.status, reply.code, reply.executed], [403, 'denied', false], reply.text)
  assert.match(reply.text, /Wait until January/)
  assert.equal((await ask(replica.http, '/refunds/1', agent, { body: '{}' })).code, 'denied')
  assert.equal(world.upstream.executions('/refunds/1'), 0)
  const loaded = world.records('a').filter((record) => record.type === 'config-loaded')
  assert.equal(loaded.at(-1)?.['previous'], before, 'the record names both')
})

test('a broken policy is refused, shown, and the old one goes on; a whole one clears it', async () => {
  await using world = await startDeployment('embedded')
  const replica = await world.start('a')
  const agent = await world.agent()
  const before = await versionOf(replica)
  writeFileSync(world.policyFile, 'policy: orders\nrules:\n  - name: all\n    then: alow\n')
  const shown = await until('the refusal to be shown', async () => {
    const now = (await ready(replica))['policy'] as Part
    return now['lastReload'] === 'refused' && now
  }, 10_000)
  assert.equal(shown['version'], before)
  assert.match(JSON.stringify(shown['problems']), /alow/)
  assert.equal((await ask(replica.http, '/orders', agent, { method: 'GET' })).status, 200)
  assert.equal((await ask(replica.http, '/refunds/1', agent, { body: '{}', headers: { prefer: 'wait=0' } })).code, 'hold-pending')
  await until('it on record', () => world.records('a').some((record) => record.type === 'config-rejected'))

  writeFileSync(world.policyFile, stringify(withDeny))
  await changed(replica, before)
  assert.equal(((await ready(replica))['policy'] as Part)['lastReload'], undefined)
})

test('a mounted volume that replaces the link behind its files is seen as one change', async () => {
  await using world = await startDeployment('embedded')
  // As an orchestrator mounts it: policy.yaml -> ..data/policy.yaml, ..data -> a folder with the date in its name.
  const volume = join(world.directory, 'volume')
  const put = (name: string, text: Part): void => {
    mkdirSync(join(volume, name), { recursive: true })
    writeFileSync(join(volume, name, 'policy.yaml'), stringify(text))
    symlinkSync(name, join(volume, '..data_tmp'))
    renameSync(join(volume, '..data_tmp'), join(volume, '..data'))
  }
  put('..2026_01_01', policy)
  symlinkSync('..data/policy.yaml', join(volume, 'policy.yaml'))
  const replica = await world.start('a', { policies: [volume] })
  const agent = await world.agent()
  const before = await versionOf(replica)
  put('..2026_01_02', withDeny)
  await changed(replica, before)
  assert.equal((await ask(replica.http, '/refunds/1', agent, { body: '{}' })).code, 'denied')
  put('..2026_01_03', policy)
  await until('the first policy to be back', async () => (await versionOf(replica)) === before, 10_000)
})

test('reload on demand says what came of it', async () => {
  await using world = await startDeployment('embedded')
  const replica = await world.start('a')
  const reload = () => ask(replica.admin, '/-/reload', '', { headers: { 'countersign-admin': 'reload' } })
  writeFileSync(world.policyFile, stringify(withDeny))
  const done = await reload()
  assert.deepEqual([done.status, done.json['applied']], [200, true], done.text)
  assert.equal((await ask(replica.http, '/refunds/1', await world.agent(), { body: '{}' })).code, 'denied')
  writeFileSync(world.policyFile, '{')
  const refused = await reload()
  assert.deepEqual([refused.status, refused.json['applied'], refused.json['policyVersion']], [422, false, done.json['policyVersion']], refused.text)
})

test('renewed certificates are those of new connections at every listener; half of one keeps what was', async () => {
  await using world = await startDeployment('embedded')
  const renewed = (name: string): Promise<PostgresTls> => {
    mkdirSync(join(world.directory, name))
    return makeTls(join(world.directory, name))
  }
  const [first, second] = [await renewed('first'), await renewed('second')]
  const tls = { 'cert-file': join(world.directory, 'here.crt'), 'key-file': join(world.directory, 'here.key') }
  copyFileSync(first.cert, tls['cert-file'])
  copyFileSync(first.key, tls['key-file'])
  const replica = await world.start('a', { listeners: { http: { tls }, console: { tls: { ...tls } } } })
  const shownAt = async (port: number): Promise<string> => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  const fingerprint = ({ cert }: PostgresTls): string => new X509Certificate(readFileSync(cert)).fingerprint256
  const shown = async (): Promise<readonly string[]> => await Promise.all([replica.http, replica.console].map((address) => shownAt(Number(address.split(':').at(-1)))))
  assert.deepEqual(await shown(), [fingerprint(first), fingerprint(first)])

  copyFileSync(second.cert, tls['cert-file'])
  await until('the half of it to be refused', async () => ((await ready(replica))['policy'] as Part)['lastReload'] === 'refused', 10_000)
  assert.match(JSON.stringify(((await ready(replica))['policy'] as Part)['problems']), /is no certificate in PEM with its own key/)
  assert.deepEqual(await shown(), [fingerprint(first), fingerprint(first)])

  copyFileSync(second.key, tls['key-file'])
  await until('both listeners to show the new one', async () => (await shown()).every((one) => one === fingerprint(second)), 10_000)
})
