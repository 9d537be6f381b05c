/** What README.md tells people to write loads. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { program } from './scenarios/process.ts'

const root = resolve(import.meta.dirname, '..')
const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text)
const block = (begins: string): string => blocks.find((text) => text.startsWith(begins)) ?? assert.fail(`README.md shows no ${begins}`)

const folder = mkdtempSync(join(tmpdir(), 'countersign-readme-'))
before(() => {
  mkdirSync(join(folder, 'policies'))
  writeFileSync(join(folder, 'policies/orders.yaml'), block('policy:'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

const check = (configuration: string): { readonly status: number | null; readonly stderr: string; readonly stdout: string } => {
  writeFileSync(join(folder, 'countersign.yaml'), configuration)
  return spawnSync(process.execPath, [program, 'config', 'check', join(folder, 'countersign.yaml')], { encoding: 'utf8', env: { ...process.env, ORDERS_API_TOKEN: 'one', CRM_DB_PASSWORD: 'two' } })
}

test('the configuration for an API', () => {
  const { status, stderr, stdout } = check(block('issuers:'))
  assert.deepEqual([status, stderr], [0, ''])
  assert.match(stdout, /1 service, 1 issuer, 3 rules/)
})

test('the same with a database', () => {
  const [api, database] = [block('issuers:'), block('listeners:')].map((text) => parse(text) as { readonly services: object }) as [{ readonly services: object }, { readonly services: object }]
  for (const name of ['customer-data.yaml', 'crm-classification.yaml']) copyFileSync(join(root, 'policies', name), join(folder, 'policies', name))
  const { status, stderr, stdout } = check(stringify({ ...api, ...database, services: { ...api.services, ...database.services } }))
  assert.deepEqual([status, stderr], [0, ''])
  assert.match(stdout, /2 services/)
})
