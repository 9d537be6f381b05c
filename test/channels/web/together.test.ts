import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Refusal } from '../../../src/model/refusal.ts'
import { action, requirement, sqlAction, startConsole, terms } from '../../browser/world.ts'
import { makeBrowser } from '../../support/idp.ts'
import { fieldIn } from './console-desk.ts'
import { digest, makeHold, startDesk } from './hold-desk.ts'

type Console = Awaited<ReturnType<typeof startConsole>>

describe('several in one step, by the API', () => {
  const piece = (id: string, more: object = {}) => ({ id, digest, revision: 1, ...more })

  test('one result for each, in their order; what one comes to changes nothing about the others', async () => {
    await using desk = await startDesk()
    for (const id of ['hold_2', 'hold_3', 'hold_4']) desk.holds.set(id, makeHold({ id, code: `CS-000${id.at(-1)}` }))
    desk.holds.set('hold_5', makeHold({ id: 'hold_5', state: 'denied' }))
    const holds = [piece('hold_2'), piece('hold_3', { digest: `sha256:${'b2'.repeat(32)}` }), piece('hold_4', { revision: 0 }), piece('hold_5'), piece('hold_9'), piece('hold_1')]
    const answer = await desk.call('POST', '/api/votes', { token: 'alice', body: { verdict: 'approve', reason: 'All for finance.', holds } })
    assert.equal(answer.status, 207)
    const results = answer.json['results'] as { id: string; status: number; state?: string; problem?: { code: string } }[]
    assert.deepEqual(results.map(({ id, status, state, problem }) => [id, status, state ?? problem?.code]), [['hold_2', 200, 'approved'], ['hold_3', 409, 'wrong-digest'], ['hold_4', 409, 'hold-changed'], ['hold_5', 409, 'already-settled'], ['hold_9', 404, 'not-found'], ['hold_1', 200, 'approved']])
    assert.deepEqual(desk.calls.filter((call) => call.startsWith('recheck')), ['recheck alice'])
    assert.deepEqual(['hold_3', 'hold_4'].map((id) => desk.holds.get(id)?.state), ['pending', 'pending'])
  })

  test('agents, programs, strangers and bodies that say something else decide nothing', async () => {
    await using desk = await startDesk()
    const many = Array.from({ length: 26 }, (_, at) => piece(`hold_${at}`))
    const yes = { verdict: 'approve', holds: [piece('hold_1')] }
    const refused: readonly (readonly [string | undefined, unknown, number])[] = [
      [undefined, yes, 401], ['agent', yes, 403], ['delegated', yes, 403], ['deputy', yes, 403],
      ['alice', { ...yes, holds: [] }, 400], ['alice', { ...yes, holds: many }, 400], ['alice', { ...yes, holds: [piece('hold_1'), piece('hold_1')] }, 400],
      ['alice', { ...yes, holds: [{ id: 'hold_1', digest }] }, 400], ['alice', { ...yes, holds: [{ id: 'hold_1', revision: 1 }] }, 400], ['alice', { verdict: 'approve', holds: [piece('hold_1', { grant: { times: 1, within: '1m' } })] }, 400],
      ['alice', { ...yes, reason: 'a\u202eb' }, 400], ['alice', [piece('hold_1')], 400],
    ]
    for (const [token, body, status] of refused) assert.equal((await desk.call('POST', '/api/votes', { ...(token === undefined ? {} : { token }), body })).status, status, JSON.stringify(body).slice(0, 100))
    assert.equal((await desk.call('GET', '/api/votes', { token: 'alice' })).status, 405)
    assert.deepEqual([desk.holds.get('hold_1')?.state, desk.calls.filter((call) => call.startsWith('vote'))], ['pending', []])
  })

  test('where the store goes away in between, the rest is not tried and says so', async () => {
    await using desk = await startDesk()
    for (const id of ['hold_2', 'hold_3']) desk.holds.set(id, makeHold({ id }))
    const get = desk.holds.get.bind(desk.holds)
    desk.holds.get = (id) => {
      if (id === 'hold_2') throw new Refusal('store-unavailable', 'The store does not answer.', { retryAfterSeconds: 5 })
      return get(id)
    }
    const answer = await desk.call('POST', '/api/votes', { token: 'alice', body: { verdict: 'deny', holds: ['hold_1', 'hold_2', 'hold_3'].map((id) => piece(id)) } })
    const results = answer.json['results'] as { status: number; problem?: { detail: string } }[]
    assert.deepEqual(results.map(({ status }) => status), [200, 503, 503])
    assert.match(results[2]?.problem?.detail ?? '', /^Not tried/)
    assert.equal(get('hold_3')?.state, 'pending')
  })
})

