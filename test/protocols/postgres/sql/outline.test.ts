import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { makeReader } from '../../../../src/protocols/postgres/sql/reader.ts'

describe('statements without their values', async () => {
  using reader = await makeReader()

  test('every way to write a value or a comment', () => {
    for (const [sql, outline] of [
      ["UPDATE users SET ssn = '987-65-4321' WHERE name = 'n'", "UPDATE users SET ssn = '•••' WHERE name = '•••'"],
      ["SELECT 'it''s', E'a\\'b', $$dollar's$$, $x$a$$b$x$, U&'\\0041', B'101', X'ff', N'n'", "SELECT '•••', '•••', '•••', '•••', '•••', '•••', '•••', N'•••'"],
      ['SELECT 1, -2.5e3, 0x1F, 1_000, $1', 'SELECT •••, -•••, •••, •••, $1'],
      ["-- for Ann, 555-0100\nSELECT /* 'Ann' /* nested */ */ a FROM t", '-- •••\nSELECT /* ••• */ a FROM t'],
      ["SELECT 'a'\n  'b' AS \"a 'name'\", DATE '2026-01-01', interval '1 day'", "SELECT '•••' AS \"a 'name'\", DATE '•••', interval '•••'"],
      ["DO $do$ begin perform 'secret'; end $do$", "DO '•••'"],
      ["INSERT INTO t VALUES ('ä😀', 'ü'), (NULL, TRUE)", "INSERT INTO t VALUES ('•••', '•••'), (NULL, TRUE)"],
      ['TRUNCATE public.orders', 'TRUNCATE public.orders'],
    ] as const) assert.equal(reader.outline(sql), outline)
  })

  test('a text that cannot be read has none', () => {
    for (const sql of ["SELECT 'open", '/* open', 'SELECT 1 \0', `SELECT '${'a'.repeat(25_000)}'`, 'SELECT \ud800']) assert.equal(reader.outline(sql), undefined)
  })

  test('no value is left, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.integer({ min: 10_000_000 }), (text, number) => {
        const value = `S3CRET${text.replaceAll(/['\0\\]/g, '')}`
        fc.pre(value.isWellFormed())
        assert.equal(reader.outline(`DELETE FROM t WHERE a = '${value}' AND b=${number} -- ${value.replaceAll(/[\n\r]/g, '')}`), "DELETE FROM t WHERE a = '•••' AND b=••• -- •••")
      }),
      { numRuns: 200 },
    )
  })
})
