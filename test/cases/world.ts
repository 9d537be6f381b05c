import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Disk } from '../../src/audit/disk.ts'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compilePolicies } from '../../src/config/policies.ts'
import { makeReload, type Reload } from '../../src/config/reload.ts'
import { makeProgramLog } from '../../src/cli/program-log.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { startReplica, type Replica } from '../../src/main.ts'
import type { AuditEvent } from '../../src/model/audit-event.ts'
import { Refusal } from '../../src/model/refusal.ts'
import type { ExplainingPolicySet } from '../../src/policy/policy-set.ts'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import type { FakeTeams } from '../channels/teams/fake-teams.ts'
import type { Browsers } from './browsers.ts'
import type { AdvisorPlace } from './advisor.ts'
import type { SlackPlace } from './slack.ts'
import type { SentinelPair } from '../stores/sentinel-pair.ts'
import { makeIssuers, type Issuers } from './issuers.ts'
import { fail, pending } from './outcome.ts'
import { startProcesses } from './processes.ts'
import { makeDirectory, type Directory } from './principals.ts'
import { defaultProfile, type Profile } from './profile.ts'
import { startStub, type Stub } from './stub.ts'

/** The parts of a case: replicas of the product on one store, upstreams that write down what they see, issuers, and a clock. */
export interface World extends AsyncDisposable {
  readonly stubs: ReadonlyMap<string, Stub>
  readonly issuers: Issuers
  readonly directory: Directory
  readonly clock: Clock
  readonly profile: Profile
  readonly folder: string
  readonly store: StoreFault
  readonly sentinel: SentinelPair | undefined
  /** The chat, where the run has one. */
  readonly teams?: FakeTeams
  readonly slack?: SlackPlace
  /** A model that is asked what it thinks. */
  readonly advisor?: AdvisorPlace
  readonly browsers?: Browsers
  /** Where the records are, for somebody who reaches them past us. */
  readonly storeAt: { readonly kind: 'embedded'; readonly path: string } | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }
  readonly replicas: ReadonlyMap<string, Running>
  /** What the program said in its log: warnings and worse, where the case wants no more. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  /** What secrets and settings are read from; may be changed before a reload. */
  readonly env: Record<string, string>
  /** How replicas are ended and started anew, where they are processes. */
  readonly processes: { pid(name: string): number; end(name: string, signal: NodeJS.Signals): Promise<unknown>; signal(name: string, signal: NodeJS.Signals): void; start(name: string): Promise<void> } | undefined
  /** The policies that the files say now. */
  compiled(): Promise<ExplainingPolicySet>
  /** Of all replicas, in the order of their time. */
  events(): readonly Recorded[]
  now(replica?: string): number
  /** Writes the changed profile and asks a replica (or all) to take it over. */
  reload(change: (profile: Profile) => void, files?: (folder: string) => void): Promise<readonly { readonly applied: boolean; readonly problems: readonly string[] }[]>
  first(): Running
  replica(name: string | undefined): Running
}

export type Recorded = AuditEvent & { readonly time: string; readonly replica: string; readonly id: string }

export interface Clock {
  /** A time at which all clocks stand still, for edges of a millisecond. */
  frozenAt?: number
  allMs: number
  storeMs: number
  readonly replicaMs: Map<string, number>
}

/** What stands between a replica and its store. */
export interface StoreFault {
  kind: 'up' | 'down' | 'slow'
  /** While set, the step that spends an approval waits here; `reached` tells that one does. */
  pause?: { readonly reached: PromiseWithResolvers<void>; readonly go: PromiseWithResolvers<void> }
}

export interface Ports {
  readonly http: number
  readonly console: number
  readonly admin: number
  readonly postgres?: number
}

export interface Running {
  readonly name: string
  readonly replica: Replica
  readonly reload: Reload
  readonly ports: Ports
  readonly config: Config
  readonly store: HoldStore
}

export interface WorldOptions {
  readonly change: (profile: Profile) => void
  readonly files?: (folder: string) => void
  readonly replicas?: readonly string[]
  /** `undefined`: the embedded store. */
  readonly redisUrl?: string
  /** A primary and its replica behind a Sentinel, instead. */
  readonly sentinel?: SentinelPair
  /** Tokens that say nothing: the issuer is asked what they stand for. */
  readonly opaque?: boolean
  /** Replicas in processes of their own. */
  readonly processes?: boolean
  /** Asked for once the files are written. */
  readonly env?: () => Readonly<Record<string, string>>
  /** In place of the real one, under the journals. */
  readonly disk?: Disk
}

/** A configuration that does not load: its messages. */
export class NotLoaded extends Error {
  override readonly name = 'NotLoaded'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

const environment = { CASES_KEY: 'a key for cases, 32 bytes or more', CASES_SECRET: 'a client secret for cases', CASES_REDIS: '' }

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))

const stubNames = ['app', 'wide', 'files', 'grpc', 'mcp'] as const

let worlds = 0

