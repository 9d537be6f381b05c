import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digest, makeHold, person, startDesk } from './hold-desk.ts'

const grantIn = (calls: readonly string[]): string | undefined => calls.find((call) => call.startsWith('vote'))?.split(' grant ')[1]

test('a yes by the API says how many more; what cannot be understood decides nothing', async () => {
  await using desk = await startDesk()
  const vote = (grant: unknown) => desk.call('POST', '/api/holds/hold_1/votes', { token: 'alice', body: { verdict: 'approve', digest, grant } })
  for (const grant of [{ times: 5 }, { times: 5, within: '' }, { times: 5, within: 'soon' }, { times: '5', within: '1h' }, { times: 1.5, within: '1h' }, { within: '1h' }, { times: 5, within: '1h', forever: true }, 5, null]) {
    const answer = await vote(grant)
    assert.deepEqual([answer.status, answer.json['code']], [400, 'malformed'], JSON.stringify(grant))
  }
  assert.equal(grantIn(desk.calls), undefined)
  assert.equal((await vote({ times: 5, rows: 100, within: '1h30m' })).status, 200)
  assert.deepEqual(JSON.parse(grantIn(desk.calls) ?? ''), { times: 5, rows: 100, withinMs: 5_400_000 })
})

test('grants are listed, shown and ended with the rights of whoever asks', async () => {
  await using desk = await startDesk()
  const bounds = { times: 5, rows: 100, withinMs: 60_000 }
  const hold = makeHold({ id: 'hold_7', pattern: { key: 'k', text: 'POST /v1/*' }, votes: [{ verdict: 'approve', by: person('alice'), channel: 'cli', assurance: 'console', digest, grant: bounds, at: 0 }, { verdict: 'approve', by: person('bob'), channel: 'cli', assurance: 'console', digest, at: 0 }] })
  const use = (rows: number) => ({ attempt: 'a', replica: 'r', digest, at: 0, rows })
  desk.grants.set('grant_7', { hold, grant: { id: 'grant_7', revision: 1, hold: 'hold_7', bounds, madeAt: 0, until: 4e12, uses: [use(40), use(2)] } })
  const shown = await desk.call('GET', '/api/grants/grant_7', { token: 'alice' })
  const { state, times, rows, pattern, givenBy } = shown.json as { readonly state: string; readonly times: object; readonly rows: object; readonly pattern: string; readonly givenBy: readonly { readonly subject: string }[] }
  assert.deepEqual([state, times, rows, pattern, givenBy.map(({ subject }) => subject)], ['open', { used: 2, of: 5 }, { used: 42, of: 100 }, 'POST /v1/*', ['alice']])
  assert.equal(((await desk.call('GET', '/api/grants', { token: 'alice' })).json['grants'] as object[]).length, 1)
  assert.deepEqual((await desk.call('GET', '/api/grants', { token: 'dave' })).json['grants'], [])
  assert.equal((await desk.call('GET', '/api/grants/grant_7', { token: 'dave' })).status, 404)
  assert.equal((await desk.call('POST', '/api/grants/grant_7/revoke', { token: 'dave', body: {} })).status, 404)
  assert.equal((await desk.call('GET', '/api/grants')).status, 401)
  assert.equal((await desk.call('POST', '/api/grants/grant_7/revoke', { body: {} })).status, 401)
  const ended = await desk.call('POST', '/api/grants/grant_7/revoke', { token: 'alice', body: {} })
  assert.deepEqual([ended.status, ended.json['state']], [200, 'revoked'])
  assert.ok(desk.calls.includes('recheck alice'), 'who ends it is looked at afresh')
  assert.equal((await desk.call('POST', '/api/grants/grant_7/revoke', { token: 'alice', body: {} })).status, 409)
})
