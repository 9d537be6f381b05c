import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'
import { caseAction } from '../../src/cli/case-action.ts'
import { dispatch } from '../../src/cli/dispatch.ts'
import type { Io } from '../../src/cli/io.ts'
import { policyCommands } from '../../src/cli/policy.ts'
import { sqlCaseAction } from '../../src/cli/sql-case-action.ts'
import { protocolEnforces } from '../../src/config/policies.ts'
import { listed } from './listed.ts'

const commands = policyCommands({
  makeAction: caseAction,
  makeSql: sqlCaseAction,
  enforceable: protocolEnforces,
  readWorld: () => Promise.reject(new Error('no configuration here')),
})

const run = async (args: readonly string[], more: { readonly cwd?: string; readonly stdin?: string } = {}) => {
  let [stdout, stderr] = ['', '']
  const io: Io = {
    stdout: { write: (text) => (stdout += text) }, stderr: { write: (text) => (stderr += text) },
    stdin: (async function* () { yield more.stdin ?? '' })(), env: {}, cwd: more.cwd ?? resolve(import.meta.dirname, '../..'), signal: new AbortController().signal,
  }
  const code = await dispatch(listed(commands), ['policy', ...args], io)
  return { code, stdout, stderr }
}

const directory = async (t: TestContext, files: Readonly<Record<string, string>>): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'policy-'))
  t.after(() => rm(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

const WORLD = 'world: { services: { api: { labels: {} } }, groups: [approvers] }\n'
const POLICY = `policy: p
rules:
  - { name: read, then: allow, callers: { kind: [human, agent] }, methods: [GET], paths: ["/public/**"] }
  - { name: admin, then: hold, methods: [POST], paths: ["/admin/**"], because: Risky., approval: { from: { groups: [approvers] }, within: 15m } }
`

test('the example policies load without a warning and their cases pass', async () => {
  const checked = await run(['check', '--strict', 'policies'])
  assert.equal(checked.code, 0, checked.stderr)
  const tested = await run(['test', '-o', 'json', 'policies'])
  const report = JSON.parse(tested.stdout) as { failed: number; pending: number; passed: number; files: { cases: { result: string }[]; untouched: unknown[] }[] }
  assert.equal(tested.code, 0, tested.stdout)
  assert.ok(report.passed > 30)
  assert.deepEqual(report.files.flatMap(({ untouched }) => untouched), [])
})

test('a case that lists nothing expects deny; votes are settled as real ones are', async (t) => {
  const one = async (more: string) => {
    const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, ${more} }\n` })
    return (await run(['test', '.'], { cwd })).code
  }
  assert.equal(await one('caller: {}, http: { path: /public/x }, expect: null'), 4)
  assert.equal(await one('caller: {}, http: { path: /public/x }'), 4)
  assert.equal(await one('caller: {}, http: { path: /internal/x }, expect: null'), 0)
  const post = (votes: string, at: string, state: string) => one(`caller: { subject: alice }, http: { method: POST, path: /admin/users }, votes: [${votes}], at: ${at}, expect: { decision: hold, state: ${state} }`)
  assert.equal(await post('{ by: { subject: bob, groups: [approvers] }, at: 1m }', '2m', 'approved'), 0)
  assert.equal(await post('{ by: { subject: alice, groups: [approvers] }, at: 1m }', '2m', 'approved'), 4)
  assert.equal(await post('{ by: { subject: bob, groups: [approvers] }, at: 1m }', '16m', 'expired'), 0)
  assert.equal(await post('', '16m', 'expired'), 0)
})

test('a case whose votes are not enough says which of them count for nothing, and why', async (t) => {
  const policy = POLICY.replace('within: 15m', 'within: 15m, fresh-login: 10m, ask-reason: true')
  const vote = (who: string, at: string, more = '') => `{ by: { subject: ${who}, groups: [approvers] }, at: ${at}${more} }`
  const cwd = await directory(t, { 'p.yaml': policy, 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, caller: { subject: alice }, http: { method: POST, path: /admin/x }, votes: [${vote('alice', '1m', ', fresh-login: true')}, ${vote('bob', '90s')}, ${vote('bob', '2m', ', fresh-login: true')}, ${vote('bob', '1h')}], at: 3m, expect: { decision: hold, state: approved } }\n` })
  const { code, stdout } = await run(['test', '.'], { cwd })
  assert.equal(code, 4)
  assert.deepEqual(stdout.match(/the vote of .*/g), ['the vote of alice 1 min after the opening counts for nothing: self-approval', 'the vote of bob 1.5 min after the opening counts for nothing: assurance console without a fresh login is not enough', 'the vote of bob 2 min after the opening counts for nothing: no reason given'])
})

