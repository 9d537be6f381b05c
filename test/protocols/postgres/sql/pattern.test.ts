import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { readsAsTruth } from '../../../../src/lib/truth.ts'
import { makeParser, type Parser } from '../../../../src/protocols/postgres/sql/parser.ts'
import { patternIn } from '../../../../src/protocols/postgres/sql/pattern.ts'

describe('statements of one kind', () => {
  let parser: Parser
  before(async () => { parser = await makeParser() })
  const same = (one: string, other: string): boolean => {
    const [a, b] = [patternIn(one, parser), patternIn(other, parser)]
    assert.ok(a !== undefined, one)
    return b !== undefined && a.same === b.same
  }

  test('differ in the values that columns are set to, and compared with', () => {
    for (const [one, other] of [
      ['UPDATE t SET a = 5 WHERE id IN (1)', 'UPDATE t SET a = 77 WHERE id IN (1, 2, 3)'],
      ['UPDATE t SET a = 5, b = \'x\' WHERE id = 1 AND NOT (c = \'p\' OR d = -2.5)', 'update  t set a = -6, b = \'zz\' where id = 9 and not (c = \'q\' or d = 3) -- the same'],
      ["DELETE FROM t WHERE id = ANY('{1,2}')", "DELETE FROM t WHERE id = ANY('{3}')"],
      ['DELETE FROM t WHERE id = ANY(ARRAY[1, 2])', 'DELETE FROM t WHERE id = ANY(ARRAY[3])'],
      ["DELETE FROM t WHERE day = date '2024-01-01' AND k = 'a'::text", "DELETE FROM t WHERE day = date '2025-01-01' AND k = 'b'::text"],
      ['DELETE FROM t WHERE 5 = id', 'DELETE FROM t WHERE 6 = id'],
      ['UPDATE t SET a = 5 WHERE id = 3000000000', 'UPDATE t SET a = 5 WHERE id = 1'],
    ] as const) assert.ok(same(one, other), other)
  })

  test('and in nothing else', () => {
    const base = "UPDATE t SET a = 5 WHERE id IN (1) AND b = 'x'"
    for (const other of [
      "UPDATE t SET a = 5 WHERE true", "UPDATE t SET a = 5", "UPDATE t SET a = 5 WHERE id IN (SELECT id FROM t) AND b = 'x'", "UPDATE t SET a = 5 WHERE id IN (1) AND b = 'x' OR true", "UPDATE t SET id = 5 WHERE a IN (1) AND b = 'x'",
      "UPDATE t SET a = (SELECT count(*) FROM users) WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = '5' WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = NULL WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = true WHERE id IN (1) AND b = 'x'",
      "UPDATE t SET a = a + 5 WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = 5, c = 6 WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = 5 WHERE id NOT IN (1) AND b = 'x'", "UPDATE t SET a = 5 WHERE id IN (1) AND b <> 'x'", "UPDATE t SET a = 5 WHERE id IN (1) AND b LIKE 'x'",
      "UPDATE t SET a = 5 WHERE id IN (1) AND b = ''", "UPDATE t SET a = 5 WHERE id IN (1) AND b = 't'", "UPDATE t SET a = 5 WHERE id IN (1) AND b = b", "UPDATE t SET a = 5 WHERE id IN (1, NULL) AND b = 'x'", "UPDATE t SET a = 5 WHERE id IN ('1') AND b = 'x'",
      "UPDATE t SET a = 5 WHERE id IN (1) AND b = 'x' RETURNING *", "UPDATE ONLY t SET a = 5 WHERE id IN (1) AND b = 'x'", "UPDATE s.t SET a = 5 WHERE id IN (1) AND b = 'x'", "UPDATE t AS u SET a = 5 WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = 5 WHERE id IN (1) AND b OPERATOR(s.=) 'x'",
      "UPDATE t SET a = $1 WHERE id IN (1) AND b = 'x'", "UPDATE t SET a = 5 WHERE id IN (1) AND b = 'x'::s.wild", "UPDATE t SET a = 5 WHERE id = 1 AND b = 'x'", "DELETE FROM t WHERE id IN (1) AND b = 'x'",
    ]) assert.ok(!same(base, other), other)
  })

  test('ranges, patterns, functions, LIMIT and all in a sub-select stay as they are', () => {
    for (const [one, other] of [
      ['DELETE FROM t WHERE id < 5', 'DELETE FROM t WHERE id < 500'],
      ['DELETE FROM t WHERE id BETWEEN 1 AND 2', 'DELETE FROM t WHERE id BETWEEN 1 AND 200'],
      ["DELETE FROM t WHERE name LIKE 'a%'", "DELETE FROM t WHERE name LIKE '%'"],
      ["DELETE FROM t WHERE name ~ '^a'", "DELETE FROM t WHERE name ~ ''"],
      ["DELETE FROM t WHERE lower(name) = 'a'", "DELETE FROM t WHERE lower(name) = 'b'"],
      ["UPDATE t SET a = left('abc', 1) WHERE id = 1", "UPDATE t SET a = left('abc', 2) WHERE id = 1"],
      ['UPDATE t SET a = 5 + 1 WHERE id = 1', 'UPDATE t SET a = 5 + 2 WHERE id = 1'],
      ['DELETE FROM t WHERE id IN (SELECT id FROM u WHERE k = 5)', 'DELETE FROM t WHERE id IN (SELECT id FROM u WHERE k = 6)'],
      ['DELETE FROM t WHERE id IN (SELECT id FROM u ORDER BY k LIMIT 1 OFFSET 2)', 'DELETE FROM t WHERE id IN (SELECT id FROM u ORDER BY k LIMIT 9 OFFSET 2)'],
      ['UPDATE t SET a = (SELECT secret FROM u WHERE id = 1) WHERE id = 1', 'UPDATE t SET a = (SELECT secret FROM u WHERE id = 2) WHERE id = 1'],
      ['DELETE FROM t WHERE id = ANY(ARRAY[1, NULL])', 'DELETE FROM t WHERE id = ANY(ARRAY[1, NULL, 2])'],
      ['DELETE FROM t WHERE id = 1 AND 1 = 1', 'DELETE FROM t WHERE id = 1 AND 2 = 2'],
    ] as const) assert.ok(!same(one, other), other)
  })

  test('there are none of what cannot be counted', () => {
    for (const text of ['SELECT 1', 'INSERT INTO t VALUES (1)', 'UPDATE t SET a = 1 FROM u WHERE u.id = t.id', 'DELETE FROM t USING u WHERE u.id = t.id', 'WITH x AS (DELETE FROM t RETURNING id) DELETE FROM u WHERE id = 1', 'DELETE FROM t; DELETE FROM t', 'nonsense', 'DELETE FROM t WHERE CURRENT OF c'])
      assert.equal(patternIn(text, parser), undefined, text)
  })

  test('parameters are open where values are, and only there', () => {
    assert.deepEqual(patternIn('UPDATE t SET a = $1, b = b + $2 WHERE id = $3 AND c > $4 AND d = ANY($5)', parser)?.open, [1, 3, 5])
    assert.ok(!same('UPDATE t SET a = $1 WHERE id = $2', 'UPDATE t SET a = $2 WHERE id = $1'))
  })

  test('a parameter that also stands where nothing is open stays', () => {
    for (const text of ['UPDATE t SET a = $1 WHERE id = $2 AND b LIKE $1', 'UPDATE t SET a = $1 WHERE id = $2 AND c < $1', 'UPDATE t SET a = $1 WHERE id = $2 AND id IN (SELECT id FROM u WHERE k = $1)', 'UPDATE t SET a = $1 WHERE id = $2 RETURNING left(b, $1)'])
      assert.deepEqual(patternIn(text, parser)?.open, [2], text)
  })

  test('what becomes true or false by a cast stays, and numbers as what nobody knows', () => {
    for (const [one, other] of [
      ['UPDATE t SET a = 0::bool WHERE id = 1', 'UPDATE t SET a = 1::bool WHERE id = 1'],
      ['UPDATE t SET a = CAST(0 AS boolean) WHERE id = 1', 'UPDATE t SET a = CAST(7 AS boolean) WHERE id = 1'],
      ['UPDATE t SET a = 0::flag WHERE id = 1', 'UPDATE t SET a = 1::flag WHERE id = 1'],
      ["UPDATE t SET a = '{f}'::bool[] WHERE id = 1", "UPDATE t SET a = '{t}'::bool[] WHERE id = 1"],
    ] as const) assert.ok(!same(one, other), other)
    assert.ok(same('UPDATE t SET a = 0::bigint, b = 1::numeric(5, 2), c = 3::text WHERE id = 1', 'UPDATE t SET a = 1::bigint, b = 4::numeric(5, 2), c = 4::text WHERE id = 2'))
  })

  test('are shown with what is open left open, and nothing in them can pass for that', () => {
    assert.equal(patternIn("UPDATE t SET a = -5, b = 'ä', c = NULL /* <number> */ WHERE id IN (1, -22,3) AND d = date '2024-01-01' AND e LIKE '<text>' AND f = $1", parser)?.text, "UPDATE t SET a = <number>, b = <text>, c = NULL /* <number> */ WHERE id IN (<number>, …) AND d = date <text> AND e LIKE '<text>' AND f = $1")
    assert.equal(patternIn("DELETE FROM t WHERE a = 'x' AND \"b\u202e\" = 1", parser)?.text, 'DELETE FROM t WHERE a = <text> AND "b\\u{202e}" = <number>')
  })

  /** A statement with places for values: open ones and fixed ones, by turns filled in with one value or another. */
  const { condition } = fc.letrec<{ readonly condition: string }>((tie) => ({
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('a = OPEN', 'OPEN = b', 'a IN (OPEN, OPEN)', 'a = ANY(ARRAY[OPEN])', 'a < FIXED', 'a <> FIXED', 'a LIKE FIXED', 'a BETWEEN FIXED AND FIXED', 'a NOT IN (FIXED)', 'lower(a) = FIXED', 'a = b + FIXED', 'a IS NULL', 'coalesce(a, FIXED) = b', 'FIXED = FIXED'),
      fc.tuple(tie('condition'), fc.constantFrom('AND', 'OR'), tie('condition')).map(([one, word, other]) => `(${one} ${word} ${other})`),
      tie('condition').map((inner) => `NOT (${inner})`),
      tie('condition').map((inner) => `EXISTS (SELECT FROM u WHERE ${inner.replaceAll('OPEN', 'FIXED')})`),
      tie('condition').map((inner) => `a IN (SELECT a FROM u WHERE ${inner.replaceAll('OPEN', 'FIXED')} LIMIT 5)`),
    ),
  }))
  const statement = fc.oneof(
    condition.map((where) => `DELETE FROM t WHERE ${where}`),
    fc.tuple(fc.constantFrom('c = OPEN', 'c = OPEN, d = OPEN', 'c = c + FIXED', 'c = left(FIXED, 2)', 'c = (SELECT max(x) FROM u WHERE y = FIXED)'), condition).map(([set, where]) => `UPDATE t SET ${set} WHERE ${where}`),
  )
  const value = fc.oneof(fc.integer({ min: -9, max: 9_999_999_999 }).map(String), fc.string({ minLength: 2, maxLength: 8 }).filter((text) => !readsAsTruth(text) && text.isWellFormed() && !text.includes('\0')).map((text) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`))

  test('whatever they are made of: another open value changes nothing, another fixed one everything', () => {
    fc.assert(
      fc.property(statement, fc.array(value, { minLength: 40, maxLength: 40 }), fc.array(value, { minLength: 40, maxLength: 40 }), fc.boolean(), (form, ones, others, alsoFixed) => {
        const kindOf = (text: string): string => (text.startsWith('E') ? 'text' : 'number')
        let different = false
        const fill = (change: boolean): string => {
          let at = 0
          return form.replaceAll(/OPEN|FIXED/g, (slot) => {
            const [one = '', other = ''] = [ones[at], others[at]]
            at++
            if (!change) return one
            // Of another kind, an open value is another one as well.
            if (slot === 'OPEN') return kindOf(one) === kindOf(other) ? other : one
            if (!alsoFixed || one === other) return one
            different = true
            return other
          })
        }
        const [before, after] = [fill(false), fill(true)]
        assert.equal(same(before, after), !different, `${before}\n${after}`)
      }),
      { numRuns: 1_500 },
    )
  })
})
