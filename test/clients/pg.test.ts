/** node-postgres does the same directly and through Countersign. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { defined } from '../../src/lib/defined.ts'
import { findPostgres, newestPostgres } from '../support/postgres-binaries.ts'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { ways } from './ways.ts'

const fixture = `
  create table people (id int primary key, name text not null, born date, weight numeric(6, 2), tags text[], extra jsonb, photo bytea);
  insert into people select n, 'person ' || n, date '1950-01-01' + n, n / 3.0, array['a', n::text], jsonb_build_object('n', n), decode(lpad(to_hex(n), 8, '0'), 'hex') from generate_series(1, 2000) n;
  create table notes (id serial primary key, text text not null check (text <> ''));
  create type mood as enum ('good', 'bad');
  create table moods (m mood);
  analyze;
`

/** The types of node-postgres do not know `binary`. */
const asBinary = Object.assign({ text: 'select id, name, photo from people where id = any($1) order by id', values: [[1, 2, 3]] }, { binary: true })

type Script = (client: pg.Client) => Promise<unknown>

/** Runs it both ways; gives back what both found. */
const both = async (place: ProxiedPostgres, script: Script): Promise<unknown> => {
  const found: unknown[] = []
  for (const { config } of await ways(place)) {
    const client = new pg.Client(config)
    await client.connect()
    try {
      found.push(await script(client))
    } finally {
      await client.end()
      await place.server.query('truncate notes restart identity; truncate moods')
    }
  }
  assert.deepEqual(found[1], found[0])
  return found[1]
}

const failure = (error: unknown): unknown => {
  const { code, message, severity, position, constraint, table } = error as pg.DatabaseError
  return { code, message, severity, position, constraint, table }
}

const scripts: Readonly<Record<string, Script>> = {
  'values of every kind, as text': async (client) => {
    const { rows, fields, rowCount, command } = await client.query('select * from people where id < 5 order by id')
    return { rows, fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]), rowCount, command }
  },
  'values of every kind, as binary': async (client) => {
    const { rows } = await client.query(asBinary)
    return rows
  },
  'parameters of many types, null too': async (client) => (await client.query('select $1::int as a, $2::text as b, $3::jsonb as c, $4::timestamptz as d, $5::bytea as e, $6::text[] as f, $7::int as g', [1, "it's", { x: [1] }, new Date(0), Buffer.from([0, 255]), ['a', 'b"c'], null])).rows,
  'a statement prepared once and run often': async (client) => {
    const all: unknown[] = []
    for (let id = 1; id <= 20; id++) all.push((await client.query({ name: 'one', text: 'select name from people where id = $1', values: [id] })).rows[0])
    return all
  },
  'queries one behind the other without waiting': async (client) => await Promise.all(Array.from({ length: 50 }, async (_, index) => (await client.query('select $1::int * 2 as twice', [index])).rows[0])),
  'several statements in one text': async (client) => {
    const results = (await client.query("select 1 as a; insert into notes (text) values ('x') returning id; select count(*)::int as n from notes")) as unknown as readonly pg.QueryResult[]
    return results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows }))
  },
  'an error in the middle of several statements undoes all': async (client) => {
    const error = await client.query("insert into notes (text) values ('x'); insert into notes (text) values ('')").then(() => undefined, failure)
    return { error, rows: (await client.query('select count(*)::int as n from notes')).rows }
  },
  'a transaction, a savepoint, an error, and on': async (client) => {
    await client.query('begin')
    await client.query('insert into notes (text) values ($1)', ['kept'])
    await client.query('savepoint s')
    const error = await client.query('insert into notes (text) values ($1)', ['']).then(() => undefined, failure)
    const failed = await client.query('select 1').then(() => undefined, failure)
    await client.query('rollback to savepoint s')
    await client.query('commit')
    return { error, failed, rows: (await client.query('select id, text from notes')).rows }
  },
  'commit after an error is a rollback': async (client) => {
    await client.query('begin')
    await client.query('insert into notes (text) values ($1)', ['lost'])
    await client.query('select 1 / 0').catch(() => {})
    const { command } = await client.query('commit')
    return { command, rows: (await client.query('select * from notes')).rows }
  },
  'an error behind many rows': async (client) => {
    const error = await client.query('select 1000 / (1500 - id) as x from people order by id').then(() => undefined, failure)
    return { error, next: (await client.query('select 1 as a')).rows }
  },
  'mistakes are reported where they are': async (client) => {
    const found: unknown[] = []
    for (const text of ['select nothing from people', "select 'x'::int", 'select id from people group by name', "insert into moods values ('fine')"]) found.push(await client.query(text).then(() => undefined, failure))
    return found
  },
  'an empty query': async (client) => {
    const { rows, rowCount, command } = await client.query('')
    return { rows, rowCount, command }
  },
  'a cursor': async (client) => {
    const cursor = client.query(new Cursor('select id from people order by id'))
    const first = await cursor.read(7)
    const second = await cursor.read(7)
    await cursor.close()
    return { first, second, after: (await client.query('select 1 as a')).rows }
  },
  'a stream of rows': async (client) => {
    let sum = 0
    for await (const row of client.query(new QueryStream('select id from people', [], { batchSize: 64 })) as AsyncIterable<{ readonly id: number }>) sum += row.id
    return sum
  },
  'a cursor of SQL': async (client) => {
    await client.query('begin')
    await client.query('declare c cursor for select id from people order by id')
    const first = (await client.query('fetch 3 from c')).rows
    const second = (await client.query('fetch forward 2 from c')).rows
    await client.query('close c')
    await client.query('commit')
    return { first, second }
  },
  'COPY in and out': async (client) => {
    await pipeline(Readable.from(Array.from({ length: 500 }, (_, index) => `${index + 1}\tnote ${index}\n`)), client.query(copyFrom('copy notes (id, text) from stdin')))
    let bytes = ''
    await pipeline(client.query(copyTo('copy (select id, text from notes order by id) to stdout with (format csv)')), new Writable({ write: (chunk: Buffer, _encoding, done) => ((bytes += chunk.toString()), done()) }))
    return bytes
  },
  'COPY with a bad row': async (client) => {
    const error = await pipeline(Readable.from(['1\tfine\n', 'no number\tx\n']), client.query(copyFrom('copy notes (id, text) from stdin'))).then(() => undefined, failure)
    return { error, rows: (await client.query('select count(*)::int as n from notes')).rows }
  },
  'a large result': async (client) => {
    const { rows } = await client.query<{ readonly big: string }>("select repeat('x', 3000000) as big union all select repeat('y', 10)")
    return rows.map(({ big }) => [big.length, big[0]])
  },
  'a large parameter': async (client) => (await client.query('select length($1::text) as n, md5($1::text) as h', ['x'.repeat(2_000_000)])).rows,
  'notices': async (client) => {
    const notices: unknown[] = []
    client.on('notice', ({ message, code }) => notices.push([message, code]))
    await client.query('create temporary table gone (a int)')
    await client.query('drop table if exists nowhere')
    return notices
  },
  'settings of a driver': async (client) => {
    await client.query("set datestyle = 'ISO, DMY'")
    await client.query("set timezone = 'Europe/Berlin'")
    const shown = (await client.query('show timezone')).rows
    return { shown, rows: (await client.query("select timestamptz '2026-01-01 00:00+00' :: text as t")).rows }
  },
  'a temporary table': async (client) => {
    await client.query('create temporary table mine (a int)')
    await client.query('insert into mine values (1), (2)')
    return (await client.query('select sum(a)::int as s from mine')).rows
  },
}

