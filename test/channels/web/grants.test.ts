import assert from 'node:assert/strict'
import { test } from 'node:test'
import { action, requirement, startConsole, terms } from '../../browser/world.ts'
import { makeBrowser } from '../../support/idp.ts'
import { fieldIn } from './console-desk.ts'
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

test('on the console: offered beside a yes with what it is for, listed with its budget, ended by a form, all without scripts', async () => {
  await using at = await startConsole()
  at.world.pinned = { policyVersion: `sha256:${'5e'.repeat(32)}`, path: '/v1/<b>/*', values: '' }
  const like = (text: string) => action(text, { pattern: { same: 'one kind', text: (path) => `POST ${path}` } })
  const needs = terms([requirement()], { grant: { times: 5, withinMs: 3_600_000 } })
  const browser = makeBrowser()
  await browser.logIn(`${at.url}/oauth2/start`, 'bob', (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const get = async (path: string): Promise<string> => await (await browser.visit(`${at.url}${path}`)).text()
  const post = async (path: string, fields: Record<string, string>) => {
    const response = await browser.visit(`${at.url}${path}`, fields, { origin: at.url })
    return { status: response.status, location: response.headers.get('location'), text: await response.text() }
  }
  const hold = await at.ask(like('POST /v1/a/1'), { needs })
  const yes = async (grant: Record<string, string>) => {
    const text = await get(`/holds/${hold.id}`)
    return await post(`/holds/${hold.id}/vote`, { ...Object.fromEntries(['csrf', 'digest', 'revision', 'shown'].map((name) => [name, fieldIn(text, name)])), verdict: 'approve', ...grant })
  }
  const offered = await get(`/holds/${hold.id}`)
  assert.ok(offered.includes('POST /v1/&lt;b&gt;/*') && offered.includes('The rule allows 5 more, for 1 h at most.'), offered)
  assert.ok(!offered.includes('name="grant-rows"'))
  assert.ok((await get('/grants')).includes('There are none'))
  for (const grant of [{ 'grant-times': '6', 'grant-minutes': '5' }, { 'grant-times': '5', 'grant-minutes': '61' }, { 'grant-times': '5' }, { 'grant-times': '5', 'grant-minutes': '' }, { 'grant-minutes': '5' }, { 'grant-times': '-1', 'grant-minutes': '5' }, { 'grant-times': '5', 'grant-rows': '1', 'grant-minutes': '5' }]) {
    const refused = await yes(grant)
    assert.ok(refused.status === 400 && refused.text.includes('This cannot be taken as it is'), `${refused.status} ${JSON.stringify(grant)}`)
  }
  assert.deepEqual((await at.hold(hold.id)).state, 'pending')
  const again = (await yes({ 'grant-times': '"><b>', 'grant-minutes': '61' })).text
  assert.ok(again.includes('<details class="grant" open>') && again.includes('name="grant-times" value="&quot;&gt;&lt;b&gt;"') && again.includes('name="grant-minutes" value="61"'), 'what was typed stands there to be mended')
  assert.ok(offered.includes('<details class="grant">') && offered.includes('name="grant-times" value=""'))
  assert.equal((await yes({ 'grant-times': '3', 'grant-minutes': '30' })).status, 303)
  assert.deepEqual([(await at.hold(hold.id)).granted?.times, (await at.hold(hold.id)).granted?.withinMs], [3, 1_800_000])
  assert.match(await get(`/holds/${hold.id}`), /Granted with it<\/h2><p>3 more like it: <time/)
  const id = hold.id.replace('hold_', 'grant_')
  const page = await get('/grants')
  assert.ok(page.includes('<b>0 of 3</b> used') && page.includes('POST /v1/&lt;b&gt;/*') && page.includes('Given by bob'), page)
  const csrf = fieldIn(page, 'csrf')
  const stranger = makeBrowser()
  await stranger.logIn(`${at.url}/oauth2/start`, 'dave', (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const theirs = await (await stranger.visit(`${at.url}/grants`)).text()
  assert.ok(theirs.includes('There are none'))
  assert.equal((await stranger.visit(`${at.url}/grants/${id}/revoke`, { csrf: fieldIn(theirs, 'csrf') }, { origin: at.url })).status, 404)
  assert.equal((await post(`/grants/${id}/revoke`, { csrf: 'x' })).status, 403)
  assert.ok((await get('/grants')).includes('End it'))
  assert.deepEqual([(await post(`/grants/${id}/revoke`, { csrf })).status, (await post(`/grants/${id}/revoke`, { csrf })).status], [303, 409])
  assert.ok((await get('/grants')).includes('Revoked'))
  assert.match(await get(`/holds/${hold.id}`), /3 more like it: revoked/)
})

test('on the console: nothing is offered where the rule does not let it, and what cannot be undone is said', async () => {
  await using at = await startConsole()
  const browser = makeBrowser()
  await browser.logIn(`${at.url}/oauth2/start`, 'bob', (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const plain = await at.ask(action('POST /v1/a/1'))
  assert.doesNotMatch(await (await browser.visit(`${at.url}/holds/${plain.id}`)).text(), /grant-times/)
  const final = await at.ask(action('POST /v1/a/2'), { needs: terms([requirement()], { irreversible: true }) })
  const text = await (await browser.visit(`${at.url}/holds/${final.id}`)).text()
  assert.ok(text.includes('The rule says that this cannot be undone.') && !text.includes('grant-times'))
})
