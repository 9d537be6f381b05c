import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { newestPostgres } from './postgres-binaries.ts'
import { loginRoles, startPostgres } from './postgres.ts'
import { until } from './until.ts'

const login = async (config: pg.ClientConfig): Promise<string> => {
  const client = new pg.Client({ database: 'postgres', ...config })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>('select current_user as name')
    return rows[0]?.name ?? ''
  } finally {
    await client.end()
  }
}

test('a server of its own, with what init says, that is gone after use', async () => {
  const server = await startPostgres({ databases: ['crm', 'other'], init: 'create table t(a int); insert into t values (1), (2)' })
  assert.deepEqual(await server.query('select count(*)::int as n from t', undefined, 'crm'), [{ n: 2 }])
  assert.deepEqual(await server.query('select current_database() as d, $1::int as a', [7], 'other'), [{ d: 'other', a: 7 }])
  assert.match(server.log(), /insert into t values/)
  await server[Symbol.asyncDispose]()
  await assert.rejects(login({ host: server.host, port: server.port, user: 'postgres' }), { code: 'ECONNREFUSED' })
})

test('whoever started it may be killed outright: it ends as well, and its folder goes', async () => {
  const script = `import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, 'postgres.ts'))}; const { port, socket } = await startPostgres(); console.log(JSON.stringify({ port, socket }))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { port, socket } = JSON.parse(line.toString()) as { readonly port: number; readonly socket: string }
  assert.equal(await login({ host: '127.0.0.1', port, user: 'postgres' }), 'postgres')
  child.kill('SIGKILL')
  await until('the folder to be gone', () => !existsSync(socket), 10_000)
  await assert.rejects(login({ host: '127.0.0.1', port, user: 'postgres' }), { code: 'ECONNREFUSED' })
})

for (const kind of ['scram', 'md5'] as const) {
  test(`${kind}: the right password opens, another does not`, async () => {
    await using server = await startPostgres({ auth: kind === 'scram' ? 'scram-sha-256' : 'md5' })
    const { host, port } = server
    assert.equal(await login({ host, port, ...loginRoles[kind] }), loginRoles[kind].user)
    await assert.rejects(login({ host, port, ...loginRoles[kind], password: 'wrong' }), { code: '28P01' })
  })
}

test('statements of init that fail leave no server behind', async () => {
  await assert.rejects(startPostgres({ init: 'select 1; select nothing' }), { code: '42703' })
})

test('TLS with a certificate for its names, and nothing without TLS where it is required', async () => {
  await using server = await startPostgres({ tls: 'required', auth: 'scram-sha-256' })
  const { port, tls } = server
  const ca = readFileSync(tls?.ca ?? '', 'utf8')
  assert.equal(await login({ host: 'localhost', port, ...loginRoles.scram, ssl: { ca } }), loginRoles.scram.user)
  await assert.rejects(login({ host: '127.0.0.1', port, ...loginRoles.scram }), { code: '28000' })
})

const newest = newestPostgres()
test('PostgreSQL 18 from npm', { skip: newest === undefined && 'its package does not run on this machine' }, async () => {
  assert.ok(newest)
  await using server = await startPostgres({ binaries: newest })
  assert.equal(server.major, newest.major)
  assert.match(String((await server.query('select version() as v'))[0]?.['v']), /^PostgreSQL 18/)
})