const newest = newestPostgres()

for (const [server, binaries] of [['the oldest PostgreSQL', findPostgres()], ['the newest PostgreSQL', newest]] as const) {
  describe(`node-postgres, ${server}`, { skip: binaries === undefined && 'its package does not run on this machine' }, () => {
    let place: ProxiedPostgres
    before(async () => {
      place = await startProxiedPostgres({ postgres: { init: fixture, ...defined({ binaries }) } })
    })
    after(async () => await place[Symbol.asyncDispose]())
    for (const [name, script] of Object.entries(scripts)) test(name, async () => void (await both(place, script)))
  })
}

describe('node-postgres, beside the rows', () => {
  let place: ProxiedPostgres
  before(async () => {
    place = await startProxiedPostgres({ postgres: { init: fixture } })
  })
  after(async () => await place[Symbol.asyncDispose]())

  test('what nobody can read or find is refused here already, and the session goes on', async () => {
    const [, ours] = await ways(place)
    const client = new pg.Client(ours.config)
    await client.connect()
    try {
      for (const text of ['selec 1', 'select * from nowhere']) await assert.rejects(client.query(text), (error: pg.DatabaseError) => ['42501', '42601', '42P01'].includes(error.code ?? ''))
      assert.deepEqual((await client.query('select 1 as a')).rows, [{ a: 1 }])
    } finally {
      await client.end()
    }
  })

  test('LISTEN and NOTIFY', async () => {
    const [direct, ours] = await ways(place)
    await using stack = new AsyncDisposableStack()
    const listener = new pg.Client(ours.config)
    const sender = new pg.Client(direct.config)
    for (const client of [listener, sender]) {
      await client.connect()
      stack.defer(async () => await client.end())
    }
    await listener.query('listen news')
    const heard = once(listener, 'notification') as Promise<[pg.Notification]>
    await sender.query("notify news, 'hello'")
    const [{ channel, payload }] = await heard
    assert.deepEqual({ channel, payload }, { channel: 'news', payload: 'hello' })
  })

  test('a running statement is cancelled', async () => {
    const [, ours] = await ways(place)
    const client = new pg.Client(ours.config)
    await client.connect()
    try {
      const running = client.query('select count(*) from people a, people b, people c')
      const canceller = new pg.Client(ours.config) as pg.Client & { cancel(client: pg.Client, query: unknown): void }
      const { processID, secretKey } = client as unknown as { readonly processID: number; readonly secretKey: number }
      const rejected = assert.rejects(running, { code: '57014' })
      // The request to cancel goes over a connection of its own, as the protocol has it.
      const connection = (canceller as unknown as { readonly connection: { connect(port: number | undefined, host: string | undefined): void; on(event: string, then: () => void): void; cancel(pid: number, key: number): void } }).connection
      connection.on('connect', () => connection.cancel(processID, secretKey))
      connection.connect(ours.config.port, ours.config.host)
      await rejected
      assert.deepEqual((await client.query('select 1 as a')).rows, [{ a: 1 }])
    } finally {
      await client.end()
    }
  })
})
