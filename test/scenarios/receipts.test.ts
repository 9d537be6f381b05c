import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { makeShell } from '../cli/shell.ts'
import { until } from '../support/until.ts'
import { ask, heldFor, showHold, vote } from './client.ts'
import { startDeployment, type Deployment } from './deployment.ts'
import type { Replica } from './process.ts'

/** What people let through carries a short receipt, to the service and back to the client; nobody else can say one. */
describe('receipts on the way', () => {
  let world: Deployment
  let a: Replica
  let shell: Awaited<ReturnType<typeof makeShell>>
  let keys: string
  let agent: string
  let bob: string
  before(async () => {
    world = await startDeployment('embedded')
    a = await world.start('a')
    shell = await makeShell()
    ;[agent, bob] = await Promise.all([world.agent(), world.person('bob')])
    keys = join(shell.home, 'keys.json')
    writeFileSync(keys, (await ask(a.console, '/.well-known/countersign-receipts.jwks', '', { method: 'GET' })).text)
  })
  after(async () => {
    await shell?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const verified = async (content: string | undefined): Promise<Readonly<Record<string, unknown>>> => {
    const file = join(shell.home, 'receipt')
    writeFileSync(file, content ?? '')
    const { code, out, err } = await shell.run(['receipt', 'verify', file, '--key', keys, '-o', 'json'])
    assert.equal(code, 0, out + err)
    return (JSON.parse(out) as { receipt: Readonly<Record<string, unknown>> }).receipt
  }
  const arrived = (path: string) => world.upstream.arrivals.findLast((arrival) => arrival.path === path)?.headers ?? {}

  test('an approved action has one, the same on both ways, and the whole receipt goes by the names in it', async () => {
    const answer = ask(a.http, '/refunds/7', agent, { body: '{"amount":5}', headers: { 'x-countersign-receipt': 'mine', 'countersign-receipt': 'mine', 'X_Countersign_Receipt': 'mine' } })
    const { id } = await heldFor(a, bob, '/refunds/7')
    assert.equal((await vote(a, id, bob)).status, 200)
    const { status, headers } = await answer
    assert.equal(status, 200)
    const token = headers.get('countersign-receipt') ?? ''
    assert.deepEqual(Object.entries(arrived('/refunds/7')).filter(([name]) => /receipt/i.test(name)), [['x-countersign-receipt', token]])
    assert.ok(token.length < 1_024)
    const short = await verified(token)
    const { code, action } = await showHold(a, id, bob)
    assert.deepEqual({ ...short, iat: 0, policy: '', attempt: '' }, { iss: 'scenario', sub: action.digest, iat: 0, decision: 'approved', rule: 'orders/refund', policy: '', approvers: 1, case: code, attempt: '' })
    const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
    assert.equal(/bob|alice|invoice-agent/.test(text), false, 'nobody is named')
    const whole = (await verified((await ask(a.console, `/api/receipts/${String(short['attempt'])}`, agent, { method: 'GET' })).text)) as { predicate?: { case: { hold: string }; approvers: { subject: string }[] } }
    assert.deepEqual([whole.predicate?.case.hold, whole.predicate?.approvers.map(({ subject }) => subject)], [id, ['bob']])
    // A repeat gets the kept answer, with the receipt of the one run.
    const again = await ask(a.http, '/refunds/7', agent, { body: '{"amount":5}' })
    assert.deepEqual([again.headers.get('countersign-replayed'), again.headers.get('countersign-receipt')], ['true', token])
  })

  test('what runs without its client has one in its kept answer', async () => {
    const { hold = '' } = await ask(a.http, '/reports/1', agent, { body: '{}', headers: { prefer: 'respond-async' } })
    assert.equal((await vote(a, hold, bob)).status, 200)
    const result = await until('the kept answer', async () => {
      const reply = await ask(a.http, `/.countersign/holds/${hold}/result`, agent, { method: 'GET' })
      return reply.status === 200 ? reply : undefined
    })
    assert.equal((await verified(result.headers.get('countersign-receipt') ?? ''))['decision'], 'approved')
    assert.equal(arrived('/reports/1')['x-countersign-receipt'], result.headers.get('countersign-receipt'))
  })

  test('what is allowed has one where that is configured, and a service cannot put its own in the place', async () => {
    world.upstream.answer = (_arrival, response) => void response.writeHead(200, { 'Countersign-Receipt': 'of the service', 'X-Countersign-Receipt': 'of the service' }).end('{}')
    assert.deepEqual([...(await ask(a.http, '/orders/1', agent, { method: 'GET' })).headers.keys()].filter((name) => name.includes('receipt')), [])
    const b = await world.start('b', { audit: { receipts: 'all' } })
    const headers = (await ask(b.http, '/orders/1', agent, { method: 'GET' })).headers
    assert.equal((await verified(headers.get('countersign-receipt') ?? ''))['decision'], 'allowed')
    assert.equal(headers.get('x-countersign-receipt'), null)
    const none = await world.start('c', { audit: { receipts: 'none' } })
    const answer = ask(none.http, '/refunds/8', agent, { body: '{}' })
    assert.equal((await vote(none, (await heldFor(none, bob, '/refunds/8')).id, bob)).status, 200)
    assert.equal((await answer).headers.get('countersign-receipt'), null)
    world.upstream.answer = undefined
  })
})
