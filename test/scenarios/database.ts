import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { startDeployment, type Deployment, type Part, type StoreKind } from './deployment.ts'
import type { LaunchOptions, Replica } from './process.ts'

/** A replica that also speaks PostgreSQL. */
export interface DatabaseReplica extends Replica {
  readonly port: number
}

/** A deployment in front of a real database. */
export interface DatabaseDeployment extends AsyncDisposable {
  readonly world: Deployment
  readonly server: TestPostgres
  start(name: string, change?: Part, options?: LaunchOptions): Promise<DatabaseReplica>
  /** Writes the configuration of a replica that runs. */
  configure(name: string, change: Part): Promise<string>
}

const schema = `
create role app login password 'app-secret';
create table public.customers (id int primary key, name text, email text);
insert into public.customers select n, 'customer ' || n, 'c' || n || '@example.org' from generate_series(1, 10) n;
create table public.orders (id int primary key, total int);
insert into public.orders select n, n * 10 from generate_series(1, 10) n;
create table public.log (text text);
create table public.secrets (id int, value text);
insert into public.secrets values (1, 'hidden');
grant all on all tables in schema public to app;
grant create on schema public to app;
`

const approval = { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' }

export const crmPolicy: Part = {
  policy: 'crm',
  services: ['crm'],
  rules: [
    { name: 'read', then: 'allow', actions: ['sql.select', 'sql.explain'], tables: ['public.customers', 'public.orders', 'public.log'] },
    { name: 'types', then: 'allow', actions: ['sql.select'], tables: ['pg_catalog.pg_type'], because: 'postgres.js asks for them when it connects.' },
    { name: 'compute', then: 'allow', actions: ['sql.select'], if: 'size(sql.tables) == 0' },
    { name: 'log', then: 'allow', actions: ['sql.insert', 'sql.copy.in', 'sql.copy.out'], tables: ['public.log'] },
    { name: 'change', then: 'hold', actions: ['sql.update', 'sql.delete', 'sql.insert'], tables: ['public.customers', 'public.orders'], approval, because: 'Changes of customers are looked at.' },
    { name: 'schema', then: 'deny', actions: ['sql.ddl'], because: 'Schema changes go through migrations.', instead: 'Open a pull request.' },
  ],
}

export const startDatabaseDeployment = async (kind: StoreKind, change: Part = {}): Promise<DatabaseDeployment> => {
  await using begun = new AsyncDisposableStack()
  const server = begun.use(await startPostgres({ auth: 'scram-sha-256', databases: ['crm'], init: schema }))
  const world = begun.use(await startDeployment(kind, change))
  const crm = join(world.directory, 'crm.yaml')
  writeFileSync(crm, stringify(crmPolicy))
  const life = begun.move()
  const base: Part = {
    listeners: { http: { address: '127.0.0.1:0' }, postgres: { address: '127.0.0.1:0' }, console: { address: '127.0.0.1:0', hosts: ['127.0.0.1'] }, admin: { address: '127.0.0.1:0' } },
    services: {
      orders: { upstream: world.upstream.url, routes: [{ path: '/', hold: { wait: '20s' } }] },
      crm: { protocol: 'postgres', upstream: `127.0.0.1:${server.port}`, tls: 'disable', database: 'crm', credential: { user: 'app', password: '${env:CRM_PASSWORD}' }, hold: { 'in-transaction': '60s' } },
    },
    policies: [world.policyFile, crm],
  }
  return {
    world,
    server,
    configure: (name, change) => world.configure(name, { ...base, ...change }),
    async start(name, more = {}, options = {}) {
      const replica = await world.start(name, { ...base, ...more }, { ...options, env: { CRM_PASSWORD: 'app-secret', ...options.env } })
      const line = replica.lines().find(({ msg }) => msg === 'ready')
      return Object.assign(replica, { port: Number(String(line?.['postgres']).split(':').at(-1)) })
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  }
}

export interface Psql {
  readonly child: ChildProcess
  output(): string
  errors(): string
  type(line: string): void
  ended: Promise<number | null>
}

/** A real psql at a replica. */
export const psql = (port: number, token: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Psql => {
  const child = spawn('psql', ['-X', '-q', '-A', '-t', '-h', '127.0.0.1', '-p', String(port), '-d', 'crm', '-U', 'invoice-agent', ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, PGPASSWORD: token, PGSSLMODE: 'disable', ...env } })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  return {
    child,
    output: () => output,
    errors: () => errors,
    type: (line) => void child.stdin.write(`${line}\n`),
    ended: new Promise((resolve) => child.on('close', resolve)),
  }
}
