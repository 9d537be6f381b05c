import { execFile, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, readFileSync, readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { spawnTied } from '../../examples/world/tied.ts'
import { freePort } from './ports.ts'
import { findPostgres, serverUser, type PostgresBinaries } from './postgres-binaries.ts'
import { makeTls, type PostgresTls } from './postgres-tls.ts'
import { until } from './until.ts'

export interface PostgresSettings {
  /** How everybody who comes over TCP proves who they are (pg_hba.conf); `trust` unless told. */
  readonly auth?: 'trust' | 'scram-sha-256' | 'md5' | 'password'
  /** `offered`: with and without TLS. `required`: TLS only. No TLS unless told. */
  readonly tls?: 'offered' | 'required'
  /** Names in the server's certificate, as openssl spells them (`DNS:db.test`). */
  readonly certificateNames?: readonly string[]
  /** Databases to make besides `postgres`. */
  readonly databases?: readonly string[]
  /** SQL to run as the superuser before anybody else comes, in the first of the databases. */
  readonly init?: string
  /** Lines for postgresql.conf, such as `{ max_connections: '10' }`. */
  readonly settings?: Readonly<Record<string, string>>
  readonly binaries?: PostgresBinaries
  /** `fresh`: a cluster with an identifier of its own, which takes some seconds. Or a server in which nothing happens, to go on with a copy of its data. Else all have the identifier of this machine's template. */
  readonly cluster?: 'fresh' | { readonly of: TestPostgres }
}

/** A real server of our own on a free port, gone when it is disposed of. */
export interface TestPostgres extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly major: number
  /** The superuser, who may always come through the Unix socket. */
  readonly user: 'postgres'
  readonly password: 'postgres'
  readonly database: 'postgres'
  /** Folder of the Unix socket: the `host` of libpq and node-postgres. */
  readonly socket: string
  readonly url: string
  readonly tls?: PostgresTls
  readonly process: ChildProcess
  /** Runs one or more statements as the superuser, and gives the rows of the last one. */
  readonly query: <Row extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: readonly unknown[], database?: string) => Promise<readonly Row[]>
  /** What the server has logged so far: every statement that reached it, in its own words. */
  readonly log: () => string
}

/** Roles that every server has besides the superuser: one with each kind of stored password. */
export const loginRoles = {
  scram: { user: 'app_scram', password: 'scram-secret' },
  md5: { user: 'app_md5', password: 'md5-secret' },
} as const

const run = promisify(execFile)

const own = (path: string): void => {
  const user = serverUser()
  if (user !== undefined) chownSync(path, user.uid, user.gid)
}

const ownAll = (folder: string): void => {
  own(folder)
  for (const entry of readdirSync(folder, { recursive: true })) own(join(folder, entry.toString()))
}

/** A test that ends badly, by `kill -9` too, leaves no server behind, and no folder. */
const start = (binaries: PostgresBinaries, data: string, folder: string, port: number, args: readonly string[]): ChildProcess =>
  spawnTied(join(binaries.directory, 'postgres'), ['-D', data, '-k', folder, '-p', String(port), ...args], { signal: 'SIGQUIT', folder, output: 'ignore', cwd: folder, env: binaries.env, ...serverUser() })

const connect = async <T>(socket: string, port: number, database: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ host: socket, port, user: 'postgres', password: 'postgres', database })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const answers = (socket: string, port: number): Promise<boolean> =>
  connect(socket, port, 'postgres', () => Promise.resolve(true)).catch(() => false)

const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

/** Tries three ports before it gives up: another process may take a free one first. */
const started = async (binaries: PostgresBinaries, data: string, socket: string, args: readonly string[]): Promise<{ readonly child: ChildProcess; readonly port: number }> => {
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const child = start(binaries, data, socket, port, args)
    const failed = new Promise<false>((resolve) => {
      child.once('error', () => resolve(false))
      child.once('exit', () => resolve(false))
    })
    const ready = until('postgres to answer', () => answers(socket, port), 30_000).catch(() => false)
    if (await Promise.race([failed, ready])) return { child, port }
    await stop(child, 'SIGKILL')
    if (tries === 3) throw new Error(`postgres did not start: ${logOf(data) || 'it logged nothing'}`)
  }
}

