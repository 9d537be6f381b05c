/** psql, and what somebody sees in it while an action waits. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { holdWrites, startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { until } from '../support/until.ts'
import { ways, type Way } from './ways.ts'

const run = promisify(execFile)

const fixture = `
  create table customers (id int primary key, name text not null, city text);
  insert into customers values (1, 'Grace', 'Arlington'), (2, 'Ada', 'London'), (3, 'Emmy', null);
  create table orders (id int primary key, customer_id int references customers, total numeric);
  create view londoners as select * from customers where city = 'London';
  analyze;
`

let script = ''

const psql = async ({ env }: Way, ...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number }> => {
  const whole = { ...process.env, ...env, PSQLRC: '/dev/null', PAGER: 'cat' }
  const running = run('psql', ['-X', ...args], { env: whole })
  running.child.stdin?.end(script)
  return await running.then(({ stdout, stderr }) => ({ stdout, stderr, code: 0 }), (error: { stdout: string; stderr: string; code: number }) => ({ stdout: error.stdout, stderr: error.stderr, code: error.code }))
}

describe('psql does the same both ways', () => {
  let place: ProxiedPostgres
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init: fixture } })
  })
  after(async () => await place[Symbol.asyncDispose]())

  const both = async (...args: readonly string[]): Promise<void> => {
    const [direct, ours] = await ways(place)
    const [wanted, got] = [await psql(direct, ...args), await psql(ours, ...args)]
    assert.deepEqual(got, wanted)
  }

  test('rows', async () => await both('-c', 'select * from customers order by id'))
  test('several commands, each by itself', async () => await both('-c', 'select 1', '-c', 'select 2'))
  test('an error with its place', async () => await both('-c', 'select nme from customers'))
  test('tables, a view, a function', async () => {
    for (const command of ['\\dt', '\\d customers', '\\d+ londoners', '\\dn', '\\du', '\\l postgres', '\\df pg_catalog.lower', '\\sv londoners']) await both('-c', command)
  })
  test('\\copy both ways', async () => await both('-c', "\\copy (select * from customers order by id) to stdout with csv header", '-c', "\\copy customers from '/dev/null' with csv"))
  test('\\gset, \\gexec, \\gdesc, \\bind', async () => {
    script = "select 3 as n \\gset\nselect :n + 1;\nselect 'select 7' \\gexec\nselect id, name from customers \\gdesc\n"
    await both('-f', '-')
  })
  test('a script that stops at its error', async () => await both('-v', 'ON_ERROR_STOP=1', '-1', '-c', 'insert into orders values (1, 1, 5)', '-c', 'insert into orders values (1, 1, 5)'))
})

describe('psql while an action waits', () => {
  let place: ProxiedPostgres
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init: fixture }, rules: holdWrites })
  })
  after(async () => await place[Symbol.asyncDispose]())

  test('a change runs when it is approved, and the person is told that it waits', async () => {
    const [, ours] = await ways(place)
    const child = spawn('psql', ['-X', '-c', "delete from customers where id = 3"], { env: { ...process.env, ...ours.env } })
    let [out, told] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
    const ended = once(child, 'close') as Promise<[number]>
    await until('a notice', () => /CS-/.test(told))
    assert.match(told, /NOTICE/)
    const hold = await place.decide('approve')
    assert.match(hold.preview, /delete from customers where id = 3/)
    assert.deepEqual(await ended, [0, null])
    assert.equal(out.trim(), 'DELETE 1')
    assert.deepEqual(await place.server.query('select 1 from customers where id = 3'), [])
  })

  test('a harmless setting needs no rule, by set_config either; a value from a table does not get into one', async () => {
    const [, ours] = await ways(place)
    script = "select set_config('TimeZone', 'Asia/Tokyo', false);\nshow timezone;\nselect set_config('application_name', name, false) from customers;\nselect set_config('search_path', 'x', false);\n"
    const { stdout, stderr } = await psql(ours, '-A', '-t', '-f', '-')
    assert.deepEqual(stdout.trim().split('\n'), ['Asia/Tokyo', 'Asia/Tokyo'])
    assert.equal(stderr.match(/No policy allows/g)?.length, 2, stderr)
  })

  test('a change that is denied did not run, and the session goes on', async () => {
    const [, ours] = await ways(place)
    const asked = psql(ours, '-c', 'update customers set name = upper(name)', '-c', 'select count(*) from customers', '-A', '-t')
    await place.decide('deny', 'not today')
    const { stdout, stderr } = await asked
    assert.match(stderr, /ERROR/)
    assert.match(stderr, /not today/)
    assert.match(stdout.trim(), /^\d$/)
    assert.deepEqual(await place.server.query("select name from customers where name = 'GRACE'"), [])
  })

  test('what is denied by policy says why and what to do instead', async () => {
    const [, ours] = await ways(place)
    const { stderr, code } = await psql(ours, '-c', 'drop table customers')
    assert.equal(code, 1)
    assert.match(stderr, /The schema belongs to migrations\./)
    assert.match(stderr, /Write a migration\./)
  })

  test('Ctrl-C gives up what waits', async () => {
    const [, ours] = await ways(place)
    const child = spawn('psql', ['-X', '-c', 'delete from orders'], { env: { ...process.env, ...ours.env } })
    let told = ''
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
    const ended = once(child, 'close')
    await until('a notice', () => /CS-/.test(told))
    child.kill('SIGINT')
    await ended
    assert.match(told, /ERROR|cancel/i)
    await until('nothing to wait', async () => (await place.holds()).length === 0)
  })
})
