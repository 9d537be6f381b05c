import type { IssuerOptions } from '../identity/options.ts'
import { defined } from '../lib/defined.ts'
import { isForbiddenHost, isLoopbackHost } from '../lib/outbound-address.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { PostgresListenerOptions, PostgresRole, PostgresServiceOptions } from '../protocols/postgres/options.ts'
import type { Checks } from './checks.ts'
import { splitAddress } from './fields.ts'
import { bytes, ms } from './issuers.ts'
import { makeTls } from './listeners.ts'
import { outboundProblem } from './outbound.ts'
import type { PostgresListenerSource, PostgresServiceSource } from './postgres-schema.ts'
import type { ConfigSource } from './schema.ts'

type Entry = readonly [name: string, source: PostgresServiceSource]

/** The listener with everything that it serves; `undefined` where PostgreSQL plays no part. */
export const makePostgres = ({ listeners, services, limits }: ConfigSource, issuers: readonly IssuerOptions[], consoleUrl: string, checks: Checks): PostgresListenerOptions | undefined => {
  const entries = Object.entries(services).flatMap(([name, source]): readonly Entry[] => (source.protocol === 'postgres' ? [[name, source]] : []))
  const { postgres: source } = listeners
  const made = entries.map(([name, service]) => makeService(name, service, checks))
  checkDatabases(entries, checks)
  if (source === undefined) {
    for (const [name] of entries) checks.report(['services', name], 'cannot be reached: there is no "listeners.postgres"', { on: 'key' })
    return undefined
  }
  const path: Path = ['listeners', 'postgres']
  if (entries.length === 0) checks.report(path, 'has nothing to serve: no service says "protocol: postgres"', { on: 'key' })
  checkPlaintext(source, checks)
  return {
    ...splitAddress(source.address),
    plaintext: source.plaintext,
    login: source.login,
    limits: { connections: source.limits.connections, connectionsPerCaller: source.limits['connections-per-caller'], tokenBytes: bytes(limits.token), sqlBytes: bytes(source.limits.sql), parameterBytes: bytes(source.limits.parameters) },
    timeouts: { startupMs: ms(source.timeouts.startup), sessionRecheckMs: ms(source.timeouts['session-recheck']) },
    services: made,
    consoleUrl,
    ...defined({ tls: makeTls(source.tls, path, checks), oauth: makeOauth(source, issuers, checks) }),
  }
}

const checkPlaintext = ({ address, plaintext, tls }: PostgresListenerSource, { report, warn }: Checks): void => {
  const path: Path = ['listeners', 'postgres', 'plaintext']
  const { host } = splitAddress(address)
  if (plaintext === 'never' && tls === undefined) report(path, 'is never, and there is no "tls": nobody could log in')
  if (plaintext === 'loopback' && tls === undefined && !isLoopbackHost(host)) warn(['listeners', 'postgres', 'address'], 'is reachable from elsewhere, and without "tls" only clients of this machine can log in')
  if (plaintext === 'anywhere') warn(path, 'lets tokens travel in the clear: whoever is on the way can use them')
}

const makeOauth = ({ login, oauth }: PostgresListenerSource, issuers: readonly IssuerOptions[], checks: Checks): PostgresListenerOptions['oauth'] => {
  const path: Path = ['listeners', 'postgres', 'oauth']
  if (login === 'password') {
    if (oauth !== undefined) checks.report(path, 'belongs to "login: oauthbearer"', { on: 'key' })
    return undefined
  }
  if (oauth === undefined) {
    checks.report(path, 'is missing: clients have to be told where they get a token')
    return undefined
  }
  if (!checks.known([...path, 'issuer'], oauth.issuer, issuers.map(({ name }) => name), 'issuer')) return undefined
  const issuer = issuers.find(({ name }) => name === oauth.issuer)
  const given = oauth['discovery-url']
  const problem = given === undefined ? undefined : outboundProblem(given, {})
  if (problem !== undefined) checks.report([...path, 'discovery-url'], problem)
  const known = issuer?.keys.from === 'discovery' ? issuer.keys.url : `${(issuer?.issuers[0] ?? '').replace(/\/$/, '')}/.well-known/openid-configuration`
  return { discoveryUrl: given ?? known, scope: oauth.scope }
}

