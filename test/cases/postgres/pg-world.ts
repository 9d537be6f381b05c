import type { Disk } from '../../../src/audit/disk.ts'
import { list, type Run, isTree } from '../loader.ts'
import { applySettings, patience, put } from '../translate.ts'
import { fail, pending } from '../outcome.ts'
import type { Profile, RuleSource } from '../profile.ts'
import type { TestPostgres } from '../../support/postgres.ts'
import { startWorld, type World, type WorldOptions } from '../world.ts'
import { grantState } from './pg-names.ts'
import { makeDatabase, proxyRole, type FixtureDatabase } from './fixture.ts'
import { startRelay, type Relay } from './relay.ts'

/** A replica in front of a recording relay in front of a real server with the fixture in it. */
export interface PgWorld extends AsyncDisposable {
  readonly world: World
  readonly relay: Relay
  readonly database: FixtureDatabase
  /** Where clients connect. */
  readonly port: number
  /** Ends with this world. */
  readonly keep: (thing: AsyncDisposable) => void
}

const approval = { from: { groups: ['approvers'] }, within: '15m', 'run-within': '10m' }

/** The class table of README.md in rules. What no rule names is denied. */
const rules = (): RuleSource[] => [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.explain', 'sql.copy.out'], mask: { pii: 'redact' } },
  { name: 'secrets', then: 'deny', tables: ['secrets.*'] },
  { name: 'write', then: 'hold', actions: ['sql.insert', 'sql.update', 'sql.delete', 'sql.merge', 'sql.truncate', 'sql.copy.in'], approval },
  { name: 'lock', then: 'hold', actions: ['sql.lock'], approval },
  { name: 'call', then: 'hold', actions: ['sql.call'], approval },
  { name: 'opaque', then: 'hold', actions: ['sql.do'], approval },
  { name: 'session', then: 'deny', actions: ['sql.session'] },
  { name: 'ddl', then: 'deny', actions: ['sql.ddl', 'sql.grant'] },
  // Their argument is a statement that nobody reads beforehand.
  { name: 'text', then: 'deny', functions: ['*.*_to_xml*', '*.dblink*', '*.crosstab*', '*.connectby*', '*.ts_stat', '*.ts_rewrite'] },
  { name: 'forbidden', then: 'deny', actions: ['sql.server', 'sql.copy.program'] },
]

const verbsOf: Readonly<Record<string, readonly string[]>> = {
  write: ['sql.insert', 'sql.update', 'sql.delete', 'sql.merge', 'sql.truncate', 'sql.copy.in'],
}

/** A rule of a case. One that allows is the exception from the rules of the profile that hold the same. */
const addRules = (found: RuleSource[], given: unknown): void => {
  for (const [index, rule] of list(given).entries()) {
    if (!isTree(rule) || rule['effect'] !== 'allow' || typeof rule['statement'] !== 'string' || typeof rule['table'] !== 'string') return pending('no way yet to say that rule')
    const actions = verbsOf[rule['statement']] ?? pending(`no verbs for ${rule['statement']}`)
    found.push({ name: `case-${index + 1}`, then: 'allow', actions: [...actions], tables: [rule['table']] })
    for (const held of found) if (held.then === 'hold' && held.name === 'write') held['tables'] = { not: [rule['table']] }
  }
}

/** Statements that a case lets through beside the profile, and how they are told apart here. */
const allowed: Readonly<Record<string, (found: RuleSource[]) => void>> = {
  'CREATE TEMP TABLE': (found) => {
    found.push({ name: 'temporary', then: 'allow', actions: ['sql.ddl'], tables: ['pg_temp.*'] })
    for (const rule of found) if (rule.name === 'ddl') rule['tables'] = { not: ['pg_temp.*'] }
  },
  PREPARE: () => {},
  SET: () => {},
  LISTEN: (found) => void found.push({ name: 'listen', then: 'allow', actions: ['sql.listen'] }),
}

