import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partyKey } from '../../../src/model/caller.ts'
import { auditLog } from './audit-log.ts'
import { person, startDesk } from './hold-desk.ts'

const start = async (readers: readonly string[] = ['auditors']) => {
  await using making = new AsyncDisposableStack()
  const log = making.use(await auditLog(readers))
  const desk = making.use(await startDesk({}, undefined, log.desk))
  desk.tokens.set('carol', person('carol', 'auditors'))
  const own = making.move()
  const get = (path: string, token = 'carol') => desk.call('GET', path, { token })
  return { log, desk, get, [Symbol.asyncDispose]: () => own.disposeAsync() }
}

interface Found {
  readonly records: readonly { readonly record: { readonly id: string; readonly type: string }; readonly summary: Readonly<Record<string, unknown>> }[]
  readonly next?: string
}
const types = ({ json }: { readonly json: unknown }): readonly string[] => (json as Found).records.map(({ record }) => record.type)

test('whoever approved is found with what was approved, and each record knows its whole action', async () => {
  await using world = await start()
  const answer = await world.get('/api/audit?approver=bob&on=orders')
  assert.deepEqual(types(answer), ['finished', 'started', 'released', 'voted'])
  for (const { summary } of (answer.json as unknown as Found).records) assert.deepEqual(summary, { on: ['/v1/orders'], rules: ['orders/write'], approvers: [{ name: 'Bob', verdict: 'approve' }], who: 'invoice-agent', for: 'alice', verb: 'http.POST', service: 'orders', outcome: 'executed', hold: 'hold_1', code: 'CS-7F3K' })
  const first = await world.get('/api/audit?who=invoice-agent&limit=4')
  const second = await world.get(`/api/audit?who=invoice-agent&limit=4&after=${String(first.json['next'])}`)
  assert.deepEqual([...types(first), ...types(second)], ['finished', 'started', 'released', 'voted', 'held', 'decided'])
  assert.deepEqual([first.json['count'], first.json['counted'], second.json['next']], [6, 'all', undefined])
  assert.deepEqual(types(await world.get('/api/audit?to=2020-01-01')), [])
  const one = await world.get('/api/audit/r1/1/2')
  assert.deepEqual((one.json['case'] as { type: string }[]).map(({ type }) => type), ['decided', 'held', 'voted', 'released', 'started', 'finished'])
})

test('only people of the configured groups read, with a token of their own, and nobody where there are none', async () => {
  await using world = await start()
  world.desk.tokens.set('acting', { ...person('carol', 'auditors'), onBehalfOf: [person('alice')] })
  world.desk.tokens.set('program', { ...person('scanner', 'auditors'), kind: 'workload' })
  world.desk.tokens.set('unknown', { ...person('carol'), groups: undefined })
  const paths = ['/api/audit', '/api/audit/r1/1/0', '/api/audit/r1/1/0/proof', '/api/audit/r1/1/99']
  for (const token of ['alice', 'agent', 'acting', 'program', 'unknown']) for (const path of paths) assert.equal((await world.get(path, token)).status, 403, `${token} ${path}`)
  assert.equal((await world.desk.call('GET', '/api/audit')).status, 401)
  assert.equal(world.log.read.length, 20)
  assert.ok(world.log.read.every(({ type }) => type === 'audit-read-refused'))
  world.log.state.readers = []
  assert.equal((await world.get('/api/audit')).status, 403)
  world.log.state.readers = ['auditors']
  assert.equal((await world.get('/api/audit')).status, 200)
  world.log.state.members = new Map([['auditors', new Set<string>()]])
  assert.equal((await world.get('/api/audit')).status, 403, 'whoever was taken out reads no more, whatever the token says')
  world.log.state.members = new Map([['auditors', new Set([partyKey(person('carol'))])]])
  assert.equal((await world.get('/api/audit')).status, 200)
  await using without = await startDesk()
  assert.equal((await without.call('GET', '/api/audit', { token: 'alice' })).status, 404)
})

