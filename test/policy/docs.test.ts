import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { caseAction } from '../../src/cli/case-action.ts'
import { settleCase } from '../../src/cli/case-votes.ts'
import { sqlCaseAction } from '../../src/cli/sql-case-action.ts'
import { readDocument } from '../../src/lib/document.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { casesSchema, runCase } from '../../src/policy/cases.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import { world } from './world.ts'

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'policies.md'), 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block)
const starting = (word: string): readonly string[] => blocks.filter((block) => new RegExp(`^${word}:`, 'm').test(block))
const load = (texts: readonly string[]) => loadPolicies(texts.map((text, index) => ({ file: `block-${index}.yaml`, text })), world)

test('every policy that the page shows loads', () => {
  const classification = starting('classification')
  assert.equal(classification.length, 1)
  const policies = starting('policy')
  assert.ok(policies.length >= 3)
  for (const text of policies) {
    const { problems = [] } = load([text, ...classification])
    assert.equal(problems.map(formatProblem).join('\n'), '', text)
  }
})

test('every case that the page shows passes with all policies that it shows', async () => {
  const { policies } = load([...starting('policy'), ...starting('classification')])
  assert.ok(policies !== undefined)
  const shown = starting('cases').flatMap((text) => {
    const read = readDocument(text, 'block.yaml', casesSchema)
    assert.ok(!('problems' in read), 'problems' in read ? read.problems.map(formatProblem).join('\n') : '')
    return read.document.value.cases
  })
  assert.ok(shown.length >= 10)
  for (const one of shown) {
    const { result, differences, notes } = await runCase(one, policies, { makeAction: caseAction, makeSql: sqlCaseAction, settle: settleCase, issuers: new Map(), services: world.services })
    assert.deepEqual([one.name, result, differences, notes.filter((note) => note.includes('syntax'))], [one.name, 'passed', [], []])
  }
})
