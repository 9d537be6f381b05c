import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openJournal } from '../src/audit/file-journal.ts'
import type { Durability } from '../src/audit/journal.ts'
import type { AuditEvent, CallerRecord } from '../src/model/audit-event.ts'

/** CPU of one `started` and one `finished` record, serialised, chained, written; per durability and number in flight. */
const groups = ['agents', 'billing']
const callers: CallerRecord[] = Array.from({ length: 20 }, (_, n) => ({ issuer: 'https://idp.example', subject: `agent-${n}`, kind: 'agent', groups, email: 'agent@example.com', session: `s${n}aaaaaaaa`, address: '10.1.2.3', onBehalfOf: [] }))
const matched = [{ policy: 'orders', rule: 'read-orders', then: 'allow', at: 'policies/orders.yaml:12', observed: false }] as const
const startedEvent = (attempt: string, n: number): AuditEvent => ({
  type: 'started',
  attempt,
  caller: { ...callers[n % callers.length]! },
  action: { protocol: 'http', service: 'orders', verb: 'http.GET', resources: [{ kind: 'path', name: `/v1/orders/${n}`, access: 'read', tags: [] }], tags: [], digest: `sha256:${'ab'.repeat(32)}`, shape: 'http.GET /v1/orders/*' },
  decision: { verdict: 'allow', matched, policyVersion: `sha256:${'cd'.repeat(32)}` },
})
const finishedEvent = (attempt: string): AuditEvent => ({ type: 'finished', attempt, outcome: { result: 'executed', status: '200', bytes: 1024, ms: 3 } })

const measure = async (durability: Durability, inFlight: number, pairs: number): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  await using journal = await openJournal({ directory, replica: 'bench', durability: { read: 'written', write: 'synced', held: 'synced' }, segmentBytes: 64e6, minFreeBytes: 0 }, { now: Date.now })
  const run = async (count: number): Promise<void> => {
    let next = 0
    const worker = async (): Promise<void> => {
      for (let n = next++; n < count; n = next++) {
        const attempt = `0b0e7f6e-1111-4222-8333-${String(n).padStart(12, '0')}`
        await journal.append(startedEvent(attempt, n), durability)
        void journal.append(finishedEvent(attempt), 'queued')
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
  }
  await run(Math.min(20_000, pairs))
  const cpu = process.cpuUsage()
  const thread = process.threadCpuUsage()
  const from = performance.now()
  await run(pairs)
  const wall = performance.now() - from
  const { user, system } = process.cpuUsage(cpu)
  const main = process.threadCpuUsage(thread)
  console.log(JSON.stringify({ durability, inFlight, pairs, usPerPair: Number(((user + system) / pairs).toFixed(2)), usPerPairMainThread: Number(((main.user + main.system) / pairs).toFixed(2)), userMain: Number((main.user / pairs).toFixed(2)), pairsPerSecond: Math.round(pairs / (wall / 1000)) }))
  rmSync(directory, { recursive: true, force: true })
}

for (const [durability, inFlight, pairs] of [['written', 1, 10_000], ['written', 64, 100_000], ['synced', 1, 2_000], ['synced', 64, 60_000], ['synced', 256, 100_000]] as const) await measure(durability, inFlight, pairs)