test('each reading is on record once, with what was asked; of what could not be recorded nothing is shown', async () => {
  await using world = await start()
  await world.get('/api/audit?who=alice&text=ticket+4711&from=2026-01-01')
  await world.get('/api/audit/r1/1/0')
  const [search, record, ...more] = world.log.read
  assert.deepEqual(more, [])
  assert.ok(search?.type === 'audit-read' && record?.type === 'audit-read')
  assert.deepEqual([search.by.subject, search.query, search.records], ['carol', 'search who=alice text=ticket 4711 from=2026-01-01T00:00:00.000Z', 0])
  assert.deepEqual([record.query, record.records], ['record r1/1/0', 6])
  // What was read is found as well, and looking for it is one more record, not two.
  assert.deepEqual(types(await world.get('/api/audit?type=audit-read')), ['audit-read', 'audit-read'])
  assert.equal(world.log.read.length, 3)
  await world.log.close()
  const refused = await world.get('/api/audit')
  assert.deepEqual([refused.status, refused.json['code'], refused.json['records']], [503, 'journal-unavailable', undefined])
})

test('what is asked in another way than there is, is refused and not guessed', async () => {
  await using world = await start()
  for (const query of ['whom=alice', 'who=a&who=b', 'limit=0', 'limit=201', 'limit=1.5', 'after=x', 'from=yesterday', 'to=2026-13-01', 'text=---', `who=${'x'.repeat(301)}`, 'who=%ED%A0%80%25', 'type=%20-%20']) assert.equal((await world.get(`/api/audit?${query}`)).status, 400, query)
  for (const path of ['/api/audit/r1/1', '/api/audit/r1/1/x', '/api/audit/..%2fr1/1/0', '/api/audit/r1/1/0/proofs']) assert.equal((await world.get(path)).status, 404, path)
  assert.equal((await world.desk.call('POST', '/api/audit', { token: 'carol', body: {} })).status, 405)
})

test('a record is proved to be one of those that were signed', async () => {
  await using world = await start()
  assert.equal((await world.get('/api/audit/r1/1/2/proof')).json['verdict'], 'unsigned')
  await world.log.sign()
  const { json } = await world.get('/api/audit/r1/1/2/proof')
  assert.deepEqual([json['verdict'], json['origin'], json['size']], ['proved', 'prod/r1/1', 7])
  assert.match(String(json['proof']), /^c2sp\.org\/tlog-proof@v1\nindex 2\n/)
})

interface Drawn {
  readonly nodes: readonly { readonly id: string; readonly kind: string; readonly name: string }[]
  readonly deeds: readonly { readonly who: string; readonly tallies: Readonly<Record<string, number>>; readonly says: readonly { readonly by: string; readonly say: string; readonly record: string }[] }[]
}

test('lineage: who touched it and who said yes, for readers of the log alone, and each look is on record', async () => {
  await using world = await start()
  const { status, json } = await world.get('/api/lineage?on=/v1/orders&from=7d')
  const { nodes, deeds } = json as unknown as Drawn
  const named = (id: string): string | undefined => nodes.find((node) => node.id === id)?.name
  assert.deepEqual([status, deeds.map(({ who, tallies, says }) => [named(who), tallies['executed'], says.map(({ by, say, record }) => [named(by), say, record])])], [200, [['invoice-agent', 1, [['Bob', 'yes', 'r1/1/2']]]]])
  const bob = nodes.find(({ name }) => name === 'Bob')!.id
  assert.equal(((await world.get(`/api/lineage?node=${bob}`)).json as unknown as Drawn).deeds.length, 1)
  const path = (await world.get('/api/lineage/path?start=alice&end=Bob')).json as { steps: { from: { name: string }; to: { name: string } }[] }
  assert.deepEqual(path.steps.map(({ from, to }) => [from.name, to.name]), [['alice', 'Bob']])
  assert.deepEqual(world.log.read.map((event) => event.type === 'audit-read' && event.query.replace(/from=.*/, 'from=…')), ['lineage on=/v1/orders from=…', `lineage node=${bob}`, 'lineage from alice to Bob'])
  for (const token of ['alice', 'agent']) for (const asked of ['/api/lineage', '/api/lineage/path?start=a&end=b']) assert.equal((await world.get(asked, token)).status, 403)
  for (const query of ['whom=x', 'node=who-1', 'who=---', 'from=yesterday', `on=${'x'.repeat(301)}`, 'who=a&who=b']) assert.equal((await world.get(`/api/lineage?${query}`)).status, 400, query)
  for (const query of ['', '?start=a', '?start=a&end=b&who=c']) assert.equal((await world.get(`/api/lineage/path${query}`)).status, 400, query)
})
