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
