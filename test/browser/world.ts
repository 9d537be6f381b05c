import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuditDesk } from '../../src/channels/web/audit-desk.ts'
import type { ReceiptDesk } from '../../src/channels/web/receipt-desk.ts'
import { makeConsoleListener } from '../../src/channels/web/listener.ts'
import { makeIdentity } from '../../src/identity/make-identity.ts'
import { Secret } from '../../src/lib/secret.ts'
import { visibleRaw } from '../../src/lib/visible.ts'
import type { Action } from '../../src/model/action.ts'
import { defined } from '../../src/lib/defined.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import type { Approval } from '../../src/model/approval.ts'
import type { Caller } from '../../src/model/caller.ts'
import type { Decision, Terms } from '../../src/model/decision.ts'
import type { Hold } from '../../src/model/hold.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import { makeHighlight } from '../../src/protocols/postgres/sql/highlight.ts'
import { openEmbeddedPasskeyStore } from '../../src/stores/embedded/passkey-store.ts'
import { openEmbeddedSessionStore } from '../../src/stores/embedded/session-store.ts'
import { action, allowed, digestOf, makeWorld, requirement, terms } from '../approval/world.ts'
import { issuerOptions } from '../identity/world.ts'
import { startIdp } from '../support/idp.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'

/** A statement as the PostgreSQL side makes it. */
export const sqlAction = (sql: string, values: readonly string[] = [], over: Partial<Action> = {}): Action => {
  const text = [visibleRaw(sql), ...(values.length > 0 ? ['', ...values.map((value, at) => `$${at + 1} = ${JSON.stringify(value)}`)] : [])].join('\n')
  return action(text, {
    protocol: 'postgres', service: 'crm-db', place: { database: 'crm', role: 'crm_app' }, verb: 'sql.delete', verbs: ['sql.delete'], tags: ['pii'], facts: {}, digest: digestOf(text), shape: sql,
    resources: [{ kind: 'table', name: 'public.orders', access: 'write', tags: ['pii'] }, { kind: 'column', name: 'public.orders.customer_id', access: 'read', tags: ['pii'] }, { kind: 'column', name: 'public.orders.state', access: 'read', tags: [] }],
    impact: { estimatedRows: 40, exactRows: 37, unfiltered: false, notes: ['foreign keys delete from public.order_lines as well'] },
    ...over,
  })
}

