import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { needsRestart, sameness } from '../../src/config/restart.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { makeTls } from '../support/postgres-tls.ts'
import { makeFolder } from './folder.ts'

const env = { PW: 'hunter2hunter2', RO: 'another secret' }

/** A configuration with one PostgreSQL service; `service` and `listener` are further lines of flow maps. */
const text = (service = '', listener = '', more = ''): string => `issuers:
  corp: { issuer: https://login.example.com, audiences: [countersign] }
listeners: { postgres: { ${listener} } }
services:
  orders-api: { upstream: "http://127.0.0.1:9000" }
  crm-db: { protocol: postgres, upstream: "db.internal:5432", database: crm, credential: { user: app_proxy, password: "\${env:PW}" }${service} }
${more}policies: [./policies]
`

const one = (problems: readonly string[], expected: RegExp): void => {
  assert.equal(problems.length, 1, problems.join('\n'))
  assert.match(problems[0] ?? '', expected)
}

test('the shortest PostgreSQL service: verified TLS, loopback, names, limits', async () => {
  using folder = makeFolder()
  const { postgres, policyFacts, http, credentials } = await folder.config(text(), env)
  assert.ok(postgres)
  const [service] = postgres.services
  assert.deepEqual([postgres.host, postgres.port, postgres.plaintext, postgres.login, postgres.tls], ['127.0.0.1', 6432, 'loopback', 'password', undefined])
  assert.deepEqual(postgres.limits, { connections: 1_000, connectionsPerCaller: 100, tokenBytes: 16_384, sqlBytes: 1_048_576, parameterBytes: 16_777_216 })
  assert.deepEqual([service?.host, service?.port, service?.tls, service?.database, service?.databases, service?.allow, service?.leastIterations, service?.hold], ['db.internal', 5432, 'verify-full', 'crm', ['crm-db', 'crm'], [], 4_096, { inTransactionMs: 60_000 }])
  assert.equal(service?.credential.password?.reveal(), 'hunter2hunter2')
  assert.deepEqual(policyFacts.services.map(({ name, protocol }) => [name, protocol]), [['orders-api', 'http'], ['crm-db', 'postgres']])
  assert.deepEqual([http.services.map(({ name }) => name), credentials], [['orders-api'], []])
})

test('every line of a PostgreSQL service arrives', async () => {
  using folder = makeFolder()
  await makeTls(folder.path)
  folder.write('pw', 'from a file\n')
  const more = ', tls: verify-ca, ca-file: ca.crt, databases: [crm, crm_old], audience: db, roles: { reporting: { user: reporting_ro, password-file: ./pw } }, allow: [cleartext], least-iterations: 1000, search-path: public, connect-timeout: 3s, hold: { in-transaction: 0s }'
  const { postgres } = await folder.config(text(more, 'address: "127.0.0.1:7000", plaintext: never, tls: { cert-file: server.crt, key-file: server.key }, limits: { sql: 4MiB }'), env)
  const [service] = postgres?.services ?? []
  assert.ok(service !== undefined && service.caFile?.endsWith('ca.crt'))
  assert.deepEqual([service.tls, service.databases, service.audience, service.allow, service.leastIterations, service.searchPath, service.connectTimeoutMs, service.hold.inTransactionMs], ['verify-ca', ['crm', 'crm_old'], 'db', ['cleartext'], 1_000, 'public', 3_000, 0])
  assert.deepEqual([...service.roles].map(([name, { user, password }]) => [name, user, password?.reveal()]), [['reporting', 'reporting_ro', 'from a file']])
  assert.deepEqual([postgres?.plaintext, postgres?.limits.sqlBytes, postgres?.tls?.certFile.endsWith('server.crt')], ['never', 4_194_304, true])
})

test('clients that log in by OAUTHBEARER are told where', async () => {
  using folder = makeFolder()
  const { postgres } = await folder.config(text('', 'login: oauthbearer, oauth: { issuer: corp, scope: "openid db" }'), env)
  assert.deepEqual(postgres?.oauth, { discoveryUrl: 'https://login.example.com/.well-known/openid-configuration', scope: 'openid db' })
  one(await folder.problems(text('', 'login: oauthbearer'), env), /oauth: is missing/)
  one(await folder.problems(text('', 'login: oauthbearer, oauth: { issuer: crop }'), env), /no issuer is called "crop"; did you mean "corp"/)
  one(await folder.problems(text('', 'oauth: { issuer: corp }'), env), /belongs to "login: oauthbearer"/)
})

