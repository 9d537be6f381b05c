import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import pg from 'pg'
import { stringify } from 'yaml'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../support/until.ts'
import { ask, showHold, vote, type HoldView } from './client.ts'
import { crmPolicy, psql, startDatabaseDeployment, type DatabaseDeployment, type DatabaseReplica } from './database.ts'
import type { Part, StoreKind } from './deployment.ts'

const setOf = (...steps: readonly string[]): string => `SET countersign.plan = $plan$\nBEGIN;\n${steps.join(';\n')};\nCOMMIT$plan$`

interface Wire {
  parse(what: object): void
  execute(what: object): void
  sync(): void
}

const raw = (client: pg.Client, send: (connection: Wire) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    const query = { submit: (connection: Wire) => (send(connection), connection.sync()), handleParseComplete: () => {}, handleDataRow: () => {}, handleCommandComplete: () => {}, handleReadyForQuery: () => resolve(), handleError: reject }
    void client.query(query as unknown as string)
  })

/** Whole transactions that are approved beforehand: asked for at one replica, decided at the other. */
for (const kind of ['embedded', 'redis'] as const satisfies readonly StoreKind[]) {
  describe(`plans, ${kind} store`, { concurrency: 1 }, () => {
    let place: DatabaseDeployment
    let a: DatabaseReplica
    let b: DatabaseReplica
    let agent: string
    let bob: string
    const open: pg.Client[] = []
    before(async () => {
      place = await startDatabaseDeployment(kind)
      ;[a, b] = await Promise.all([place.start('a'), place.start('b')])
      ;[agent, bob] = await Promise.all([place.world.agent(), place.world.person('bob')])
    })
    after(() => place?.[Symbol.asyncDispose]())
    afterEach(() => Promise.all(open.splice(0).map((client) => client.end().catch(() => {}))))

    const connect = async (replica: DatabaseReplica = a, token: string = agent): Promise<pg.Client> => {
      const client = new pg.Client({ host: '127.0.0.1', port: replica.port, database: 'crm', user: 'invoice-agent', password: token, query_timeout: 20_000 })
      client.on('error', () => {}) // sessions end while they are looked at
      await client.connect()
      open.push(client)
      return client
    }
    const failure = async (work: Promise<unknown>): Promise<pg.DatabaseError> => await work.then(() => assert.fail('it ran'), (error: unknown) => error as pg.DatabaseError)
    const total = async (id: number): Promise<number | undefined> => (await place.server.query<{ total: number }>(`select total from orders where id = ${id}`, undefined, 'crm'))[0]?.total
    const notice = (client: pg.Client): Promise<string> => new Promise((resolve) => client.once('notice', ({ message = '' }) => resolve(/holds\/(hold_[a-z2-7]+)/.exec(message)?.[1] ?? '')))
    /** Announces it, and has it approved at the other replica. */
    const approved = async (client: pg.Client, plan: string): Promise<HoldView> => {
      const told = notice(client)
      const asked = client.query(plan)
      const id = await Promise.race([told, asked.then(() => assert.fail('it was not held'))])
      const shown = await showHold(b, id, bob)
      assert.equal((await vote(b, id, bob)).status, 200)
      await asked
      return shown
    }
    /** With other rules at the first replica. */
    const under = async (rules: readonly Part[], work: () => Promise<void>): Promise<void> => {
      const load = async (policy: Part): Promise<void> => {
        writeFileSync(join(place.world.directory, 'crm.yaml'), stringify(policy, { aliasDuplicateObjects: false }))
        assert.equal((await ask(a.admin, '/-/reload', '', { headers: { 'countersign-admin': 'reload' } })).status, 200)
      }
      await load({ ...crmPolicy, rules })
      try {
        await work()
      } finally {
        await load(crmPolicy)
      }
    }
    /** A Parse message alone. */
    const prepare = (client: pg.Client, name: string, text: string): Promise<void> => raw(client, (connection) => connection.parse({ name, text, types: [] }))
    /** An Execute message for a portal that is there. */
    const runPortal = (client: pg.Client, portal: string): Promise<void> => raw(client, (connection) => connection.execute({ portal, rows: 0 }))
    const stateOf = async (id: string): Promise<string> => (await showHold(b, id, bob)).state

    test('approvers see each statement with what it does; it runs once, by one permit', async () => {
      const client = await connect()
      const plan = setOf('UPDATE orders SET total = 7 WHERE id = 1', 'DELETE FROM customers WHERE id IN (1, 2)')
      const shown = await approved(client, plan)
      const { parts } = shown.action as unknown as { readonly parts: readonly { readonly verb: string; readonly text: string; readonly resources: readonly { readonly kind: string; readonly name: string; readonly access: string }[]; readonly impact?: { readonly exactRows?: number } }[] }
      assert.deepEqual(parts.map(({ verb, text, impact }) => [verb, text, impact?.exactRows]), [['sql.transaction', 'BEGIN', undefined], ['sql.update', 'UPDATE orders SET total = 7 WHERE id = 1', 1], ['sql.delete', 'DELETE FROM customers WHERE id IN (1, 2)', 2], ['sql.transaction', 'COMMIT', undefined]])
      assert.deepEqual(parts[2]?.resources.filter(({ kind: one }) => one === 'table'), [{ kind: 'table', name: 'public.customers', access: 'write', tags: [] }])
      assert.equal(await total(1), 10)
      for (const sql of ['BEGIN', 'UPDATE orders SET total = 7 WHERE id = 1', 'DELETE FROM customers WHERE id IN (1, 2)']) await client.query(sql)
      assert.equal(await total(1), 10)
      assert.equal(await stateOf(shown.id), 'running')
      await client.query('COMMIT')
      assert.equal(await total(1), 7)
      const ended = await until('its end on record', () => place.world.records('a').find((record) => record.type === 'finished' && record.hold === shown.id))
      assert.deepEqual([(ended['outcome'] as { result: string }).result, (ended['outcome'] as { rows: number }).rows], ['executed', 3])
      assert.deepEqual(place.world.records('a').filter((record) => record.hold === shown.id).map(({ type }) => type), ['held', 'attached', 'released', 'started', 'finished'])
      // It was for one transaction: the next one is like any other.
      await client.query('BEGIN')
      const alone = notice(client)
      const other = failure(client.query('UPDATE orders SET total = 7 WHERE id = 2'))
      await vote(b, await alone, bob, 'deny')
      assert.equal((await other).code, '42501')
      await client.query('ROLLBACK')
    })

    test('approved while nobody waits, it is there for the next session of the same caller, at any replica, and for nobody else', async () => {
      const first = await connect()
      const plan = setOf('UPDATE orders SET total = 31 WHERE id = 3')
      const told = notice(first)
      const gone = first.query(plan).catch(() => {})
      const id = await told
      await first.end()
      await gone
      assert.equal((await vote(b, id, bob)).status, 200)
      const other = await connect(b, await place.world.person('carol'))
      const theirs = notice(other)
      const asked = other.query(plan).catch(() => {})
      assert.notEqual(await theirs, id)
      await other.end()
      await asked
      const again = await connect(b)
      await again.query(plan)
      for (const sql of ['BEGIN', 'UPDATE orders SET total = 31 WHERE id = 3', 'COMMIT']) await again.query(sql)
      assert.equal(await total(3), 31)
      assert.equal(await until('the end', async () => ((await stateOf(id)) === 'executed' ? 'executed' : undefined)), 'executed')
      // Spent: it waits for another approval.
      const third = notice(again)
      const once = again.query(plan)
      assert.notEqual(await third, id)
      await again.end()
      await once.catch(() => {})
    })

    test('by prepared statements without values, too; never with values of their own', async () => {
      const client = await connect()
      const steps = ['UPDATE orders SET total = 41 WHERE id = 4', 'SELECT total FROM orders WHERE id = 4'] as const
      await approved(client, setOf(...steps))
      await client.query('BEGIN')
      await client.query({ name: 'one', text: steps[0] })
      assert.deepEqual((await client.query({ name: 'two', text: steps[1] })).rows, [{ total: 41 }])
      await client.query('COMMIT')
      assert.equal(await total(4), 41)
      await approved(client, setOf(steps[0]))
      await client.query('BEGIN')
      assert.equal((await failure(client.query('UPDATE orders SET total = $1 WHERE id = 4', [42]))).code, '42501')
      assert.equal((await failure(client.query(steps[0]))).code, '25P02')
      assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
      assert.equal(await total(4), 41)
    })

    test('whatever goes wrong on the way, nothing of it is kept, and the approval is spent', async () => {
      const steps = ['UPDATE orders SET total = 51 WHERE id = 5', 'INSERT INTO orders VALUES (5, 1)'] as const
      const [update] = steps
      const ways: Readonly<Record<string, (client: pg.Client) => Promise<unknown>>> = {
        'a statement fails': async (client) => {
          await client.query(update)
          assert.equal((await failure(client.query(steps[1]))).code, '23505')
          assert.equal((await failure(client.query('ROLLBACK TO s'))).code, '42501')
          assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
        },
        'the client goes': async (client) => {
          await client.query(update)
          await client.end()
        },
        'it is rolled back': async (client) => {
          await client.query(update)
          await client.query('ROLLBACK')
        },
        'another statement, and COMMIT behind it in one go': async (client) => {
          const all = await Promise.allSettled([update, 'SELECT 1', 'COMMIT'].map((sql) => client.query(sql)))
          assert.deepEqual(all.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
        },
      }
      for (const [what, way] of Object.entries(ways)) {
        const client = await connect()
        const { id } = await approved(client, setOf(...steps))
        await client.query('BEGIN')
        await way(client)
        assert.equal(await until(`${what}: the end`, async () => ((await stateOf(id)) === 'failed' ? 'failed' : undefined)), 'failed')
        assert.equal(await total(5), 50, what)
      }
      await until('the refusal on record', () => place.world.records('a').some(({ type, code, hold }) => type === 'refused' && code === 'wrong-digest' && hold !== undefined))
    })

    test('what is no plan, or may not run, is never held', async () => {
      const client = await connect()
      for (const [plan, words] of [
        [setOf('UPDATE orders SET total = 1 WHERE id = 1', 'DROP TABLE orders'), /Schema changes go through migrations/],
        [setOf('SELECT * FROM secrets'), /No policy allows this action/],
        [setOf('UPDATE orders SET total = $1'), /parameter/],
        [setOf("SET LOCAL timezone = 'UTC'", 'UPDATE orders SET total = 1'), /timezone changes how values are read/],
        [setOf('SET "DateStyle" TO DEFAULT', 'UPDATE orders SET total = 1'), /changes how values are read/],
        [setOf('SAVEPOINT s', 'UPDATE orders SET total = 1'), /savepoint cannot stand in it/],
        [setOf("PREPARE TRANSACTION 'x'", 'UPDATE orders SET total = 1'), /ends its transaction in another way/],
        [setOf('COMMIT', 'UPDATE orders SET total = 1'), /commit cannot stand in it/],
        ["SET countersign.plan = 'UPDATE orders SET total = 1'", /does not begin with BEGIN/],
        ["SET countersign.plan = 'BEGIN; UPDATE orders SET; COMMIT'", /cannot be read: syntax error/],
        ["SET LOCAL countersign.plan = 'BEGIN; SELECT 1; COMMIT'", /alone, for the session/],
        ["SET countersign.plan = 'BEGIN; SELECT 1; COMMIT'; SELECT 1", /alone, for the session/],
      ] as const) {
        const { code, message } = await failure(client.query(plan))
        assert.equal(code, '42501', plan)
        assert.match(message, words)
      }
      await client.query('BEGIN')
      assert.match((await failure(client.query(setOf('UPDATE orders SET total = 1')))).message, /outside of a transaction/)
      await client.query('ROLLBACK')
    })

    test('what is allowed needs nobody, and still runs to the letter; a plan can be taken back', async () => {
      const client = await connect()
      const plan = setOf("INSERT INTO log VALUES ('one')", "INSERT INTO log VALUES ('two')")
      await client.query(plan)
      await client.query('BEGIN')
      assert.equal((await failure(client.query("INSERT INTO log VALUES ('two')"))).code, '42501')
      await client.query('ROLLBACK')
      await client.query(plan)
      for (const sql of ['BEGIN', "INSERT INTO log VALUES ('one')", "INSERT INTO log VALUES ('two')", 'COMMIT']) await client.query(sql)
      await client.query(plan)
      assert.match((await failure(client.query('BEGIN ISOLATION LEVEL SERIALIZABLE'))).message, /not the BEGIN of the plan/)
      await client.query('SET countersign.plan TO DEFAULT')
      await client.query('BEGIN; INSERT INTO log VALUES (1); COMMIT')
      assert.deepEqual(await place.server.query('select text from log order by 1', undefined, 'crm'), [{ text: '1' }, { text: 'one' }, { text: 'two' }])
    })

    test('psql waits for it and says where it is decided; an approver may say no', async () => {
      const client = psql(a.port, agent, ['-c', setOf('DELETE FROM orders')])
      const id = await until('the notice', () => /holds\/(hold_[a-z2-7]+)/.exec(client.errors())?.[1], 10_000)
      assert.match(client.errors(), /Once it is approved, begin the transaction\./)
      assert.equal((await vote(b, id, bob, 'deny', 'Not all of them.')).status, 200)
      assert.equal(await client.ended, 1)
      assert.match(client.errors(), /An approver said no to CS-[0-9A-Z]{4}\. Their reason: "Not all of them\."/)
    })

    test('a policy that has become stricter stops it in the middle, a name that leads elsewhere as well', async () => {
      const steps = ['UPDATE orders SET total = 81 WHERE id = 8', 'UPDATE customers SET name = $$x$$ WHERE id = 8'] as const
      const renamed = await connect()
      await approved(renamed, setOf(...steps))
      await renamed.query('BEGIN')
      await place.server.query('alter table customers rename to people; create table customers (id int, name text); grant all on customers to app', undefined, 'crm')
      try {
        await renamed.query(steps[0]).then(() => assert.fail('it went on'), (error: pg.DatabaseError) => assert.match(error.message, /stands for something else/))
        assert.equal((await renamed.query('COMMIT')).command, 'ROLLBACK')
      } finally {
        await place.server.query('drop table customers; alter table people rename to customers', undefined, 'crm')
      }
      const client = await connect()
      await approved(client, setOf(...steps))
      await client.query('BEGIN')
      await client.query(steps[0])
      await under([...(crmPolicy['rules'] as Part[]), { name: 'freeze', then: 'deny', actions: ['sql.update'], because: 'Frozen.' }], async () => {
        assert.match((await failure(client.query(steps[1]))).message, /decides otherwise now/)
        await client.query('COMMIT')
      })
      assert.equal(await total(8), 80)
    })

    describe('what was prepared before its turn is no statement of the plan', () => {
      const own: readonly Part[] = [
        { name: 'own', then: 'allow', actions: ['sql.update', 'sql.select', 'sql.insert', 'sql.delete'], tables: ['pg_temp.**'] },
        { name: 'scratch', then: 'allow', actions: ['sql.ddl'], tables: ['pg_temp.**'] },
        ...(crmPolicy['rules'] as Part[]).filter(({ name }) => name !== 'schema'),
      ]
      const update = 'UPDATE orders SET total = 666 WHERE id = 6'
      const refused = /prepared/
      /** By a name that is on the server already: node-postgres sends no Parse of its own. */
      const byName = (client: pg.Client, text: string): Promise<pg.QueryResult> => {
        ;(client as unknown as { readonly connection: { readonly parsedStatements: Record<string, string> } }).connection.parsedStatements['one'] = text
        return client.query({ name: 'one', text })
      }

      test('while its names led elsewhere, whatever the plan is allowed', async () => {
        await under(own, async () => {
          const client = await connect()
          await client.query('CREATE TEMP TABLE before (id int)')
          await prepare(client, 'one', update)
          await client.query('CREATE TEMP TABLE orders (id int, total int)')
          await client.query(setOf(update))
          await client.query('BEGIN')
          assert.match((await failure(byName(client, update))).message, refused)
          assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
          assert.equal(await total(6), 60)
          await client.query(setOf(update))
          await client.query('BEGIN')
          assert.equal((await client.query(update)).rowCount, 0)
          await client.query('COMMIT')
          assert.equal(await total(6), 60)
        })
      })

      test('with the same names, before it was approved', async () => {
        const client = await connect()
        await prepare(client, 'one', update)
        await approved(client, setOf(update))
        await client.query('BEGIN')
        assert.match((await failure(byName(client, update))).message, refused)
        assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
        assert.equal(await total(6), 60)
      })

      test('by SQL, or for a cursor', async () => {
        await under(own, async () => {
          const client = await connect()
          const read = 'SELECT total FROM orders WHERE id = 6'
          for (const [before, run] of [
            [`PREPARE one AS ${read}`, () => byName(client, read)],
            [`BEGIN; DECLARE two CURSOR WITH HOLD FOR ${read}; COMMIT`, () => runPortal(client, 'two')],
          ] as const) {
            await client.query(before)
            await client.query(setOf(read))
            await client.query('BEGIN')
            assert.match((await failure(run())).message, /not statement 2 of 3/)
            assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
          }
        })
      })

      test('within the plan, before a statement of it that may move names', async () => {
        await under(own.map((rule) => (rule['name'] === 'change' ? { ...rule, actions: [...(rule['actions'] as string[]), 'sql.unknown', 'sql.ddl'] } : rule)), async () => {
          const client = await connect()
          const steps = ['CREATE TEMP TABLE beside (id int)', update] as const
          await approved(client, setOf(...steps))
          await client.query('BEGIN')
          await prepare(client, 'one', update)
          await client.query(steps[0])
          assert.match((await failure(byName(client, update))).message, refused)
          assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
          await approved(client, setOf(...steps))
          await client.query('BEGIN')
          await client.query(steps[0])
          await prepare(client, 'two', update)
          ;(client as unknown as { readonly connection: { readonly parsedStatements: Record<string, string> } }).connection.parsedStatements['two'] = update
          assert.equal((await client.query({ name: 'two', text: update })).rowCount, 1)
          assert.equal((await client.query('ROLLBACK')).command, 'ROLLBACK')
        })
      })
    })

    test('approvers that the policy asks for by now, in the middle: the votes are counted anew', async () => {
      const steps = ['UPDATE orders SET total = 71 WHERE id = 7', 'UPDATE orders SET total = 72 WHERE id = 7'] as const
      const asking = (more: Part): readonly Part[] => (crmPolicy['rules'] as Part[]).map((rule) => (rule['approval'] === undefined ? rule : { ...rule, approval: { ...(rule['approval'] as Part), ...more } }))
      for (const more of [{ count: 2 }, { from: { groups: ['security'] } }]) {
        const client = await connect()
        await approved(client, setOf(...steps))
        await client.query('BEGIN')
        await client.query(steps[0])
        await under(asking(more), async () => assert.match((await failure(client.query(steps[1]))).message, /asks for other approvers now/))
        assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
        assert.equal(await total(7), 70)
      }
      const client = await connect()
      await approved(client, setOf(...steps))
      await client.query('BEGIN')
      await client.query(steps[0])
      await under(asking({ within: '9m' }), async () => void (await client.query(steps[1])))
      assert.equal((await client.query('COMMIT')).command, 'COMMIT')
      assert.equal(await total(7), 72)
    })

    describe('drift', () => {
      const watched = [...(crmPolicy['rules'] as Part[]).map((rule) => (rule['approval'] === undefined ? rule : { ...rule, actions: [...(rule['actions'] as string[]), 'sql.unknown'], approval: { ...(rule['approval'] as Part), drift: '1 rows' } })), { name: 'settings', then: 'allow', actions: ['sql.set'] }]
      const remove = 'DELETE FROM customers WHERE id >= 8'
      const grow = (): Promise<unknown> => place.server.query("insert into customers select n, 'x', 'y' from generate_series(100, 599) n", undefined, 'crm')
      const shrink = (): Promise<unknown> => place.server.query('delete from customers where id >= 100', undefined, 'crm')
      const left = async (): Promise<number | undefined> => (await place.server.query<{ n: number }>('select count(*)::int as n from customers where id < 100', undefined, 'crm'))[0]?.n
      type Shown = { readonly impact?: { readonly exactRows?: number }; readonly parts?: readonly { readonly impact?: { readonly exactRows?: number } }[] }

      for (const [what, before, when] of [
        ['alone, before BEGIN', [], 'before'],
        ['behind many that only read, before BEGIN', Array.from({ length: 25 }, (_, n) => `SELECT ${n}`), 'before'],
        ['beside one that only reads, before BEGIN', ['SELECT count(*) FROM orders'], 'before'],
        ['behind a setting, before BEGIN', ["SET LOCAL lock_timeout = '3s'"], 'before'],
        ['after BEGIN', ['SELECT count(*) FROM orders'], 'after'],
      ] as const)
        test(`rows that have come ${what}`, async () => {
          await under(watched, async () => {
            const client = await connect()
            const there = await left()
            const { action } = await approved(client, setOf(...before, remove))
            const { impact, parts } = action as unknown as Shown
            assert.deepEqual([impact?.exactRows, parts?.[before.length + 1]?.impact?.exactRows], [3, 3])
            try {
              if (when === 'before') await grow()
              const begun = client.query('BEGIN')
              if (when === 'before') assert.match((await failure(begun)).message, /more rows than the approvers were shown/)
              else {
                await begun
                for (const step of before) await client.query(step)
                await grow()
                assert.match((await failure(client.query(remove))).message, /more rows than the approvers were shown/)
                assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
              }
            } finally {
              await shrink()
            }
            assert.equal(await left(), there)
          })
        })

      test('what stays as it was runs', async () => {
        await under(watched, async () => {
          const client = await connect()
          const steps = ['SELECT count(*) FROM orders', 'UPDATE customers SET name = $$y$$ WHERE id >= 8', 'INSERT INTO customers VALUES (90, $$z$$)', 'DELETE FROM customers WHERE id = 90'] as const
          await approved(client, setOf(...steps))
          await client.query('BEGIN')
          for (const step of steps) await client.query(step)
          assert.equal((await client.query('COMMIT')).command, 'COMMIT')
        })
      })

      test('in a text of several statements, each is watched', async () => {
        await under(watched, async () => {
          const client = await connect()
          const there = await left()
          const text = `SELECT count(*) FROM orders; ${remove}`
          const told = notice(client)
          const asked = failure(client.query(text))
          const id = await told
          await grow()
          try {
            assert.equal((await vote(b, id, bob)).status, 200)
            assert.match((await asked).message, /more rows than the approvers were shown/)
          } finally {
            await shrink()
          }
          assert.equal(await left(), there)
        })
      })

      test('what nobody can count is not held, and told so', async () => {
        await under(watched, async () => {
          const client = await connect()
          await prepare(client, 'one', remove)
          for (const [text, words] of [
            ['EXECUTE one', /watches how many rows it changes \(drift\), and nobody can say that\./],
            [`UPDATE orders SET total = 1 WHERE id = 1; EXECUTE one`, /nobody can say that of statement 2/],
            [setOf(...Array.from({ length: 21 }, () => 'UPDATE orders SET total = 1 WHERE id = 1')), /nobody can say that of statement 22: No estimate for more than 20 statements/],
          ] as const) {
            const { code, message } = await failure(client.query(text))
            assert.equal(code, '42501')
            assert.match(message, words)
          }
          await until('the refusal on record', () => place.world.records('a').some(({ type, code, cause }) => type === 'refused' && code === 'denied' && /drift/.test(String(cause))))
        })
      })
    })

    test('it has to be run in its time, the last statement too', async () => {
      const soon = (crmPolicy['rules'] as Part[]).map((rule) => (rule['approval'] === undefined ? rule : { ...rule, approval: { ...(rule['approval'] as Part), 'run-within': '1s' } }))
      await under(soon, async () => {
        const client = await connect()
        const over = new Promise<void>((resolve) => client.once('end', resolve))
        const { id } = await approved(client, setOf('UPDATE orders SET total = 91 WHERE id = 9'))
        await client.query('BEGIN')
        await client.query('UPDATE orders SET total = 91 WHERE id = 9')
        await over
        assert.equal(await until('its end', async () => ((await stateOf(id)) === 'failed' ? 'failed' : undefined)), 'failed')
        assert.equal(await total(9), 90)
      })
    })
  })
}
