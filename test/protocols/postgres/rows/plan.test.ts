import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Obligations } from '../../../../src/model/decision.ts'
import { makeSessionNames, type SessionNames } from '../../../../src/protocols/postgres/catalog/session-names.ts'
import { takeSnapshot, type Snapshot } from '../../../../src/protocols/postgres/catalog/snapshot.ts'
import { columnMasks } from '../../../../src/protocols/postgres/rows/column-masks.ts'
import { boundDiagnostic, guardDiagnostic, guardNotification, limitError, LONGEST_FIELD } from '../../../../src/protocols/postgres/rows/diagnostics.ts'
import { planRows, type RowPlan } from '../../../../src/protocols/postgres/rows/plan.ts'
import { storesMask } from '../../../../src/protocols/postgres/rows/write-back.ts'
import { builtinFunction } from '../../../../src/protocols/postgres/sql/builtins.ts'
import { makeReader, type Reader } from '../../../../src/protocols/postgres/sql/reader.ts'
import type { StatementReading } from '../../../../src/protocols/postgres/sql/reading.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'
import { connect, servers, type Connection } from '../catalog/asking.ts'
import { extended, framesOf, message, query, relay, shownIn, Wire } from './relay.ts'

const secret = '123-45-6789'
const init = `
create table users (id int primary key, name text, ssn varchar(11), mail text);
insert into users values (1, 'Alice', '${secret}', 'alice@example.com'), (2, null, null, null);
alter table users add constraint one_each unique (ssn);
create table t (id int, a text);
insert into t values (1, 'ordinary');
create view v as select id, ssn as s, upper(ssn) as loud, upper(name) as name from users;
create view vv as select s as deep, id from (select * from v) q;
create materialized view m as select ssn from users;
create table parts (id int, ssn text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
insert into parts values (1, '${secret}');
create function peek() returns text language sql stable as 'select ssn::text from users limit 1';
create function wide() returns users language sql stable as 'select * from users limit 1';
create function of_t(t) returns text language sql stable as 'select ssn::text from users limit 1';
create table made (ssn text, loud text generated always as (upper(ssn)) stored, id int, twice int generated always as (id * 2) stored);
insert into made values ('${secret}', default, 1);
create table ruled (id int, a text);
create rule instead as on insert to ruled do instead insert into made (ssn, id) values ('${secret}', new.id) returning id, ssn;
create type pair as (a text, b text);
analyze users;
`

const masks = (more: Obligations['masks'] = {}): Obligations => ({ masks: { 'column:public.users.ssn': 'redact', 'column:public.parts.ssn': 'redact', ...more }, limits: {} })
const key = 'a key'
const digest = (value: Uint8Array): string => createHmac('sha256', key).update(value).digest('hex')

