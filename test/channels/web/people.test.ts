import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { whyNot } from '../../../src/channels/why-not.ts'
import { requirement, sqlAction, startConsole, terms } from '../../browser/world.ts'
import { makeBrowser } from '../../support/idp.ts'
import { until } from '../../support/until.ts'
import { fieldIn } from './console-desk.ts'
import { agent, makeHold, person } from './hold-desk.ts'

type Console = Awaited<ReturnType<typeof startConsole>>

/** A browser without scripts. */
const visitor = async (at: Console, user: string) => {
  const browser = makeBrowser()
  await browser.logIn(`${at.url}/oauth2/start`, user, (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const get = async (path: string) => {
    const response = await browser.visit(`${at.url}${path}`)
    return { status: response.status, text: await response.text() }
  }
  const post = async (id: string, what: string, fields: Record<string, string>, names: readonly string[] = ['csrf']) => {
    const { text } = await get(`/holds/${id}`)
    const response = await browser.visit(`${at.url}/holds/${id}/${what}`, { ...Object.fromEntries(names.map((name) => [name, fieldIn(text, name)])), ...fields }, { origin: at.url })
    return { status: response.status, text: await response.text() }
  }
  return { get, post, release: (id: string, fields: Record<string, string>) => post(id, 'break-glass', fields, ['csrf', 'digest', 'revision', 'shown']) }
}

const reason = 'Incident 4711: production is down.'
const withGlass = terms([requirement({ count: 2 })], { breakGlass: [{ policy: 'p', rule: 'r', groups: ['security'], users: [], reason: 20 }] })

describe('what people do beside voting, without scripts', () => {
  test('break the glass, then somebody else reviews it', async () => {
    await using at = await startConsole()
    const [bob, carol] = [await visitor(at, 'bob'), await visitor(at, 'carol')]
    const { id } = await at.ask(sqlAction('delete from orders where id = 1'), { needs: withGlass, runs: { result: 'executed', ms: 3 } })
    const before = await carol.get(`/holds/${id}`)
    assert.match(before.text, /You cannot decide this: the rules ask dba, and you are in security\./)
    assert.match(before.text, /<details class="card"><summary>Break the glass/)
    assert.ok(!before.text.includes('class="vote"'))
    assert.ok(!(await bob.get(`/holds/${id}`)).text.includes('Break the glass'))
    const short = await carol.release(id, { reason: 'urgent' })
    assert.deepEqual([short.status, /Say why, in at least 20 characters/.test(short.text)], [422, true])
    assert.equal((await bob.release(id, { reason, csrf: fieldIn((await bob.get(`/holds/${id}`)).text, 'csrf'), digest: (await at.hold(id)).action.digest, revision: '1', shown: fieldIn((await bob.get(`/holds/${id}`)).text, 'shown') })).status, 403)
    assert.equal((await carol.release(id, { reason, shown: 'console/1 sha256:00' })).status, 409)
    assert.equal((await carol.release(id, { reason })).status, 303)
    await until('it to have run', async () => (await at.hold(id)).state === 'executed')
    for (const visit of [await bob.get(`/holds/${id}`), await carol.get(`/holds/${id}`)]) {
      assert.match(visit.text, /The glass was broken<\/h2>\n<p><b>[^<]*carol[^<]*<\/b> released this alone/i)
      assert.match(visit.text, /past dba\.<\/p><blockquote>Incident 4711: production is down\.<\/blockquote>/)
      assert.match(visit.text, /Released alone/)
    }
    assert.match((await bob.get('/')).text, /<title>\(1\) Approvals/)
    assert.match((await bob.get('/')).text, /The glass was broken: to be reviewed/)
    assert.ok(!(await carol.get('/')).text.includes('to be reviewed'))
    assert.equal((await carol.post(id, 'review', { note: 'It was me.' })).status, 403)
    assert.equal((await bob.post(id, 'review', { note: ' ' })).status, 422)
    assert.equal((await bob.post(id, 'review', { note: 'In order; see the report.' })).status, 303)
    assert.match((await carol.get(`/holds/${id}`)).text, /has reviewed it, .*<blockquote>In order; see the report\./s)
    assert.ok(!(await bob.get('/')).text.includes('to be reviewed'))
  })

  test('hand it over: the other finds it in the inbox, with the note as text', async () => {
    await using at = await startConsole()
    const [bob, alice, carol] = [await visitor(at, 'bob'), await visitor(at, 'alice'), await visitor(at, 'carol')]
    const { id } = await at.ask(sqlAction('delete from orders where id = 1'), { needs: terms([requirement({ groups: ['dba', 'security'] })]) })
    assert.equal((await bob.post(id, 'hand-over', { group: '', subject: '', note: '' })).status, 400)
    assert.equal((await bob.post(id, 'hand-over', { group: 'developers', subject: '' })).status, 400)
    assert.equal((await alice.post(id, 'hand-over', { group: 'security', subject: '' })).status, 403)
    assert.equal((await bob.post(id, 'hand-over', { group: '', subject: 'carol', note: '<b>Is this\u00a0new?</b>' })).status, 303)
    assert.match((await carol.get('/')).text, /class="asked">[^<]*bob[^<]* asks you to look/i)
    const page = (await carol.get(`/holds/${id}`)).text
    assert.match(page, /asks you to look, .*<blockquote>&lt;b&gt;Is this/s)
    assert.match(page, /asked carol to look/)
    assert.ok(!(await bob.get('/')).text.includes('asks you to look'))
  })

  test('forms of other sites and of other sessions do nothing', async () => {
    await using at = await startConsole()
    const carol = await visitor(at, 'carol')
    const { id } = await at.ask(sqlAction('delete from orders where id = 1'), { needs: withGlass })
    assert.equal((await carol.release(id, { reason, csrf: 'x' })).status, 403)
    assert.equal((await carol.get(`/holds/${id}/break-glass`)).status, 405)
    assert.equal((await at.hold(id)).state, 'pending')
  })
})

test('why somebody cannot decide is said by what it is', () => {
  const hold = makeHold({ openedAt: Date.parse('2026-01-14T10:00:00Z') })
  const say = (viewer: Parameters<typeof whyNot>[1], obstacle: string, of = hold) => whyNot(of, viewer, obstacle) ?? ''
  const dave = person('dave', 'developers')
  assert.match(say({ ...agent, kind: 'human' }, 'self-approval'), /: you asked for it yourself\. Nobody decides/)
  assert.match(say(person('olga'), 'self-approval'), /: you are responsible for invoice-agent, which asks for it\./)
  assert.match(say(person('alice'), 'self-approval', makeHold({ caller: { ...agent, onBehalfOf: [person('alice')] } })), /: invoice-agent asks for it on your behalf\./)
  assert.match(say(person('other'), 'self-approval'), /: another account of yours is behind it\./)
  assert.match(say(dave, 'not-eligible'), /the rules ask security, and you are in developers\.$/)
  assert.match(say({ ...dave, groups: [] }, 'not-eligible'), /and you are in no group\.$/)
  assert.match(say({ ...dave, groups: undefined }, 'not-eligible'), /your sign-in did not say in which groups you are/)
  assert.match(say({ ...dave, onBehalfOf: [person('alice')] }, 'not-eligible'), /only people decide, signed in as themselves/)
  const escalating = makeHold({ openedAt: Date.parse('2026-01-14T10:00:00Z'), terms: { ...hold.terms, requirements: hold.terms.requirements.map((one) => ({ ...one, escalation: { afterMs: 900_000, groups: ['developers'], users: [] } })) } })
  assert.match(say(dave, 'not-eligible', escalating), /From 2026-01-14 10:15 UTC on you may\.$/)
  assert.equal(whyNot(hold, dave, undefined), undefined)
})
