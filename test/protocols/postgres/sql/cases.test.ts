import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { gravestFirst } from '../../../../src/protocols/postgres/sql/gravity.ts'
import { mean } from '../../../../src/protocols/postgres/sql/mean.ts'
import { makeParser } from '../../../../src/protocols/postgres/sql/parser.ts'
import { readWith } from '../../../../src/protocols/postgres/sql/read.ts'
import type { SqlKind } from '../../../../src/protocols/postgres/sql/reading.ts'
import { world } from './fixture.ts'
import { namesOf } from './names.ts'

interface Expect {
  readonly statement?: string | readonly string[]
  readonly parts?: number
  readonly tables?: readonly string[]
}

interface Item {
  readonly pg?: string
  readonly expect?: Expect
}

interface Case {
  readonly id: string
  readonly title: string
  readonly input?: Item & { readonly each?: readonly Item[] }
  readonly expect?: Expect
}

const { cases } = parse(readFileSync(join(import.meta.dirname, '../../../cases/postgres-sql.yaml'), 'utf8')) as { readonly cases: readonly Case[] }

/** The words of the cases for our kinds. */
const classOf: Readonly<Record<SqlKind, string>> = {
  unknown: 'unknown', 'copy.program': 'forbidden', server: 'forbidden', session: 'session', do: 'opaque', grant: 'ddl', ddl: 'ddl', truncate: 'write', delete: 'write', merge: 'write', update: 'write',
  insert: 'write', 'copy.in': 'write', call: 'call', lock: 'lock', listen: 'write', 'copy.out': 'read', set: 'read', transaction: 'read', explain: 'read', select: 'read',
}

const parser = await makeParser()
const names = namesOf(world)

describe('the meaning that the security cases expect', () => {
  let checked = 0
  for (const { id, title, input, expect } of cases) {
    for (const item of input?.each ?? (input === undefined ? [] : [input])) {
      const wanted = { ...expect, ...item.expect }
      const sql = item.pg
      if (sql === undefined || wanted.statement === undefined || sql.includes('{{repeat')) continue
      checked++
      test(`${id} ${title}: ${sql}`, () => {
        const { statements } = readWith(parser, sql)
        const meanings = statements.map((statement) => mean(statement, names))
        const [gravest = 'select'] = gravestFirst(meanings.flatMap(({ kinds }) => kinds))
        assert.ok([wanted.statement].flat().includes(classOf[gravest]), `${gravest} is no ${JSON.stringify(wanted.statement)}`)
        if (wanted.parts !== undefined && gravest !== 'unknown') assert.equal(statements.length, wanted.parts)
        const tables = meanings.flatMap((one) => one.tables.map(({ schema, name }) => `${schema ?? ''}.${name}`))
        for (const table of wanted.tables ?? []) assert.ok(tables.includes(table), `${table} is not in ${tables.join(', ')}`)
      })
    }
  }

  test('there are cases', () => assert.ok(checked > 80, String(checked)))
})
