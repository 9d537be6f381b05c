import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shapeOf } from '../../../src/protocols/postgres/action-shape.ts'

const shape = (sql: string): string => shapeOf('crm', ['sql.update'], sql)

test('statements that differ in values alone are alike', () => {
  assert.equal(shape("UPDATE orders SET total = 5.5, note = 'it''s' WHERE id = 7"), 'crm sql.update UPDATE orders SET total = ?, note = ? WHERE id = ?')
  assert.equal(shape('UPDATE "orders 2"  SET a = 1 WHERE "b" = \'x\''), shape('UPDATE "orders 2" SET a = 22\nWHERE "b" = \'y\''))
})

test('nothing hides behind a quote, a comment, a name or the end of what is kept', () => {
  const tail = ' AND a = 1'.repeat(60)
  for (const [one, other] of [
    ["UPDATE t SET a = E'x' WHERE id = 1", "UPDATE t SET a = E'\\'', b = c --' WHERE id = 1"],
    ["UPDATE t SET a = 'x' WHERE id = 1", "UPDATE t SET a = /* ' */ b, c = d /* ' */ WHERE id = 1"],
    ["UPDATE t SET a = $$'$$ WHERE b = 'x'", "UPDATE t SET a = $$'$$ OR c = $$'$$ WHERE b = 'x'"],
    ['UPDATE "a\'b" SET c = \'1\'', 'UPDATE "a\'z" SET d = \'1\''],
    [`UPDATE t SET b = 1 WHERE id = 1${tail}`, `UPDATE t SET b = 1 WHERE id = 1${tail} OR true`],
    [`UPDATE t SET b = 1 WHERE id = 1${tail.repeat(4)}`, `UPDATE t SET b = 1 WHERE id = 1${tail.repeat(4)} OR true`],
  ] as const) assert.notEqual(shape(one), shape(other), other)
  assert.ok(shape(`UPDATE t SET b = 1 WHERE id = 1${tail}`).length <= 400)
})