export const startWorld = async (options: WorldOptions): Promise<World> => {
  await using started = new AsyncDisposableStack()
  const folder = started.use(temporaryFolder('case')).path
  const stubs = new Map<string, Stub>()
  for (const name of stubNames) stubs.set(name, started.use(await startStub(name)))
  const directory = makeDirectory()
  if (options.opaque === true) directory.opaque = true
  const clock: Clock = { allMs: 0, storeMs: 0, replicaMs: new Map() }
  const now = (name: string): number => (clock.frozenAt ?? Date.now() + clock.allMs) + (clock.replicaMs.get(name) ?? 0)
  const issuers = makeIssuers(directory, () => now(''))
  const lines: Record<string, unknown>[] = []
  const fault: StoreFault = { kind: 'up' }
  const number = ++worlds
  const store = options.sentinel !== undefined ? { kind: 'redis', sentinel: { nodes: [`127.0.0.1:${options.sentinel.port}`], name: 'holds' }, prefix: `case-${process.pid}-${number}`, 'acknowledging-replicas': 1 } : options.redisUrl === undefined ? { kind: 'embedded', path: join(folder, 'holds.db') } : { kind: 'redis', url: '${env:CASES_REDIS}', prefix: `case-${process.pid}-${number}` }
  const profileFor = (replica: string): Profile => defaultProfile({ stub: (name) => stubs.get(name)?.port ?? 0, replica, store })
  const profile = profileFor('proxy-a')
  options.change(profile)
  const log = makeProgramLog(process.env['CASES_LOG'] ?? profile.logLevel ?? 'warn', {}, (line) => void lines.push(JSON.parse(line) as Record<string, unknown>))
  writeProfile(profile, folder, options.files)
  const env: Record<string, string> = { ...environment, CASES_REDIS: options.redisUrl ?? '', ...options.env?.() }
  const names = options.replicas ?? ['proxy-a']
  const replicas = new Map<string, Running>()
  const storeSkewMs = (): number => (clock.frozenAt === undefined ? clock.allMs : clock.frozenAt - Date.now()) + clock.storeMs

  const processes = options.processes === true ? started.use(startProcesses(folder)) : undefined
  processes?.adapt(profile)
  for (const name of names) {
    const file = join(folder, `${name}.yaml`)
    writeConfig(profile, folder, name)
    if (processes !== undefined) {
      replicas.set(name, await processes.start(name, file, env))
      continue
    }
    const loaded = await loadConfig(file, env)
    if (loaded.problems) throw new NotLoaded(loaded.problems.map(formatProblem))
    const compiled = compilePolicies(loaded.config)
    if (compiled.problems) throw new NotLoaded(compiled.problems.map(formatProblem))
    const { config } = loaded
    const real = config.store.kind === 'embedded' ? openEmbeddedStore(config.store, { clockSkewMs: storeSkewMs }) : await openRedisStore(config.store, { clockSkewMs: storeSkewMs })
    const held: { reload?: Reload } = {}
    const faulty = faultyStore(real, fault)
    const replica = started.use(
      await startReplica(config, compiled.policies, { log, ...(options.disk === undefined ? {} : { disk: options.disk }), store: faulty, now: () => now(name), storeSkewMs, fetch: issuers.fetch, reload: { run: () => held.reload?.run() ?? Promise.reject(new Error('not yet')), state: () => ({ lastProblems: held.reload?.state().lastProblems ?? [] }) } }),
    )
    held.reload = makeReload({ config, policies: compiled.policies, files: loaded.files }, { load: () => loadConfig(file, env), adopt: (next) => replica.adopt(next.config, next.policies), rejected: (problems) => replica.rejected(problems) })
    const { http, console, admin, postgres } = replica.addresses
    replicas.set(name, { name, replica, reload: held.reload, ports: { http: portOf(http), console: portOf(console), admin: portOf(admin), ...(postgres === undefined ? {} : { postgres: portOf(postgres) }) }, config, store: faulty })
  }
  const readers = new Map(names.map((name) => [name, makeJournalTail(name, join(folder, name, 'journal', name, 'wal'), options.processes === true)]))
  let lastCount = -1
  let lastEvents: readonly Recorded[] = []
  const merged = (lists: readonly (readonly Recorded[])[]): readonly Recorded[] => {
    const count = lists.reduce((sum, { length }) => sum + length, 0)
    if (count === lastCount) return lastEvents
    lastCount = count
    lastEvents = lists.length === 1 ? [...(lists[0] ?? [])] : lists.flat().toSorted((a, b) => (a.time === b.time ? 0 : a.time < b.time ? -1 : 1))
    return lastEvents
  }
  const first = (): Running => replicas.get(names[0] ?? '') ?? pending('no replica')
  const life = started.move()
  return {
    stubs, issuers, directory, log: lines, env, sentinel: options.sentinel, clock, profile, folder, store: fault, replicas,
    storeAt: options.redisUrl === undefined ? { kind: 'embedded', path: join(folder, 'holds.db') } : { kind: 'redis', url: options.redisUrl, prefix: `case-${process.pid}-${number}` },
    events: () => merged([...readers.values()].map((read) => read())),
    now: (name) => now(name ?? names[0] ?? ''),
    async reload(change, files) {
      change(profile)
      writeProfile(profile, folder, files)
      return await Promise.all([...replicas.values()].map(async ({ name, reload }) => {
        writeConfig(profile, folder, name)
        return await reload.run()
      }))
    },
    processes: processes && {
      pid: processes.pid,
      end: processes.end,
      signal: processes.signal,
      start: async (name) => void replicas.set(name, await processes.start(name, join(folder, `${name}.yaml`), env)),
    },
    async compiled() {
      const { config } = await loadConfig(join(folder, `${names[0]}.yaml`), env)
      return (config === undefined ? undefined : compilePolicies(config).policies) ?? fail('the files do not load')
    },
    first,
    replica: (name) => (name === undefined ? first() : (replicas.get(name) ?? pending(`no replica is called ${name}`))),
    [Symbol.asyncDispose]: async () => {
      fault.kind = 'up'
      await life.disposeAsync()
    },
  }
}

