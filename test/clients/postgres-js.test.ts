/** postgres.js, which pipelines, does the same directly and through Countersign. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { startProxiedPostgres, type ProxiedPostgres } from '../support/proxied-postgres.ts'
import { ways } from './ways.ts'

let place: ProxiedPostgres
before(async () => {
  place = await startProxiedPostgres({ postgres: { init: 'create table items (id int primary key, name text unique); insert into items select n, md5(n::text) from generate_series(1, 1000) n; create table log (id serial, text text not null); analyze' } })
})
after(async () => await place[Symbol.asyncDispose]())

type Script = (sql: postgres.Sql) => Promise<unknown>

const failure = (error: unknown): unknown => {
  const { code, message, severity, constraint_name: constraint } = error as postgres.PostgresError
  return { code, message, severity, constraint }
}

const scripts: Readonly<Record<string, Script>> = {
  'rows and parameters': async (sql) => [...(await sql`select id, name from items where id in ${sql([1, 2, 3])} order by id`)],
  'many at once on one connection': async (sql) => (await Promise.all(Array.from({ length: 100 }, (_, index) => sql`select ${index}::int as n`))).map(([row]) => row),
  'an error between others harms only itself': async (sql) => {
    const all = await Promise.allSettled([sql`select 1 as a`, sql`select 1 / 0`, sql`select nothing`, sql`select 2 as a`])
    return all.map((one) => (one.status === 'fulfilled' ? [...one.value] : failure(one.reason)))
  },
  'a transaction that is given up': async (sql) => {
    const error = await sql.begin(async (inner) => {
      await inner`insert into log (text) values ('x')`
      throw new Error('no')
    }).then(() => undefined, (reason: unknown) => String(reason))
    return { error, rows: [...(await sql`select count(*)::int as n from log`)] }
  },
  'a transaction with a savepoint, pipelined': async (sql) => {
    await sql.begin(async (inner) => {
      await Promise.all([inner`insert into log (text) values ('a')`, inner`insert into log (text) values ('b')`])
      await inner.savepoint(async (deep) => await deep`insert into items values (1, 'twice')`).catch(() => {})
    })
    return [...(await sql`select text from log order by id`)]
  },
  'an insert of many with returning': async (sql) => [...(await sql`insert into log ${sql(Array.from({ length: 50 }, (_, index) => ({ text: `n${index}` })))} returning text`)],
  'a cursor': async (sql) => {
    const sizes: number[] = []
    for await (const rows of sql`select id from items order by id`.cursor(64)) sizes.push(rows.length)
    return sizes
  },
  'each row by itself': async (sql) => {
    let sum = 0
    await sql`select id from items`.forEach((row) => void (sum += Number(row['id'])))
    return sum
  },
  'several statements in one text': async (sql) => await sql.unsafe('select 1 as a; select 2 as b').simple(),
  'a description without a run': async (sql) => {
    const { types, columns } = await sql`select id, name from items where id = ${1} and name = ${'x'}`.describe()
    return { types, columns: columns.map(({ name, type }) => [name, type]) }
  },
  'COPY both ways': async (sql) => {
    const into = await sql`copy log (text) from stdin`.writable()
    await pipeline(Readable.from(['one\n', 'two\n']), into)
    let text = ''
    await pipeline(await sql`copy (select text from log order by id) to stdout`.readable(), new Writable({ write: (chunk: Buffer, _encoding, done) => ((text += chunk.toString()), done()) }))
    return text
  },
  'a constraint that is broken': async (sql) => await sql`insert into items values (2000, ${'c4ca4238a0b923820dcc509a6f75849b'})`.then(() => undefined, failure),
}

describe('postgres.js', () => {
  for (const [name, script] of Object.entries(scripts)) {
    test(name, async () => {
      const found: unknown[] = []
      for (const { url } of await ways(place)) {
        const sql = postgres(url, { max: 1, onnotice: () => {} })
        try {
          found.push(await script(sql))
        } finally {
          await sql.end()
          await place.server.query('truncate log restart identity')
        }
      }
      assert.deepEqual(found[1], found[0])
    })
  }
})
