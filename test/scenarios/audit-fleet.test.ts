import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPostgres } from '../support/postgres.ts'
import { until } from '../support/until.ts'
import { ask, listHolds, showHold } from './client.ts'
import { startDeployment } from './deployment.ts'

interface Found {
  readonly records: readonly { readonly record: { readonly id: string; readonly type: string }; readonly summary: { readonly outcome?: string; readonly who?: string } }[]
}
interface Drawn {
  readonly nodes: readonly { readonly id: string; readonly name: string }[]
  readonly deeds: readonly { readonly tallies: { readonly executed: number }; readonly says: readonly { readonly by: string }[] }[]
}

test('two replicas without a common disk: what was asked on one and approved on the other is found on both, proved, and drawn', async () => {
  await using database = await startPostgres({ settings: { log_statement: 'none' } })
  await using place = await startDeployment('redis')
  const audit = { readers: { groups: ['auditors'] }, index: { postgres: { url: `postgres://postgres@127.0.0.1:${database.port}/postgres` } } }
  const [a, b] = [await place.start('a', { audit }), await place.start('b', { audit })]
  const [agent, bob, carol] = await Promise.all([place.agent(), place.person('bob'), place.person('carol', ['auditors'])])
  const refund = ask(a.http, '/refunds/7', agent, { body: '{"amount":5}' })
  const [hold] = await until('the hold', async () => { const holds = await listHolds(b, bob); return holds.length > 0 ? holds : undefined })
  const { id, action } = await showHold(b, hold!.id, bob)
  assert.equal((await ask(b.console, `/api/holds/${id}/votes`, bob, { body: JSON.stringify({ verdict: 'approve', digest: action.digest, reason: 'ticket 4711' }) })).status, 200)
  assert.equal((await refund).status, 200)
  for (const replica of [a, b]) {
    const get = (path: string) => ask(replica.console, path, carol, { method: 'GET' })
    const records = await until('all records', async () => { const { records: found } = (await get('/api/audit?approver=bob&on=refunds')).json as unknown as Found; return found.length === 4 ? found : undefined })
    assert.deepEqual(new Set(records.map(({ record }) => record.type)), new Set(['finished', 'started', 'released', 'voted']))
    assert.deepEqual(new Set(records.map(({ record }) => record.id.split('/')[0])), new Set(['a', 'b']))
    assert.ok(records.every(({ summary }) => summary.who === 'invoice-agent' && summary.outcome === 'executed'))
    for (const { record } of records) await until('a signature', async () => (await get(`/api/audit/${record.id}/proof`)).json['verdict'] === 'proved')
    const { nodes, deeds } = (await get('/api/lineage?approver=bob')).json as unknown as Drawn
    assert.deepEqual(deeds.map(({ tallies, says }) => [tallies.executed, says.map(({ by }) => nodes.find((node) => node.id === by)?.name)]), [[1, ['bob']]])
  }
})
