import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openJournal, type RecoveredJournal } from '../../src/audit/file-journal.ts'
import type { Disk } from '../../src/audit/disk.ts'
import type { Journal } from '../../src/audit/journal.ts'
import type { JournalOptions } from '../../src/audit/options.ts'
import type { ActionRecord, AuditEvent, CallerRecord } from '../../src/model/audit-event.ts'

export const caller: CallerRecord = { issuer: 'https://idp.test', subject: 'invoice-agent', kind: 'agent', groups: ['agents'], session: 'session-1', address: '127.0.0.1', onBehalfOf: [{ issuer: 'https://idp.test', subject: 'alice', kind: 'human', groups: ['dev'] }] }
export const action: ActionRecord = { protocol: 'http', service: 'orders', verb: 'http.POST', resources: [{ kind: 'path', name: '/v1/orders', access: 'write', tags: ['pii'] }], tags: ['pii'], digest: `sha256:${'ab'.repeat(32)}`, shape: 'http.POST /v1/orders' }

export const started = (attempt: string, hold?: string): AuditEvent => ({
  type: 'started', attempt, caller, action,
  decision: { verdict: 'allow', matched: [{ policy: 'orders', rule: 'write', then: 'allow', at: 'orders.yaml:3', observed: false }], policyVersion: 'sha256:cd' },
  ...(hold === undefined ? {} : { hold }),
})
export const finished = (attempt: string): AuditEvent => ({ type: 'finished', attempt, outcome: { result: 'executed', status: '200', rows: 1, bytes: 10, ms: 2.5 } })

export const temporaryDirectory = (): { readonly path: string } & Disposable => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-audit-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export const options = (directory: string, more: Partial<JournalOptions> = {}): JournalOptions => ({ directory, replica: 'r1', durability: { read: 'written', write: 'synced', held: 'synced' }, segmentBytes: 1_000_000, minFreeBytes: 0, ...more })

export const open = (directory: string, more: Partial<JournalOptions> = {}, disk?: Disk): Promise<RecoveredJournal> => openJournal(options(directory, more), { now: Date.now, ...(disk ? { disk } : {}) })

/** Everything that is readable, as data. */
export const readAll = async (journal: Journal, bytes = 10_000): Promise<{ id: string; seq: number; prev: string; type: string; attempt?: string; [key: string]: unknown }[]> => {
  const all = []
  for (let cursor: string | undefined; ; ) {
    const { lines, cursor: next } = await journal.read(cursor, { lines: 100, bytes })
    if (lines.length === 0) return all
    for (const { text } of lines) all.push(JSON.parse(text))
    cursor = next
  }
}
