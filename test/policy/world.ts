import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import type { Action } from '../../src/model/action.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { Service } from '../../src/model/service.ts'
import { loadPolicies, type PolicyWorld } from '../../src/policy/load.ts'
import type { ExplainingPolicySet } from '../../src/policy/policy-set.ts'
import { formatProblem, type Problem } from '../../src/lib/problem.ts'

export const service = (name: string, protocol: Service['protocol'] = 'http', labels: Service['labels'] = { environment: 'production' }): Service => ({ name, protocol, labels })

export const world: PolicyWorld = {
  services: [service('orders-api'), service('staging-api', 'http', { environment: 'staging' }), service('crm-db', 'postgres'), service('tools', 'mcp')],
  groups: ['agents', 'oncall', 'security', 'support', 'dba'],
  issuers: ['https://idp.test', { name: 'ci', issuers: ['https://ci.test'] }],
  channels: ['console'],
  enforceable: ({ protocol }) => ({ masks: protocol === 'postgres', rowLimit: protocol === 'postgres', timeLimit: true }),
  hash: (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`,
}

export const agent: Caller = {
  issuer: 'https://idp.test', subject: 'invoice-agent', kind: 'agent', groups: ['agents'], email: 'invoice-agent@corp.test', onBehalfOf: [], claims: {},
  session: 's', authenticatedAt: 0, expiresAt: 1e15, address: '10.1.2.3',
}

export const http = (method: string, target: string, more: { readonly service?: string; readonly json?: unknown; readonly headers?: Record<string, readonly string[]>; readonly tags?: readonly string[] } = {}): Action => {
  const [path = '/', search = ''] = target.split('?', 2)
  const query: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  for (const [key, value] of new URLSearchParams(search)) (query[key] ??= []).push(value)
  return {
    protocol: 'http', service: more.service ?? 'orders-api', verb: `http.${method}`, verbs: [`http.${method}`], effect: method === 'GET' ? 'read' : 'write',
    resources: [{ kind: 'path', name: path, access: 'read', tags: [] }], tags: more.tags ?? [], text: '', textCut: false,
    facts: { http: { method, path, query, headers: more.headers ?? {}, ...('json' in more ? { json: more.json } : {}) } }, digest: 'sha256:aa', shape: 's',
  }
}

export const sql = (verb: string, tables: readonly string[], more: { readonly facts?: Record<string, unknown>; readonly tags?: readonly string[] } = {}): Action => ({
  protocol: 'postgres', service: 'crm-db', verb, verbs: [verb], effect: 'read', resources: tables.map((name) => ({ kind: 'table', name, access: 'read', tags: [] })),
  tags: more.tags ?? [], text: '', textCut: false, facts: { sql: more.facts ?? {} }, digest: 'sha256:aa', shape: 's',
})

const problemText = (problem: Problem): string => formatProblem(problem).split('\n', 1)[0] ?? ''

const indent = (rules: string): string => rules.trim().split('\n').map((line) => `  ${line}`).join('\n')

export const policy = (rules: string, head = 'policy: p'): string => `${head}\nrules:\n${indent(rules)}\n`

export const load = (...texts: readonly string[]): ExplainingPolicySet => {
  const loaded = loadPolicies(texts.map((text, index) => ({ file: `p${index}.yaml`, text })), world)
  assert.deepEqual(loaded.problems?.map(problemText) ?? [], [])
  assert.ok(loaded.policies)
  return loaded.policies
}

export const problemsOf = (...texts: readonly string[]): readonly string[] =>
  loadPolicies(texts.map((text, index) => ({ file: `p${index}.yaml`, text })), world).problems?.map(problemText) ?? []

export const warningsOf = (...texts: readonly string[]): readonly string[] => {
  const loaded = loadPolicies(texts.map((text, index) => ({ file: `p${index}.yaml`, text })), world)
  return loaded.policies ? loaded.warnings.map(problemText) : []
}

export const verdict = (policies: ExplainingPolicySet, action: Action, caller: Caller = agent, now = 0): string => policies.decide(caller, action, now).verdict
