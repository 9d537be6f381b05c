import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Obligations } from '../../../../src/model/decision.ts'
import { makeSessionNames, type SessionNames } from '../../../../src/protocols/postgres/catalog/session-names.ts'
import { takeSnapshot } from '../../../../src/protocols/postgres/catalog/snapshot.ts'
import { planRows } from '../../../../src/protocols/postgres/rows/plan.ts'
import { builtinFunction } from '../../../../src/protocols/postgres/sql/builtins.ts'
import { makeReader, type Reader } from '../../../../src/protocols/postgres/sql/reader.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'
import { connect } from '../catalog/asking.ts'
import { query, relay, shownIn, Wire } from './relay.ts'

/*
 * Two databases that differ in masked values only: whatever is asked, the client must see the same. It finds what no list of statements does:
 * values that decide which rows come, and values that get through by a way that nobody thought of.
 */
const schema = (secrets: readonly [string, string]): string => `
create table users (id int primary key, name text, ssn varchar(11), mail text);
insert into users values (1, 'Alice', '${secrets[0]}', 'a@example.com'), (2, 'Bob', '${secrets[1]}', 'b@example.com'), (3, 'Cleo', null, null);
create table t (id int, a text);
insert into t values (1, '${known[0]}'), (2, 'ordinary'), (3, null);
create view v as select id, ssn as s, upper(ssn) as loud, name from users;
create view vv as select s as deep, id from (select * from v) q;
create view w as select id, name from users where ssn is not null;
create table parts (id int, ssn text) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
insert into parts values (1, '${secrets[0]}'), (2, '${secrets[1]}');
`
const known = ['123-45-6789', '555-11-2222'] as const
const databases = [known, ['987-65-4321', '222-11-5555'] as const] as const
const obligations: Obligations = { masks: { 'column:public.users.ssn': 'redact', 'column:public.parts.ssn': 'redact' }, limits: {} }

const sources: Readonly<Record<string, readonly string[]>> = { users: ['id', 'name', 'ssn', 'mail'], v: ['id', 's', 'loud', 'name'], vv: ['deep', 'id'], w: ['id', 'name'], parts: ['id', 'ssn'], parts_1: ['id', 'ssn'], t: ['id', 'a'] }

interface Select {
  readonly sql: string
  readonly outputs: readonly string[]
}

const pick = fc.nat({ max: 1_000_000 })
const of = <T>(from: readonly T[], number: number): T => from[number % from.length] as T

