import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePort } from '../../test/support/ports.ts'
import type { Issuer } from './replica.ts'

export interface PgReplicaSetup {
  readonly name: string
  readonly port: number
  readonly server: { readonly port: number; readonly user: string; readonly password: string; readonly database: string }
  readonly issuer: Issuer
  readonly workers: number
}

/** `countersign serve`, as the image and the command start it, in front of the same database twice: as it is, and with one masked column under the name `masked`. */
export const pgReplicaCommand = async (directory: string, setup: PgReplicaSetup): Promise<readonly string[]> => {
  const place = join(directory, setup.name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'policy.yaml'), policy('bench', ''))
  writeFileSync(join(place, 'masked.yaml'), policy('masked', ', mask: { public.wide.email: redact }'))
  const [http, console, admin] = await Promise.all([freePort(), freePort(), freePort()])
  writeFileSync(join(place, 'countersign.yaml'), config(place, setup, { http, console, admin }))
  return [process.execPath, '--min-semi-space-size=16', '--max-semi-space-size=16', resolve('src/cli/main.ts'), 'serve', '--config', join(place, 'countersign.yaml')]
}

const service = (name: string, { server }: PgReplicaSetup): string => `
  ${name}:
    protocol: postgres
    upstream: 127.0.0.1:${server.port}
    tls: disable
    database: ${server.database}
    databases: [${name}]
    allow: [trust]
    credential: { user: ${server.user}, password: "\${env:BENCH_PG_PASSWORD}" }`

const config = (place: string, setup: PgReplicaSetup, ports: { readonly http: number; readonly console: number; readonly admin: number }): string => `
deployment: bench
replica: ${setup.name}
workers: ${setup.workers}
data: ${place}/data
listeners:
  http: { address: "127.0.0.1:${ports.http}" }
  postgres: { address: "127.0.0.1:${setup.port}" }
  console: { address: "127.0.0.1:${ports.console}" }
  admin: { address: "127.0.0.1:${ports.admin}" }
issuers:
  corp: { issuer: https://idp.example.org, audiences: [countersign], keys: { jwks-file: ${setup.issuer.jwksFile} }, kind: human }
services:${service('bench', setup)}${service('masked', setup)}
policies: [${place}/policy.yaml, ${place}/masked.yaml]
`

/** 46 rules about other tables in the ways that rules are written, and those that the load meets. */
const policy = (name: string, mask: string): string => `
policy: ${name}
services: [${name}]
rules:
${Array.from({ length: 46 }, (_, index) => rule(index)).join('\n')}
  - { name: reads, then: allow, callers: { groups: [agents] }, actions: [sql.select], tables: ["public.*"]${mask} }
  - { name: nothing-read, then: allow, callers: { groups: [agents] }, actions: [sql.select], if: "sql.tables.size() == 0" }
  - { name: writes, then: allow, callers: { groups: [agents] }, actions: [sql.update, sql.insert], tables: ["public.pgbench_*"] }
  - { name: forbidden, then: deny, actions: [sql.ddl], because: "Not here.", instead: "Nothing." }
`

const rule = (index: number): string => {
  const table = `area_${index}.*`
  switch (index % 4) {
    case 0:
      return `  - { name: rule-${index}, then: allow, callers: { groups: [team-${index}] }, actions: [sql.select], tables: ["${table}"] }`
    case 1:
      return `  - { name: rule-${index}, then: hold, actions: [sql.update, sql.insert], tables: ["${table}"], approval: { from: { groups: [approvers] } }, because: "Reviewed." }`
    case 2:
      return `  - { name: rule-${index}, then: deny, actions: [sql.delete], tables: ["${table}"], because: "Never.", instead: "Ask." }`
    default:
      return `  - { name: rule-${index}, then: allow, callers: { kind: agent }, actions: [sql.select], tables: ["${table}"], if: "sql.statements < 5" }`
  }
}
