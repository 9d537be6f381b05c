import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeReader, type Reader } from '../../../../src/protocols/postgres/sql/reader.ts'

let reader: Reader
before(async () => {
  reader = await makeReader()
})
after(() => reader[Symbol.dispose]())

const usesOf = (sql: string): readonly [used: string, marks: string] => {
  const [reading] = reader.read(sql).statements
  assert.ok(reading?.used !== undefined, `${sql}: ${reading?.opaque}`)
  const body = reading.control?.does === 'prepare' || reading.control?.does === 'declare' ? reading.control.body : reading
  return [(body.used ?? []).map(({ name }) => name).toSorted().join(' '), [body.renames === true ? 'renames' : '', body.labels === true ? 'labels' : ''].join('')]
}

const cases: readonly (readonly [sql: string, used: string, marks?: string])[] = [
  ['SELECT ssn, upper(ssn) AS x, u FROM users u', ''],
  ['SELECT * FROM users WHERE id = 1', 'id'],
  ["SELECT id FROM users WHERE ssn LIKE '1%'", 'ssn'],
  ['SELECT id FROM users WHERE (u).ssn = name', 'name u'],
  ['SELECT id FROM users ORDER BY ssn', 'ssn'],
  ['SELECT id, ssn FROM users ORDER BY 2', 'id ssn'],
  ['SELECT id, ssn AS name FROM users ORDER BY name', 'ssn'],
  ['SELECT id, count(*) AS n, max(ssn) FROM users GROUP BY id ORDER BY n DESC', 'id'],
  ['SELECT id, length(mail) AS n FROM users ORDER BY n + 1, n', 'id mail n'],
  ['SELECT id AS n, ssn FROM users GROUP BY n', 'id n'],
  ['SELECT DISTINCT ON (n) ssn AS n FROM users', 'ssn'],
  ['SELECT * FROM users ORDER BY 1', '*'],
  ['SELECT count(*) FROM users GROUP BY ssn', 'ssn'],
  ['SELECT DISTINCT ON (ssn) id FROM users', 'ssn'],
  ['SELECT rank() OVER (ORDER BY ssn) FROM users', 'ssn'],
  ['SELECT rank() OVER w FROM users WINDOW w AS (PARTITION BY ssn)', 'ssn'],
  ['SELECT count(*) FILTER (WHERE ssn = name) FROM users', 'name ssn'],
  ['SELECT string_agg(name, id ORDER BY ssn) FROM users', 'ssn'],
  ['SELECT u.id FROM users u JOIN t ON u.ssn = t.a', 'a ssn'],
  ['SELECT id FROM users JOIN t USING (ssn)', 'ssn'],
  ['SELECT id FROM users NATURAL JOIN t', '*'],
  ['SELECT (SELECT max(ssn) FROM users WHERE id = t.a) FROM t', 'a id'],
  ['SELECT id FROM t WHERE id IN (SELECT ssn FROM users)', 'id ssn'],
  ['SELECT ssn FROM users u WHERE EXISTS (SELECT 1 FROM t WHERE t.id = u.id) AND id < (SELECT max(id) FROM t)', 'id id id'],
  ['SELECT ssn FROM users WHERE id IN (SELECT id FROM t UNION SELECT ssn FROM users)', 'id ssn'],
  ['SELECT ssn FROM users WHERE id IN (SELECT x.n FROM (SELECT ssn AS n FROM users) x)', 'id n ssn', 'labels'],
  ['SELECT q.y FROM (SELECT ssn AS y FROM users) q WHERE q.y = id', 'id y', 'labels'],
  ['WITH c(x) AS (SELECT ssn FROM users) SELECT x FROM c', '', 'renames'],
  ['SELECT a FROM users AS u(id, name, a)', '', 'renames'],
  ['SELECT x FROM users, lateral (SELECT ssn) s(x)', '', 'renames'],
  ['SELECT * FROM f(ssn)', 'ssn'],
  ['SELECT ssn FROM users UNION ALL SELECT a FROM t', ''],
  ['SELECT ssn FROM users UNION ALL SELECT a FROM t ORDER BY 1', 'a ssn'],
  ["SELECT '555' UNION ALL SELECT ssn FROM users ORDER BY 1", 'ssn'],
  ['SELECT a FROM (SELECT a FROM t UNION ALL SELECT ssn FROM users) q WHERE a = name', 'a name', 'labels'],
  ['SELECT id FROM (SELECT id, name(ssn) FROM users) q WHERE name = id', 'id name ssn', 'labels'],
  ["SELECT id FROM (SELECT id, (ssn || '')::name FROM users) q WHERE name = id", 'id name', 'labels'],
  ['SELECT id, upper(ssn) FROM users ORDER BY upper', 'ssn upper'],
  ['SELECT id, upper(ssn) FROM users ORDER BY id', 'id'],
  ["SELECT id, CASE WHEN ssn LIKE '1%' THEN name ELSE mail END FROM users", 'ssn'],
  ['SELECT CASE ssn WHEN name THEN id END FROM users', 'name ssn'],
  ['SELECT coalesce(ssn, name), ssn || name, to_jsonb(u), array_agg(ssn), ssn::text, (u).ssn, ssn = name FROM users u', ''],
  ["SELECT regexp_matches(ssn, '^1') FROM users", 'ssn'],
  ['SELECT unnest(tags), (mails).unnest FROM users', 'mails tags'],
  ['SELECT 1 / length(ssn), ssn::int, other.left(ssn, 1), ssn OPERATOR(other.||) name FROM users', 'name ssn'],
  ['SELECT vip AND name = ssn FROM users', 'name ssn vip'],
  ['SELECT id = ANY (SELECT ssn FROM users) FROM t', 'id'],
  ['SELECT id ~ ANY (SELECT ssn FROM users) FROM t', 'id ssn'],
  ['WITH RECURSIVE r AS (SELECT ssn FROM users UNION ALL SELECT ssn FROM r) CYCLE ssn SET c USING p SELECT 1 FROM r', 'ssn', 'labels'],
  ['SELECT ssn FROM users UNION SELECT a FROM t', 'a ssn'],
  ['SELECT ssn FROM users INTERSECT ALL SELECT a FROM t', 'a ssn'],
  ['(SELECT ssn FROM users EXCEPT SELECT a FROM t) UNION ALL SELECT name FROM users', 'a ssn'],
  ['SELECT DISTINCT ssn, upper(name) FROM users', 'name ssn'],
  ['SELECT id FROM (SELECT DISTINCT * FROM users) q', '*'],
  ["UPDATE users SET name = 'x', ssn = 'y' WHERE id = 1 RETURNING *", 'id'],
  ['UPDATE users SET name = ssn RETURNING id', 'ssn'],
  ['UPDATE users SET name = q.s FROM (SELECT ssn AS s FROM users) q', 's ssn', 'labels'],
  ["INSERT INTO users (id, ssn) VALUES (1, 'x') RETURNING ssn", ''],
  ['INSERT INTO t SELECT * FROM users', '*'],
  ['INSERT INTO t SELECT ssn FROM users RETURNING id', 'ssn'],
  ['WITH d AS (DELETE FROM users WHERE id = 1 RETURNING ssn) SELECT * FROM d', 'id'],
  ['CREATE TABLE x AS SELECT ssn FROM users', 'ssn'],
  ['SELECT ssn INTO x FROM users', 'ssn'],
  ['EXPLAIN SELECT ssn FROM users WHERE id = 1', 'id'],
  ['PREPARE p AS SELECT ssn FROM users WHERE id = $1', 'id'],
  ['DECLARE c CURSOR FOR SELECT ssn FROM users', ''],
  ['COPY (SELECT ssn FROM users WHERE id = 1) TO STDOUT', 'id'],
  ['MERGE INTO users USING t ON users.id = t.a WHEN MATCHED THEN UPDATE SET name = t.b', 'a b id'],
]

