import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { makeReader } from '../../../../src/protocols/postgres/sql/reader.ts'
import { statements, written } from './statements.ts'

const reader = await makeReader()
after(() => reader[Symbol.dispose]())

const one = (sql: string) => {
  const { statements: [first, ...others], problem } = reader.read(sql)
  assert.ok(first !== undefined && others.length === 0, sql)
  return { ...first, problem }
}

describe('reading SQL', () => {
  test('the table has what it claims to have', () => assert.ok(statements.length > 400))

  for (const { kinds, names, sql } of statements) test(sql, () => assert.deepEqual(written(one(sql)), { kinds, names }))

  test('a text of several statements is all of them, each with its own part', () => {
    const texts = (sql: string): readonly string[] => reader.read(sql).statements.map(({ text }) => text)
    assert.deepEqual(texts("SELECT 'é'; UPDATE t SET a=1;SELECT 2"), ["SELECT 'é'", 'UPDATE t SET a=1', 'SELECT 2'])
    assert.deepEqual(texts('SELECT 1;\n\n;  ; DROP TABLE t'), ['SELECT 1', 'DROP TABLE t'])
    assert.deepEqual(texts("SELECT '\\'; DELETE FROM t; --'"), ["SELECT '\\'", 'DELETE FROM t'])
    assert.deepEqual(texts('SELECT 1 /* /* */ */ ; DELETE FROM t').length, 2)
    assert.deepEqual([texts(''), texts(' \n;;'), texts('-- nothing')], [[], [], []])
  })

  test('what cannot be parsed is one unknown statement, with everything around it', () => {
    for (const sql of ['SELECT 1; FROBNICATE t', 'SELECT 1\0; DROP TABLE t', 'SELECT \u{d800}', '\u00a0']) {
      const { statements: all, problem } = reader.read(sql)
      assert.deepEqual([all.length, all[0]?.kinds, all[0]?.text, problem !== undefined], [1, ['unknown'], sql, true], sql)
    }
  })

  test('a backslash before a quote is told, where it makes a difference', () => {
    const told = (sql: string): boolean => reader.read(sql).backslash === true
    for (const sql of ["SELECT '\\'; DELETE FROM t; --'", "SELECT 'a\\''b'", "SELECT 'a\\\\\\'", "SELECT b'\\'", "SELECT 1 AS a, 'x\\'"]) assert.ok(told(sql), sql)
    for (const sql of ["SELECT E'\\''", "SELECT 'a\\b'", "SELECT '\\\\'", "SELECT $$\\'$$", "SELECT '\\d', 'x'", "SELECT \"\\\", 'a'", "SELECT 1 -- \\'", "SELECT 1 /* \\' */"]) assert.ok(!told(sql), sql)
  })

  test('what one plain change changes, and the text of its WHERE', () => {
    const changes = (sql: string) => one(sql).changes
    const relation = { name: 't', access: 'write' }
    assert.deepEqual(changes('DELETE FROM t'), { relation })
    assert.deepEqual(changes('DELETE FROM ONLY s.t AS x WHERE x.a = 1 /* b */ -- c'), { relation: { ...relation, schema: 's' }, only: true, alias: 'x', where: 'x.a = 1' })
    assert.deepEqual(changes("UPDATE t SET a = (SELECT 1 FROM u WHERE true) WHERE t.where = 'é)' AND \"returning\" = 2 RETURNING *"), { relation, where: "t.where = 'é)' AND \"returning\" = 2" })
    assert.deepEqual(changes('DELETE FROM t WHERE id IN (SELECT 1 FROM u WHERE a) OR b'), { relation, where: 'id IN (SELECT 1 FROM u WHERE a) OR b' })
    assert.equal(reader.read('SELECT 1; DELETE FROM t WHERE a = 1 ; SELECT 2').statements[1]?.changes?.where, 'a = 1')
    for (const sql of ['DELETE FROM t USING u', 'UPDATE t SET a = 1 FROM u', 'WITH x AS (SELECT 1) DELETE FROM t', 'DELETE FROM t WHERE CURRENT OF c', 'EXPLAIN DELETE FROM t', 'INSERT INTO t VALUES (1)']) assert.equal(changes(sql), undefined, sql)
  })

  test('what a statement does to the session', () => {
    const control = (sql: string) => one(sql).control
    assert.deepEqual(control("EXECUTE p (1, 'a,b', f(2, 3), ARRAY[1,2])"), { does: 'execute', name: 'p', parameters: ['1', "'a,b'", 'f ( 2 , 3 )', 'ARRAY [ 1 , 2 ]'] })
    assert.deepEqual(control('EXECUTE p'), { does: 'execute', name: 'p', parameters: [] })
    assert.deepEqual(control('SET LOCAL Search_Path TO a, b'), { does: 'set', variable: 'search_path', value: 'a, b', local: true })
    assert.deepEqual(control('SET x.y = -1.5'), { does: 'set', variable: 'x.y', value: '-1.5', local: false })
    assert.deepEqual(control('RESET ALL'), { does: 'set', variable: 'all', local: false })
    assert.deepEqual(control('COMMIT AND CHAIN'), { does: 'commit', chain: true })
    assert.deepEqual(control('DEALLOCATE ALL'), { does: 'deallocate' })
    assert.deepEqual(control('DROP TABLE a.b, c'), { does: 'drop', names: ['b', 'c'] })
    const declared = control('DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t')
    assert.ok(declared?.does === 'declare' && declared.hold && declared.body.relations[0]?.name === 't')
    const prepared = one('PREPARE p(int) AS DELETE FROM t WHERE id = $1')
    assert.ok(prepared.control?.does === 'prepare' && prepared.control.body.kinds[0] === 'delete' && prepared.control.body.parameters === 1)
    assert.equal(prepared.parameters, 0)
  })

  test('how a statement answers', () => {
    const answers = (sql: string) => one(sql).answers
    const table = {
      rows: ['SELECT 1', 'VALUES (1)', 'DELETE FROM t RETURNING *', 'SHOW x', 'EXPLAIN DELETE FROM t', 'EXECUTE p', 'FETCH c'],
      count: ['INSERT INTO t VALUES (1)', 'SELECT 1 INTO x', 'COPY t TO PROGRAM \'x\'', 'MOVE c', 'CREATE TABLE x AS SELECT 1'],
      'copy-in': ['COPY t FROM STDIN'],
      'copy-out': ['COPY (DELETE FROM t RETURNING *) TO STDOUT'],
      nothing: ['BEGIN', 'DROP TABLE t', 'PREPARE p AS SELECT 1', 'DECLARE c CURSOR FOR SELECT 1', 'TRUNCATE t', 'SET timezone = 1'],
    }
    for (const [kind, all] of Object.entries(table)) for (const sql of all) assert.equal(answers(sql), kind, sql)
  })

  test('columns, by the names that are written', () => {
    const columns = (sql: string): string => one(sql).columns.map(({ qualifier, name }) => (qualifier === undefined ? name : `${qualifier}|${name}`)).join(' ')
    assert.equal(columns('SELECT a, t.b, s.t.c, t.*, (x).y, (f()).* FROM t JOIN u USING (k)'), 'a t|b s.t|c t|* |y x |* k')
    assert.equal(columns('INSERT INTO t (a, b) SELECT * FROM u'), 'a b *')
    assert.equal(columns('UPDATE t SET a = b'), 'a b')
    assert.equal(columns('COPY t (a, b) TO STDOUT'), 'a b')
    assert.equal(columns('COPY t TO STDOUT'), '*')
    assert.equal(columns('SELECT * FROM t NATURAL JOIN u'), '*')
  })
})
