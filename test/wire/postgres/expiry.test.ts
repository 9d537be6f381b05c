import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { startProxiedPostgres, type ProxiedPostgres } from '../../support/proxied-postgres.ts'
import { until } from '../../support/until.ts'

/** A client whose connection ends; what it was told with it. */
interface Ending {
  readonly client: pg.Client
  readonly told: () => string | undefined
}

const connect = async (world: ProxiedPostgres, goodForSeconds: number): Promise<Ending> => {
  let told: string | undefined
  const password = await world.token('crm-agent', { exp: Math.floor(Date.now() / 1_000) + goodForSeconds })
  const client = new pg.Client({ host: world.host, port: world.port, user: 'a', database: world.database, password })
  client.on('error', (error: Error & { code?: string }) => (told ??= error.code ?? error.message))
  await client.connect()
  return { client, told: () => told }
}

test('when its token comes to its end an idle connection is told and closed, an open transaction with it', async () => {
  await using world = await startProxiedPostgres({ postgres: { init: 'create table public.t(a int)' } })
  const [idle, open] = await Promise.all([connect(world, 2), connect(world, 2)])
  await open.client.query('begin')
  await open.client.query('insert into t values (1)')
  for (const { told } of [idle, open]) assert.equal(await until('the connection to be closed', told, 10_000), '28P01')
  await until('the transaction to be undone', async () => (await world.server.query("select 1 from pg_stat_activity where state = 'idle in transaction'")).length === 0)
  assert.deepEqual(await world.server.query('select a from t'), [])
})