const logOf = (data: string): string => {
  const file = join(data, 'server.log')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

const makeTemplate = async (binaries: PostgresBinaries, target: string): Promise<void> => {
  const folder = await mkdtemp(`${target}-`)
  own(folder)
  const data = join(folder, 'data')
  await run(join(binaries.directory, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { cwd: folder, env: binaries.env, ...serverUser() })
  const { child, port } = await started(binaries, data, folder, ['-c', 'listen_addresses=', '-c', 'fsync=off'])
  const role = (name: string, password: string, kind: string): string => `set password_encryption = '${kind}'; create role ${name} login password '${password}';`
  await connect(folder, port, 'postgres', (client) =>
    client.query(`alter role postgres password 'postgres'; ${role(loginRoles.scram.user, loginRoles.scram.password, 'scram-sha-256')} ${role(loginRoles.md5.user, loginRoles.md5.password, 'md5')} checkpoint;`),
  )
  await stop(child, 'SIGINT')
  // Whoever was quicker has made the same.
  await rename(folder, target).catch(() => rm(folder, { recursive: true, force: true }))
}

/** A data folder with nothing in it yet, made once for this machine: copying it is much quicker than initdb. */
const template = async (binaries: PostgresBinaries): Promise<string> => {
  const target = join(tmpdir(), `countersign-postgres-${binaries.major}-${serverUser()?.uid ?? process.getuid?.() ?? 0}-v1`)
  if (!existsSync(join(target, 'data', 'PG_VERSION'))) await makeTemplate(binaries, target)
  return join(target, 'data')
}

const hostRules = (settings: PostgresSettings): string => {
  const kind = settings.tls === 'required' ? 'hostssl' : 'host'
  return `local all postgres trust\n${kind} all all 127.0.0.1/32 ${settings.auth ?? 'trust'}\n`
}

const configuration = (settings: PostgresSettings, tls: PostgresTls | undefined): string => {
  const lines: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    fsync: 'off',
    // Statistics and the log change only when a test says so.
    autovacuum: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    shared_buffers: '16MB',
    max_wal_size: '256MB',
    log_statement: 'all',
    log_destination: 'stderr',
    logging_collector: 'on',
    log_directory: '.',
    log_filename: 'server.log',
    log_line_prefix: '[%p %u %d] ',
    log_rotation_size: '0',
    ...(tls === undefined ? {} : { ssl: 'on', ssl_cert_file: tls.cert, ssl_key_file: tls.key }),
    ...settings.settings,
  }
  return Object.entries(lines).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`).join('')
}

export const startPostgres = async (settings: PostgresSettings = {}): Promise<TestPostgres> => {
  const binaries = settings.binaries ?? findPostgres()
  if (binaries === undefined) throw new Error('no PostgreSQL server is installed; on Debian or Ubuntu: apt-get install postgresql')
  const folder = await mkdtemp(join(tmpdir(), 'countersign-pg-'))
  try {
    const [data, certificates] = [join(folder, 'data'), join(folder, 'tls')]
    if (settings.cluster === 'fresh') {
      own(folder)
      await makeTemplate(binaries, join(folder, 'fresh'))
      await rename(join(folder, 'fresh', 'data'), data)
    } else await cp(settings.cluster === undefined ? await template(binaries) : join(settings.cluster.of.socket, 'data'), data, { recursive: true, filter: (path) => !path.endsWith('postmaster.pid') })
    const tls = settings.tls === undefined ? undefined : (await mkdir(certificates), await makeTls(certificates, settings.certificateNames))
    await writeFile(join(data, 'pg_hba.conf'), hostRules(settings))
    await writeFile(join(data, 'postgresql.auto.conf'), configuration(settings, tls))
    if (tls !== undefined) chmodSync(tls.key, 0o600)
    ownAll(folder)
    chmodSync(data, 0o700)
    const { child, port } = await started(binaries, data, folder, [])
    const server = running({ binaries, data, folder, child, port, ...(tls === undefined ? {} : { tls }) })
    try {
      for (const name of settings.databases ?? []) await server.query(`create database "${name}"`)
      if (settings.init !== undefined) await server.query(settings.init, undefined, settings.databases?.[0])
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    throw error
  }
}

interface Parts {
  readonly binaries: PostgresBinaries
  readonly data: string
  readonly folder: string
  readonly child: ChildProcess
  readonly port: number
  readonly tls?: PostgresTls
}

const running = ({ binaries, data, folder, child, port, tls }: Parts): TestPostgres => ({
  host: '127.0.0.1',
  port,
  major: binaries.major,
  user: 'postgres',
  password: 'postgres',
  database: 'postgres',
  socket: folder,
  url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
  ...(tls === undefined ? {} : { tls }),
  process: child,
  query: (sql, values, database = 'postgres') => connect(folder, port, database, async (client) => lastRows(await client.query(sql, values === undefined ? undefined : [...values]))),
  log: () => logOf(data),
  async [Symbol.asyncDispose]() {
    await stop(child, 'SIGQUIT')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  },
})

const lastRows = <Row extends pg.QueryResultRow>(result: pg.QueryResult<Row> | readonly pg.QueryResult<Row>[]): readonly Row[] => {
  const last = Array.isArray(result) ? (result as readonly pg.QueryResult<Row>[]).at(-1) : (result as pg.QueryResult<Row>)
  return last?.rows ?? []
}
