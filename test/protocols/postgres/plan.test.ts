import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { announcementIn, forgetsPlan, readPlan } from '../../../src/protocols/postgres/plan.ts'
import { makeReader } from '../../../src/protocols/postgres/sql/reader.ts'

describe('plans', async () => {
  using reader = await makeReader()
  const wrong = (sql: string): string => {
    try {
      readPlan(sql, reader.read(sql))
    } catch (error) {
      return error instanceof Error ? error.message : ''
    }
    return ''
  }

  test('what stands between BEGIN and COMMIT, to the letter, but for what divides or ends the transaction or hides what runs', () => {
    const sql = "BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL statement_timeout = '5s';\n  UPDATE t SET a = 1\n WHERE id = 1 ;DROP TABLE x; END"
    assert.deepEqual(readPlan(sql, reader.read(sql)).steps.map(({ text }) => text), ['BEGIN ISOLATION LEVEL SERIALIZABLE', "SET LOCAL statement_timeout = '5s'", 'UPDATE t SET a = 1\n WHERE id = 1', 'DROP TABLE x', 'END'])
    for (const inner of ['SAVEPOINT s', 'RELEASE s', 'ROLLBACK TO s', 'ROLLBACK', 'COMMIT', 'COMMIT AND CHAIN', 'BEGIN', "PREPARE TRANSACTION 'x'", 'PREPARE p AS SELECT 1', 'EXECUTE p', 'DEALLOCATE p', 'DECLARE c CURSOR FOR SELECT 1', 'FETCH c', 'CLOSE c', 'DISCARD ALL', 'RESET ALL', 'SET ROLE x', 'COPY t FROM STDIN', 'SELECT $1'])
      assert.match(wrong(`BEGIN; UPDATE t SET a = 1; ${inner}; COMMIT`), /^This is no plan: /, inner)
    for (const whole of ['', 'BEGIN; COMMIT', 'UPDATE t SET a = 1', 'BEGIN; UPDATE t SET a = 1', 'UPDATE t SET a = 1; COMMIT', 'BEGIN; UPDATE t SET a = 1; COMMIT AND CHAIN', 'BEGIN; UPDATE t SET; COMMIT', 'COMMIT; UPDATE t SET a = 1; BEGIN'])
      assert.match(wrong(whole), /^This is no plan: /, whole)
  })

  test('an announcement stands alone and is for the session', () => {
    const said = (sql: string) => announcementIn(reader.read(sql).statements)
    assert.deepEqual(said("SET countersign.plan = 'x'"), { sql: 'x' })
    assert.deepEqual(said('set session Countersign.PLAN to $$a\'b$$'), { sql: "a'b" })
    for (const sql of ['RESET countersign.plan', 'SET countersign.plan TO DEFAULT', "SET countersign.plan = ' '"]) assert.deepEqual(said(sql), { sql: undefined })
    for (const sql of ['SELECT 1', "SET countersign.plans = 'x'", "SELECT set_config('countersign.plan', 'x', false)"]) assert.equal(said(sql), undefined)
    for (const sql of ["SET LOCAL countersign.plan = 'x'", "SET countersign.plan = 'x'; BEGIN", "SELECT 1; SET countersign.plan = 'x'"]) assert.throws(() => said(sql), /alone, for the session/)
    for (const sql of ['RESET ALL', 'DISCARD ALL']) assert.ok(forgetsPlan(reader.read(sql).statements))
  })

  test('the example runs what it announces', () => {
    const [announced, ...run] = reader.read(readFileSync(join(import.meta.dirname, '../../../examples/plan.sql'), 'utf8')).statements
    const { sql } = announcementIn(announced === undefined ? [] : [announced]) ?? {}
    assert.ok(sql !== undefined)
    assert.deepEqual(readPlan(sql, reader.read(sql)).steps.map(({ text }) => text), run.map(({ text }) => text))
  })
})
