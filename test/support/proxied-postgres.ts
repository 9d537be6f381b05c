import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { startReplica } from '../../src/main.ts'
import { startPostgres, type PostgresSettings, type TestPostgres } from './postgres.ts'
import { startIssuer, type TestIssuer } from './tokens.ts'
import { until } from './until.ts'

export interface ProxiedSettings {
  readonly postgres?: PostgresSettings
  /** Rules for the service `crm`; everything that reads and writes is allowed unless told. */
  readonly rules?: readonly object[]
  /** More lines for the service, the listener. */
  readonly service?: object
  readonly listener?: object
}

export interface OpenHold {
  readonly id: string
  readonly code: string
  readonly verb: string
  /** The beginning of what will run. */
  readonly preview: string
  readonly digest: string
}

/** A real server, and a replica of Countersign in front of it. */
export interface ProxiedPostgres extends AsyncDisposable {
  readonly server: TestPostgres
  readonly issuer: TestIssuer
  /** Where clients connect. */
  readonly host: '127.0.0.1'
  readonly port: number
  /** The name that clients know the database by. */
  readonly database: 'crm'
  /** A token for a client's password. */
  readonly token: (subject?: string, claims?: Readonly<Record<string, unknown>>) => Promise<string>
  /** Waits until something is held, and answers it as bob of `oncall`. */
  readonly decide: (verdict: 'approve' | 'deny', reason?: string) => Promise<OpenHold>
  /** Answers one hold as bob. */
  readonly vote: (hold: OpenHold, verdict: 'approve' | 'deny', reason?: string) => Promise<void>
  /** Everything that bob may see of one hold. */
  readonly show: (id: string) => Promise<unknown>
  /** What waits now. */
  readonly holds: () => Promise<readonly OpenHold[]>
  /** What stands in the journal. */
  readonly records: () => readonly JournalRecord[]
  /** Has the replica take over other rules for `crm`, while it runs. */
  readonly adopt: (rules: readonly object[]) => Promise<void>
  /** The replica goes away, as on SIGTERM. */
  readonly drain: (graceMs: number) => Promise<void>
}

export interface JournalRecord extends Readonly<Record<string, unknown>> {
  readonly type: string
  readonly attempt?: string
  readonly hold?: string
}

const approval = { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }

/** For tests that look at clients and not at policies. */
export const allowData = [
  { name: 'data', then: 'allow', actions: ['sql.select', 'sql.insert', 'sql.update', 'sql.delete', 'sql.merge', 'sql.truncate', 'sql.copy.in', 'sql.copy.out', 'sql.explain', 'sql.ddl', 'sql.listen', 'sql.lock', 'sql.call'] },
] as const

/** Reading is allowed, a change waits. */
export const holdWrites = [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.copy.out'] },
  { name: 'write', then: 'hold', actions: ['sql.insert', 'sql.update', 'sql.delete'], approval, because: 'Changes are looked at by somebody.' },
  { name: 'ddl', then: 'deny', actions: ['sql.ddl'], because: 'The schema belongs to migrations.', instead: 'Write a migration.' },
] as const

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))

const request = async (url: string, token: string, body?: object): Promise<unknown> => {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }), signal: AbortSignal.timeout(5_000) })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return await response.json()
}

export const startProxiedPostgres = async (settings: ProxiedSettings = {}): Promise<ProxiedPostgres> => {
  await using begun = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'countersign-proxied-'))
  begun.defer(() => rmSync(folder, { recursive: true, force: true }))
  const server = begun.use(await startPostgres({ auth: 'scram-sha-256', ...settings.postgres }))
  const issuer = begun.use(await startIssuer())
  const database = settings.postgres?.databases?.[0] ?? 'postgres'
  const policyFile = join(folder, 'policy.yaml')
  const wal = join(folder, 'data', 'journal', 'a', 'wal')
  const file = join(folder, 'countersign.yaml')
  writeFileSync(
    file,
    stringify({
      deployment: 'clients',
      replica: 'a',
      data: './data',
      listeners: { http: { address: '127.0.0.1:0' }, postgres: { address: '127.0.0.1:0', ...settings.listener }, console: { address: '127.0.0.1:0', hosts: ['127.0.0.1'] }, admin: { address: '127.0.0.1:0' } },
      issuers: { corp: { issuer: issuer.issuer, audiences: ['countersign'], 'token-types': ['at+jwt'], algorithms: ['ES256'], keys: { 'jwks-url': issuer.jwksUri }, kind: 'human' } },
      agents: { 'crm-agent': { issuer: 'corp', subject: 'crm-agent', owner: { issuer: 'corp', subject: 'alice' }, groups: ['agents'] } },
      groups: ['oncall'],
      services: { crm: { protocol: 'postgres', upstream: `127.0.0.1:${server.port}`, tls: 'disable', database, databases: ['crm'], credential: { user: 'postgres', password: '${env:PG_PASSWORD}' }, ...settings.service } },
      policies: ['policy.yaml'],
      approvals: { keys: ['${env:KEY}'] },
      journal: { 'min-free': '1MiB' },
    }),
  )
  const load = async (rules: readonly object[]) => {
    writeFileSync(policyFile, stringify({ policy: 'crm', services: ['crm'], rules }))
    const loaded = await loadConfig(file, { KEY: 'a key of the tests, 32 bytes or more', PG_PASSWORD: server.password })
    if (loaded.problems) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    const compiled = compilePolicies(loaded.config)
    if (compiled.problems) throw new Error(compiled.problems.map(formatProblem).join('\n'))
    return { config: loaded.config, policies: compiled.policies }
  }
  const first = await load(settings.rules ?? allowData)
  const replica = begun.use(await startReplica(first.config, first.policies, { log: pino({ level: process.env['PG_TEST_LOG'] ?? 'silent' }) }))
  const addresses = replica.addresses as unknown as Readonly<Record<string, string | undefined>>
  const console = `http://127.0.0.1:${portOf(addresses['console'] ?? '')}`
  const bob = await issuer.sign({ sub: 'bob', groups: ['oncall'] })
  const holds = async (): Promise<readonly OpenHold[]> => ((await request(`${console}/api/holds`, bob)) as { readonly holds: readonly (OpenHold & { readonly state: string })[] }).holds.filter(({ state }) => state === 'pending')
  const vote: ProxiedPostgres['vote'] = async (hold, verdict, reason) => void (await request(`${console}/api/holds/${hold.id}/votes`, bob, { verdict, digest: hold.digest, ...(reason === undefined ? {} : { reason }) }))
  const life = begun.move()
  return {
    server,
    issuer,
    vote,
    show: (id) => request(`${console}/api/holds/${id}`, bob),
    host: '127.0.0.1',
    port: portOf(addresses['postgres'] ?? '0'),
    database: 'crm',
    token: (subject = 'crm-agent', claims = {}) => issuer.sign({ sub: subject, ...claims }),
    holds,
    records: () => (existsSync(wal) ? readdirSync(wal).sort().flatMap((name) => readFileSync(join(wal, name), 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as JournalRecord)) : []),
    async adopt(rules) {
      const { config, policies } = await load(rules)
      await replica.adopt(config, policies)
    },
    drain: (graceMs) => replica.drain(graceMs),
    async decide(verdict, reason) {
      const hold = await until('a hold', async () => (await holds())[0])
      await vote(hold, verdict, reason)
      return hold
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  }
}