const writeProfile = (profile: Profile, folder: string, files: ((folder: string) => void) | undefined): void => {
  mkdirSync(join(folder, 'policies'), { recursive: true })
  if (Object.keys(profile.classification).length > 0) writeFileSync(join(folder, 'policies', 'classification.yaml'), stringify({ classification: profile.classification }))
  for (const policy of profile.policies) writeFileSync(join(folder, 'policies', `${policy.policy}.yaml`), stringify(policy, { aliasDuplicateObjects: false }))
  files?.(folder)
}

const writeConfig = (profile: Profile, folder: string, replica: string): void =>
  writeFileSync(join(folder, `${replica}.yaml`), stringify({ ...profile.config, replica, data: `./${replica}` }, { aliasDuplicateObjects: false }))

/** A store that is away or slow, as its port says such a store behaves. */
const faultyStore = (store: HoldStore, fault: StoreFault): HoldStore => {
  const away = (): Refusal => new Refusal('store-unavailable', 'The store for holds does not answer. NOT EXECUTED. Try again later.', { cause: 'the case took the store away', retryAfterSeconds: 5 })
  const disturb = async (): Promise<void> => {
    if (fault.kind === 'down') throw away()
    if (fault.kind === 'slow') {
      await new Promise((resolve) => setTimeout(resolve, 4_500).unref())
      throw away()
    }
  }
  const grants = Object.fromEntries(Object.entries(store.grants).map(([key, method]) => [key, async (...args: unknown[]) => {
    await disturb()
    return await (method as (...all: unknown[]) => unknown)(...args)
  }]))
  const wrapped: Record<string, unknown> = { grants }
  for (const [key, method] of Object.entries(store) as [string, unknown][]) {
    if (key === 'changes' || typeof method !== 'function') continue
    wrapped[key] = async (...args: unknown[]) => {
      await disturb()
      if (key === 'replace' && fault.pause !== undefined && (args[0] as { state?: string }).state === 'running') {
        fault.pause.reached.resolve()
        await fault.pause.go.promise
      }
      return await (method as (...all: unknown[]) => Promise<unknown>).apply(store, args)
    }
  }
  return { ...(wrapped as unknown as HoldStore), changes: (after, signal) => store.changes(after, signal), [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
}

/** Reads what a replica has written to its journal so far. The cases write less than a segment. */
const makeJournalTail = (replica: string, directory: string, several: boolean): (() => readonly Recorded[]) => {
  const events: Recorded[] = []
  const opened = new Set<string>()
  let file: number | undefined
  let offset = 0
  let rest = ''
  const buffer = Buffer.alloc(1 << 18)
  const open = (): boolean => {
    const name = existsSync(directory) ? readdirSync(directory).toSorted().find((one) => one.endsWith('.ndjson') && !opened.has(one)) : undefined
    if (name === undefined) return false
    opened.add(name)
    if (file !== undefined) closeSync(file)
    file = openSync(join(directory, name), 'r')
    offset = 0
    rest = ''
    return true
  }
  const read = (from: number): void => {
    for (let length = readSync(from, buffer, 0, buffer.length, offset); length > 0; length = readSync(from, buffer, 0, buffer.length, offset)) {
      offset += length
      const lines = (rest + buffer.subarray(0, length).toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const event = line === '' ? undefined : ({ ...(JSON.parse(Buffer.from(line, 'latin1').toString()) as Recorded), replica })
        // Signatures over the log come by the clock, and say nothing of what was done.
        if (event !== undefined && event.type !== 'checkpoint') events.push(event)
      }
    }
  }
  return () => {
    if (file === undefined && !open()) return events
    if (file !== undefined) read(file)
    // A replica that was started anew goes on in a file of its own.
    while (several && open()) if (file !== undefined) read(file)
    return events
  }
}
