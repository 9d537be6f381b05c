import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { ask, listHolds, showHold } from './client.ts'
import { startDeployment } from './deployment.ts'

interface Found {
  readonly records: readonly { readonly record: { readonly id: string; readonly type: string }; readonly summary: { readonly outcome?: string; readonly who?: string } }[]
}

test('an auditor finds who approved what, has it proved, and is on record for it', async () => {
  await using place = await startDeployment('embedded')
  const replica = await place.start('a', { audit: { readers: { groups: ['auditors'] } } })
  const [agent, bob, carol, dave] = await Promise.all([place.agent(), place.person('bob'), place.person('carol', ['auditors']), place.person('dave', ['developers'])])
  const get = async (path: string, token = carol) => ask(replica.console, path, token, { method: 'GET' })
  const refund = ask(replica.http, '/refunds/7', agent, { body: '{"amount":5}' })
  const [hold] = await until('the hold', async () => { const holds = await listHolds(replica, bob); return holds.length > 0 ? holds : undefined })
  const { id, action } = await showHold(replica, hold!.id, bob)
  assert.equal((await ask(replica.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: action.digest, reason: 'ticket 4711' }) })).status, 200)
  assert.equal((await refund).status, 200)

  const types = async () => ((await get('/api/audit?approver=bob&on=refunds')).json as unknown as Found).records
  const found = await until('the end', async () => { const all = await types(); return all[0]?.record.type === 'finished' ? all : undefined })
  assert.deepEqual(found.map(({ record }) => record.type), ['finished', 'started', 'released', 'voted'])
  assert.ok(found.every(({ summary }) => summary.outcome === 'executed' && summary.who === 'invoice-agent'))
  const voted = found.at(-1)!.record.id
  await until('a signature', async () => (await get(`/api/audit/${voted}/proof`)).json['verdict'] === 'proved')

  assert.equal((await get('/api/audit', dave)).status, 403)
  const reading = place.records('a').filter(({ type }) => type.startsWith('audit-read'))
  assert.ok(reading.some((record) => record.type === 'audit-read' && record['query'] === 'search on=refunds approver=bob' && record['records'] === 4))
  assert.deepEqual(reading.filter(({ type }) => type === 'audit-read-refused').map((record) => record['query']), ['search everything'])
})
