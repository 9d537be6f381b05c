import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startProxiedPostgres, type JournalRecord, type ProxiedPostgres } from '../../../support/proxied-postgres.ts'
import { until } from '../../../support/until.ts'
import * as raw from './raw-client.ts'
import { connectRaw, type RawClient } from './raw-client.ts'

const { bind, close, copyData, copyDone, execute, flush, parse, query, sync } = raw

const rules = [
  { name: 'read', then: 'allow', actions: ['sql.select', 'sql.insert', 'sql.copy.in', 'sql.ddl', 'sql.server'] },
  { name: 'change', then: 'hold', actions: ['sql.delete', 'sql.update'], approval: { from: { groups: ['oncall'] }, within: '5m', 'run-within': '5m' } },
]

const init = 'create table t (id int primary key); insert into t select generate_series(1, 10); create table log (text text)'

interface Finished extends JournalRecord {
  readonly outcome: { readonly result: string; readonly status?: string; readonly rows?: number }
}

describe('how long things last in a PostgreSQL session', { concurrency: 1 }, () => {
  let world: ProxiedPostgres
  before(async () => {
    world = await startProxiedPostgres({ postgres: { init }, rules })
  })
  after(() => world[Symbol.asyncDispose]())

  const connect = async (token?: string): Promise<RawClient> => await connectRaw(world.port, token ?? (await world.token()))
  /** Records that were written while this ran; all attempts that began have ended. */
  const recorded = async (run: () => Promise<void>): Promise<readonly JournalRecord[]> => {
    const before = world.records().length
    await run()
    return await until('the end of all that began', () => {
      const records = world.records().slice(before)
      const begun = new Set(records.filter(({ type }) => type === 'started').map(({ attempt }) => attempt))
      const own = records.filter(({ attempt }) => begun.has(attempt)) // what was begun before may end meanwhile
      return begun.size > 0 && own.filter(({ type }) => type === 'finished').length === begun.size && own
    })
  }
  const outcomes = (records: readonly JournalRecord[]): readonly string[] =>
    records.filter((record): record is Finished => record.type === 'finished').map(({ outcome }) => [outcome.result, outcome.status, outcome.rows].join(' '))

  describe('a portal of which not all rows were fetched', () => {
    const ends: Readonly<Record<string, (client: RawClient) => Promise<unknown>>> = {
      'its transaction ends': (client) => client.ask([sync]),
      'it is closed': (client) => client.ask([close('P'), flush, sync]),
      'another takes its name': (client) => client.ask([bind([], { statement: 'two' }), sync]),
      'the client leaves': async (client) => {
        client.socket.destroy()
      },
    }
    for (const [how, end] of Object.entries(ends)) {
      test(`has an end on record when ${how}`, async () => {
        const records = await recorded(async () => {
          await using client = await connect()
          client.send(parse('select id from t order by id', 'two'), bind([], { statement: 'two' }), execute('', 2), execute('', 3), flush)
          await client.hears(/^D 5/)
          await end(client)
        })
        assert.deepEqual(outcomes(records), ['executed SUSPENDED 5'])
      })
    }

    test('goes on with the same permission, and is one execution on record', async () => {
      const records = await recorded(async () => {
        await using client = await connect()
        await client.ask([parse('select id from t'), bind(), execute('', 4), execute('', 4), execute('', 4), sync])
      })
      assert.deepEqual(outcomes(records), ['executed SELECT 2 10'])
    })

    test('does not go on when the policy has come to deny it', async () => {
      await using client = await connect()
      await client.ask([query('begin'), parse('select id from t'), bind([], { portal: 'p' }), execute('p', 1), sync], 2)
      await world.adopt([{ name: 'no', then: 'deny', actions: ['sql.select'] }])
      try {
        assert.deepEqual(await client.ask([execute('p', 1), sync]), ['E 42501', 'Z E'])
        assert.match(client.error()?.get('M') ?? '', /policy decides otherwise now/)
      } finally {
        await world.adopt(rules)
      }
    })
  })

  test('an Execute that the server skipped is asked for again, and on record, when it comes again', async () => {
    await using client = await connect()
    await client.ask([query('begin'), parse('select 7'), bind([], { portal: 'p' }), sync, query('savepoint s')], 3)
    assert.deepEqual(await client.ask([parse('select nothing'), execute('p'), sync]), ['E 42703', 'Z E'])
    await client.ask([query('rollback to s')])
    const records = await recorded(async () => {
      assert.deepEqual(await client.ask([execute('p'), sync]), ['D 7', 'C SELECT 1', 'Z T'])
    })
    assert.deepEqual(outcomes(records), ['executed SELECT 1 1'])
  })

  test('an Execute that the server refused in a failed transaction, likewise', async () => {
    await using client = await connect()
    await client.ask([query('begin'), parse('select 7'), bind([], { portal: 'p' }), sync, query('savepoint s')], 3)
    assert.deepEqual(await client.ask([query('select nothing'), execute('p'), sync], 2), ['E 42703', 'Z E', 'E 25P02', 'Z E'])
    await client.ask([query('rollback to s')])
    const records = await recorded(async () => {
      assert.deepEqual(await client.ask([execute('p'), sync]), ['D 7', 'C SELECT 1', 'Z T'])
    })
    assert.deepEqual(outcomes(records), ['executed SELECT 1 1'])
  })

  test('nobody is asked for what the server would not run because the transaction has failed', async () => {
    await using client = await connect()
    assert.deepEqual(await client.ask([query('begin'), query('select nothing'), query('delete from t'), query('rollback')], 4), ['C BEGIN', 'Z T', 'E 42703', 'Z E', 'E 25P02', 'Z E', 'C ROLLBACK', 'Z I'])
    assert.deepEqual(await client.ask([query('begin'), query('select nothing'), parse('delete from t'), bind(), execute(), sync, query('rollback')], 4), ['C BEGIN', 'Z T', 'E 42703', 'Z E', 'E 25P02', 'Z E', 'C ROLLBACK', 'Z I'])
    assert.deepEqual(await world.holds(), [])
  })

  test('what is read while an earlier message fails is skipped as the server skips it', async () => {
    const long = `insert into log values ${Array.from({ length: 2_000 }, (_, at) => `('${at}')`).join(', ')}`
    await using client = await connect()
    for (const late of [[parse(long), bind(), execute(), sync], [query(long), sync], [query(`set client_encoding to latin1; ${long}`), sync]]) {
      client.send(parse('select nothing'), bind(), execute())
      await new Promise(setImmediate)
      assert.deepEqual(await client.ask(late), ['E 42703', 'Z I'])
    }
    assert.deepEqual(await client.ask([query('select 1')]), ['T', 'D 1', 'C SELECT 1', 'Z I'])
    assert.deepEqual(await world.server.query('select * from log'), [])
  })

  describe('a session that began before a reload', () => {
    test('learns what is new in the database, and its approvers get numbers', async () => {
      await using client = await connect()
      await world.adopt(rules)
      assert.deepEqual(await client.ask([query('create table after_reload (id int)')]), ['C CREATE TABLE', 'Z I'])
      assert.deepEqual(await until('the table to be known', async () => {
        const heard = await client.ask([query('select * from after_reload')])
        return heard[0] === 'E 42501' ? undefined : heard
      }), ['T', 'C SELECT 0', 'Z I'])
      client.send(query('delete from t where id < 4'))
      const hold = await world.decide('deny')
      assert.match(JSON.stringify(await world.show(hold.id)), /"exactRows":3/)
      await client.hears(/^E 42501/)
    })
  })

  test('what is too large to be held is refused, and the session goes on', async () => {
    await using client = await connect()
    assert.deepEqual((await client.ask([parse('update log set text = $1'), bind(['x'.repeat(7_000_000)]), execute(), sync])).slice(-2), ['E 54000', 'Z I'])
  })

  describe('a client that is gone', () => {
    test('while its statement runs: the end of that is known, and on record', async () => {
      const records = await recorded(async () => {
        await using client = await connect()
        client.send(query("insert into log select 'gone' from pg_sleep(1)"))
        await until('it to run', async () => (await world.server.query(`select 1 from pg_stat_activity where pid = ${client.pid} and wait_event = 'PgSleep'`)).length === 1)
        client.socket.resetAndDestroy()
      })
      assert.deepEqual(outcomes(records), ['executed INSERT 0 1 1'])
      await world.server.query('truncate log')
    })

    test('while it waits, behind more than is read: nothing runs, the approval is there for its next try', async () => {
      await using client = await connect()
      client.send(query('delete from t where id = 8'))
      await client.hears(/^N/)
      const filler = 'x'.repeat(4_000)
      client.send(...Array.from({ length: 4_000 }, () => query(`select 1 -- ${filler}`)))
      assert.ok((await raw.standsStill('what is not taken', () => client.socket.writableLength)) > 0)
      client.socket.resetAndDestroy()
      const hold = await world.decide('approve')
      await until('it to be noticed', () => world.records().some(({ type, ...record }) => type === 'refused' && record.hold === hold.id))
      assert.ok(!world.records().some(({ type, ...record }) => type === 'started' && record.hold === hold.id))
      await using again = await connect()
      assert.deepEqual(await again.ask([query('delete from t where id = 8')]), ['C DELETE 1', 'Z I'])
    })
  })

  describe('a token that comes to its end', () => {
    const short = async (): Promise<string> => await world.token('crm-agent', { exp: Math.floor(Date.now() / 1000) + 2 })
    const ends = async (client: RawClient): Promise<void> => {
      await until('the end', () => client.closed(), 10_000)
      assert.equal(client.error()?.get('C'), '28P01')
    }

    test('ends a batch without Sync, and the portal in it', async () => {
      await using client = await connect(await short())
      client.send(parse('select id from t'), bind([], { portal: 'p' }), execute('p', 1), flush)
      await client.hears(/^s/)
      await ends(client)
    })

    test('ends a batch of which the server has answered nothing yet', async () => {
      await using client = await connect(await short())
      client.send(parse('select 1'))
      await ends(client)
    })

    test('ends a COPY that waits for data, and nothing of it stays', async () => {
      await using client = await connect(await short())
      client.send(query('copy log from stdin'), copyData('early\n'))
      await client.hears(/^G/)
      await ends(client)
      client.send(copyData('late\n'), copyDone)
      await until('the session at the server to end', async () => (await world.server.query(`select 1 from pg_stat_activity where pid = ${client.pid}`)).length === 0)
      assert.deepEqual(await world.server.query('select * from log'), [])
    })

    test('ends a result that its client does not read', async () => {
      await using client = await connect(await short())
      const before = world.records().length
      client.socket.pause()
      client.send(query("select repeat('x', 1000) from generate_series(1, 200000)"))
      const lost = await until('its end to be on record', () => world.records().slice(before).find((record): record is Finished => record.type === 'finished'), 20_000)
      assert.equal(lost.outcome.result, 'unknown')
      await until('the session at the server to end', async () => (await world.server.query(`select 1 from pg_stat_activity where pid = ${client.pid}`)).length === 0)
    })

    test('ends the wait for an approval; the hold stays for a new token', async () => {
      await using client = await connect(await short())
      client.send(query('delete from t where id = 9'))
      await client.hears(/^N/)
      await ends(client)
      await world.decide('approve')
      await using again = await connect()
      assert.deepEqual(await again.ask([query('delete from t where id = 9')]), ['C DELETE 1', 'Z I'])
    })

    test('lets what runs end, and nothing behind it begin', async () => {
      await using client = await connect(await short())
      const over = Date.now() + 2_000
      client.send(query("select 'ran' from pg_sleep(3)"))
      await until('the token to be over', () => Date.now() > over)
      client.send(query("insert into log values ('began')"))
      await client.hears(/^D ran/)
      await ends(client)
      assert.deepEqual(client.heard, ['T', 'D ran', 'C SELECT 1', 'Z I', 'E 28P01'])
      assert.deepEqual(await world.server.query('select * from log'), [])
    })
  })

  test('a replica that goes away has a last word for those who do not come to an end', async () => {
    await using leaving = await startProxiedPostgres({ postgres: { init }, rules })
    const token = await leaving.token()
    await using open = await connectRaw(leaving.port, token)
    await using copying = await connectRaw(leaving.port, token)
    await open.ask([query('begin'), query("insert into log values ('open')")], 2)
    copying.send(query('copy log from stdin'), copyData('copied\n'))
    await copying.hears(/^G/)
    await leaving.drain(10)
    for (const client of [open, copying]) {
      await until('the end', () => client.closed())
      assert.deepEqual([client.error()?.get('S'), client.error()?.get('C')], ['FATAL', '57P01'])
    }
    assert.deepEqual(await leaving.server.query('select * from log'), [])
  })
})