test('explain says what a hold asks and gives', async (t) => {
  const approval = 'from: { users: [{ issuer: corp, subject: alice }] }, within: 30m, run-within: 5m, assurance: passkey, fresh-login: 10m, ask-reason: true, run: when-approved, escalate: { after: 10m, to: { groups: [approvers] } }'
  const rule = (name: string, more: string) => `  - { name: ${name}, then: hold, methods: [POST], paths: [/${name}], approval: { ${approval}, ${more} } }\n`
  const cwd = await directory(t, {
    'p.yaml': `policy: p\nrules:\n${rule('granted', 'grant: { times: 5, within: 2h }')}${rule('gone', 'irreversible: true')}  - { name: both, then: hold, methods: [POST], paths: [/both], approval: { from: [{ automations: [{ issuer: corp, subject: reviewer }] }, { groups: [approvers] }], assurance: passkey } }\n`,
    'p.cases.yaml': `world: { services: { api: {} }, groups: [approvers], issuers: { corp: https://login.example.com }, channels: [passkey] }\ncases:\n${['granted', 'gone', 'both'].map((name) => `  - { name: ${name}, service: api, caller: {}, http: { method: POST, path: /${name} } }\n`).join('')}`,
  })
  const asked = '  needs 1 of alice by passkey with a login of the last 10 min, after 10 min also of approvers\n  within 30 min, with a reason; then it runs within 5 min, also without its client\n'
  const explained = async (name: string) => (await run(['explain', '.', '--case', name], { cwd })).stdout
  assert.ok((await explained('granted')).includes(`${asked}  a yes may let 5 more of its kind through, within 2 h\n`))
  assert.ok((await explained('gone')).includes(`${asked}  approvers read that it cannot be undone\n`))
  assert.ok((await explained('both')).includes('  needs 1 of the automation reviewer\n  needs 1 of approvers by passkey\n'))
})

test('a rule that no case touches is reported, and an mcp case is pending', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD.replace('services: {', 'services: { tools: { protocol: mcp },')}cases:\n  - { name: c, service: api, caller: {}, http: { path: /public/x }, expect: { decision: allow } }\n  - { name: later, service: tools, caller: {}, mcp: { tool: x } }\n` })
  const { code, stdout } = await run(['test', '.'], { cwd })
  assert.equal(code, 0)
  assert.match(stdout, /no case touches p\/admin \(p\.yaml:4\)/)
  assert.match(stdout, /1 passed, 0 failed, 1 pending/)
})

test('a policy that does not load ends check and test with 3', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY.replace('then: hold', 'then: require_aproval'), 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, caller: {}, http: { path: / } }\n` })
  const checked = await run(['check', '.'], { cwd })
  assert.equal(checked.code, 3)
  assert.match(checked.stderr, /error: p\.yaml:4:\d+ .*"require_aproval" is not known here/)
  assert.equal((await run(['test', '.'], { cwd })).code, 3)
  const json = JSON.parse((await run(['check', '-o', 'json', '.'], { cwd })).stdout) as { valid: boolean; problems: { line: number }[] }
  assert.deepEqual([json.valid, json.problems[0]?.line], [false, 4])
})

test('where the file that says which services there are does not read, that is what is told', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD}cases: []\n` })
  for (const verb of ['check', 'explain']) {
    const { code, stderr } = await run([verb, '.'], { cwd })
    assert.equal(code, 3)
    assert.match(stderr, /p\.cases\.yaml:2:\d+ cases/)
  }
})

test('explain says rule by rule what was looked at', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, caller: {}, http: { method: POST, path: /admin/x } }\n` })
  const { code, stdout } = await run(['explain', '.', '--case', 'c'], { cwd })
  assert.equal(code, 0)
  assert.match(stdout, /^hold\n {2}needs 1 of approvers by console\n {2}within 15 min; then it runs within 10 min\n {2}matched {2}hold {3}p\/admin \(p\.yaml:4\)\n.*allow {2}p\/read \(p\.yaml:3\) {2}methods: saw http\.POST/)
  const piped = await run(['explain', '.', '--input', '-'], { cwd, stdin: 'cases:\n  - { name: x, service: api, caller: {}, http: { path: /other } }\n' })
  assert.match(piped.stdout, /^deny\n[^]*paths: saw \/other/)
  assert.equal((await run(['explain', '.'], { cwd })).code, 2)
})

