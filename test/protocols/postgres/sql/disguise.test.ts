import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { gravity } from '../../../../src/protocols/postgres/sql/gravity.ts'
import { mean } from '../../../../src/protocols/postgres/sql/mean.ts'
import { makeParser, SyntaxProblem } from '../../../../src/protocols/postgres/sql/parser.ts'
import { readWith } from '../../../../src/protocols/postgres/sql/read.ts'
import type { Reading } from '../../../../src/protocols/postgres/sql/reading.ts'
import { hidden, world } from './fixture.ts'
import { chanceFrom, reworded, wrapped } from './mutations.ts'
import { namesOf } from './names.ts'
import { statements, written } from './statements.ts'

const parser = await makeParser()
const names = namesOf(world)

const seeds = [...hidden, ...statements.map(({ sql }) => sql)].filter((sql) => readWith(parser, sql).problem === undefined)

const gravest = (reading: Reading): number => Math.min(...reading.statements.flatMap((one) => mean(one, names).kinds.map(gravity)))

/** Tables that a reading touches, whatever it does to them. */
const touched = (reading: Reading): ReadonlySet<string> => new Set(reading.statements.flatMap((one) => mean(one, names).tables.map(({ schema, name }) => `${schema ?? ''}.${name}`)))

const runs = { numRuns: 2_000, seed: 20_251_121 }

/** Some words are names when they stand inside of another statement: `SELECT (VACUUM)`, `SELECT (COMMIT AND CHAIN)`, `SELECT (LOAD 'x')`. */
const many = seeds.filter((sql) => /\s/.test(sql) && !/AND (?:NO )?CHAIN$|^LOAD/.test(sql))

const one = fc.record({ seed: fc.constantFrom(...many), other: fc.constantFrom(...many), chance: fc.integer() })

describe('statements in disguise', () => {
  test('other words for the same say the same', () => {
    let same = 0
    fc.assert(
      fc.property(one, ({ seed, chance }) => {
        const again = reworded(seed, parser, chanceFrom(chance))
        const reading = readWith(parser, again)
        if (reading.problem !== undefined) return
        assert.deepEqual(reading.statements.map(written), readWith(parser, seed).statements.map(written), again)
        same++
      }),
      runs,
    )
    assert.ok(same > runs.numRuns * 0.9, String(same))
  })

  test('whatever stands around a statement, it is no lighter, and its tables are still seen', () => {
    let understood = 0
    fc.assert(
      fc.property(one, ({ seed, other, chance }) => {
        const next = chanceFrom(chance)
        let disguised = wrapped(seed, other, next)
        if (next(2) === 0) disguised = wrapped(disguised, other, next)
        try {
          disguised = reworded(disguised, parser, next)
        } catch (error) {
          if (!(error instanceof SyntaxProblem)) throw error
        }
        const [inside, outside] = [readWith(parser, seed), readWith(parser, disguised)]
        assert.ok(gravest(outside) <= gravest(inside), disguised)
        if (outside.problem !== undefined) return
        const seen = touched(outside)
        for (const table of touched(inside)) assert.ok(seen.has(table), `${table} is not seen in ${disguised}`)
        understood++
      }),
      runs,
    )
    assert.ok(understood > runs.numRuns * 0.3, String(understood))
  })

  test('no text makes the reader throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.constantFrom('SELECT', 'FROM', 't', '(', ')', ',', ';', "'", '"', '$$', '/*', '*/', '--', 'E', '\\', '\n', '1', 'WITH', 'AS', 'DELETE', 'U&', '.', '*', ' ')).map((words) => words.join(' '))), (text) => {
        const { statements: all, problem } = readWith(parser, text)
        if (problem !== undefined) assert.deepEqual(all.map(({ kinds }) => kinds), [['unknown']])
      }),
      { ...runs, numRuns: 5_000 },
    )
  })
})