const applyPgSettings = (profile: Profile, found: RuleSource[], settings: unknown): void => {
  if (!isTree(settings)) return
  const { 'pg-main': pg, drift_guard: drift, ...others } = settings
  if (isTree(drift)) for (const rule of found) if (rule.then === 'hold') rule['approval'] = { ...approval, drift: `${String(drift['factor'])}x` }
  applySettings(profile, others)
  // One deadline for everything before a session.
  if (others['handshake_timeout'] !== undefined) put(profile.config, ['listeners', 'postgres', 'timeouts', 'startup'], patience(others['handshake_timeout']))
  if (!isTree(pg)) return
  for (const [key, value] of Object.entries(pg)) {
    if (key === 'allow_statements') for (const name of list(value)) (allowed[String(name)] ?? pending(`no rule for ${String(name)}`))(found)
    else if (key === 'max_hold_in_transaction') put(profile.config, ['services', 'pg-main', 'hold', 'in-transaction'], '1s') // nobody can shift the clock of such a wait: the step that shifts it waits
    else if (key === 'reads_only') found.splice(0, found.length, ...found.filter(({ then }) => then !== 'hold'))
    // What the wrapper is for is a matter of rules here: nothing but reads, and no word that would end a transaction around them.
    else if (key === 'wrap') found.splice(0, found.length, { name: 'no-transactions', then: 'deny', actions: ['sql.transaction'] }, ...found.filter(({ then }) => then !== 'hold'))
    // No session outlives its client here, and leaving a read-only transaction is denied in every profile.
    else if (!['read_only', 'pool_size'].includes(key)) pending(`no setting of a database is called ${key} here`)
  }
}

export interface PgArrangement {
  /** In place of the relay. */
  readonly upstreamPort?: number
  readonly tls?: Readonly<Record<string, unknown>>
  readonly listenerTls?: { readonly cert: string; readonly key: string }
  /** More keys of the service. */
  readonly service?: Readonly<Record<string, unknown>>
  /** The last word about the profile; `service` is the one behind `pg-main`. */
  readonly change?: (profile: Profile, made: { readonly service: Readonly<Record<string, unknown>> }) => void
  /** Absent: the one server of this process. */
  readonly server?: TestPostgres
  /** Beside the password of the database. */
  readonly env?: Readonly<Record<string, string>>
  /** Absent: the embedded store. */
  readonly redisUrl?: string
  /** Absent: the real one, under the journal. */
  readonly disk?: Disk
  /** In a process of its own, on the machine's clock. */
  readonly apart?: boolean
}

const change = (run: Pick<Run, 'given'>, place: { readonly port: number; readonly database: string }, more: PgArrangement): WorldOptions['change'] => (profile) => {
  put(profile.config, ['listeners', 'postgres'], { address: '127.0.0.1:0', ...(more.listenerTls === undefined ? {} : { tls: { 'cert-file': more.listenerTls.cert, 'key-file': more.listenerTls.key } }) })
  const service = {
    protocol: 'postgres',
    upstream: `127.0.0.1:${more.upstreamPort ?? place.port}`,
    ...(more.tls ?? { tls: 'disable' }),
    database: place.database,
    databases: ['app'],
    credential: { user: proxyRole.user, password: '${env:CASES_PG}' },
    ...more.service,
  }
  put(profile.config, ['services', 'pg-main'], service)
  const found = rules()
  applyPgSettings(profile, found, run.given['settings'])
  addRules(found, run.given['rules'])
  if (run.given['state'] === grantState) for (const rule of found) if (rule.name === 'write') Object.assign(rule, { actions: ['sql.update'], approval: { ...approval, grant: { times: 5, rows: 10, within: '1h' } } })
  profile.classification['pg-main'] = { tables: { 'public.users': ['pii'] }, columns: { 'public.users.id': ['public'], 'public.users.name': ['public'] } }
  profile.policies.push({ policy: 'pg-main', services: ['pg-main'], rules: found })
  more.change?.(profile, { service })
}

export const startPgWorld = async (run: Pick<Run, 'given'>, more: PgArrangement = {}): Promise<PgWorld> => {
  await using begun = new AsyncDisposableStack()
  const database = begun.use(await makeDatabase(more.server))
  const relay = begun.use(await startRelay(database.server.port))
  const world = begun.use(await startWorld({ change: change(run, { port: relay.port, database: database.name }, more), env: () => ({ CASES_PG: proxyRole.password, ...more.env }), ...(more.redisUrl === undefined ? {} : { redisUrl: more.redisUrl }), ...(more.disk === undefined ? {} : { disk: more.disk }), ...(more.apart === undefined ? {} : { processes: more.apart }) }))
  const port = world.first().ports.postgres ?? fail('nobody listens for PostgreSQL')
  const life = begun.move()
  return { world, relay, database, port, keep: (thing) => void life.use(thing), [Symbol.asyncDispose]: () => life.disposeAsync() }
}

