import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { stringify } from 'yaml'
import { until } from '../support/until.ts'
import { crmPolicy, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica } from './database.ts'

/** What was prepared keeps the names of then: a server looks them up once, and not again when a new object takes the name of one. */
const rules = [
  { name: 'scratch', then: 'allow', actions: ['sql.ddl'], tables: ['pg_temp.**'] },
  { name: 'own', then: 'allow', actions: ['sql.select', 'sql.update', 'sql.insert', 'sql.delete'], tables: ['pg_temp.**'] },
  { name: 'functions', then: 'allow', actions: ['sql.ddl', 'sql.select', 'sql.call'], functions: ['app.pay'] },
  { name: 'define', then: 'allow', actions: ['sql.ddl'], if: 'size(sql.tables) == 0' },
  { name: 'read', then: 'allow', actions: ['sql.select'], tables: ['public.customers'] },
  { name: 'paths', then: 'allow', actions: ['sql.set', 'sql.session', 'sql.transaction'] },
  { name: 'names', then: 'allow', actions: ['sql.select'], if: 'size(sql.tables) == 0 && size(sql.functions) == 0' },
]

describe('a prepared statement whose names lead elsewhere by now', () => {
  let place: DatabaseDeployment
  let replica: DatabaseReplica
  let token: string

  before(async () => {
    place = await startDatabaseDeployment('embedded')
    await place.server.query(`create schema app authorization app; create schema other authorization app; create table other.customers (name text); insert into other.customers values ('hidden'); grant select on other.customers to app; create function public.pay(int) returns text language plpgsql volatile security definer as $$begin insert into public.log values ('paid'); return 'real'; end$$`, undefined, 'crm')
    writeFileSync(join(place.world.directory, 'crm.yaml'), stringify({ ...crmPolicy, rules }))
    replica = await place.start('a')
    token = await place.world.agent()
  })
  after(() => place[Symbol.asyncDispose]())

  const connect = async () => {
    const client = new pg.Client({ host: '127.0.0.1', port: replica.port, database: 'crm', user: 'invoice-agent', password: token, query_timeout: 20_000 })
    await client.connect()
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
  }
  /** A Parse message alone. */
  const parse = (client: pg.Client, name: string, text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const query = { submit: (connection: { parse(what: object): void; sync(): void }) => (connection.parse({ name, text, types: [] }), connection.sync()), handleParseComplete: () => {}, handleReadyForQuery: () => resolve(), handleError: reject }
      client.query(query as unknown as string).catch?.(reject)
    })
  const stale = { code: '42501' }
  const own = async (sql: string) => (await place.server.query(sql, undefined, 'crm'))[0]

  for (const [what, text, table, call] of [
    ['a change', 'UPDATE orders SET total = 888 WHERE id = 3', 'orders (id int, total int)', 'EXECUTE one'],
    ['a change by a value', 'DELETE FROM customers WHERE id = $1', 'customers (id int, name text, email text)', 'EXECUTE one(1)'],
    ['a look', 'SELECT value FROM secrets', 'secrets (id int, value text)', 'EXECUTE one'],
    ['a look by a value', 'SELECT value FROM secrets WHERE id = $1', 'secrets (id int, value text)', 'EXECUTE one(1)'],
  ] as const)
    test(`${what}, prepared by a message and run by SQL`, async () => {
      await using client = await connect()
      await client.query('CREATE TEMP TABLE scratch (a int)') // from here on the path leads to temporary tables first
      const prepared = await parse(client, 'one', text).then(() => true, () => false) // what is refused whatever its values does not get there
      await client.query(`CREATE TEMP TABLE ${table}`)
      await assert.rejects(client.query(call), prepared ? stale : { code: /^(?:42501|26000)$/ })
      assert.deepEqual([await own('select total from public.orders where id = 3'), await own('select count(*)::int as n from public.customers')], [{ total: 30 }, { n: 10 }])
    })

  test('prepared by SQL, run by SQL and by a message', async () => {
    await using client = await connect()
    await client.query('CREATE TEMP TABLE scratch (a int)')
    await client.query('PREPARE one AS SELECT name FROM customers WHERE id = 1')
    assert.deepEqual((await client.query('EXECUTE one')).rows, [{ name: 'customer 1' }])
    await client.query('CREATE TEMP TABLE customers (id int, name text, email text)')
    await assert.rejects(client.query('EXECUTE one'), stale)
    const known = client as unknown as { readonly connection: { readonly parsedStatements: Record<string, string> } }
    known.connection.parsedStatements['one'] = 'by name'
    await assert.rejects(client.query({ name: 'one', text: 'by name' }), { ...stale, message: /lead elsewhere than when it was prepared/, hint: /Prepare it again/ })
    await client.query('DEALLOCATE one')
    await client.query('PREPARE one AS SELECT name FROM customers WHERE id = 1')
    assert.deepEqual((await client.query('EXECUTE one')).rows, [], 'prepared again it means the new table')
  })

  for (const [what, before, text] of [
    ['a path that moves', ['SET search_path = app, public', 'PREPARE one AS SELECT name FROM customers'], 'SET search_path = other; EXECUTE one'],
    ['a table that goes', ['CREATE TEMP TABLE secrets (id int, value text)', 'PREPARE one AS SELECT value FROM secrets'], 'DROP TABLE pg_temp.secrets; EXECUTE one'],
    ['a transaction that ends', ['CREATE TEMP TABLE scratch (a int)', 'BEGIN', 'CREATE TEMP TABLE secrets (id int, value text)', 'PREPARE one AS SELECT value FROM secrets'], 'ROLLBACK; EXECUTE one'],
    ['a savepoint that is left', ['CREATE TEMP TABLE scratch (a int)', 'BEGIN', 'SAVEPOINT s', 'CREATE TEMP TABLE secrets (id int, value text)', 'PREPARE one AS SELECT value FROM secrets'], 'ROLLBACK TO s; EXECUTE one'],
  ] as const)
    test(`behind ${what} in one text`, async () => {
      await using client = await connect()
      for (const one of before) await client.query(one)
      await assert.rejects(client.query(text), stale)
    })

  test('casts that run functions are not made: nobody would see them', async () => {
    await using client = await connect()
    await client.query('CREATE TEMP TABLE x (a int)')
    for (const sql of ['CREATE CAST (pg_temp.x AS text) WITH FUNCTION app.pay(int) AS IMPLICIT', 'CREATE CAST (int AS pg_temp.x) WITH INOUT']) await assert.rejects(client.query(sql), { ...stale, message: /runs functions in statements that do not name them/ })
  })

  test('a cursor', async () => {
    await using client = await connect()
    await client.query('CREATE TEMP TABLE scratch (a int)')
    await client.query('BEGIN')
    await client.query('DECLARE c CURSOR FOR SELECT upper(email) AS email FROM customers ORDER BY id')
    assert.deepEqual((await client.query('FETCH c')).rows, [{ email: 'C1@EXAMPLE.ORG' }])
    await client.query('CREATE TEMP TABLE customers (id int, name text, email text)')
    await assert.rejects(client.query('FETCH c'), stale)
    await client.query('ROLLBACK')
  })

  test('a function', async () => {
    await using client = await connect()
    await parse(client, 'one', 'SELECT pay($1)')
    await client.query(`CREATE FUNCTION app.pay(int) RETURNS text LANGUAGE sql AS $$select 'harmless'$$`)
    const known = client as unknown as { readonly connection: { readonly parsedStatements: Record<string, string> } }
    known.connection.parsedStatements['one'] = 'SELECT pay($1)'
    const recorded = (): number => place.world.records('a').filter(({ type, cause }) => type === 'refused' && /lead elsewhere/.test(String(cause))).length
    const before = recorded()
    await assert.rejects(client.query({ name: 'one', text: 'SELECT pay($1)', values: [1] }), stale)
    assert.equal(await own('select text from public.log'), undefined, 'nobody was paid')
    await until('the record of it', () => recorded() > before)
  })
})
