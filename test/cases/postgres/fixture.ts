import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'

/** A database of its own for one world, with the fixture in it. */
export interface FixtureDatabase extends AsyncDisposable {
  readonly server: TestPostgres
  readonly name: string
  /** As the superuser, past the product. */
  readonly query: (sql: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>
}

/** What the product logs in as. */
export const proxyRole = { user: 'app_proxy', password: 'app-proxy-secret' } as const

let running: Promise<TestPostgres> | undefined
let databases = 0

const begin = async (): Promise<TestPostgres> => {
  const server = await startPostgres({
    auth: 'scram-sha-256',
    settings: { max_connections: '200', max_prepared_transactions: '5' },
    databases: ['fixture'],
    init: `create role ${proxyRole.user} login password '${proxyRole.password}'; create role root; ${readFileSync(join(import.meta.dirname, 'fixture.sql'), 'utf8')}`,
  })
  return server
}

/** One server for all cases of a process, until `endServer`. */
export const makeDatabase = async (): Promise<FixtureDatabase> => {
  const server = await (running ??= begin())
  const name = `case_${++databases}`
  await server.query(`create database ${name} template fixture`)
  await server.query(`alter database ${name} owner to ${proxyRole.user}`)
  return {
    server,
    name,
    query: (sql, values) => server.query(sql, values, name),
    async [Symbol.asyncDispose]() {
      await server.query(`drop database if exists ${name} with (force)`)
    },
  }
}

export const endServer = async (): Promise<void> => {
  const server = await running
  running = undefined
  await server?.[Symbol.asyncDispose]()
}
