import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openJournal, type RecoveredJournal } from '../../src/audit/file-journal.ts'
import type { Disk } from '../../src/audit/disk.ts'
import type { Journal } from '../../src/audit/journal.ts'
import type { JournalOptions } from '../../src/audit/options.ts'
import type { ActionRecord, AuditEvent, AuditEventType, CallerRecord } from '../../src/model/audit-event.ts'
import type { Vote } from '../../src/model/hold.ts'

export const caller: CallerRecord = { issuer: 'https://idp.test', subject: 'invoice-agent', kind: 'agent', groups: ['agents'], session: 'session-1', address: '127.0.0.1', onBehalfOf: [{ issuer: 'https://idp.test', subject: 'alice', kind: 'human', groups: ['dev'] }] }
export const action: ActionRecord = { protocol: 'http', service: 'orders', verb: 'http.POST', resources: [{ kind: 'path', name: '/v1/orders', access: 'write', tags: ['pii'] }], tags: ['pii'], digest: `sha256:${'ab'.repeat(32)}`, shape: 'http.POST /v1/orders' }

export const started = (attempt: string, hold?: string): AuditEvent => ({
  type: 'started', attempt, caller, action,
  decision: { verdict: 'allow', matched: [{ policy: 'orders', rule: 'write', then: 'allow', at: 'orders.yaml:3', observed: false }], policyVersion: 'sha256:cd' },
  ...(hold === undefined ? {} : { hold }),
})
export const finished = (attempt: string): AuditEvent => ({ type: 'finished', attempt, outcome: { result: 'executed', status: '200', rows: 1, bytes: 10, ms: 2.5 } })

const vote: Vote = { verdict: 'approve', by: { issuer: 'https://idp.test', subject: 'bob', kind: 'human', groups: ['dba'], email: 'bob@example.test' }, channel: 'console', assurance: 'console', digest: action.digest, reason: 'looks right', at: 5 }
const evidence = { statement: '{"a":1}', passkey: 'cHM', publicKey: 'a2V5', clientData: 'Y2xpZW50', authenticatorData: 'YXV0aA', signature: 'c2ln' }
const hold = { hold: 'hold_1', code: 'CS-7F3K', digest: action.digest }
const { by } = vote
const bob = { issuer: by.issuer, subject: by.subject }
const subject = { attempt: 'a', caller, action }
const decision = { verdict: 'hold', matched: [{ policy: 'orders', rule: 'ask', then: 'hold', at: 'orders.yaml:9', because: 'money', observed: false }], policyVersion: 'sha256:cd' } as const
const terms = { requirements: [], withinMs: 1, runWithinMs: 2, askReason: true, run: 'attached' } as const
const statement: ActionRecord = { ...action, protocol: 'postgres', verb: 'sql.delete', place: { database: 'crm', role: 'crm_app' }, verbs: ['sql.delete', 'sql.select'], resources: [{ kind: 'table', name: 'public.orders', access: 'write', tags: ['pii'] }, { kind: 'column', name: 'public.orders.id', access: 'read', tags: [] }], shape: 'crm delete from orders where id = ?', impact: { estimatedRows: 3, exactRows: 2, unfiltered: true, keepsLocks: false }, statements: 2 }