/** The whole console before real holds, with a real identity provider: alice, bob, carol and dave, of whom alice owns the agent. */
export const startConsole = async (over: Parameters<typeof makeWorld>[0] = {}, host: 'localhost' | '127.0.0.1' = '127.0.0.1', audit?: AuditDesk, receipts?: ReceiptDesk) => {
  await using making = new AsyncDisposableStack()
  const port = await freePort()
  const url = `http://${host}:${port}`
  console.warn = () => {} // the identity provider's notices that it is for development
  const idp = making.use(await startIdp({ consoleUrl: url }))
  const world = making.use(await makeWorld(over))
  const folder = await mkdtemp(join(tmpdir(), 'countersign-console-'))
  making.defer(() => rm(folder, { recursive: true, force: true }))
  const store = making.use(openEmbeddedSessionStore({ kind: 'embedded', path: join(folder, 'holds.db') }))
  const passkeys = making.use(openEmbeddedPasskeyStore({ kind: 'embedded', path: join(folder, 'holds.db') }))
  const identity = making.use(makeIdentity({ issuers: [issuerOptions({ from: 'discovery', url: `${idp.issuer}/.well-known/openid-configuration` }, { issuers: [idp.issuer], audiences: [idp.audience], tokenTypes: ['at+jwt'], emailDomains: ['example.org'] })], agents: [], cache: { entries: 10, maxAgeMs: 1_000 }, maxTokenBytes: 16_384 }, { events: () => {} }))
  const signIn = { issuer: idp.issuer, clientId: 'countersign-console', clientSecret: new Secret('countersign-console-secret'), scopes: ['openid', 'profile', 'email', 'groups'], idleMs: 30 * 60_000, maxAgeMs: 8 * 3_600_000, stepUp: { acrValues: [], withinMs: 300_000 } }
  const log = { info() {}, warn() {}, error: (detail: object, text: string) => void process.stderr.write(`${text} ${JSON.stringify(detail)}\n`) }
  const notes: AuditEvent[] = []
  /** As if they had been loaded. */
  const policiesNow = {
    version: `sha256:${'5e'.repeat(32)}`,
    rules: [
      { policy: 'customer-data', rule: 'leave-salaries', then: 'deny', at: 'policies/customer-data.yaml:30', because: 'Salaries are <b>nobody</b>’s business.', instead: 'Ask the people team.', observed: false },
      { policy: 'customer-data', rule: 'delete', then: 'hold', at: 'policies/customer-data.yaml:21', because: 'Deletes in production are looked at by somebody who owns the data.', observed: false },
      { policy: 'agents', rule: 'read', then: 'allow', at: 'policies/agents.yaml:4', observed: true },
    ],
    files: [{ file: 'policies/customer-data.yaml', text: 'policy: customer-data\nrules: # </pre><script>\n' }],
  } as const
  const site = { store, passkeys, signIns: identity, keys: [randomBytes(32)], deployment: 'production', note: (event: AuditEvent) => void notes.push(event), markSql: makeHighlight(), policies: () => policiesNow, now: () => Date.now() + world.skewMs }
  const listener = making.use(makeConsoleListener({ host: '127.0.0.1', port, url, hosts: [], streams: { total: 50, perViewer: 10 }, signIn }, { approvals: world.a.life, identity, roster: world.a.roster, log, site, ...defined({ audit, receipts }) }))
  await listener.listen()

  const party = (subject: string, more: Partial<Caller> = {}): Caller => ({ issuer: idp.issuer, subject, kind: 'human', groups: [], onBehalfOf: [], claims: {}, session: `s-${subject}`, authenticatedAt: 0, expiresAt: 4_000_000_000_000, address: '10.4.12.7', ...more })
  const agent = party('invoice-agent', { kind: 'agent', groups: ['agents'], name: 'invoice-agent', clientId: 'invoice-agent', owner: { issuer: idp.issuer, subject: 'alice' } })
  let attempts = 0

  /** Somebody asks for it and waits: on the connection, or has gone. */
  const ask = async (what: Action, { as = agent, needs = terms(), because = 'Deletes in production are looked at by somebody who owns the data.', statedReason, runs }: { readonly as?: Caller; readonly needs?: Terms; readonly because?: string; readonly statedReason?: string; readonly runs?: Outcome } = {}): Promise<Hold> => {
    const decision: Decision = { verdict: 'hold', matched: [{ policy: 'customer-data', rule: 'delete', then: 'hold', at: 'policies/customer-data.yaml:21', because, observed: false }], terms: needs, obligations: { masks: {}, limits: {} }, policyVersion: `sha256:${'5e'.repeat(32)}` }
    let held: Hold | undefined
    const attempt = `browser-${++attempts}`
    const obtained = world.a.life.obtain({ attempt, caller: as, action: what, decision, wait: { budgetMs: 60_000, ...(statedReason === undefined ? {} : { statedReason }), onHeld: (hold) => (held = hold) } }, new AbortController().signal)
    obtained.then(async (approval) => {
      if (runs === undefined || 'result' in approval) return
      const spent = await world.a.life.spend(approval as Approval, attempt, as, allowed)
      if (!('result' in spent)) await world.a.life.finish(spent, runs)
    }).catch(() => {})
    return until('the hold', () => held)
  }

  const ends = making.move()
  return { url, idp, world, notes, party, agent, ask, hold: (id: string) => world.a.life.show(id, party('bob', { groups: ['dba'] })), [Symbol.asyncDispose]: () => ends[Symbol.asyncDispose]() }
}

export { action, requirement, terms }
