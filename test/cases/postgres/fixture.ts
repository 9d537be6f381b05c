import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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

/** On one server for all cases of a process, until `endServer`, or on another one, under this name. */
export const makeDatabase = async (on?: TestPostgres, name = `case_${++databases}`): Promise<FixtureDatabase> => {
  const server = on ?? (await (running ??= startFixture()))
  await server.query(`create database ${name} template fixture`)
  await server.query(`alter database ${name} owner to ${proxyRole.user}`)
  const made: FixtureDatabase = {
    server,
    name,
    query: (sql, values) => made.server.query(sql, values, name),
    async [Symbol.asyncDispose]() {
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
