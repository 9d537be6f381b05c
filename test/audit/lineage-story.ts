import type { ActionRecord, AuditEvent, CallerRecord } from '../../src/model/audit-event.ts'
import type { Vote } from '../../src/model/hold.ts'

const issuer = 'https://login.example.org'

export const callerOf = (subject: string, kind: CallerRecord['kind'], session: string, onBehalfOf?: string): CallerRecord => ({ issuer, subject, kind, groups: [], session, address: '10.4.12.7', onBehalfOf: onBehalfOf === undefined ? [] : [{ issuer, subject: onBehalfOf, kind: 'human', groups: ['dev'] }] })

type Access = 'read' | 'write'

/** A statement as the PostgreSQL side records it. */
export const statement = (verb: string, tables: Readonly<Record<string, Access>>, columns: readonly string[] = [], functions: readonly string[] = []): ActionRecord => ({
  protocol: 'postgres', service: 'crm-db', place: { database: 'crm', role: 'crm_app' }, verb, tags: [], digest: `sha256:${'ab'.repeat(32)}`, shape: `crm-db ${verb} …`,
  resources: [...Object.entries(tables).map(([name, access]) => ({ kind: 'table', name, access, tags: [] }) as const), ...columns.map((name) => ({ kind: 'column', name, access: 'read', tags: [] }) as const), ...functions.map((name) => ({ kind: 'function', name, access: 'read', tags: [] }) as const)],
})

export const requestOf = (method: string, path: string, shape: string = path): ActionRecord => ({ protocol: 'http', service: 'orders-api', verb: `http.${method}`, resources: [{ kind: 'path', name: path, access: method === 'GET' ? 'read' : 'write', tags: [] }], tags: [], digest: `sha256:${'cd'.repeat(32)}`, shape: `orders-api http.${method} ${shape} amount,reason` })

export const voteOf = (by: string, verdict: Vote['verdict'] = 'approve', name?: string): Vote => ({ verdict, by: { issuer, subject: by, kind: 'human', groups: ['oncall'], ...(name === undefined ? {} : { name }) }, channel: 'console', assurance: 'console', digest: `sha256:${'ab'.repeat(32)}`, reason: 'ticket 4711', at: 1 })

const terms = { requirements: [{ policy: 'customer-data', rule: 'delete', groups: ['oncall'], users: [], count: 1, assurance: 'console', sharesPeople: false }], withinMs: 1, runWithinMs: 1, askReason: false, run: 'attached' } as const
const decisionOf = (verdict: 'allow' | 'hold' | 'deny') => ({ verdict, matched: [{ policy: 'customer-data', rule: 'delete', then: verdict, at: 'customer-data.yaml:3', observed: false }], policyVersion: 'sha256:cd' }) as const

let count = 0
const attemptOf = (): string => `try-${++count}`

/** It runs at once, so often. */
export const ran = (caller: CallerRecord, action: ActionRecord, times = 1, result: 'executed' | 'failed' = 'executed'): readonly AuditEvent[] =>
  Array.from({ length: times }, attemptOf).flatMap((attempt) => [{ type: 'started', attempt, caller, action, decision: decisionOf('allow') }, { type: 'finished', attempt, outcome: { result, status: 'OK', rows: 1, ms: 2 } }] as const)

/** It waits, somebody votes, and it runs if that was a yes. */
export const held = (caller: CallerRecord, action: ActionRecord, vote: Vote): readonly AuditEvent[] => {
  const [attempt, hold] = [attemptOf(), `hold_${++count}`]
  const about = { hold, code: `CS-${count}AAA`, digest: action.digest }
  const asked: readonly AuditEvent[] = [{ type: 'decided', attempt, caller, action, decision: decisionOf('hold') }, { type: 'held', attempt, caller, action, ...about, deadline: 9, terms }, { type: 'voted', ...about, vote, state: vote.verdict === 'approve' ? 'approved' : 'denied' }]
  if (vote.verdict === 'deny') return [...asked, { type: 'refused', attempt, caller, action, code: 'hold-denied', hold }]
  return [...asked, { type: 'released', ...about, attempt, votes: [vote], policyVersion: 'v', heldUnder: 'v' }, { type: 'started', attempt, caller, action, decision: decisionOf('hold'), hold }, { type: 'finished', attempt, hold, outcome: { result: 'executed', status: 'DELETE 3', rows: 3, ms: 4 } }]
}

export const denied = (caller: CallerRecord, action: ActionRecord): readonly AuditEvent[] => [{ type: 'decided', attempt: attemptOf(), caller, action, decision: decisionOf('deny') }]

export const invoiceAgent = callerOf('invoice-agent', 'agent', 's-invoice-1', 'alice')
export const reportAgent = callerOf('report-agent', 'agent', 's-report-1', 'carol')
export const carol = callerOf('carol', 'human', 's-carol-1')

/** A day of three accounts. */
export const day = (): readonly AuditEvent[] => [
  ...ran(invoiceAgent, statement('sql.select', { 'public.customers': 'read' }, ['public.customers.id', 'public.customers.email'], ['pg_catalog.count']), 14),
  ...ran(invoiceAgent, statement('sql.select', { 'public.orders': 'read', 'public.customers': 'read' }, ['public.orders.*']), 5),
  ...ran({ ...invoiceAgent, session: 's-invoice-2' }, requestOf('GET', '/v1/orders/o-1003', '/v1/orders/*'), 9),
  ...held({ ...invoiceAgent, session: 's-invoice-2' }, requestOf('POST', '/v1/orders/o-1003/refund', '/v1/orders/*/refund'), voteOf('bob')),
  ...held({ ...invoiceAgent, session: 's-invoice-2' }, requestOf('POST', '/v1/orders/o-1004/refund', '/v1/orders/*/refund'), voteOf('bob')),
  ...held(invoiceAgent, statement('sql.delete', { 'public.orders': 'write' }, ['public.orders.status']), voteOf('bob')),
  ...held(invoiceAgent, statement('sql.update', { 'public.orders': 'write', 'public.customers': 'read' }), voteOf('carol', 'deny')),
  ...denied(invoiceAgent, statement('sql.select', { 'hr.salaries': 'read' })),
  ...ran(reportAgent, statement('sql.select', { 'public.customers': 'read', 'public.orders': 'read' }, [], ['reports.refresh']), 31),
  ...ran(reportAgent, statement('sql.insert', { 'reports.daily': 'write', 'public.orders': 'read' }), 2),
  ...ran(reportAgent, requestOf('POST', '/v1/exports'), 1, 'failed'),
  ...ran(carol, statement('sql.select', { 'reports.daily': 'read' }), 3),
]