const SQL_WORLD = 'world: { services: { crm-db: { protocol: postgres }, api: {} }, groups: [agents, approvers] }\n'
const SQL_POLICY = `policy: p
services: [crm-db]
rules:
  - { name: read, then: allow, callers: { groups: [agents] }, actions: [sql.select], tables: ["public.*"] }
  - { name: write, then: hold, actions: [sql.update], if: 'sql.estimatedRows > 10 || sql.transaction == "written" || "7" in sql.parameters', approval: { from: { groups: [approvers] }, drift: 2x } }
`

test('cases in SQL are read by the parser of the protocol, without a database', async (t) => {
  const one = async (more: string) => {
    const cwd = await directory(t, { 'p.yaml': SQL_POLICY, 'p.cases.yaml': `${SQL_WORLD}cases:\n  - { name: c, service: crm-db, caller: { groups: [agents] }, ${more} }\n` })
    const { code, stdout } = await run(['test', '.'], { cwd })
    return code === 0 ? 'passed' : stdout
  }
  assert.equal(await one('sql: SELECT * FROM customers, expect: { decision: allow, rules: [read] }'), 'passed')
  assert.equal(await one('sql: "SELECT * FROM secrets.keys"'), 'passed')
  assert.equal(await one('sql: "SELECT 1; DELETE FROM customers"'), 'passed')
  assert.equal(await one('sql: "this is no SQL"'), 'passed')
  assert.equal(await one('sql: "SET client_encoding = latin1"'), 'passed')
  assert.equal(await one('sql: "-- nothing"'), 'passed')
  assert.match(await one('sql: "-- nothing", expect: { decision: allow }'), /there is no statement in it/)
  const update = 'sql: UPDATE t SET a = $1 WHERE id = $2'
  assert.equal(await one(`${update}, params: [1, 7], estimated-rows: 1, transaction: clean, expect: { decision: hold, approvals: { approvers: 1 } }`), 'passed')
  assert.equal(await one(`${update}, params: [1, 8], estimated-rows: 1, transaction: clean`), 'passed')
  assert.equal(await one(`${update}, params: [null, true], estimated-rows: 11, expect: { decision: hold }`), 'passed')
  assert.equal(await one(`${update}, params: [1, 8], estimated-rows: 1, transaction: written, expect: { decision: hold }`), 'passed')
  assert.equal(await one(`${update}, params: [1, 8], expect: { decision: hold }`), 'passed')
  assert.match(await one('http: { path: /x }, params: [1]'), /"params" goes with "sql"/)
  assert.match(await one('http: { path: /x }'), /service crm-db speaks postgres: write what is asked for under "sql"/)
})

test('explain --sql says what a statement does, and why it is decided so', async (t) => {
  const cwd = await directory(t, { 'p.yaml': SQL_POLICY, 'p.cases.yaml': `${SQL_WORLD}cases: [{ name: c, service: crm-db, caller: {}, sql: SELECT 1 }]\n` })
  const { code, stdout } = await run(['explain', '.', '--groups', 'agents', '--sql', 'SELECT a FROM t; BEGIN'], { cwd })
  assert.equal(code, 0, stdout)
  for (const part of ['asks for sql.transaction, sql.select', 'read table public.t', 'column public.t.a', 'allow\n', 'matched  allow  p/read', '-     hold   p/write']) assert.ok(stdout.includes(part), `${part} in\n${stdout}`)
  const free = await run(['explain', '.', '--sql', 'BEGIN'], { cwd })
  assert.match(free.stdout, /allow\n {2}touches no data/)
  const json = JSON.parse((await run(['explain', '.', '--sql', 'WITH x AS (UPDATE t SET a = 1) SELECT 1', '-o', 'json'], { cwd })).stdout) as { verbs: string[]; decision: { verdict: string; terms: { drift: object } } }
  assert.deepEqual([json.verbs, json.decision.verdict, json.decision.terms.drift], [['sql.update', 'sql.select'], 'hold', { factor: 2 }])
  for (const wrong of [['--sql', 'SELECT 1', '--service', 'api'], ['--sql', 'SELECT 1', '--case', 'c'], []]) assert.equal((await run(['explain', '.', ...wrong], { cwd })).code, 2)
})

