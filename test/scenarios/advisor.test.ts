import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { publicKeyText, readSigningKey } from '../../src/channels/webhook/signing.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { ask, showHold, vote } from './client.ts'
import { startDeployment } from './deployment.ts'

const root = join(import.meta.dirname, '..', '..')

test('the advisor of the docs is heard, and decides nothing; one that never answers delays nothing', async () => {
  const secret = `whsk_${randomBytes(32).toString('base64')}`
  const port = await freePort()
  let silent = 0
  const mute = createServer(() => void silent++)
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const advisor = { kind: 'advisor', 'private-addresses': true, payload: 'summary', secret: '${env:WEBHOOK_SECRET}' }
  await using world = await startDeployment('embedded', {
    channels: { risk: { ...advisor, url: `http://127.0.0.1:${port}/`, only: { services: ['orders'] } }, mute: { ...advisor, url: `http://127.0.0.1:${(mute.address() as AddressInfo).port}/` } },
  })
  const replica = await world.start('a', {}, { env: { WEBHOOK_SECRET: secret } })
  const program = spawn(process.execPath, [join(root, 'examples/advisor.ts')], { env: { ...process.env, WEBHOOK_KEY: publicKeyText(readSigningKey(secret)!.key), PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let said = ''
    program.stdout.setEncoding('utf8').on('data', (more: string) => (said += more))
    await until('it to listen', () => said.includes('listening'), 10_000)
    assert.equal((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{}', headers: { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1_000)), 'webhook-signature': 'v1a,AAAA' } })).status, 401)
    const [agent, bob] = await Promise.all([world.agent(), world.person('bob')])
    const waiting = ask(replica.http, '/refunds/1', agent, { body: '{"amount":20}' })
    const id = await until('the hold', () => world.records().find(({ type }) => type === 'held')?.hold, 10_000)
    const opinions = async (): Promise<unknown> => (await showHold(replica, id, bob))['opinions']
    assert.deepEqual(await until('the opinion', opinions, 10_000), [{ advisor: 'risk', text: 'Nothing stands out in this http.POST at orders.' }])
    const advised = world.records().filter(({ type }) => type === 'advised')
    assert.deepEqual(advised.map(({ hold, advisor: by, opinion }) => [hold, by, opinion]), [[id, 'risk', 'Nothing stands out in this http.POST at orders.']])
    const shown = (await showHold(replica, id, bob)) as unknown as { votes: unknown[]; state: string; revision: number; reaches?: unknown }
    assert.deepEqual([shown.votes, shown.state, shown.revision, shown.reaches], [[], 'pending', 1, []])
    // What we and it have in common opens no door.
    for (const token of [secret, 'risk']) assert.equal((await ask(replica.console, `/api/holds/${id}/votes`, token, { body: JSON.stringify({ verdict: 'approve', digest: (await showHold(replica, id, bob)).action.digest }) })).status, 401)
    assert.ok(silent > 0)
    assert.equal((await vote(replica, id, bob)).status, 200)
    assert.equal((await waiting).status, 200)
    assert.equal((await ask(replica.http, '/nowhere', agent, { method: 'DELETE' })).status, 403)
    assert.equal(world.records().filter(({ type }) => type === 'advised').length, 1)
  } finally {
    program.kill()
    mute.closeAllConnections()
    mute.close()
  }
})
