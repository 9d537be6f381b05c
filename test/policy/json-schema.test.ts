import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { casesJsonSchema, policyJsonSchema } from '../../src/policy/json-schema.ts'

const root = resolve(import.meta.dirname, '../..')

test('the published schemas are those of the loader, and the examples meet them', async () => {
  assert.equal(await readFile(join(root, 'schema/policy.schema.json'), 'utf8'), policyJsonSchema())
  assert.equal(await readFile(join(root, 'schema/cases.schema.json'), 'utf8'), casesJsonSchema())
  const ajv = new Ajv2020({ strict: false })
  const [policy, cases] = [ajv.compile(JSON.parse(policyJsonSchema()) as object), ajv.compile(JSON.parse(casesJsonSchema()) as object)]
  for (const name of await readdir(join(root, 'policies'))) {
    const validate = name.endsWith('.cases.yaml') ? cases : policy
    assert.ok(validate(parse(await readFile(join(root, 'policies', name), 'utf8'))), `${name}: ${JSON.stringify(validate.errors)}`)
  }
  assert.equal(policy({ policy: 'p', rules: [{ name: 'r', thn: 'deny' }] }), false)
})

interface Node {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly [key: string]: unknown
}

/** Keys without a word of what they are for, by where they stand. */
const silent = (node: unknown, at: string): readonly string[] => {
  if (typeof node !== 'object' || node === null) return []
  if (Array.isArray(node)) return node.flatMap((one) => silent(one, at))
  const { properties = {}, ...rest } = node as Node
  const own = Object.entries(properties).flatMap(([key, value]) => [...(value.description === undefined && key !== 'not' ? [`${at}.${key}`] : []), ...silent(value, `${at}.${key}`)])
  return [...own, ...Object.values(rest).flatMap((value) => silent(value, at))]
}

test('every key says what it is for', () => {
  for (const text of [policyJsonSchema(), casesJsonSchema()]) assert.deepEqual(silent(JSON.parse(text), ''), [])
})