/** A name leads to one service. */
const checkDatabases = (entries: readonly Entry[], { report }: Checks): void => {
  const seen = new Map<string, string>()
  for (const [service, source] of entries) {
    for (const name of databasesOf(service, source)) {
      const other = seen.get(name)
      if (other !== undefined) report(['services', service, ...(source.databases === undefined ? [] : ['databases'])], `clients reach the service "${other}" by the database name "${name}" as well; ${source.databases === undefined ? 'say under "databases" which names are for whom' : 'each name is for one of them'}`, { on: 'key' })
      seen.set(name, service)
    }
  }
}

const databasesOf = (service: string, { database, databases }: PostgresServiceSource): readonly string[] => [...new Set(databases ?? [service, database])]

const makeService = (name: string, source: PostgresServiceSource, checks: Checks): PostgresServiceOptions => {
  const path: Path = ['services', name]
  const { host, port } = splitAddress(source.upstream)
  const ca = checks.file([...path, 'ca-file'], source['ca-file'])
  const allow = new Set(source.allow)
  checkServer(host, source, path, checks)
  const roleAt = (at: Path, role: PostgresServiceSource['credential']): PostgresRole => makeRole([...path, ...at], role, !allow.has('trust'), checks)
  return {
    name,
    host,
    port,
    tls: source.tls,
    database: source.database,
    databases: databasesOf(name, source),
    allow: [...allow],
    leastIterations: source['least-iterations'],
    connectTimeoutMs: ms(source['connect-timeout']),
    credential: roleAt(['credential'], source.credential),
    roles: new Map(Object.entries(source.roles).map(([user, role]) => [user, roleAt(['roles', user], role)])),
    hold: { inTransactionMs: ms(source.hold['in-transaction']) },
    ...defined({ caFile: ca?.path, audience: source.audience, searchPath: source['search-path'] }),
  }
}

/** Longest identifier that a server keeps whole; it cuts longer ones, so that two of ours could become one of its. */
const longestName = 63

const checkServer = (host: string, source: PostgresServiceSource, path: Path, { report, warn }: Checks): void => {
  const verified = source.tls === 'verify-full' || source.tls === 'verify-ca'
  if (isForbiddenHost(host)) report([...path, 'upstream'], 'leads to a link-local, metadata or unspecified address')
  if (source.tls === 'disable' && !isLoopbackHost(host)) {
    if (!source['allow-plaintext']) report([...path, 'tls'], 'is disable, and the server is not on this machine: use verify-full, or say "allow-plaintext: true" if nobody else can be on the way')
    else warn([...path, 'allow-plaintext'], 'lets every statement, every row and what is sent to log in travel in the clear: whoever is on the way reads and changes them')
  } else if (source['allow-plaintext']) report([...path, 'allow-plaintext'], 'belongs to "tls: disable" and a server that is not on this machine', { on: 'key' })
  if (source.tls === 'require' && !isLoopbackHost(host)) warn([...path, 'tls'], 'talks to whoever answers: nothing proves that it is the server')
  if (!verified && source['ca-file'] !== undefined) report([...path, 'ca-file'], `is not looked at with "tls: ${source.tls}"`, { on: 'key' })
  for (const [index, way] of source.allow.entries()) if (way === 'cleartext' && !verified) report([...path, 'allow', index], 'hands out the password, so it needs "tls: verify-full" or "verify-ca"')
  const names: readonly (readonly [Path, string])[] = [[['database'], source.database], ...(source.databases ?? []).map((name, index): readonly [Path, string] => [['databases', index], name]), [['credential', 'user'], source.credential.user], ...Object.entries(source.roles).map(([user, role]): readonly [Path, string] => [['roles', user, 'user'], role.user])]
  for (const [at, name] of names) if (Buffer.byteLength(name) > longestName) report([...path, ...at], `is longer than ${longestName} bytes, and the server would cut it`)
}

const makeRole = (path: Path, { user, ...source }: PostgresServiceSource['credential'], wanted: boolean, checks: Checks): PostgresRole => {
  if (user === 'postgres') checks.warn([...path, 'user'], 'is the name of the superuser: the role is the second fence, so give it the rights on the data and no more')
  const password = checks.secret([...path, 'password'], source.password, source['password-file'], wanted)
  return { user, ...defined({ password }) }
}
