import type { ProxiedPostgres } from '../support/proxied-postgres.ts'

/** One way to the same database. */
export interface Way {
  readonly name: 'direct' | 'through Countersign'
  readonly config: { readonly host: string; readonly port: number; readonly user: string; readonly database: string; readonly password: string }
  readonly url: string
  readonly env: NodeJS.ProcessEnv
}

const way = (name: Way['name'], config: Way['config']): Way => ({
  name,
  config,
  url: `postgres://${config.user}:${encodeURIComponent(config.password)}@${config.host}:${config.port}/${config.database}`,
  env: { PGHOST: config.host, PGPORT: String(config.port), PGUSER: config.user, PGPASSWORD: config.password, PGDATABASE: config.database, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' },
})

/** The server itself, and the replica in front of it. */
export const ways = async (place: ProxiedPostgres, database = 'postgres'): Promise<readonly [Way, Way]> => [
  way('direct', { host: place.server.host, port: place.server.port, user: place.server.user, password: place.server.password, database }),
  way('through Countersign', { host: place.host, port: place.port, user: 'crm-agent', password: await place.token(), database: place.database }),
]
