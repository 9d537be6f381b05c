import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'
import { caseAction } from '../../src/cli/case-action.ts'
import { dispatch } from '../../src/cli/dispatch.ts'
import type { Io } from '../../src/cli/io.ts'
import { policyCommands } from '../../src/cli/policy.ts'

const commands = policyCommands({
  makeAction: caseAction,
  enforceable: () => ({ masks: false, rowLimit: false, timeLimit: false }),
  readWorld: () => Promise.reject(new Error('no configuration here')),
})

const run = async (args: readonly string[], more: { readonly cwd?: string; readonly stdin?: string } = {}) => {
  let [stdout, stderr] = ['', '']
  const io: Io = {
    stdout: { write: (text) => (stdout += text) }, stderr: { write: (text) => (stderr += text) },
    stdin: (async function* () { yield more.stdin ?? '' })(), env: {}, cwd: more.cwd ?? resolve(import.meta.dirname, '../..'), signal: new AbortController().signal,
  }
  const code = await dispatch(commands, ['policy', ...args], io)
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

test('a rule that no case touches is reported, and an sql case is pending', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, caller: {}, http: { path: /public/x }, expect: { decision: allow } }\n  - { name: later, service: api, caller: {}, sql: SELECT 1 }\n` })
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

test('explain says rule by rule what was looked at', async (t) => {
  const cwd = await directory(t, { 'p.yaml': POLICY, 'p.cases.yaml': `${WORLD}cases:\n  - { name: c, service: api, caller: {}, http: { method: POST, path: /admin/x } }\n` })
  const { code, stdout } = await run(['explain', '.', '--case', 'c'], { cwd })
  assert.equal(code, 0)
  assert.match(stdout, /^hold\n {2}needs 1 of approvers by console\n {2}matched {2}hold {3}p\/admin \(p\.yaml:4\)\n.*allow {2}p\/read \(p\.yaml:3\) {2}methods: saw http\.POST/)
  const piped = await run(['explain', '.', '--input', '-'], { cwd, stdin: 'cases:\n  - { name: x, service: api, caller: {}, http: { path: /other } }\n' })
  assert.match(piped.stdout, /^deny\n[^]*paths: saw \/other/)
  assert.equal((await run(['explain', '.'], { cwd })).code, 2)
})