for (const binaries of servers()) describe(`rows with PostgreSQL ${binaries.major}`, () => {
  let server: TestPostgres
  let connection: Connection
  let reader: Reader
  let snapshot: Snapshot
  let names: SessionNames
  let wire: Wire
  const declared = new Map<string, StatementReading>()
  before(async () => {
    server = await startPostgres({ init, binaries })
    connection = await connect(server)
    reader = await makeReader()
    snapshot = await takeSnapshot({ ask: connection.ask, now: () => 0, builtin: builtinFunction })
    names = makeSessionNames({ catalog: () => snapshot, prepared: (name) => declared.get(name), cursor: (name) => declared.get(name) })
    await names.refresh(connection.ask)
    wire = new Wire(server.port)
    await wire.exchange()
  })
  after(async () => {
    reader[Symbol.dispose]()
    await wire[Symbol.asyncDispose]()
    await connection[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  const noTags = (): readonly string[] => []
  const plan = (sql: string, obligations: Obligations = masks(), tagsOf: (kind: 'table' | 'column', name: string) => readonly string[] = noTags): RowPlan => {
    const { statements, problem } = reader.read(sql)
    assert.equal(problem, undefined, sql)
    return planRows({ obligations, statements, names, tagsOf, digest })
  }
  /** What the client sees; the secret is in none of it, however the bytes come. */
  const see = async (sql: string, obligations?: Obligations, tagsOf?: (kind: 'table' | 'column', name: string) => readonly string[]): Promise<ReturnType<typeof shownIn>> => {
    const made = plan(sql, obligations, tagsOf)
    assert.ok(made.does !== 'refuse', `${sql}: ${made.does === 'refuse' ? made.because : ''}`)
    const answer = await wire.exchange(query(sql))
    if (made.does === 'pass') {
      assert.ok(!answer.includes(secret), sql)
      return shownIn(answer)
    }
    const whole = relay(answer, made, answer.length).shown
    const again = plan(sql, obligations, tagsOf)
    assert.ok(again.does === 'watch')
    assert.deepEqual(relay(answer, again, 3).shown, whole)
    assert.ok(!whole.includes(secret), sql)
    return shownIn(whole)
  }
  const refuses = (sql: string): void => assert.equal(plan(sql).does, 'refuse', sql)
  const stars = '******'

  describe('columns that the server names', () => {
    for (const sql of [
      'SELECT ssn AS x FROM users ORDER BY id',
      'SELECT q.y FROM (SELECT ssn AS y FROM users) q',
      'WITH c(x) AS (SELECT ssn FROM users) SELECT x FROM c',
      'WITH c AS MATERIALIZED (SELECT ssn FROM users) SELECT * FROM c',
      'SELECT a FROM users AS u(id, name, a)',
      'SELECT u."ssn" FROM users AS u(a, b, "ssn")',
      'SELECT l.ssn FROM t, LATERAL (SELECT ssn FROM users) l',
      'SELECT (u).ssn FROM users u',
      "UPDATE users SET name = name WHERE id < 3 RETURNING ssn",
    ]) {
      test(sql, async () => assert.deepEqual((await see(sql)).rows.flat().toSorted(), [stars, null].toSorted()))
    }
    test('other columns of the row stay, NULL stays NULL', async () => {
      assert.deepEqual((await see('SELECT * FROM users WHERE id = 1')).rows, [['1', 'Alice', stars, 'alice@example.com']])
      assert.deepEqual((await see('SELECT * FROM users WHERE id = 2')).rows, [['2', null, null, null]])
    })
    test('joins', async () => {
      assert.deepEqual((await see('SELECT u.ssn, t.a FROM users u JOIN t ON u.id = t.id')).rows, [[stars, 'ordinary']])
      assert.deepEqual((await see('SELECT u.ssn, t.a FROM users u LEFT JOIN t USING (id) WHERE u.id = 1')).rows, [[stars, 'ordinary']])
    })
    test('views, views of views, materialized views', async () => {
      // The view computes `name` of another column; it is masked all the same, because the view also uses a masked one.
      assert.deepEqual((await see('SELECT id, s, loud, name FROM v WHERE id = 1')).rows, [['1', stars, stars, stars]])
      assert.deepEqual((await see('SELECT * FROM vv WHERE id = 1')).rows, [[stars, '1']])
      assert.deepEqual((await see('SELECT ssn FROM m')).rows.flat().toSorted(), [stars, null].toSorted())
    })
    test('generated columns are masked like what they are made of', async () => {
      assert.deepEqual((await see('SELECT loud, id, twice FROM made', masks({ 'column:public.made.ssn': 'partial' }))).rows, [[stars, '1', '2']])
    })
    test('partitions carry the masks of their parent', async () => {
      assert.deepEqual((await see('SELECT ssn FROM parts')).rows, [[stars]])
      assert.deepEqual((await see('SELECT ssn FROM parts_1')).rows, [[stars]])
    })
  })

  describe('what the server does not name', () => {
    for (const sql of [
      "SELECT ssn || '' FROM users",
      'SELECT left(ssn, 9), right(ssn, 4) FROM users',
      "SELECT concat('x', ssn) FROM users",
      'SELECT md5(ssn) FROM users',
      'SELECT ssn::varchar(50) FROM users',
      'SELECT ssn COLLATE "C" FROM users',
      'SELECT CASE WHEN id > 0 THEN ssn END FROM users',
      'SELECT coalesce(ssn, name) FROM users',
      "SELECT string_agg(ssn, ',') FROM users",
      'SELECT max(ssn) FROM users',
      'SELECT array_agg(ssn) FROM users',
      'SELECT ARRAY[ssn] FROM users',
      'SELECT unnest(ARRAY[ssn, ssn]) FROM users',
      'SELECT ROW(id, ssn) FROM users',
      'SELECT u FROM users u',
      'SELECT a FROM users a WHERE EXISTS (SELECT FROM t)',
      'SELECT a::text FROM users a WHERE EXISTS (SELECT FROM t)',
      'SELECT a::text FROM (users JOIN (SELECT 1 AS one) o ON true) AS a WHERE EXISTS (SELECT FROM t)',
      'SELECT to_json(a) FROM users AS a, t AS b WHERE b.id = 1 AND EXISTS (SELECT FROM t)',
      "UPDATE users AS a SET name = name WHERE EXISTS (SELECT FROM t) RETURNING a::text",
      'SELECT u::text FROM users u',
      'SELECT to_jsonb(u) FROM users u',
      'SELECT row_to_json(q) FROM (SELECT * FROM users) q',
      'SELECT (SELECT ssn FROM users LIMIT 1)',
      'SELECT ssn FROM users UNION SELECT a FROM t',
      'SELECT ssn FROM users UNION ALL SELECT ssn FROM users',
      'SELECT lag(ssn) OVER () FROM users',
      "SELECT a || '' FROM users AS u(id, name, a)",
      'TABLE users',
      'WITH RECURSIVE r AS (SELECT ssn FROM users UNION ALL SELECT ssn FROM r WHERE false) SELECT * FROM r',
    ]) {
      test(sql, async (context) => {
        if (plan(sql).does === 'refuse') return context.diagnostic('refused')
        const { rows } = await see(sql)
        const shown = rows.flat().filter((value) => value !== null)
        assert.deepEqual(shown.filter((value) => value !== stars && !/^(?:1|2|Alice|alice@example.com)$/.test(value)), [], 'nothing made of the value is shown')
      })
    }
    test('what is computed from other columns passes', async () => {
      assert.deepEqual((await see('SELECT count(*) FROM users')).rows, [['2']])
      assert.deepEqual((await see('SELECT upper(name), id + 1 FROM users WHERE id = 1')).rows, [['ALICE', '2']])
      assert.deepEqual((await see('SELECT a || id FROM t')).rows, [['ordinary1']])
    })
  })

  describe('what cannot be masked is refused', () => {
    for (const sql of [
      'COPY users TO STDOUT',
      'COPY (SELECT ssn FROM users) TO STDOUT WITH (FORMAT csv)',
      'COPY users (id, ssn) TO STDOUT WITH (FORMAT binary)',
      'SELECT peek()',
      'SELECT * FROM wide()',
      'SELECT wide()',
      'SELECT t.of_t FROM t',
      'SELECT (t).of_t FROM t',
      "DO $$ BEGIN RAISE NOTICE '%', (SELECT ssn FROM users LIMIT 1); END $$",
      "SELECT query_to_xml('SELECT ssn FROM users', true, true, '')",
      "SELECT most_common_vals FROM pg_stats WHERE attname = 'ssn'",
      'SELECT stavalues1 FROM pg_catalog.pg_statistic',
      'SELECT histogram_bounds FROM pg_catalog.pg_stats',
      'SELECT * FROM pg_stats_ext',
      'SELECT query FROM pg_stat_activity',
      'SELECT * FROM no_such_table',
      "SELECT id FROM users WHERE ssn LIKE '1%'",
      "SELECT count(*) FROM users WHERE ssn = '123-45-6789'",
      'SELECT id FROM users ORDER BY ssn',
      'SELECT id, ssn FROM users ORDER BY 2',
      'SELECT count(*) FROM users GROUP BY ssn',
      "SELECT id FROM t JOIN users USING (id) WHERE users.ssn > '2'",
      'SELECT DISTINCT ON (ssn) id FROM users',
      'SELECT rank() OVER (ORDER BY ssn) FROM users',
      "SELECT q.id FROM (SELECT ssn AS id FROM users) q WHERE q.id = '1'",
      "SELECT s FROM v WHERE s = '1'",
      'SELECT ssn FROM users NATURAL JOIN t',
      'CREATE TABLE copied AS SELECT ssn FROM users',
      'CREATE TEMP TABLE copied AS SELECT * FROM users',
      'SELECT ssn INTO copied FROM users',
      'INSERT INTO t SELECT id, ssn FROM users',
      'INSERT INTO t SELECT * FROM (SELECT id, ssn FROM users) q',
      'UPDATE users SET name = ssn',
      'UPDATE t SET a = (SELECT ssn FROM users WHERE id = 1)',
      'CREATE VIEW around AS SELECT ssn FROM users',
      'ALTER TABLE users ALTER name TYPE text USING ssn',
      "ALTER TABLE users ADD CHECK (ssn NOT LIKE '12%')",
      'ALTER TABLE users ADD COLUMN copied text GENERATED ALWAYS AS (ssn) STORED',
      'CREATE INDEX ON users ((ssn::int))',
      "CREATE INDEX ON users (id) WHERE ssn LIKE '1%'",
      "INSERT INTO ruled VALUES (1, 'x') RETURNING id, a",
      'EXECUTE nothing',
      'FETCH ALL nothing',
    ]) {
      test(sql, () => refuses(sql))
    }
  })

  describe('side channels', () => {
    test('an error quotes nothing', async () => {
      const { errors } = await see(`INSERT INTO users (id, ssn) VALUES (9, '${['123', '45', '6789'].join('-')}') RETURNING ssn`)
      assert.deepEqual(errors, ['23505'])
    })
    test('whether an expression is NULL is not shown', async () => {
      assert.deepEqual((await see(`SELECT nullif(ssn, '${['123', '45', '6789'].join('-')}'), ssn || '' FROM users ORDER BY id`)).rows, [[stars, stars], [stars, stars]])
    })
    for (const sql of [
      'SELECT ssn::int FROM users',
      'SELECT CAST(ssn AS date) FROM users',
      "SELECT ('{' || ssn)::json FROM users",
      "SELECT 1 / (CASE WHEN ssn LIKE '1%' THEN 0 ELSE 1 END) FROM users",
      "SELECT id, regexp_matches(ssn, '^1') FROM users",
      'SELECT generate_series(1, length(ssn)) FROM users',
      "SELECT id, CASE WHEN ssn LIKE '1%' THEN 'yes' END FROM users",
      "SELECT q.id FROM (SELECT id, (ssn || '')::name FROM users) q WHERE q.name LIKE '1%'",
      "SELECT id FROM (SELECT id, name(ssn) FROM users) q WHERE name LIKE '1%'",
      "SELECT a FROM (SELECT a FROM t UNION ALL SELECT ssn FROM users) q WHERE a LIKE '1%'",
      "SELECT NULL::text, '555' UNION ALL SELECT 'x', ssn FROM users ORDER BY 2",
      "SELECT 1 FROM users a WHERE a::text LIKE '%123%' AND EXISTS (SELECT FROM t)",
      "WITH t AS (SELECT ssn FROM users) SELECT 1 FROM t a WHERE a::text LIKE '%123%' AND EXISTS (SELECT FROM public.t)",
      "SELECT 1 FROM (SELECT ssn FROM users) a WHERE a::text LIKE '%123%' AND EXISTS (SELECT FROM t)",
    ]) {
      test(`${sql} is refused`, () => refuses(sql))
    }
    test('a plan shows no value, and its condition may not ask', async () => {
      assert.ok((await see('EXPLAIN SELECT ssn FROM users')).rows.length > 0)
      refuses("EXPLAIN ANALYZE SELECT ssn FROM users WHERE ssn = 'x'")
    })
  })

  test('cursors and prepared statements are what they were made of', async () => {
    const body = reader.read('DECLARE c CURSOR FOR SELECT ssn FROM users').statements[0]?.control
    assert.ok(body?.does === 'declare')
    declared.set('c', body.body)
    await wire.exchange(query('BEGIN'))
    assert.deepEqual((await see('DECLARE c CURSOR FOR SELECT ssn FROM users')).rows, [])
    assert.deepEqual((await see('FETCH ALL c')).rows.flat().toSorted(), [stars, null].toSorted())
    await wire.exchange(query('ROLLBACK; PREPARE p AS SELECT upper(ssn), id FROM users'))
    const prepared = reader.read('PREPARE p AS SELECT upper(ssn), id FROM users').statements[0]?.control
    assert.ok(prepared?.does === 'prepare')
    declared.set('p', prepared.body)
    assert.deepEqual((await see('EXECUTE p')).rows.map(([shown]) => shown), [stars, stars])
    refuses('CREATE TABLE copied AS EXECUTE p')
    refuses('EXECUTE p(peek())')
  })

  test('several statements in one text', async () => {
    assert.deepEqual((await see('SELECT id FROM t; SELECT ssn FROM users WHERE id = 1; SELECT upper(ssn) FROM users WHERE id = 1')).rows, [['1'], [stars], [stars]])
  })

  test('binary results are masked as their type allows', async () => {
    const sql = 'SELECT id, ssn, ARRAY[ssn], u FROM users u WHERE id = 1'
    const made = plan(sql, masks({ 'column:public.users.id': 'redact' }))
    refuses('SELECT ssn FROM users WHERE ssn IS NULL')
    assert.equal(made.does, 'refuse', 'id is in the condition')
    const free = plan(sql.replace(' WHERE id = 1', ' LIMIT 1'), masks({ 'column:public.users.id': 'redact' }))
    assert.ok(free.does === 'watch')
    for (const format of [0, 1] as const) {
      const answer = await wire.exchange(...extended(sql.replace(' WHERE id = 1', ' LIMIT 1'), format))
      assert.ok(answer.includes(secret))
      const { shown, masked } = relay(answer, free, 5)
      assert.deepEqual(shownIn(shown).rows, [[null, stars, null, null]])
      assert.equal(masked, 4)
    }
  })

  test('masks by tag, of the column or of the table, but for public columns', async () => {
    const tagged = (kind: 'table' | 'column', name: string): readonly string[] =>
      kind === 'table' ? (name === 'public.users' ? ['pii'] : []) : name === 'public.users.id' ? ['public'] : name === 'public.users.mail' ? ['contact'] : []
    const obligations: Obligations = { masks: { 'tag:pii': 'redact', 'tag:contact': 'partial' }, limits: {} }
    assert.deepEqual((await see('SELECT * FROM users WHERE id = 1', obligations, tagged)).rows, [['1', stars, stars, stars]])
    const onlyColumn = (kind: 'table' | 'column', name: string): readonly string[] => (kind === 'table' ? [] : tagged(kind, name))
    assert.deepEqual((await see('SELECT mail FROM users WHERE id = 1', { masks: { 'tag:contact': 'partial', 'column:public.users.ssn': 'none' }, limits: {} }, onlyColumn)).rows, [['a****@e****.com']])
    const hashed = (await see('SELECT mail FROM users WHERE id = 1', { masks: { 'tag:contact': 'hash' }, limits: {} }, onlyColumn)).rows
    assert.deepEqual(hashed, [[`masked:${digest(Buffer.from('alice@example.com')).slice(0, 32)}`]])
  })

  test('columns and tables that came after the snapshot are masked, renamed ones stay masked', async () => {
    await server.query(`alter table users add column passport text default 'P-1'; create table later (ssn text); insert into later values ('${secret}')`)
    assert.deepEqual((await see('SELECT * FROM users WHERE id = 1')).rows, [['1', 'Alice', stars, 'alice@example.com', stars]])
    refuses('SELECT ssn FROM later')
    await server.query('alter table users rename column ssn to ssn_new')
    assert.deepEqual((await see('SELECT ssn_new FROM users WHERE id = 1')).rows, [[stars]])
    const before = snapshot
    snapshot = await takeSnapshot({ ask: connection.ask, now: () => 1, builtin: builtinFunction, previous: before })
    assert.deepEqual(snapshot.renamed.toSorted(), ['public.users.ssn is now ssn_new'])
    assert.deepEqual((await see('SELECT ssn_new FROM users WHERE id = 1')).rows, [[stars]])
    refuses("SELECT id FROM users WHERE ssn_new = '1'")
    await server.query('alter table users drop column passport; alter table users rename column ssn_new to ssn; drop table later')
    snapshot = await takeSnapshot({ ask: connection.ask, now: () => 2, builtin: builtinFunction, previous: before })
  })

  test('a row limit', async () => {
    const limited: Obligations = { masks: {}, limits: { rows: 3 } }
    const sql = 'SELECT n FROM generate_series(1, 10) n'
    const made = plan(sql, limited)
    assert.ok(made.does === 'watch')
    const { shown, over } = relay(await wire.exchange(query(sql)), made, 4)
    assert.deepEqual(shownIn(shown).rows, [['1'], ['2'], ['3']])
    assert.equal(over, true)
    assert.equal(plan('COPY t TO STDOUT', limited).does, 'refuse')
    assert.equal(plan('SELECT 1', { masks: { 'column:a.b.c': 'none' }, limits: {} }).does, 'pass')
  })

  describe('errors, notices and notifications', () => {
    const long = secret.repeat(100_000)
    const fields = (severity: string): string => `S${severity}\0V${severity}\0C22P02\0M${long}\0D${secret}\0H${secret}\0W${secret}\0q${secret}\0P17\0\0`
    const frame = (bytes: Buffer): { readonly type: number; readonly bytes: Buffer } => ({ type: bytes[0] ?? 0, bytes })

    test('guarded ones keep severity and code, and quote nothing', () => {
      for (const [type, severity] of [['E', 'ERROR'], ['N', 'NOTICE']] as const) {
        const guarded = guardDiagnostic(frame(message(type, fields(severity))))
        const text = guarded.toString()
        assert.ok(!text.includes(secret))
        assert.match(text, new RegExp(`S${severity}\\0V${severity}\\0C22P02\\0M`))
        assert.equal([...framesOf(guarded)].length, 1)
        assert.equal(guarded[0], type.charCodeAt(0))
      }
      const notification = message('A', Buffer.concat([Buffer.from([0, 0, 0, 7]), Buffer.from(`ch\0${secret}\0`)]))
      assert.deepEqual(guardNotification(frame(notification), true).subarray(5), Buffer.from('\0\0\0\x07ch\0\0'))
      assert.equal(guardNotification(frame(notification), false), notification)
    })
    test('the server says its own words about what the client wrote, and names', async () => {
      const error = async (...messages: readonly Buffer[]): Promise<string> => {
        const [found] = [...framesOf(await wire.exchange(...messages))].filter(({ type }) => type === 0x45)
        return guardDiagnostic(found ?? assert.fail('no error came')).toString()
      }
      assert.match(await error(query('SELECT nme FROM users')), /C42703\0Mcolumn "nme" does not exist\0H/)
      assert.match(await error(query('SELEC 1')), /C42601\0Msyntax error at or near "SELEC"\0P1\0/)
      assert.match(await error(query("SELECT 'abc'::int")), /C22P02\0Minvalid input syntax for type integer: "abc"\0/)
      assert.match(await error(message('P', '\0SELECT $1::int\0\0\0'), message('B', Buffer.from('\0\0\0\0\0\x01\0\0\0\x03abc\0\0')), message('S', '')), /C22P02\0Minvalid input syntax for type integer: "abc"\0/)
      const unique = await error(query(`INSERT INTO users (id, ssn) VALUES (9, '${secret}')`))
      assert.match(unique, /C23505\0.*none_each\0MA value that must be unique is there already.\0D/)
      assert.doesNotMatch(unique, /123|Key/)
      assert.match(await error(query("SELECT (ssn || 'x')::regtype FROM users")), /^E.{4}SERROR\0VERROR\0C42601\0MThe statement failed. The text of the error is withheld/s)
      assert.match(await error(query('SELECT ssn::json FROM users')), /C22P02\0MA value has not the form of its type.\0D/)
      const raised = await error(query(`DO $$ BEGIN RAISE EXCEPTION '${secret}' USING ERRCODE = '42703', CONSTRAINT = '${secret}', COLUMN = '${secret}'; END $$`))
      assert.ok(!raised.includes(secret))
      assert.ok(!(await error(query(`DO $$ BEGIN EXECUTE 'SELECT ' || quote_ident('${secret}'); END $$`))).includes(secret))
    })
    test('others are cut', () => {
      const bound = boundDiagnostic(frame(message('E', fields('ERROR'))))
      assert.ok(bound.length < LONGEST_FIELD + 500)
      assert.match(bound.toString(), /C22P02\0/)
      const short = message('N', 'SNOTICE\0Mhello\0\0')
      assert.equal(boundDiagnostic(frame(short)), short)
    })
    test('the error of a row limit', () => {
      const [only, ...more] = framesOf(limitError(3, false))
      assert.ok(only !== undefined && more.length === 0)
      assert.match(only.bytes.toString(), /C53400\0.*more than the 3 rows/)
      assert.match(limitError(3, true).toString(), /changes data/)
    })
  })

  describe('a mask is not written back', () => {
    const writes = (sql: string, values: readonly (string | Uint8Array | null)[] = []): boolean => {
      const { statements } = reader.read(sql)
      return statements.some((statement) => storesMask({ statement, names, masks: columnMasks(snapshot, masks().masks, noTags), values }))
    }
    for (const sql of [
      "UPDATE users SET ssn = '******' WHERE id = 1",
      "INSERT INTO users (id, ssn) VALUES (2, '******')",
      "INSERT INTO users (id, mail) VALUES (2, 'a****@e****.com')",
      `UPDATE users SET mail = 'masked:${'0'.repeat(32)}'`,
      "UPDATE users SET ssn = E'\\x2a\\x2a\\x2a\\x2a\\x2a\\x2a'",
      "WITH x AS (UPDATE users SET ssn = '******' RETURNING 1) SELECT * FROM x",
      "UPDATE vv SET deep = '******'",
      "INSERT INTO parts_1 VALUES (1, '******')",
      "MERGE INTO users u USING t ON t.id = u.id WHEN MATCHED THEN UPDATE SET ssn = '******'",
      "INSERT INTO users (id) VALUES (1) ON CONFLICT (ssn) DO UPDATE SET ssn = '******'",
      "EXPLAIN ANALYZE UPDATE users SET ssn = '******'",
      "PREPARE p AS UPDATE users SET ssn = '******'",
      "UPDATE nobody_knows SET ssn = '******'",
    ]) {
      test(sql, () => assert.equal(writes(sql), true))
    }
    test('bound values, and the arguments of an EXECUTE', () => {
      assert.equal(writes('UPDATE users SET ssn = $1 WHERE id = 1', ['******']), true)
      assert.equal(writes('UPDATE users SET ssn = $1 WHERE id = 1', [Buffer.from('******')]), true)
      assert.equal(writes('UPDATE users SET ssn = $1 WHERE id = 1', [null, '123']), false)
      const prepared = reader.read('PREPARE change (text) AS UPDATE users SET ssn = $1').statements[0]?.control
      assert.ok(prepared?.does === 'prepare')
      declared.set('change', prepared.body)
      assert.equal(writes("EXECUTE change ('******')"), true)
      assert.equal(writes("EXECUTE change ('123')"), false)
      assert.equal(writes("EXECUTE nothing ('******')"), false)
    })
    test('what writes no mask, or where no mask comes from', () => {
      assert.equal(writes("UPDATE users SET name = 'five ****** stars'"), false)
      assert.equal(writes("SELECT '******' FROM users"), false)
      assert.equal(writes("UPDATE t SET a = '******'"), false)
      assert.equal(writes("EXPLAIN UPDATE users SET ssn = '******'"), false)
    })
    test('where the reading does not say what its texts are', () => {
      const statement = { ...(reader.read('INSERT INTO users VALUES (1)').statements[0] ?? assert.fail()), text: "INSERT INTO users VALUES ('******')", literals: undefined as never }
      assert.equal(storesMask({ statement, names, masks: columnMasks(snapshot, masks().masks, noTags), values: [] }), true)
    })
  })
})
