import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digest, makeHold, person, startDesk } from '../channels/web/hold-desk.ts'
import { makeShell } from './shell.ts'

const bounds = { times: 5, rows: 100, withinMs: 3_600_000 }

const begin = async (token = 'alice') => {
  const desk = await startDesk()
  const hold = makeHold({ id: 'hold_7', pattern: { key: 'k', text: 'update t set a = <number> \u001b[2J' }, votes: [{ verdict: 'approve', by: person('alice'), channel: 'cli', assurance: 'console', digest, grant: bounds, at: 0 }] })
  desk.grants.set('grant_7', { hold, grant: { id: 'grant_7', revision: 1, hold: 'hold_7', bounds, madeAt: 0, until: Date.now() + 3_600_000, uses: [{ attempt: 'a', replica: 'r', digest, at: 0, rows: 42, outcome: { result: 'executed', status: 'UPDATE 42', rows: 42, ms: 1 } }] } })
  desk.grants.set('grant_8', { hold, grant: { id: 'grant_8', revision: 1, hold: 'hold_7', bounds, madeAt: 0, until: 1, uses: [], ended: { why: 'ended', at: 0, cause: 'the policy has changed' } } })
  const shell = await makeShell({ COUNTERSIGN_SERVER: desk.url, COUNTERSIGN_TOKEN: token })
  return { desk, shell, async [Symbol.asyncDispose]() {
    await shell[Symbol.asyncDispose]()
    await desk[Symbol.asyncDispose]()
  } }
}

test('grants are listed and shown with what is left of them', async () => {
  await using at = await begin()
  const { shell } = at
  assert.match((await shell.run(['grants', 'list'])).out, /^GRANT.*\ngrant_7 +open +invoice-agent +orders +1 of 5 +42 of 100 +\S+ +update t set a = <number>/)
  assert.equal((await shell.run(['grants', 'list', '-o', 'name'])).out, 'grant_7\n')
  assert.equal((await shell.run(['grants', 'list', '--all', '-o', 'name'])).out, 'grant_7\ngrant_8\n')
  const { out } = await shell.run(['grants', 'show', 'hold_7'])
  for (const line of ['Grant         grant_7  open', 'Used          1 of 5 times, 42 of 100 rows', 'Given by      alice, with CS-7F3K (hold_7)', 'executed  UPDATE 42  42 rows', '  | update t set a = <number> \\u{1b}[2J']) assert.ok(out.includes(line), `${line} in\n${out}`)
  assert.match((await shell.run(['grants', 'show', 'grant_8'])).out, /^Grant +grant_8 {2}ended: the policy has changed$/m)
  assert.equal((JSON.parse((await shell.run(['grants', 'list', '-o', 'json'])).out) as { grants: unknown[] }).grants.length, 1)
  for (const wrong of [['grants', 'show', '../x'], ['grants', 'show'], ['grants', 'list', '--limit', '0']]) assert.equal((await shell.run(wrong)).code, 2, wrong.join(' '))
})

test('a grant is ended once, by somebody who may see it', async () => {
  await using at = await begin()
  const { shell } = at
  const ended = await shell.run(['grants', 'revoke', 'grant_7'])
  assert.deepEqual([ended.code, ended.out], [0, 'grant_7 is revoked; 1 of 5 were used\n'], ended.err)
  assert.notEqual((await shell.run(['grants', 'revoke', 'grant_7'])).code, 0)
  await using stranger = await begin('dave')
  assert.notEqual((await stranger.shell.run(['grants', 'revoke', 'grant_7'])).code, 0)
  assert.equal((await stranger.shell.run(['grants', 'list'])).out, '')
})

test('a yes on the command line says how many more, and the hold says of what', async () => {
  await using at = await begin()
  const { desk, shell } = at
  const hold = makeHold({ pattern: { key: 'k', text: 'POST /v1/*' } })
  desk.holds.set('hold_1', { ...hold, terms: { ...hold.terms, grant: bounds, irreversible: true } })
  const shown = (await shell.run(['holds', 'show', 'hold_1'])).out
  assert.match(shown, /With a yes, up to 5 more, 100 rows together, within 60 minutes can be let through of everything like this:\n {2}\| POST \/v1\/\*\n/)
  assert.match(shown, /^Undo +the rule says that it cannot be undone$/m)
  const approve = (...more: string[]) => shell.run(['holds', 'approve', 'hold_1', '--digest', digest, ...more])
  for (const more of [['--grant-times', '5'], ['--grant-within', '1h'], ['--grant-times', '0', '--grant-within', '1h'], ['--grant-times', '5', '--grant-rows', 'all', '--grant-within', '1h']]) assert.equal((await approve(...more)).code, 2, more.join(' '))
  assert.ok(!desk.calls.some((call) => call.startsWith('vote')))
  assert.equal((await approve('--grant-times', '5', '--grant-rows', '10', '--grant-within', '30m')).code, 0)
  assert.ok(desk.calls.includes('vote approve alice cli grant {"times":5,"withinMs":1800000,"rows":10}') || desk.calls.includes('vote approve alice api grant {"times":5,"withinMs":1800000,"rows":10}'), desk.calls.join())
})