for (const [sql, used, marks = ''] of cases) {
  test(sql, () => assert.deepEqual(usesOf(sql), [used, marks]))
}

test('constants of text', () => {
  const literals = (sql: string): readonly string[] | undefined => reader.read(sql).statements[0]?.literals
  assert.deepEqual(literals("UPDATE users SET ssn = '******', name = E'\\x2a' WHERE id = 1"), ['******', '*'])
  assert.deepEqual(literals('SELECT 1'), [])
})

test('names that stand in FROM', () => {
  const aliases = (sql: string): string =>
    (reader.read(sql).statements[0]?.aliases ?? []).map(({ name, relation }) => (relation === undefined ? name : `${name}=${relation.schema === undefined ? '' : `${relation.schema}.`}${relation.name}`)).toSorted().join(' ')
  assert.equal(aliases('SELECT note FROM users note, public.orders'), 'note=users orders=public.orders')
  assert.equal(aliases('SELECT j FROM (users JOIN orders USING (id) AS u) AS j'), 'j orders=orders u users=users')
  assert.equal(aliases('WITH orders AS (SELECT ssn FROM users) SELECT note FROM orders note'), 'note users=users')
  assert.equal(aliases('SELECT q FROM (SELECT 1) q WHERE EXISTS (SELECT FROM t)'), 'q t=t')
  assert.equal(aliases('UPDATE users note SET id = 1 RETURNING WITH (OLD AS was) note'), 'new=users note=users old=users was=users')
})