/** One or more of each type. A type added to the union breaks the build until it is here. */
const byType: { readonly [T in AuditEventType]: readonly (AuditEvent & { readonly type: T })[] } = {
  'decided': [
    { type: 'decided', ...subject, decision },
    { type: 'decided', ...subject, action: statement, decision: { verdict: 'deny', matched: [], policyVersion: 'v' }, reasons: { evaluator: 1, rules: [{ policy: 'orders', rule: 'ask', then: 'hold', at: 'orders.yaml:9', matched: false, lines: ['actions'], missed: { key: 'tables', saw: 'public.orders' }, reads: ['sql.filtered'] }, { policy: 'orders', rule: 'broken', then: 'deny', at: 'orders.yaml:12', matched: true, lines: [], broke: true }], more: 2 } },
    { type: 'decided', ...subject, action: { ...action, protocol: 'mcp', verb: 'mcp.tools/call', resources: [{ kind: 'tool', name: 'delete_item', access: 'write', tags: [] }] }, decision: { verdict: 'allow', matched: [], policyVersion: 'v' } },
  ],
  'started': [{ type: 'started', ...subject, decision }, { type: 'started', ...subject, action: statement, decision, hold: 'hold_1', lease: 'lease_1' }, { type: 'started', ...subject, caller: { ...caller, kind: 'human', address: '2001:db8::1', email: 'x@example.test', onBehalfOf: [] }, decision, grant: 'grant_1' }],
  'credential-lent': [{ type: 'credential-lent', attempt: 'a', service: 'crm', lease: 'lease_1', caller, hold: 'hold_1' }],
  'credential-returned': [{ type: 'credential-returned', attempt: 'a', service: 'crm', lease: 'lease_1' }, { type: 'credential-returned', attempt: 'a', service: 'crm', lease: 'lease_1', cause: 'the server is away' }],
  'finished': [{ type: 'finished', attempt: 'a', hold: 'hold_1', outcome: { result: 'executed', status: '200', rows: 1, bytes: 10, maskedValues: 2, ms: 2.5 } }, { type: 'finished', attempt: 'a', outcome: { result: 'failed', ms: 0, cause: 'refused' } }, { type: 'finished', attempt: 'a', outcome: { result: 'unknown', ms: 1 } }],
  'outcome-unknown': [{ type: 'outcome-unknown', attempt: 'a', digest: action.digest }],
  'refused': [{ type: 'refused', ...subject, code: 'hold-expired', cause: 'nobody came', hold: 'hold_1' }],
  'held': [{ type: 'held', ...subject, ...hold, deadline: 99, terms }],
  'attached': [{ type: 'attached', ...subject, ...hold }],
  'voted': [{ type: 'voted', ...hold, vote, state: 'approved' }, { type: 'voted', ...hold, vote: { ...vote, verdict: 'deny' }, state: 'denied' }, { type: 'voted', ...hold, vote: { ...vote, assurance: 'passkey', loggedInAt: 4, evidence }, state: 'pending' }],
  'vote-refused': [{ type: 'vote-refused', ...hold, by, refusal: 'self-approval' }],
  'advised': [{ type: 'advised', ...hold, advisor: 'risk-model', opinion: 'Looks like a clean-up.' }],
  'hold-escalated': [{ type: 'hold-escalated', ...hold, to: { groups: ['managers'], users: [bob] } }],
  'handed-over': [{ type: 'handed-over', ...hold, by, successor: { group: 'security' }, note: 'is this the new tenant?' }, { type: 'handed-over', ...hold, by, successor: bob }],
  'broke-glass': [{ type: 'broke-glass', ...hold, vote: { ...vote, brokeGlass: true }, skipped: { groups: ['dba'], users: [] }, deadline: 9 }],
  'break-glass-refused': [{ type: 'break-glass-refused', ...hold, by, refusal: 'not-eligible', cause: 'may not' }],
  'break-glass-reviewed': [{ type: 'break-glass-reviewed', ...hold, by, note: 'in order' }],
  'review-overdue': [{ type: 'review-overdue', ...hold, deadline: 9 }],
  'vote-dropped': [{ type: 'vote-dropped', ...hold, by: bob, cause: 'lost the group' }],
  'hold-expired': [{ type: 'hold-expired', ...hold, from: 'pending' }],
  'hold-withdrawn': [{ type: 'hold-withdrawn', ...hold, by: bob }],
  'released': [{ type: 'released', ...hold, attempt: 'a', votes: [vote, vote], policyVersion: 'v2', heldUnder: 'v1' }],
  'grant-made': [{ type: 'grant-made', ...hold, grant: 'grant_1', caller, bounds: { times: 3, rows: 9, withinMs: 1_000 }, deadline: 99, pattern: 'POST /v1/orders', votes: [vote] }],
  'grant-used': [{ type: 'grant-used', ...subject, grant: 'grant_1', approval: 'hold_1', decision, votes: [vote], rows: 3 }],
  'grant-ended': [{ type: 'grant-ended', grant: 'grant_1', approval: 'hold_1', end: 'revoked', by: bob, cause: 'enough' }],
  'store-tampered': [{ type: 'store-tampered', hold: 'hold_1', cause: 'the seal does not fit' }],
  'authentication-failed': [{ type: 'authentication-failed', step: 'signature', issuer: 'x', address: '::1', from: 'authorization', cause: 'expired', count: 7 }],
  'signed-in': [{ type: 'signed-in', caller, steppedUp: true }],
  'session-ended': [{ type: 'session-ended', session: 'session-1', cause: 'logged out' }],
  'linked': [{ type: 'linked', by: bob, account: { chat: 'slack', workspace: 'T0HOME', user: 'U0BOB' } }],
  'unlinked': [{ type: 'unlinked', by: bob, account: { chat: 'slack', workspace: 'T0HOME', user: 'U0BOB' } }],
  'passkey-added': [{ type: 'passkey-added', caller, passkey: { id: 'cHM', name: 'laptop', publicKey: 'a2V5', synced: true } }],
  'passkey-removed': [{ type: 'passkey-removed', caller, passkey: { id: 'cHM', name: 'laptop', publicKey: 'a2V5', synced: true } }],
  'columns-renamed': [{ type: 'columns-renamed', service: 'crm', columns: ['public.customers.mail'] }],
  'config-loaded': [{ type: 'config-loaded', policyVersion: 'v', generation: 3, previous: 'u' }],
  'config-rejected': [{ type: 'config-rejected', problems: ['a.yaml:3 unknown key'], policyVersion: 'v' }],
  'replica-started': [{ type: 'replica-started', version: '1.2.3', policyVersion: 'v' }],
  'replica-stopped': [{ type: 'replica-stopped', cause: 'drained' }],
  'checkpoint': [{ type: 'checkpoint', signed: 'prod/r1/1\n3\nroot\n\n\u2014 prod c2ln\n' }],
  'cosigned': [{ type: 'cosigned', signed: 'prod/r1/1\n3\nroot\n\n\u2014 prod c2ln\n\u2014 w.example Y29z\n' }],
  'witnessed': [{ type: 'witnessed', signed: 'prod/r1/1\n3\nroot\n\n\u2014 prod c2ln\n\u2014 w.example Y29z\n' }],
  'disk-mark': [{ type: 'disk-mark', mark: 'alert', used: 91.5 }],
  'audit-read': [{ type: 'audit-read', by, query: 'search who=alice', records: 3 }],
  'audit-read-refused': [{ type: 'audit-read-refused', by, query: 'record r1/1/0', refusal: 'denied' }],
  'audit-exported': [{ type: 'audit-exported', export: 'export-1', by, query: 'log who=alice' }, { type: 'audit-exported', export: 'export-1', by, query: 'log who=alice', records: 200, end: 'cut-short', cause: 'the client went away' }, { type: 'audit-exported', export: 'export-2', by, query: 'ocsf everything', records: 3, end: 'whole' }],
  'erased': [{ type: 'erased', record: 'r1/1/50', fields: ['reason'], by: bob, cause: 'a request of the person' }],
  'records-lost': [{ type: 'records-lost', sink: 's', count: 3, cause: 'HTTP 400' }],
}

export const samples: readonly AuditEvent[] = Object.values(byType).flat()

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
