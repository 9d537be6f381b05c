import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { builtinFunction } from '../../../../src/protocols/postgres/sql/builtins.ts'
import { mean } from '../../../../src/protocols/postgres/sql/mean.ts'
import { makeParser, SyntaxProblem } from '../../../../src/protocols/postgres/sql/parser.ts'
import { readWith } from '../../../../src/protocols/postgres/sql/read.ts'
import type { SqlKind } from '../../../../src/protocols/postgres/sql/reading.ts'
import { findPostgres, newestPostgres, type PostgresBinaries } from '../../../support/postgres-binaries.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'
import { fixture, hidden, world } from './fixture.ts'
import { chanceFrom, reworded, wrapped } from './mutations.ts'
import { namesOf } from './names.ts'
import { statements } from './statements.ts'

const parser = await makeParser()
const names = namesOf(world)

const readKinds: ReadonlySet<SqlKind> = new Set(['select', 'explain', 'copy.out'])

/** What we say: how many statements, and whether all of them only read. */
const judged = (sql: string): { readonly count: number; readonly reads: boolean } => {
  const { statements: all } = readWith(parser, sql)
  return { count: all.length, reads: all.every((one) => mean(one, names).kinds.every((kind) => readKinds.has(kind))) }
}

/** Everything that a session can show of itself. */
const state = `select coalesce(pg_current_xact_id_if_assigned()::text, '-') as written,
  (select md5(string_agg(name || '=' || coalesce(setting, ''), ',' order by name)) from pg_settings where name not in ('in_hot_standby')) as settings,
  (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks,
  (select count(*) from pg_listening_channels()) as channels,
  (select last_value::text || is_called from public.s) as sequence`

interface Run {
  readonly count: number | undefined
  readonly error: string | undefined
  readonly changed: readonly string[]
}

/** Runs a text in a transaction that is rolled back, and says what it has changed until then. */
const observed = async (client: pg.Client, sql: string, unchanged: Record<string, unknown>): Promise<Run> => {
  await client.query('BEGIN; SAVEPOINT before')
  let [count, error]: [number | undefined, string | undefined] = [undefined, undefined]
  try {
    const results: unknown = await client.query(sql)
    count = Array.isArray(results) ? results.length : 1
  } catch (problem) {
    error = problem instanceof Error ? problem.message : String(problem)
    // Gone when the text has ended the transaction itself.
    await client.query('ROLLBACK TO before').catch(() => undefined)
  }
  const { rows: [row] } = await client.query<Record<string, unknown>>(state)
  await client.query('ROLLBACK; SELECT pg_advisory_unlock_all(); UNLISTEN *; DEALLOCATE ALL; SELECT setval(\'public.s\', 1, false)')
  return { count, error, changed: Object.keys(unchanged).filter((key) => row?.[key] !== unchanged[key]) }
}

const started = async (binaries: PostgresBinaries) => {
  const server = await startPostgres({ binaries, init: fixture })
  const client = new pg.Client({ host: server.socket, port: server.port, user: 'postgres', database: 'postgres' })
  await client.connect()
  // The block loads its language, which brings settings of its own.
  await client.query("SET statement_timeout = '2s'; SET jit = off; DO $$ BEGIN END $$")
  const { rows: [unchanged = {}] } = await client.query<Record<string, unknown>>(state)
  return { server, client, unchanged }
}

const servers = [['the oldest server', findPostgres()], ['the newest server', newestPostgres()]] as const

