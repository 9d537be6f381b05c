import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stringify } from 'yaml'
import { until } from '../support/until.ts'
import { ask, vote } from './client.ts'
import { crmPolicy, psql, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica, type Psql } from './database.ts'
import type { Part } from './deployment.ts'

/** What a running process takes over about databases, and what that means for sessions that are open. */
let place: DatabaseDeployment
let replica: DatabaseReplica
let agent: string
let bob: string
const passwordFile = (): string => join(place.world.directory, 'crm.password')
const service = (more: Part = {}): Part => ({ protocol: 'postgres', upstream: `127.0.0.1:${place.server.port}`, tls: 'disable', database: 'crm', databases: ['crm'], credential: { user: 'app', 'password-file': passwordFile() }, ...more })
const orders = (): Part => ({ upstream: place.world.upstream.url, routes: [{ path: '/' }] })
const policies = (): readonly string[] => [place.world.policyFile, join(place.world.directory, 'crm.yaml')]

before(async () => {
  place = await startDatabaseDeployment('embedded')
  writeFileSync(passwordFile(), 'app-secret')
  ;[agent, bob] = await Promise.all([place.world.agent(), place.world.person('bob')])
  await place.server.query('create database archive')
  await place.server.query('create table public.orders (id int); insert into public.orders values (1); grant select on public.orders to app', undefined, 'archive')
  replica = await place.start('a', { services: { orders: orders(), crm: service() } })
})
const opened: Psql[] = []
after(async () => {
  for (const { child } of opened) child.kill()
  await place?.[Symbol.asyncDispose]()
})

const session = (database = 'crm'): Psql => {
  const client = psql(replica.port, agent, ['-d', database])
  opened.push(client)
  return client
}

const reload = async (): Promise<void> => {
  const reply = await ask(replica.admin, '/-/reload', '', { headers: { 'countersign-admin': 'reload' } })
  assert.equal(reply.status, 200, reply.text)
}

const once = async (sql: string, database = 'crm'): Promise<string> => {
  const client = psql(replica.port, agent, ['-d', database, '-c', sql])
  await client.ended
  return `${client.output()}${client.errors()}`.trim()
}

const said = (client: Psql, text: string): Promise<unknown> => until(`the session to say ${text}`, () => client.output().includes(text) || undefined, 10_000)
const heldIn = (client: Psql, nth = 0): Promise<string> => until('the notice', () => [...client.errors().matchAll(/holds\/(hold_[a-z2-7]+)/g)][nth]?.[1], 10_000)

test('a policy that changes: open sessions go by the new one, and what they ask for can still be held and run', async () => {
  const client = session()
  client.type("select 'first ' || count(*) from orders;")
  await said(client, 'first 10')
  client.type('delete from customers where id = 2;')
  await vote(replica, await heldIn(client), bob)
  client.type("select 'then ' || count(*) from customers;")
  await said(client, 'then 9')
  const fresh = { name: 'fresh', then: 'allow', actions: ['sql.select', 'sql.ddl'], tables: ['public.fresh'] }
  const freeze = { name: 'freeze', then: 'deny', actions: ['sql.select'], tables: ['public.log'], because: 'Frozen.', instead: 'Wait.' }
  writeFileSync(join(place.world.directory, 'crm.yaml'), stringify({ ...crmPolicy, rules: [...(crmPolicy['rules'] as readonly Part[]).filter(({ name }) => name !== 'schema'), fresh, freeze] }))
  await reload()
  client.type('select * from log;')
  await until('the denial', () => client.errors().includes('Frozen.') || undefined, 10_000)
  client.type('delete from customers where id = 1;')
  const id = await heldIn(client, 1)
  const { action } = (await ask(replica.console, `/api/holds/${id}`, bob, { method: 'GET' })).json as unknown as { readonly action: { readonly impact: object } }
  assert.deepEqual(action.impact, { estimatedRows: 1, exactRows: 1, unfiltered: false, notes: [] })
  assert.equal((await vote(replica, id, bob)).status, 200)
  client.type("select 'left ' || count(*) from customers;")
  await said(client, 'left 8')
  // What it defines makes us learn anew what names mean.
  client.type('create table fresh (id int);')
  client.type("select 'fresh ' || count(*) from fresh;")
  await said(client, 'fresh 0')
  client.child.stdin?.end()
  assert.equal(await client.ended, 0)
})

test('another password: new sessions log in with it, open ones go on', async () => {
  const open = session()
  open.type("select 'here';")
  await said(open, 'here')
  await place.server.query("alter role app password 'rotated-secret'")
  assert.match(await once('select 1'), /FATAL/)
  writeFileSync(passwordFile(), 'rotated-secret')
  await reload()
  assert.equal(await once('select 1'), '1')
  open.type("select 'still ' || count(*) from orders;")
  await said(open, 'still 10')
  // An estimate would need a connection of ours, which the old password does not give any more: it is held without.
  open.type('update orders set total = 0 where id < 4;')
  const id = await heldIn(open)
  assert.equal((await vote(replica, id, bob)).status, 200)
  open.type("select 'free ' || count(*) from orders where total = 0;")
  await said(open, 'free 3')
  open.child.stdin?.end()
  assert.equal(await open.ended, 0)
})

test('a service that is added is there, one that leads elsewhere does so for new sessions, and one that is gone is gone', async () => {
  const name = 'select current_database()'
  assert.match(await once('select 1', 'archive'), /FATAL: {2}There is no such database here/)
  writeFileSync(join(place.world.directory, 'crm.yaml'), stringify({ ...crmPolicy, services: ['crm', 'old*'] }))
  await place.configure('a', { services: { orders: orders(), crm: service(), 'old-orders': service({ database: 'archive', databases: ['archive'] }) }, policies: policies() })
  await reload()
  assert.equal(await once('select count(*) from orders', 'archive'), '1')

  const open = session()
  open.type(`${name};`)
  await said(open, 'crm')
  const left = session('archive')
  left.type(`${name};`)
  await said(left, 'archive')
  await place.configure('a', { services: { orders: orders(), crm: service({ database: 'archive' }) }, policies: policies() })
  await reload()
  assert.equal(await once(name), 'archive')
  assert.match(await once('select 1', 'archive'), /FATAL: {2}There is no such database here/)
  left.type('select count(*) from orders;')
  await until('the denial', () => left.errors().includes('No policy allows this') || undefined, 10_000)
  left.child.stdin?.end()
  await left.ended
  open.type(`select 'still in ' || current_database();`)
  await said(open, 'still in crm')
  open.child.stdin?.end()
  assert.equal(await open.ended, 0)
})
