import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { logSigner } from '../../src/config/deployment-keys.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { ApprovalOptions } from '../../src/approval/options.ts'
import { makeShell } from '../cli/shell.ts'
import { until } from '../support/until.ts'
import { startRelay } from '../witness/relay.ts'
import { startWitness } from '../witness/witness-process.ts'
import { ask, vote } from './client.ts'
import { startDeployment } from './deployment.ts'

const key = 'the approval key of this scenario, 32 bytes or more'

test('where changes wait for a witness, a dead one stops them and nothing else; what it saw finds the replica that is gone', async () => {
  await using world = await startDeployment('redis')
  const { verifier } = logSigner({ deployment: 'scenario', approval: { keys: [new Secret(key)] } as unknown as ApprovalOptions })
  const state = join(world.directory, '.witness')
  const witness = await startWitness(state, [verifier])
  await using relay = await startRelay(witness.url)
  const audit = { required: { write: 'local+witness', held: 'local+witness', within: '2s' }, witnesses: { auditors: { url: relay.url, key: witness.keys[0], timeout: '1s' } } }
  const start = (name: string) => world.start(name, { audit }, { env: { SCENARIO_KEY: key } })
  const [a, b] = [await start('a'), await start('b')]
  const [agent, bob] = [await world.agent(), await world.person('bob')]
  const post = (replica: typeof a, path: string) => ask(replica.http, path, agent, { body: '{}', headers: { prefer: 'wait=0' } })

  const holds = (): number => world.records().filter(({ type }) => type === 'held').length

  assert.equal((await post(a, '/notes/1')).status, 200)
  const held = await post(a, '/refunds/1')
  assert.equal((await vote(a, held.hold!, bob)).status, 200)
  assert.equal((await post(b, '/refunds/1')).status, 200, 'released where the other one runs it')
  assert.equal(world.upstream.executions('/refunds/1'), 1)
  await until('what was seen on record', () => world.records('a').some(({ type }) => type === 'cosigned'))

  relay.lead('http://127.0.0.1:9')
  const arrived = world.upstream.arrivals.length
  for (const path of ['/notes/2', '/refunds/2', '/notes/3']) {
    const refused = await post(a, path)
    assert.deepEqual([refused.status, refused.code], [503, 'record-unconfirmed'], refused.text)
  }
  assert.equal(world.upstream.arrivals.length, arrived, 'nothing reached the service')
  assert.equal(holds(), 1, 'nobody was asked')
  assert.equal((await ask(a.http, '/orders/1', agent, { method: 'GET' })).status, 200, 'reads do not wait')
  assert.equal((await ask(a.admin, '/readyz', '', { method: 'GET' })).status, 200)

  relay.lead(witness.url)
  await until('changes to be let through again', async () => (await post(a, '/notes/4')).status === 200, 40_000)
  for (const replica of [a, b]) await replica.kill('SIGTERM')

  await using shell = await makeShell()
  const [logs, keys] = [join(world.directory, 'logs.txt'), join(world.directory, 'witness.keys')]
  writeFileSync(logs, (await witness.get('/logs')).body)
  writeFileSync(keys, witness.keys.join('\n'))
  await witness.kill('SIGTERM')
  const verify = (name: string) => shell.run(['audit', 'verify', '-d', join(world.place(name), 'journal'), '-k', verifier, '--witness-keys', keys, '--root-log', logs])
  const alone = await verify('a')
  assert.equal(alone.code, 19, alone.out)
  assert.match(alone.out, /ok {6}a: \d+ records up to the last signature[^\n]*\n {8}witnessed up to a\/1\/\d+ by witness\.test/)
  assert.match(alone.out, /NOT OK {2}b: a checkpoint from elsewhere is of this log, and it is not here/)
  const [, signed = '', seen = ''] = /ok {6}a: (\d+) records up to the last signature[\s\S]*witnessed up to a\/1\/(\d+)/.exec(alone.out) ?? []
  assert.equal(Number(seen) + 1, Number(signed), 'it was told of the last word before the replica went')
  rmSync(state, { recursive: true })
})