test('what a PostgreSQL service cannot mean does not load', async () => {
  using folder = makeFolder()
  const problem = async (service: string, expected: RegExp, listener = ''): Promise<void> => one(await folder.problems(text(service, listener), env), expected)
  await problem(', databse: x', /unknown key "databse" in services\["?crm-db"?\]; did you mean "database"|unknown key "databse"/)
  await problem(', routes: []', /unknown key "routes".*belongs to "protocol: http"/)
  await problem(', tls: disable', /tls: is disable, and the server is not on this machine/)
  await problem(', allow-plaintext: true', /belongs to "tls: disable"/)
  await problem(', tls: verify', /"verify" is not known here; one of verify-full, verify-ca, require, disable/)
  await problem(', ca-file: nowhere.pem', /ca-file: cannot be read/)
  await problem(', tls: require, allow: [cleartext]', /allow\[0\]: hands out the password/)
  await problem(', roles: { r: { user: r } }', /roles\.r\.password: is missing/)
  await problem(', roles: { r: { user: r, password: plain-text } }', /roles\.r\.password: /)
  await problem(', databases: []', /is empty, so no client could name it/)
  await problem(`, databases: ["${'x'.repeat(64)}"]`, /longer than 63 bytes/)
  await problem('', /plaintext: is never, and there is no "tls"/, 'plaintext: never')
  await problem('', /same port as the listener "http"/, 'address: "127.0.0.1:8080"')
  one(await folder.problems(text().replace('db.internal', '169.254.169.254'), env), /upstream: leads to a link-local/)
  assert.match((await folder.problems(text().replace('protocol: postgres, ', ''), env)).join('\n'), /belongs to "protocol: postgres"/)
  one(await folder.problems(text().replace('protocol: postgres', 'protocol: postgrs'), env), /protocol: "postgrs" is not known here; one of http, postgres; did you mean "postgres"\?/)
  one(await folder.problems(text().replace(/ {2}crm-db.*\n/, ''), env), /listeners\.postgres: has nothing to serve/)
  one(await folder.problems(text().replace(/listeners.*\n/, ''), env), /services\.crm-db: cannot be reached: there is no "listeners\.postgres"/)
})

test('a plaintext server beyond this machine has to be said twice, and no secret stands in any message', async () => {
  using folder = makeFolder()
  const { postgres } = await folder.config(text(', tls: disable, allow-plaintext: true'), env)
  assert.equal(postgres?.services[0]?.tls, 'disable')
  assert.equal((await folder.config(text(', tls: disable').replace('db.internal', '127.0.0.1'), env)).postgres?.services[0]?.tls, 'disable')
  const trusted = await folder.config(text(', allow: [trust], tls: disable').replace('db.internal', 'localhost').replace(', password: "${env:PW}"', ''), env)
  assert.equal(trusted.postgres?.services[0]?.credential.password, undefined)
  for (const problem of await folder.problems(text(', roles: { r: { user: r, password: hunter3 } }'), env)) assert.doesNotMatch(problem, /hunter/)
})

test('a database name leads to one service', async () => {
  using folder = makeFolder()
  const other = (more: string): string => text().replace('policies:', `  other-db: { protocol: postgres, upstream: "db2:5432", database: crm, credential: { user: u, password: "\${env:PW}" }${more} }\npolicies:`)
  one(await folder.problems(other(''), env), /services\.other-db: clients reach the service "crm-db" by the database name "crm" as well/)
  one(await folder.problems(other(', databases: [crm-db]'), env), /services\.other-db\.databases: .*"crm-db"/)
  assert.equal((await folder.config(other(', databases: [other]'), env)).postgres?.services.length, 2)
})

test('what opens more than is probably meant is a warning', async () => {
  using folder = makeFolder()
  const warnings = async (service: string, listener: string): Promise<readonly string[]> => {
    const loaded = await folder.load(text(service, listener), env)
    assert.equal(loaded.problems, undefined)
    return loaded.warnings.map(formatProblem)
  }
  assert.deepEqual(await warnings('', ''), [])
  assert.match((await warnings('', 'plaintext: anywhere')).join(), /tokens travel in the clear/)
  assert.match((await warnings('', 'address: "0.0.0.0:6432"')).join(), /only clients of this machine can log in/)
  assert.match((await warnings(', tls: require', '')).join(), /nothing proves that it is the server/)
  assert.match((await warnings(', tls: disable, allow-plaintext: true', '')).join(), /allow-plaintext: lets every statement/)
  assert.match((await warnings(', roles: { boss: { user: postgres, password: "${env:RO}" } }', '')).join(), /roles\.boss\.user: is the name of the superuser/)
})

test('the address needs a restart; services, roles and their passwords are taken over', async () => {
  using folder = makeFolder()
  const load = async (content: string, vars = env): Promise<Awaited<ReturnType<typeof folder.config>>> => folder.config(content, vars)
  const loaded = await loadConfig(folder.write('countersign.yaml', text()), env)
  assert.ok(loaded.config)
  const { place } = loaded
  const before = await load(text(', roles: { r: { user: r, password: "${env:RO}" } }'))
  const changed = async (after: string): Promise<readonly string[]> => needsRestart(before, await load(after), place).map(({ path }) => path)
  assert.deepEqual(await changed(text('', 'address: "127.0.0.1:7777"')), ['listeners.postgres'])
  assert.deepEqual(await changed(text(', hold: { in-transaction: 5s }', 'plaintext: anywhere')), [])
  const rotated = await load(text(', roles: { r: { user: r, password: "${env:RO}" } }'), { ...env, RO: 'rotated' })
  assert.notEqual(sameness(before), sameness(rotated))
})
