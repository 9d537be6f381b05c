import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stringify } from 'yaml'
import { until } from '../support/until.ts'
import { crmPolicy, psql, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica, type Psql } from './database.ts'
import type { Part } from './deployment.ts'
import { openTerminal, type Run, type Terminal } from './terminal.ts'

/** What somebody who decides sees of a statement on the command line, and what the client gets to know. */
let place: DatabaseDeployment
let replica: DatabaseReplica
let terminal: Terminal
let agent: string

before(async () => {
  place = await startDatabaseDeployment('embedded')
  const copies = { name: 'copies', then: 'hold', actions: ['sql.copy.in'], tables: ['public.orders'], approval: { from: { groups: ['oncall'] } }, because: 'Loads are looked at.' }
  writeFileSync(join(place.world.directory, 'crm.yaml'), stringify({ ...crmPolicy, rules: [...(crmPolicy['rules'] as readonly Part[]), copies] }))
  replica = await place.start('a')
  terminal = await openTerminal(replica.console)
  agent = await place.world.agent()
  for (const [name, groups] of [['bob', ['oncall']], ['carol', ['support']]] as const) writeFileSync(join(place.world.directory, `${name}.token`), await place.world.person(name, groups))
})
after(async () => {
  await terminal?.[Symbol.asyncDispose]()
  await place?.[Symbol.asyncDispose]()
})

const countersign = (who: string, ...args: readonly string[]): Promise<Run> => terminal.run(...args, '--token-file', join(place.world.directory, `${who}.token`))

const held = async (client: Psql): Promise<{ readonly id: string; readonly code: string }> => {
  const [, code = '', id = ''] = await until('the notice', () => /held for approval (CS-\w+): \S*\/(hold_[a-z2-7]+)/.exec(client.errors()) ?? undefined, 10_000)
  return { id, code }
}

test('seen with all it would do, approved by its digest, and run', async () => {
  const client = psql(replica.port, agent, ['-c', 'with gone as (delete from customers where id <= 2 returning id) select count(*) from gone'])
  const { id, code } = await held(client)
  assert.match(client.errors(), /HINT: {2}Changes of customers are looked at\. The statement runs as soon as it is approved\./)
  const listed = await countersign('bob', 'holds', 'ls')
  assert.match(listed.out, new RegExp(`ROWS +ACTION\\n${code} .*  ~\\d+  +sql\\.delete: with gone`), listed.err)
  const { out } = await countersign('bob', 'holds', 'show', code)
  for (const line of [`Hold          ${code}  ${id}  pending`, 'Action        sql.delete, sql.select on crm', 'Database      crm, as app', 'Writes        public.customers, naming id', 'Calls         count', 'Which         those that its WHERE lets through', 'Asked by      agent', 'owned by alice', 'Client        waits on its connection', 'crm/change: Changes of customers are looked at.', '  | with gone as (delete']) assert.ok(out.includes(line), `${line} in\n${out}`)
  assert.match(out, /^Rows +about \d+, says the planner$/m)
  const { action } = JSON.parse((await countersign('bob', 'holds', 'show', id, '-o', 'json')).out) as { readonly action: { readonly digest: string; readonly place: object } }
  assert.deepEqual(action.place, { database: 'crm', role: 'app' })
  assert.equal((await countersign('carol', 'holds', 'show', id)).code, 1, 'who may not decide sees nothing')
  assert.notEqual((await countersign('bob', 'holds', 'approve', id, '--digest', `sha256:${'0'.repeat(64)}`)).code, 0)
  const approved = await countersign('bob', 'holds', 'approve', id, '--digest', action.digest)
  assert.deepEqual([approved.code, approved.out], [0, `${code} is approved\n`], approved.err)
  assert.equal(await client.ended, 0)
  assert.equal(client.output(), '2\n')
})

test('denied with a reason that the client reads; a change of all rows stands out', async () => {
  const client = psql(replica.port, agent, ['-c', 'update orders set total = 0'])
  const { id, code } = await held(client)
  assert.match((await countersign('bob', 'holds', 'ls')).out, new RegExp(`${code} .*  ALL 10  +update orders`))
  const { out } = await countersign('bob', 'holds', 'show', id)
  for (const line of ['Rows          10, counted when it was asked for', 'Which         EVERY ROW']) assert.ok(out.includes(line), `${line} in\n${out}`)
  const denied = await countersign('bob', 'holds', 'deny', code, '--reason', 'Not all of them.')
  assert.deepEqual([denied.code, denied.out], [0, `${code} is denied\n`], denied.err)
  assert.equal(await client.ended, 1)
  assert.match(client.errors(), /Not all of them\./)
  const [{ sum }] = (await place.server.query<{ sum: string }>('select sum(total) from orders', undefined, 'crm')) as [{ sum: string }]
  assert.equal(sum, '550')
  const record = place.world.records('a').find(({ type, hold }) => type === 'held' && hold === id)
  assert.deepEqual([Reflect.get(record?.['action'] as object, 'place'), Reflect.get(Reflect.get(record?.['action'] as object, 'impact') as object, 'exactRows')], [{ database: 'crm', role: 'app' }, 10])
})

test('what nobody can see beforehand is said: rows of a COPY, locks of a transaction', async (t) => {
  const client = psql(replica.port, agent)
  t.after(() => client.child.kill())
  client.type('\\copy orders from program \'printf "90\\t1\\n91\\t2\\n"\'')
  const copy = await held(client)
  assert.match((await countersign('bob', 'holds', 'show', copy.id)).out, /^Note +The rows that it writes are sent after the approval: nobody has seen them\.$/m)
  assert.equal((await countersign('bob', 'holds', 'deny', copy.id, '--reason', 'No.')).code, 0)
  client.type("begin; insert into log values ('a');")
  client.type('delete from orders where id = 3;')
  const [, , id = ''] = await until('the second notice', () => [...client.errors().matchAll(/held for approval (CS-\w+): \S*\/(hold_[a-z2-7]+)/g)][1], 10_000)
  assert.match((await countersign('bob', 'holds', 'show', id)).out, /^Note +Its transaction has changed something before this: others wait for its locks, and it waits for 60 s at most\.$/m)
  assert.equal((await countersign('bob', 'holds', 'deny', id, '--reason', 'No.')).code, 0)
  client.child.stdin?.end()
  await client.ended
})
