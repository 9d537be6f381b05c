import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReceipt } from '../../../src/audit/receipts/check.ts'
import { ed25519KeyOf } from '../../../src/lib/json-web-key.ts'
import { auditLog, story } from './audit-log.ts'
import { person, startDesk } from './hold-desk.ts'

const start = async () => {
  await using making = new AsyncDisposableStack()
  const log = making.use(await auditLog(['auditors']))
  const desk = making.use(await startDesk({}, undefined, log.desk, log.receipts))
  const at = 'https://idp.test'
  desk.tokens.set('carol', person('carol', 'auditors'))
  desk.tokens.set('agent-itself', { ...person('invoice-agent'), issuer: at, kind: 'agent', onBehalfOf: [{ ...person('alice'), issuer: at }] })
  desk.tokens.set('agent-for-dave', { ...person('invoice-agent'), issuer: at, kind: 'agent', onBehalfOf: [{ ...person('dave'), issuer: at }] })
  desk.tokens.set('alice-herself', { ...person('alice'), issuer: at })
  desk.tokens.set('somebody-for-alice', { ...person('other-agent'), issuer: at, kind: 'agent', onBehalfOf: [{ ...person('alice'), issuer: at }] })
  desk.tokens.set('bob', { ...person('bob'), issuer: at })
  const own = making.move()
  const get = (path: string, token: string) => desk.call('GET', path, { token })
  return { log, desk, get, [Symbol.asyncDispose]: () => own.disposeAsync() }
}

test('who asked and who reads the log gets a receipt that the published keys are of, by every name of the action', async () => {
  await using world = await start()
  const keys = ((await world.desk.call('GET', '/.well-known/countersign-receipts.jwks')).json['keys'] as unknown[]).map((jwk) => ({ name: '', key: ed25519KeyOf(jwk) }))
  for (const token of ['carol', 'agent-itself', 'alice-herself']) {
    for (const name of ['hold_1', 'CS-7F3K', 'try-1']) {
      const { status, text } = await world.get(`/api/receipts/${name}`, token)
      assert.equal(status, 200, `${token} ${name}`)
      const { receipt: { predicate } } = checkReceipt(Buffer.from(text), keys)
      assert.deepEqual([predicate.case.hold, predicate.decision.result, predicate.log.length], ['hold_1', 'approved', 6])
    }
  }
  assert.deepEqual(world.log.read.map((event) => event.type === 'audit-read' && [event.by.subject, event.query, event.records]).slice(0, 2), [['carol', 'receipt hold_1', 6], ['carol', 'receipt CS-7F3K', 6]])
})

test('everybody else hears what they would hear of no action at all, and that is on record', async () => {
  await using world = await start()
  const none = await world.get('/api/receipts/hold_9', 'bob')
  assert.equal(none.status, 404)
  for (const token of ['bob', 'agent-for-dave', 'somebody-for-alice', 'dave']) {
    const { status, text } = await world.get('/api/receipts/hold_1', token)
    assert.deepEqual([status, text], [404, none.text], token)
  }
  assert.ok(world.log.read.every(({ type }) => type === 'audit-read-refused'))
  assert.equal(world.log.read.length, 4)
  assert.equal((await world.desk.call('GET', '/api/receipts/hold_1')).status, 401)
  for (const path of ['/api/receipts/', '/api/receipts/a%2fb', '/api/receipts/..', `/api/receipts/${'x'.repeat(151)}`]) assert.equal((await world.get(path, 'carol')).status, 404, path)
  assert.equal((await world.desk.call('POST', '/api/receipts/hold_1', { token: 'carol', body: {} })).status, 405)
  // What cannot be put on record is not given out.
  await world.log.close()
  const refused = await world.get('/api/receipts/hold_1', 'carol')
  assert.deepEqual([refused.status, refused.json['payload']], [503, undefined])
})

test('of several actions with one code it is the latest that the viewer may see', async () => {
  await using world = await start()
  for (const event of story) await world.log.events(JSON.parse(JSON.stringify(event).replaceAll('hold_1', 'hold_2').replaceAll('try-1', 'try-2').replaceAll('"alice"', '"dave"')))
  const holdOf = async (token: string) => (JSON.parse(Buffer.from(String((await world.get('/api/receipts/CS-7F3K', token)).json['payload']), 'base64').toString()) as { predicate: { case: { hold: string } } }).predicate.case.hold
  assert.deepEqual([await holdOf('carol'), await holdOf('agent-itself'), await holdOf('agent-for-dave')], ['hold_2', 'hold_1', 'hold_2'])
})
