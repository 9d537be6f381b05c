import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { publicKeyText, readSigningKey } from '../../src/channels/webhook/signing.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { ask, showHold, vote } from './client.ts'
import { startDeployment } from './deployment.ts'

const root = join(import.meta.dirname, '..', '..')

test('the automatic reviewer of the docs: small refunds go through by it, the others wait for people, and no other program decides', async () => {
  const secret = `whsk_${randomBytes(32).toString('base64')}`
  const port = await freePort()
  await using world = await startDeployment('embedded', {
    agents: { 'refund-reviewer': { issuer: 'corp', subject: 'refund-reviewer', kind: 'workload', owner: { issuer: 'corp', subject: 'dave' } }, 'another-program': { issuer: 'corp', subject: 'another-program', kind: 'workload', owner: { issuer: 'corp', subject: 'dave' } } },
    channels: { reviewer: { kind: 'webhook', url: `http://127.0.0.1:${port}/`, secret: '${env:WEBHOOK_SECRET}', 'private-addresses': true, only: { services: ['orders'] } } },
  })
  const rule = { name: 'refund', then: 'hold', methods: ['POST'], paths: ['/refunds/**'], approval: { from: { groups: ['oncall'], automations: [{ issuer: 'corp', subject: 'refund-reviewer' }] }, within: '5m', 'run-within': '5m' } }
  const careful = { name: 'large', then: 'hold', methods: ['POST'], paths: ['/payouts/**'], approval: { from: [{ automations: [{ issuer: 'corp', subject: 'refund-reviewer' }] }, { groups: ['oncall'] }], within: '5m', 'run-within': '5m' } }
  writeFileSync(world.policyFile, stringify({ policy: 'orders', services: ['orders'], rules: [rule, careful] }))
  const replica = await world.start('a', {}, { env: { WEBHOOK_SECRET: secret } })
  const tokenFile = join(world.directory, 'reviewer.token')
  const reviewer = await world.issuer.sign({ sub: 'refund-reviewer' })
  writeFileSync(tokenFile, `${reviewer}\n`)

  const program = spawn(process.execPath, [join(root, 'examples/automatic-reviewer.ts')], { env: { ...process.env, COUNTERSIGN_URL: replica.console, WEBHOOK_KEY: publicKeyText(readSigningKey(secret)!.key), TOKEN_FILE: tokenFile, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let said = ''
    program.stdout.setEncoding('utf8').on('data', (more: string) => (said += more))
    await until('it to listen', () => said.includes('listening'), 10_000)
    assert.equal((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{"type":"hold.opened","data":{"hold":"x"}}', headers: { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1_000)), 'webhook-signature': 'v1a,AAAA' } })).status, 401)

    const agent = await world.agent()
    const small = await ask(replica.http, '/refunds/1', agent, { body: '{"amount":20}' })
    assert.equal(small.status, 200, small.text)
    const bob = await world.person('bob')
    const voted = world.records().find(({ type }) => type === 'voted') as { vote?: { channel: string; by: { subject: string; kind: string } } } | undefined
    assert.deepEqual([voted?.vote?.channel, voted?.vote?.by.subject, voted?.vote?.by.kind], ['automation', 'refund-reviewer', 'workload'])

    const leave = async (path: string, body: string): Promise<string> => (await ask(replica.http, path, agent, { body, headers: { prefer: 'wait=0' } })).hold ?? assert.fail('no hold')
    const large = await leave('/refunds/2', '{"amount":2000}')
    await until('it to be left to people', () => said.includes(`${large} left to people`), 10_000)
    assert.equal((await showHold(replica, large, bob)).state, 'pending')
    for (const [name, kind] of [['another-program', 404], ['invoice-agent', 403]] as const) {
      const { action } = await showHold(replica, large, bob)
      const answer = await ask(replica.console, `/api/holds/${large}/votes`, await world.issuer.sign({ sub: name, groups: ['oncall'] }), { body: JSON.stringify({ verdict: 'approve', digest: action.digest }) })
      assert.equal(answer.status, kind, `${name}: ${answer.text}`)
    }

    // Where a person is asked as well, the program is one of two.
    const both = await leave('/payouts/1', '{"amount":20}')
    assert.equal((await vote(replica, both, reviewer)).status, 200)
    assert.equal((await showHold(replica, both, bob)).state, 'pending')
    assert.equal((await vote(replica, both, bob)).status, 200)
    const { state, votes } = (await showHold(replica, both, bob)) as unknown as { state: string; votes: { channel: string }[] }
    assert.deepEqual([state, votes.map(({ channel }) => channel)], ['approved', ['automation', 'api']])
  } finally {
    program.kill('SIGKILL')
  }
})

test('the reviewer that the docs describe is the one of the example', () => {
  const page = readFileSync(join(root, 'docs/channels.md'), 'utf8')
  assert.match(page, /examples\/automatic-reviewer\.ts/)
  assert.match(page, /automations: \[\{ issuer: corp, subject: refund-reviewer \}\]/)
})
