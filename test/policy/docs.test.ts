import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDocument } from '../../src/lib/document.ts'
import { formatProblem } from '../../src/lib/problem.ts'
import { casesSchema } from '../../src/policy/cases.ts'
import { loadPolicies } from '../../src/policy/load.ts'
import { world } from './world.ts'

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'policies.md'), 'utf8')
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block)
const starting = (word: string): readonly string[] => blocks.filter((block) => new RegExp(`^${word}:`, 'm').test(block))

test('every policy that the page shows loads', () => {
  const classification = starting('classification')
  assert.equal(classification.length, 1)
  const policies = starting('policy')
  assert.ok(policies.length >= 3)
  for (const text of policies) {
    const { problems = [] } = loadPolicies([text, ...classification].map((one, index) => ({ file: `block-${index}.yaml`, text: one })), world)
    assert.equal(problems.map(formatProblem).join('\n'), '', text)
  }
})

test('every case that the page shows is one', () => {
  const cases = starting('cases')
  assert.ok(cases.length >= 2)
  for (const text of cases) {
    const read = readDocument(text, 'block.yaml', casesSchema)
    assert.ok(!('problems' in read), 'problems' in read ? read.problems.map(formatProblem).join('\n') : '')
  }
})