for (const [which, binaries] of servers) {
  describe(`our reading and that of ${which}`, { skip: binaries === undefined ? 'not installed' : false }, () => {
    let server: TestPostgres | undefined
    let client: pg.Client
    let unchanged: Record<string, unknown>

    before(async () => {
      if (binaries === undefined) return
      ;({ server, client, unchanged } = await started(binaries))
    })
    after(async () => {
      await client.end()
      await server?.[Symbol.asyncDispose]()
    })

    const compare = async (sql: string): Promise<'read' | 'not read' | 'refused'> => {
      const ours = judged(sql)
      // Only reads can be wrong: all else is asked about. COPY has another protocol than this client knows.
      if (!ours.reads || /\bcopy\b/i.test(sql)) return 'not read'
      const theirs = await observed(client, sql, unchanged)
      assert.deepEqual(theirs.changed, [], `called a read, but changed something: ${sql}`)
      if (theirs.error === undefined) assert.ok((theirs.count ?? 0) <= Math.max(ours.count, 1), `more statements than were found: ${sql}`)
      return theirs.error === undefined ? 'read' : 'refused'
    }

    test('never call a read what writes: the statements themselves', async () => {
      const seen = { read: 0, 'not read': 0, refused: 0 }
      for (const sql of [...hidden, ...statements.map((one) => one.sql)]) seen[await compare(sql)]++
      assert.ok(seen.read > 30, JSON.stringify(seen))
    })

    test('this test sees what it looks for', async () => {
      for (const sql of ['SELECT purge()', 'SELECT t.purge FROM t', 'SELECT * FROM w', "SELECT nextval('s')", 'SELECT 1::careful_int', 'SELECT pg_advisory_lock(1)', "SELECT set_config('search_path', 'evil', false)", 'SELECT * FROM t FOR UPDATE', 'SELECT 1 OPERATOR(evil.+) 2', 'SELECT purge(); SELECT 1/0']) {
        assert.notDeepEqual((await observed(client, sql, unchanged)).changed, [], sql)
        assert.equal(judged(sql).reads, false, sql)
      }
      assert.deepEqual((await observed(client, 'SELECT * FROM v', unchanged)).changed, [])
      // As the functions are called below.
      assert.notDeepEqual((await observed(client, "DO $do$ begin begin execute $sql$SELECT nextval('s')$sql$; exception when others then null; end; end $do$", unchanged)).changed, [])
    })

    test('never call a read what writes: thousands of other ways to say it', async () => {
      const chance = chanceFrom(which.length * 7919)
      const seeds = [...hidden, ...hidden, ...statements.map((one) => one.sql).filter((sql) => !/pg_sleep/.test(sql))]
      const seen = { read: 0, 'not read': 0, refused: 0 }
      for (let run = 0; run < 4_000; run++) {
        const [seed = '', other = ''] = [seeds[chance(seeds.length)], seeds[chance(seeds.length)]]
        let sql = chance(4) === 0 ? seed : wrapped(seed, other, chance)
        if (chance(3) === 0) sql = wrapped(sql, other, chance)
        try {
          sql = reworded(sql, parser, chance)
        } catch (error) {
          if (!(error instanceof SyntaxProblem)) throw error
        }
        seen[await compare(sql)]++
      }
      assert.ok(seen.read > 150 && seen['not read'] > 1_000, JSON.stringify(seen))
    })

    test('every built-in function that counts as pure changes nothing', async () => {
      const { rows } = await client.query<{ readonly oid: number; readonly name: string; readonly args: string | null; readonly kind: string }>(
        `select p.oid, proname as name, prokind as kind, (select string_agg(format_type(t, null), '|' order by n) from unnest(proargtypes::oid[]) with ordinality as x(t, n)) as args
         from pg_proc p where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a') and not exists (select 1 from unnest(proargtypes::oid[] || prorettype) a join pg_type on pg_type.oid = a where typname in ('internal', 'trigger', 'event_trigger', 'fdw_handler', 'table_am_handler', 'index_am_handler', 'tsm_handler', 'language_handler'))
         order by 1`,
      )
      const assigns = new Set(['txid_current', 'pg_current_xact_id'])
      const calls = rows.flatMap(({ name, args }) =>
        builtinFunction(name) !== 'pure' || assigns.has(name) ? [] : [`SELECT pg_catalog."${name}"(${(args === null ? [] : args.split('|')).map(sample).join(', ')})`],
      )
      // Many at once, and one by one where something has changed.
      for (let start = 0; start < calls.length; start += 50) {
        const some = calls.slice(start, start + 50)
        const blocks = some.map((call) => `begin execute $sql$${call}$sql$; exception when others then null; end;`)
        const { changed } = await observed(client, `DO $do$ begin ${blocks.join(' ')} end $do$`, unchanged)
        for (const call of changed.length === 0 ? [] : some) assert.deepEqual((await observed(client, call, unchanged)).changed, [], call)
      }
      assert.ok(calls.length > 2_000, String(calls.length))
    })
  })
}

const samples: Readonly<Record<string, string>> = {
  oid: "'t'::regclass::oid", regclass: "'t'::regclass", text: "'1'", name: "'t'", json: `'{"a": 1}'::json`, jsonb: `'{"a": 1}'::jsonb`, xml: "'<a/>'::xml", jsonpath: "'$.a'::jsonpath", anyarray: 'ARRAY[1]', anyelement: '1', record: 'ROW(1)',
  'timestamp with time zone': 'now()', date: 'current_date', interval: "'1 s'::interval", boolean: 'true', point: "'(1,1)'::point", inet: "'1.2.3.4'::inet", bytea: "'a'::bytea", uuid: 'gen_random_uuid()',
}

const sample = (type: string): string => samples[type] ?? (/^(small|big)?int|^numeric|^double|^real|^integer/.test(type) ? `1::${type}` : /^any|^cstring|^internal/.test(type) ? '1' : `NULL::${type}`)
