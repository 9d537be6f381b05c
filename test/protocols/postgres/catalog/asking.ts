import pg from 'pg'
import type { Ask } from '../../../../src/protocols/postgres/catalog/ask.ts'
import type { FunctionNature } from '../../../../src/protocols/postgres/sql/names.ts'
import { findPostgres, newestPostgres, type PostgresBinaries } from '../../../support/postgres-binaries.ts'
import type { TestPostgres } from '../../../support/postgres.ts'

/** A connection with the values as the server writes them. */
export interface Connection extends AsyncDisposable {
  readonly ask: Ask
  readonly client: pg.Client
}

export const connect = async (server: TestPostgres, database = 'postgres'): Promise<Connection> => {
  const client = new pg.Client({ host: server.socket, port: server.port, user: 'postgres', password: 'postgres', database })
  await client.connect()
  const types = { getTypeParser: () => (value: string) => value }
  return {
    client,
    ask: async (text) => (await client.query<(string | null)[]>({ text, rowMode: 'array', types: types as unknown as pg.CustomTypesConfig })).rows,
    async [Symbol.asyncDispose]() {
      await client.end()
    },
  }
}

/** Enough of the server's own functions for these tests. */
export const builtin = (name: string): FunctionNature | undefined =>
  ({ lower: 'pure', upper: 'pure', count: 'pure', now: 'pure', pg_sleep: 'server', query_to_xml: 'text', textlike: 'pure', int4eq: 'pure', int4gt: 'pure', texteq: 'pure', textcat: 'pure', max: 'pure', set_config: 'session' } as Readonly<Record<string, FunctionNature>>)[name]

/** The oldest and the newest server that this machine has: what a catalog looks like changes between them. */
export const servers = (): readonly PostgresBinaries[] => [findPostgres(), newestPostgres()].filter((binaries) => binaries !== undefined)