/** Every choice is a number, so that any list of numbers is a statement, and a shorter one a simpler statement. */
class Writer {
  readonly #numbers: readonly number[]
  #at = 0
  #names = 0

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
  }

  #next(): number {
    return this.#numbers[this.#at++] ?? 0
  }

  #chance(oneIn: number): boolean {
    return this.#next() % oneIn === oneIn - 1
  }

  statement(): string {
    const { sql } = this.select(3)
    return this.#chance(6) ? `WITH d AS (UPDATE users SET name = name WHERE ${this.#condition(sources['users'] ?? [], 1)} RETURNING id, ssn AS given) SELECT * FROM d` : sql
  }

  select(depth: number): Select {
    const from = this.#source(depth)
    const join = this.#chance(4) ? this.#source(depth - 1) : undefined
    const columns = [...from.columns, ...(join?.columns ?? [])]
    const count = 1 + (this.#next() % 3)
    const names = Array.from({ length: count }, () => of([`o${this.#names++}`, 'id', 'name', 'a'], this.#next()))
    const star = this.#chance(8) && join === undefined
    const targets = star ? '*' : names.map((name) => `(${this.#expression(columns, depth)})${this.#chance(3) ? '' : '::text'}${this.#chance(4) ? '' : ` AS ${name}`}`).join(', ')
    const plain = !star && this.#chance(2) ? names.map((name) => `${of(columns, this.#next())} AS ${name}`).join(', ') : targets
    const outputs = star ? from.bare : [...new Set(names)]
    const head = this.#chance(6) ? 'SELECT DISTINCT' : 'SELECT'
    const joined = join === undefined ? '' : ` ${of(['CROSS JOIN', 'NATURAL JOIN'], this.#next())} ${join.sql}`
    const where = this.#chance(3) ? ` WHERE ${this.#condition(columns, depth)}` : ''
    const order = this.#chance(5) ? ` ORDER BY ${of(['1', ...columns, ...outputs], this.#next())}` : ''
    const limit = this.#chance(6) ? ' LIMIT 1' : ''
    const sql = `${head} ${plain} FROM ${from.sql}${joined}${where}${order}${limit}`
    if (depth > 1 && this.#chance(6)) return { sql: `(${sql}) UNION${this.#chance(2) ? ' ALL' : ''} (${this.select(depth - 1).sql})`, outputs }
    return { sql, outputs }
  }

  #source(depth: number): { readonly sql: string; readonly columns: readonly string[]; readonly bare: readonly string[] } {
    const alias = this.#chance(6) ? of(['a', 'name', 'mail', 's'], this.#names++) : `q${this.#names++}`
    const inner: Select = depth > 1 && this.#chance(3) ? this.select(depth - 1) : this.#table()
    const table = Object.hasOwn(sources, inner.sql)
    const body = table ? inner.sql : `(${inner.sql})`
    if (!this.#chance(5)) return { sql: `${body} AS ${alias}`, columns: [...inner.outputs.map((name) => `${alias}.${name}`), ...inner.outputs, alias], bare: inner.outputs }
    const renamed = inner.outputs.map((_, at) => of(['id', 'a', 'name', 'x', 'ssn'], at + this.#next()))
    const unique = [...new Set(renamed)]
    return { sql: `${body} AS ${alias}(${unique.join(', ')})`, columns: unique.map((name) => `${alias}.${name}`), bare: unique }
  }

  #table(): Select {
    const name = of(Object.keys(sources), this.#next())
    return { sql: name, outputs: sources[name] ?? [] }
  }

  #condition(columns: readonly string[], depth: number): string {
    return of([() => `${this.#expression(columns, 0)} IS NOT NULL`, () => `${of(columns, this.#next())}::text LIKE '1%'`, () => `${of(columns, this.#next())}::text > '4'`, () => `EXISTS (${this.select(Math.max(1, depth - 1)).sql})`, () => `'${known[0]}' IN (SELECT a FROM t WHERE a = ${of(columns, this.#next())}::text)`, () => 'true'], this.#next())()
  }

  #expression(columns: readonly string[], depth: number): string {
    const column = of(columns, this.#next())
    return of([
      () => column,
      () => column,
      () => `upper(${column}::text)`,
      () => `left(${column}::text, 3) || 'x'`,
      () => `coalesce(${column}::text, 'none')`,
      () => `CASE WHEN ${column}::text > '3' THEN 'more' ELSE 'less' END`,
      () => `CASE WHEN ${column}::text LIKE '1%' THEN 'yes' END`,
      () => `nullif(${column}::text, '${known[0]}')`,
      () => `regexp_matches(${column}::text, '^1')`,
      () => `1 / (length(${column}::text) - 10)`,
      () => `(${column}::text || '')::name`,
      () => `name(${column}::text)`,
      () => `to_jsonb(${column})`,
      () => `ARRAY[${column}::text]`,
      () => `ROW(${column}, 1)`,
      () => `length(${column}::text) + 1`,
      () => `row_number() OVER (ORDER BY ${column}::text)`,
      () => (depth > 1 ? `(SELECT count(*) FROM (${this.select(depth - 1).sql}) z)` : '1'),
    ], this.#next())()
  }
}

const forms = (value: string): readonly string[] => [value, value.slice(0, 6), value.slice(4), Buffer.from(value).toString('hex'), Buffer.from(value).toString('base64').slice(0, 10), hash('md5', value)]

describe('masked values decide nothing that the client sees', () => {
  let server: TestPostgres
  let reader: Reader
  const worlds: { readonly names: SessionNames; readonly wire: Wire }[] = []
  before(async () => {
    server = await startPostgres({ databases: ['one', 'two'] })
    reader = await makeReader()
    for (const [at, database] of ['one', 'two'].entries()) {
      await server.query(schema(databases[at] ?? known), undefined, database)
      await using connection = await connect(server, database)
      const snapshot = await takeSnapshot({ ask: connection.ask, now: () => 0, builtin: builtinFunction })
      const names = makeSessionNames({ catalog: () => snapshot, prepared: () => undefined, cursor: () => undefined })
      await names.refresh(connection.ask)
      const wire = new Wire(server.port, database)
      await wire.exchange()
      worlds.push({ names, wire })
    }
  })
  after(async () => {
    for (const { wire } of worlds) await wire[Symbol.asyncDispose]()
    reader[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
  })

  const see = async (sql: string, world: number): Promise<{ readonly verdict: string; readonly seen: readonly string[] }> => {
    const { names, wire } = worlds[world] ?? assert.fail()
    const plan = planRows({ obligations, statements: reader.read(sql).statements, names, tagsOf: () => [], digest: () => '0'.repeat(32) })
    if (plan.does === 'refuse') return { verdict: 'refused', seen: [] }
    const answer = await wire.exchange(query(sql))
    const shown = plan.does === 'pass' ? answer : relay(answer, plan, answer.length).shown
    // The first value of one database also stands in a table without masks.
    for (const value of world === 0 ? known.slice(1) : databases[1]) for (const form of forms(value)) assert.ok(!shown.includes(form), `${sql}\nshows ${form}`)
    const { rows, errors } = shownIn(shown)
    // Rows of one result have an order only where the statement gives them one, and that is refused where it is a secret's.
    return { verdict: errors.length > 0 ? 'failed' : 'ran', seen: [...errors, ...rows.map((row) => JSON.stringify(row)).toSorted()] }
  }

  test('statements made by chance', async (context) => {
    const verdicts: Record<string, number> = {}
    const runs = Number(process.env['INTERFERENCE_RUNS'] ?? 600)
    await fc.assert(
      fc.asyncProperty(fc.noBias(fc.array(pick, { minLength: 40, maxLength: 80 })), async (numbers) => {
        const sql = new Writer(numbers).statement()
        const [first, second] = [await see(sql, 0), await see(sql, 1)]
        verdicts[first.verdict] = (verdicts[first.verdict] ?? 0) + 1
        assert.deepEqual(first, second, sql)
      }),
      { numRuns: runs, seed: Number(process.env['INTERFERENCE_SEED'] ?? 7) },
    )
    context.diagnostic(JSON.stringify(verdicts))
    assert.ok((verdicts['ran'] ?? 0) > runs / 20, 'too few statements came through for this to say anything')
  })
})
