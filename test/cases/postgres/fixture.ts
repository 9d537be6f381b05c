import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'

/** A database of its own for one world, with the fixture in it. */
export interface FixtureDatabase extends AsyncDisposable {
  /** Another one after a fail-over. */
  server: TestPostgres
  readonly name: string
  /** As the superuser, past the product. */
  readonly query: (sql: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>
}

/** What the product logs in as. */
export const proxyRole = { user: 'app_proxy', password: 'app-proxy-secret' } as const

let running: Promise<TestPostgres> | undefined
let databases = 0

/** `cluster`: see there. All that begin alike give their objects the same numbers. */
export const startFixture = async (cluster?: 'fresh'): Promise<TestPostgres> =>
  await startPostgres({
    ...(cluster === undefined ? {} : { cluster }),
    auth: 'scram-sha-256',
    settings: { max_connections: '200', max_prepared_transactions: '5' },
    databases: ['fixture'],
    init: `create role ${proxyRole.user} login password '${proxyRole.password}'; create role root; ${readFileSync(join(import.meta.dirname, 'fixture.sql'), 'utf8')}`,
  })

const connect = async ({ socket, port, user, password }: TestPostgres, database: string): Promise<pg.Client> => {
  const client = new pg.Client({ host: socket, port, user, password, database })
  client.on('error', () => {}) // its server may end before it does
  await client.connect()
  return client
}

/** Of several statements those of the last one. */
const lastRows = (result: pg.QueryResult | readonly pg.QueryResult[]): readonly Record<string, unknown>[] => (Array.isArray(result) ? (result as readonly pg.QueryResult[]).at(-1) : (result as pg.QueryResult))?.rows ?? []

/** On one server for all cases of a process, until `endServer`, or on another one, under this name. */
export const makeDatabase = async (on?: TestPostgres, name = `case_${++databases}`): Promise<FixtureDatabase> => {
  const server = on ?? (await (running ??= startFixture()))
  await server.query(`create database ${name} template fixture`)
  await server.query(`alter database ${name} owner to ${proxyRole.user}`)
  let line: { readonly to: TestPostgres; readonly client: Promise<pg.Client> } | undefined
  /** One connection for all questions: a run asks many. */
  const connection = (): Promise<pg.Client> => {
    if (line?.to !== made.server) line = { to: made.server, client: connect(made.server, name) }
    return line.client
  }
  const made: FixtureDatabase = {
    server,
    name,
    query: async (sql, values) => lastRows(await (await connection()).query(sql, values === undefined ? undefined : [...values])),
    async [Symbol.asyncDispose]() {
      await line?.client.then((client) => client.end(), () => {})
      // Another server ends as a whole.
      if (on === undefined) await server.query(`drop database if exists ${name} with (force)`)
    },
  }
  return made
}

export const endServer = async (): Promise<void> => {
  const server = await running
  running = undefined
  await server?.[Symbol.asyncDispose]()
}