test('explain --sql takes what a database would say, and shows what comes with the verdict', async (t) => {
  const policy = `policy: p
rules:
  - { name: read, then: allow, callers: { groups: [agents] }, actions: [sql.select], tables: ["public.*"], mask: { pii: hash }, limits: { rows: 100, time: 30s } }
  - { name: write, then: hold, actions: [sql.update], if: 'sql.estimatedRows > 10 || sql.transaction == "written" || "7" in sql.parameters', approval: { from: { groups: [approvers] }, drift: 2x } }
`
  const cwd = await directory(t, { 'p.yaml': policy, 'p.cases.yaml': `${SQL_WORLD}policies: [p.yaml, c.yaml]\ncases: [{ name: c, service: crm-db, caller: {}, sql: SELECT 1 }]\n`, 'c.yaml': 'classification: { crm-db: { tables: { public.t: [pii] } } }\n' })
  const explain = async (...args: string[]) => run(['explain', 'p.yaml', 'c.yaml', '--groups', 'agents', '--sql', ...args], { cwd })
  assert.match((await explain('SELECT a FROM t')).stdout, /\nallow\n {2}masks pii: hash\n {2}at most 100 rows\n {2}for at most 30 s\n/)
  const update = 'UPDATE t SET a = $1 WHERE id = $2'
  const open = (await explain(update, '--params', '[1, 8]')).stdout
  assert.match(open, /with a WHERE that leaves something out\nhold\n {2}needs 1 of approvers by console\n {2}within 30 min; then it runs within 10 min\n {2}unless it would by then change 2 times as many rows\n[^]*the condition failed: estimatedRows is not known/)
  assert.match((await explain(update, '--params', '[1, 8]', '--estimated-rows', '1')).stdout, /\ndeny\n/)
  for (const more of [['--params', '[1, "7"]'], ['--params', '[1, 8]', '--transaction', 'written'], ['--params', '[null, true]', '--estimated-rows', '11']]) assert.match((await explain(update, '--estimated-rows', '1', ...more)).stdout, /\nhold\n/)
  const several = await explain('SELECT a FROM t; UPDATE t SET a = 1; DROP TABLE t')
  assert.match(several.stdout, /statement 1: sql\.select: allow\n {2}statement 2: sql\.update: hold\n {2}statement 3: sql\.ddl: deny\n[^]*without a WHERE/)
  const broken = await explain('DELETE FRM t')
  assert.match(broken.stdout, /note: syntax error at or near "FRM"\ndeny\n/)
  assert.deepEqual((JSON.parse((await explain('SELECT a FROM t; DELETE FRM t', '-o', 'json')).stdout) as { notes: string[] }).notes, ['syntax error at or near "FRM"'])
  for (const wrong of [['--params', '7'], ['--params', '{"a":1}'], ['--params', '[{}]'], ['--estimated-rows', 'many'], ['--transaction', 'open']]) assert.equal((await explain(update, ...wrong)).code, 2)
  const stray = await run(['explain', '.', '--case', 'c', '--estimated-rows', '1'], { cwd })
  assert.equal(stray.code, 2)
  assert.match(stray.stderr, /--estimated-rows goes with --sql/)
})

test('a case whose statement cannot be read says so, and a failed one says where it is', async (t) => {
  const cwd = await directory(t, { 'p.yaml': SQL_POLICY, 'p.cases.yaml': `${SQL_WORLD}cases:\n  - { name: typo, service: crm-db, caller: {}, sql: SELEC 1 }\n  - { name: refused, service: crm-db, caller: {}, sql: SET client_encoding = latin1 }\n  - { name: wrong, service: crm-db, caller: {}, sql: SELECT 1, expect: { decision: hold } }\n` })
  const { code, stdout } = await run(['test', 'p.yaml'], { cwd })
  assert.equal(code, 4)
  const line = SQL_WORLD.split('\n').length + 3
  for (const part of ['ok      typo\n            not understood: syntax error at or near "SELEC"', 'ok      refused\n            the request is refused before any rule is asked: client_encoding', `FAILED  wrong (p.cases.yaml:${line})\n            decision: expected "hold", got "deny"`]) assert.ok(stdout.includes(part), `${part} in\n${stdout}`)
})
