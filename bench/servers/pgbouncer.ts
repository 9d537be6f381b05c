import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serverUser } from '../../test/support/postgres-binaries.ts'

/** Session pooling, nobody is asked for anything: the least that a proxy for PostgreSQL can do. */
export const pgbouncerCommand = (directory: string, port: number, server: { readonly port: number; readonly user: string; readonly password: string; readonly database: string }): readonly string[] => {
  const place = join(directory, 'pgbouncer')
  mkdirSync(place, { recursive: true })
  const file = join(place, 'pgbouncer.ini')
  writeFileSync(
    file,
    `[databases]
${server.database} = host=127.0.0.1 port=${server.port} dbname=${server.database} user=${server.user} password=${server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 200
default_pool_size = 100
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
`,
  )
  return ['pgbouncer', ...(serverUser() === undefined ? [] : ['-u', 'postgres']), '-q', file]
}
