import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { checkConfig } from '../../src/cli/config.ts'
import { configJsonSchema, configJsonSchemaText } from '../../src/config/json-schema.ts'
import { sink } from '../../src/config/sink-schema.ts'
import { configText } from './folder.ts'

const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'countersign.yaml')

interface Node {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly additionalProperties?: Node | boolean
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
}

const undescribed = (node: Node, path: string): readonly string[] => [
  ...Object.entries(node.properties ?? {}).flatMap(([key, inner]) => [...(inner.description === undefined ? [`${path}.${key}`] : []), ...undescribed(inner, `${path}.${key}`)]),
  ...(node.items ? undescribed(node.items, `${path}[]`) : []),
  ...(typeof node.additionalProperties === 'object' ? undescribed(node.additionalProperties, `${path}.*`) : []),
  ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((inner) => undescribed(inner, path)),
]

const postgresText = (more = ''): string => configText('listeners: { postgres: {} }\n').replace('policies:', `  crm-db: { protocol: postgres, upstream: "db:5432", database: crm, credential: { user: u, password: "\${env:PW}" }${more} }\npolicies:`)

const makeCheck = () => new Ajv({ strict: false, validateFormats: false, unicodeRegExp: true }).compile(configJsonSchema())

test('the published schema is the one of the program (node schema/write.ts)', () => {
  assert.equal(readFileSync(join(root, 'schema', 'countersign.schema.json'), 'utf8'), configJsonSchemaText())
})

test('every key says what it is for', () => assert.deepEqual(undescribed(configJsonSchema(), ''), []))

test('editors accept what the program accepts, and refuse what it refuses', () => {
  const check = makeCheck()
  for (const text of [configText(), readFileSync(example, 'utf8'), configText('', ', credential: { bearer: "${env:A}" }'), postgresText()]) assert.ok(check(parse(text)), JSON.stringify(check.errors))
  for (const text of [configText('unknown: 1\n'), configText('workers: many\n'), configText('', ', credential: { bearer: hunter2 }'), configText('', ', routes: [{ hold: { wait: 5 } }]'), postgresText(', routes: []'), postgresText(', tls: verify'), 'policies: [x]\n']) assert.ok(!check(parse(text)), text)
})

test('the example loads, with the policies that it names', async () => {
  const env = { ORDERS_API_TOKEN: 'x', BILLING_PASSWORD: 'x', REDIS_PASSWORD: 'x', COUNTERSIGN_KEY: 'k'.repeat(64), INTROSPECTION_SECRET: 'x', SIEM_TOKEN: 'x', AUDIT_DB_PASSWORD: 'x', TEAMS_HOOK: 'https://hooks.example.org/teams', TEAMS_BOT_SECRET: 'x', SLACK_BOT_TOKEN: 'xoxb-1', SLACK_APP_TOKEN: 'xapp-1', CRM_PASSWORD: 'x', CRM_REPORTING_PASSWORD: 'x' }
  const said: string[] = []
  const output = { write: (text: string) => said.push(text) }
  assert.equal(await checkConfig([example], { stdout: output, stderr: output, env, cwd: root }), 0, said.join(''))
})

test('the example of sinks loads, editors accept it, and it shows every kind', async () => {
  const file = join(root, 'examples', 'sinks.yaml')
  const env = { COLLECTOR_TOKEN: 'x', REDIS_PASSWORD: 'x', ELASTIC_API_KEY: 'x', SPLUNK_TOKEN: 'x', DATADOG_API_KEY: 'x', KAFKA_PASSWORD: 'x', MARQUEZ_TOKEN: 'x', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' }
  const said: string[] = []
  const output = { write: (text: string) => said.push(text) }
  assert.equal(await checkConfig([file], { stdout: output, stderr: output, env, cwd: root }), 0, said.join(''))
  assert.deepEqual(said.join('').match(/(?<=^warning: \S+ )\S+(?=: )/gm), ['sinks.syslog.kind'])
  const shown = parse(readFileSync(file, 'utf8')) as { readonly sinks: Readonly<Record<string, { readonly kind: string }>> }
  const check = makeCheck()
  assert.ok(check(shown), JSON.stringify(check.errors))
  const kinds = sink.options.map(({ shape }) => shape.kind.value)
  assert.deepEqual([...new Set(Object.values(shown.sinks).map(({ kind }) => kind))].toSorted(), kinds.toSorted())
})

test('the example shows every part that there is', () => {
  const shown = parse(readFileSync(example, 'utf8')) as Record<string, unknown>
  const { properties = {} } = configJsonSchema() as Node
  assert.deepEqual(Object.keys(properties).filter((key) => key !== 'replica' && !(key in shown)), [])
})