/** A browser without scripts. */
const visitor = async (at: Console, user: string) => {
  const browser = makeBrowser()
  await browser.logIn(`${at.url}/oauth2/start`, user, (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const read = async (response: Response) => ({ status: response.status, text: await response.text() })
  return {
    get: async (path: string) => read(await browser.visit(`${at.url}${path}`)),
    post: async (fields: Record<string, string>) => read(await browser.visit(`${at.url}/together`, fields, { origin: at.url })),
  }
}

/** What a browser would send of the form. */
const formOf = (text: string, ids: readonly string[]): Record<string, string> => ({
  csrf: fieldIn(text.slice(text.indexOf('action="/together"')), 'csrf'),
  ...Object.fromEntries(ids.flatMap((id) => [...['digest', 'revision', 'shown'].map((name) => [`${name}.${id}`, fieldIn(text, `${name}.${id}`)]), [`take.${id}`, 'yes']])),
})

const page = (ids: readonly string[]): string => `/together?${ids.map((id) => `hold=${id}`).join('&')}`

describe('several in one step, on the console without scripts', () => {
  test('chosen in the inbox, each looked at whole, then each a vote with what was shown', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const dull = await Promise.all([1, 2, 3].map((id) => at.ask(action(`POST /v1/refunds/${id}`, { shape: 'refund' }))))
    const odd = await at.ask(sqlAction('delete from orders where id = 1'))
    const grave = await at.ask(sqlAction('delete from orders', [], { impact: { exactRows: 3, unfiltered: true, notes: [] } }))
    const ids = [...dull, odd].map(({ id }) => id)
    const inbox = (await bob.get('/')).text
    for (const id of [...ids, grave.id]) assert.ok(inbox.includes(`name="hold" value="${id}"`), 'a box to tick')
    assert.ok(!(await bob.get('/?tab=all')).text.includes('name="hold"'))

    const looked = await bob.get(page([...ids, grave.id, 'hold_aaaaaaaaaaaaaaaaaaaaaaaaaa']))
    assert.equal(looked.status, 200)
    assert.match(looked.text, /<h1>Decide 4 together<\/h1>/)
    assert.match(looked.text, new RegExp(`Left out[^]*${grave.code}[^]*because it changes every row[^]*1 more that you may not see`))
    assert.match(looked.text, /Like no other of them[^]*delete[^]*3 alike but for values/)
    for (const { action: { text } } of dull) assert.ok(looked.text.includes(text.slice(5)))
    assert.ok(!looked.text.includes(`take.${grave.id}`))

    const form = formOf(looked.text, ids)
    assert.match(form[`shown.${ids[0] ?? ''}`] ?? '', /^console\/\d+ sha256:/)
    const { [`take.${ids[2] ?? ''}`]: _left, ...ticked } = form
    const changedShown = { ...ticked, [`shown.${ids[1] ?? ''}`]: `console/3 sha256:${'0'.repeat(64)}`, verdict: 'approve', reason: 'for finance' }
    const done = await bob.post(changedShown)
    assert.equal(done.status, 207)
    assert.match(done.text, /You approved 2 of 3/)
    assert.deepEqual(await Promise.all(ids.map(async (id) => (await at.hold(id)).state)), ['approved', 'pending', 'pending', 'approved'])
    const votes = at.world.events.flatMap((event) => (event.type === 'voted' ? [event] : []))
    assert.deepEqual(votes.map(({ digest: seen, vote }) => [seen, vote.channel, vote.together, vote.reason, vote.shown]), [dull[0], odd].map((hold) => [hold?.action.digest, 'console', 3, 'for finance', form[`shown.${hold?.id ?? ''}`]]))
    assert.match((await bob.get(`/holds/${ids[0] ?? ''}`)).text, /one of 3 in one step/)
    assert.match((await bob.post(changedShown)).text, /Nothing was decided/)
  })

  test('what was put into the form by hand is left out all the same, and a reason that a rule asks for has to be there', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const [dull, grave, reasoned] = [await at.ask(action('POST /a')), await at.ask(action('POST /b'), { needs: terms([requirement()], { irreversible: true }) }), await at.ask(action('POST /c'), { needs: terms([requirement()], { askReason: true }) })]
    const { text } = await bob.get(page([dull.id]))
    const single = async (id: string) => {
      const own = (await bob.get(`/holds/${id}`)).text
      return Object.fromEntries([...['digest', 'revision', 'shown'].map((name) => [`${name}.${id}`, fieldIn(own, name)]), [`take.${id}`, 'yes']])
    }
    const done = await bob.post({ ...formOf(text, [dull.id]), ...(await single(grave.id)), ...(await single(reasoned.id)), verdict: 'approve' })
    assert.match(done.text, /You approved 1 of 3[^]*looked at by itself: it cannot be undone/)
    assert.match(done.text, /Please give a reason/)
    assert.deepEqual([(await at.hold(grave.id)).votes, (await at.hold(reasoned.id)).votes], [[], []])
  })

  test('a form of another session, of nobody, of too many, and of somebody behind the action', async () => {
    await using at = await startConsole()
    const [bob, alice] = [await visitor(at, 'bob'), await visitor(at, 'alice')]
    const one = await at.ask(action('POST /a'))
    const { text } = await bob.get(page([one.id]))
    const form: Record<string, string> = { ...formOf(text, [one.id]), verdict: 'approve' }
    const others = fieldIn((await alice.get('/')).text, 'csrf')
    assert.equal((await bob.post({ ...form, csrf: others })).status, 403)
    assert.match((await alice.get(page([one.id]))).text, /Nothing to decide together[^]*Left out[^]*You cannot decide this/) // it is her agent's
    assert.match((await alice.post({ ...form, csrf: others })).text, /Nothing was decided/)
    assert.equal((await bob.get(page(Array.from({ length: 26 }, (_, at) => `hold_${at}`)))).status, 400)
    assert.equal((await bob.get('/together?state=pending')).status, 400)
    assert.match((await bob.get('/together')).text, /Nothing to decide together/)
    assert.match((await bob.post({ csrf: form['csrf'] ?? '', verdict: 'deny' })).text, /Nothing was ticked/)
    assert.deepEqual((await at.hold(one.id)).votes, [])
  })
})
