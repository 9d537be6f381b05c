import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { PolicySet } from '../../../src/policy/policy-set.ts'
import { Judge } from '../../../src/protocols/postgres/judge.ts'
import type { Names } from '../../../src/protocols/postgres/sql/names.ts'
import { makeReader } from '../../../src/protocols/postgres/sql/reader.ts'

const tables: Readonly<Record<string, readonly string[]>> = { customers: ['id', 'email', 'city'], orders: ['id', 'status'], v: ['id', 'place'] }
const names: Names = {
  relation: ({ schema = 'public', name }) => (name === 'v' ? { schema, name, kind: 'view', reads: [{ schema, name: 'customers' }], runs: 'pure' } : { schema, name, kind: 'table', reads: [{ schema, name }] }),
  function: () => 'pure', attribute: () => undefined, type: () => 'pure', operator: () => 'pure', prepared: () => undefined, cursor: () => undefined,
}
const tagsOf: PolicySet['tagsOf'] = (_service, kind, name) => (kind === 'column' && (name === 'public.customers.email' || name === 'public.customers.*') ? ['pii'] : [])
const reader = await makeReader()
after(() => reader[Symbol.dispose]())

const asked = (sql: string) => {
  const judge = new Judge({ place: { service: 'crm', upstream: 'u', database: 'd', role: 'r' }, policies: () => ({ tagsOf }) as unknown as PolicySet, names, columns: (_schema, name) => tables[name] })
  const { resources, tags } = judge.understand('simple', sql, reader.read(sql).statements, [])
  return { columns: resources.filter(({ kind }) => kind === 'column').map(({ name }) => name.replace('public.', '')).toSorted(), tags: tags.join() }
}

test('columns are those that are named', () => {
  assert.deepEqual(asked('SELECT id, city FROM customers'), { columns: ['customers.city', 'customers.id'], tags: '' })
  assert.deepEqual(asked('SELECT c.id, o.status FROM customers c, orders o').columns, ['customers.id', 'orders.id', 'orders.status'])
  assert.deepEqual(asked('SELECT 1 FROM customers').columns, [])
  assert.deepEqual(asked('SELECT * FROM customers'), { columns: ['customers.city', 'customers.email', 'customers.id'], tags: 'pii' })
  assert.deepEqual(asked('SELECT * FROM elsewhere').columns, ['elsewhere.*'])
})

test('what a name may hide counts: whole rows, renamed columns, views', () => {
  for (const sql of ['SELECT c FROM customers c', 'SELECT to_json(c) FROM customers AS c', 'SELECT id FROM customers AS x(id, city)', 'SELECT city FROM customers AS x(id, city, email)', 'SELECT place FROM v', 'SELECT id FROM v', 'TABLE customers', 'SELECT x.k FROM (SELECT c AS k FROM customers c) x',
    'SELECT status FROM customers status WHERE EXISTS (SELECT FROM orders)', 'SELECT status::text FROM (customers JOIN (SELECT 1 AS k) z ON true) AS status WHERE EXISTS (SELECT FROM orders)', 'UPDATE customers AS status SET id = 1 WHERE EXISTS (SELECT FROM orders) RETURNING status'])
    assert.equal(asked(sql).tags, 'pii', sql)
})

test('a row that is written or taken away has all its columns', () => {
  for (const sql of ['DELETE FROM customers', 'DELETE FROM customers WHERE id = 1', "UPDATE customers SET city = 'x'", 'TRUNCATE customers', 'DROP TABLE customers', "INSERT INTO customers VALUES (1, 'a', 'b')"]) assert.equal(asked(sql).tags, 'pii', sql)
  for (const sql of ['DELETE FROM orders', 'SELECT id FROM customers']) assert.equal(asked(sql).tags, '', sql)
})

test('an INSERT that lists no columns writes all of them', () => {
  for (const sql of ["INSERT INTO customers VALUES (1, 'a', 'b')", 'INSERT INTO customers SELECT id, status FROM orders', 'INSERT INTO customers DEFAULT VALUES', 'MERGE INTO customers c USING orders o ON c.id = o.id WHEN NOT MATCHED THEN INSERT VALUES (1)'])
    assert.ok(asked(sql).columns.includes('customers.email'), sql)
  assert.deepEqual(asked('INSERT INTO customers (id) VALUES (1)').columns, ['customers.id'])
  assert.deepEqual(asked('INSERT INTO orders SELECT id, city FROM customers').columns, ['customers.city', 'customers.id', 'orders.id', 'orders.status'])
})

test('behind the end of a transaction that moved names nobody knows what they stand for', () => {
  const verbs = (sql: string, moved: boolean): string => {
    const judge = new Judge({ place: { service: 'crm', upstream: 'u', database: 'd', role: 'r' }, policies: () => ({ tagsOf }) as unknown as PolicySet, names, columns: (_schema, name) => tables[name] })
    return judge.understand('simple', sql, reader.read(sql).statements, [], moved).verbs.join(' ')
  }
  for (const end of ['ROLLBACK', 'COMMIT', 'ROLLBACK TO a', 'COMMIT AND CHAIN']) {
    assert.equal(verbs(`${end}; SELECT id FROM orders`, true), 'sql.unknown sql.transaction sql.select')
    assert.equal(verbs(`${end}; SELECT id FROM orders`, false), 'sql.transaction sql.select')
    assert.equal(verbs(`SELECT id FROM orders; ${end}; SELECT 1`, true), 'sql.transaction sql.select')
  }
})

test('a text is understood anew where anything that its digest is over is another, and when names may have moved', () => {
  let policies = { tagsOf } as unknown as PolicySet
  const judge = new Judge({ place: { service: 'crm', upstream: 'u', database: 'd', role: 'r' }, policies: () => policies, names, columns: (_schema, name) => tables[name] })
  const { statements } = reader.read('SELECT id FROM orders')
  const understand = (protocol: 'simple' | 'extended' = 'extended', sql = 'SELECT id FROM orders', types: readonly number[] = []) => judge.understand(protocol, sql, statements, types)
  const first = understand()
  assert.equal(understand(), first)
  const others = [understand('simple'), understand('extended', 'SELECT id FROM orders '), understand('extended', 'SELECT id FROM orders', [23]), understand('extended', 'SELECT id FROM orders', [25])]
  assert.equal(new Set([first, ...others].map(({ fixed }) => fixed)).size, 5)
  const again = understand()
  assert.notEqual(again, first)
  assert.equal(again.fixed, first.fixed)
  judge.forget()
  assert.notEqual(understand(), again)
  const last = understand()
  policies = { tagsOf: () => ['secret'] } as unknown as PolicySet
  assert.notEqual(understand(), last)
  assert.deepEqual(understand().tags, ['secret'])
})
