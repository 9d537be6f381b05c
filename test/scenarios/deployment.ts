import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startIssuer, type TestIssuer } from '../support/tokens.ts'
import { startProcess, type LaunchOptions, type Replica } from './process.ts'
import { startRecorder, type Recorder } from './recorder.ts'

export type StoreKind = 'embedded' | 'redis'

/** Parts of a configuration file; merged key by key, lists replaced. */
export type Part = { readonly [key: string]: unknown }

export interface JournalRecord extends Readonly<Record<string, unknown>> {
  readonly type: string
  readonly attempt?: string
  readonly hold?: string
}

/** One installation: a protected service, an issuer, a store, and as many replicas as a test starts. */
export interface Deployment extends AsyncDisposable {
  readonly directory: string
  readonly issuer: TestIssuer
  readonly upstream: Recorder
  readonly redis: TestRedis | undefined
  readonly policyFile: string
  /** Where the replica of this name keeps its own things. */
  place(name: string): string
  start(name: string, change?: Part, options?: LaunchOptions): Promise<Replica>
  /** Writes the configuration file of a replica without starting it. */
  configure(name: string, change?: Part): Promise<string>
  /** A token of a registered agent. */
  agent(name?: string, claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** A person of `oncall` unless other groups are named. */
  person(name: string, groups?: readonly string[], claims?: Readonly<Record<string, unknown>>): Promise<string>
  /** What stands in the journals of all replicas, in each one's order. */
  records(replica?: string): readonly JournalRecord[]
}

/** What the tests' policy allows: reading; what it holds; what it denies. */
export const policy: Part = {
  policy: 'orders',
  services: ['orders'],
  rules: [
    { name: 'read', then: 'allow', methods: ['GET', 'HEAD'] },
    { name: 'note', then: 'allow', methods: ['POST'], paths: ['/notes/**'] },
    { name: 'refund', then: 'hold', methods: ['POST', 'DELETE'], paths: ['/refunds/**'], approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }, because: 'Money moves.' },
    { name: 'payout', then: 'hold', methods: ['POST'], paths: ['/payouts/**'], approval: { from: { groups: ['oncall'] }, count: 2, within: '5m', 'run-within': '5m' } },
    { name: 'report', then: 'hold', methods: ['POST'], paths: ['/reports/**'], approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m', run: 'when-approved' } },
    { name: 'soon', then: 'hold', methods: ['POST'], paths: ['/soon/**'], approval: { from: { groups: ['oncall'] }, within: '1s', 'run-within': '1s' } },
  ],
}

export const startDeployment = async (kind: StoreKind, change: Part = {}): Promise<Deployment> => {
  await using begun = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'countersign-scenario-'))
  begun.defer(() => rm(directory, { recursive: true, force: true }))
  const upstream = begun.use(await startRecorder())
  const issuer = begun.use(await startIssuer())
  const redis = kind === 'redis' ? begun.use(await startRedis()) : undefined
  const policyFile = join(directory, 'policy.yaml')
  writeFileSync(policyFile, stringify(policy))
  const key = randomBytes(32).toString('hex')
  const replicas = new Set<Replica>()
  begun.defer(async () => void (await Promise.all([...replicas].map((replica) => replica[Symbol.asyncDispose]()))))

  const place = (name: string): string => join(directory, name)

  const configure: Deployment['configure'] = async (name, more = {}) => {
    await mkdir(place(name), { recursive: true, mode: 0o700 })
    const base: Part = {
      deployment: 'scenario',
      replica: name,
      data: place(name),
      listeners: { http: { address: '127.0.0.1:0' }, console: { address: '127.0.0.1:0', hosts: ['127.0.0.1'] }, admin: { address: '127.0.0.1:0' } },
      issuers: { corp: { issuer: issuer.issuer, audiences: ['countersign'], 'token-types': ['at+jwt'], algorithms: ['ES256'], keys: { 'jwks-url': issuer.jwksUri }, kind: 'human', delegation: { 'actor-issuers': ['corp'] } } },
      agents: Object.fromEntries(['invoice-agent', 'report-agent'].map((subject) => [subject, { issuer: 'corp', subject, owner: { issuer: 'corp', subject: 'alice' }, groups: ['agents'] }])),
      services: { orders: { upstream: upstream.url, routes: [{ path: '/', hold: { wait: '20s' } }] } },
      policies: [policyFile],
      approvals: { keys: ['${env:SCENARIO_KEY}'], 'open-per-caller': 500 },
      store: redis ? { kind: 'redis', url: redis.url } : { kind: 'embedded', path: join(directory, 'holds.db') },
      journal: { 'min-free': '1MiB' },
    }
    const file = join(place(name), 'countersign.yaml')
    writeFileSync(file, stringify(merge(merge(base, change), more)))
    return file
  }

  const life = begun.move()
  return {
    directory,
    issuer,
    upstream,
    redis,
    policyFile,
    place,
    configure,
    async start(name, more, options = {}) {
      const file = await configure(name, more)
      const replica = await startProcess(name, file, { ...options, env: { SCENARIO_KEY: key, ...options.env } })
      replicas.add(replica)
      return replica
    },
    agent: (name = 'invoice-agent', claims = {}) => issuer.sign({ sub: name, ...claims }),
    person: (name, groups = ['oncall'], claims = {}) => issuer.sign({ sub: name, groups, ...claims }),
    records: (name) => (name === undefined ? readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name) : [name]).flatMap((one) => recordsIn(join(place(one), 'journal', one, 'wal'))),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  }
}

const recordsIn = (wal: string): readonly JournalRecord[] =>
  existsSync(wal)
    ? readdirSync(wal)
        .sort()
        .flatMap((name) => readFileSync(join(wal, name), 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as JournalRecord))
    : []

const isPart = (value: unknown): value is Part => typeof value === 'object' && value !== null && !Array.isArray(value)

const merge = (under: Part, over: Part): Part =>
  Object.fromEntries([...new Set([...Object.keys(under), ...Object.keys(over)])].map((key) => {
    const [low, high] = [under[key], over[key]]
    return [key, isPart(low) && isPart(high) ? merge(low, high) : key in over ? high : low]
  }))
