import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, test } from 'node:test'
import { html } from '../../../src/channels/web/pages/html.ts'
import { markedText } from '../../../src/channels/web/pages/marked-text.ts'
import { makeStatement } from '../../../src/channels/web/pages/statement.ts'
import type { Hold } from '../../../src/model/hold.ts'
import { makeHighlight } from '../../../src/protocols/postgres/sql/highlight.ts'
import { action, startConsole, sqlAction, terms, requirement } from '../../browser/world.ts'
import { makeBrowser } from '../../support/idp.ts'
import { until } from '../../support/until.ts'
import { auditLog } from './audit-log.ts'
import { makeHold } from './hold-desk.ts'
import { fieldIn } from './console-desk.ts'

type Console = Awaited<ReturnType<typeof startConsole>>

/** A browser without scripts: pages, and the forms that stand in them. */
const visitor = async (at: Console, user: string) => {
  const browser = makeBrowser()
  await browser.logIn(`${at.url}/oauth2/start`, user, (url) => url.startsWith(at.url) && !url.includes('/oauth2/'))
  const get = async (path: string) => {
    const response = await browser.visit(`${at.url}${path}`)
    return { status: response.status, text: await response.text() }
  }
  const form = async (id: string) => {
    const { text } = await get(`/holds/${id}`)
    return Object.fromEntries(['csrf', 'digest', 'revision', 'shown'].map((name) => [name, fieldIn(text, name)]))
  }
  const post = async (path: string, fields: Record<string, string>) => {
    const response = await browser.visit(`${at.url}${path}`, fields, { origin: at.url })
    return { status: response.status, location: response.headers.get('location'), text: await response.text() }
  }
  return { get, form, post, vote: async (id: string, verdict: string, more: Record<string, string> = {}) => post(`/holds/${id}/vote`, { ...(await form(id)), verdict, ...more }) }
}

const alertIn = (text: string): string => /<div class="alert" role="alert"><h2>([^<]*)<\/h2><p>([^<]*)/.exec(text)?.slice(1).join(' | ') ?? ''

describe('markup', () => {
  test('texts stay texts', () => {
    assert.equal(html`<p title="${`"><script>`}">${['a', '<b>', 3, undefined, false]}${html`<i>${`'&`}</i>`}</p>`.toString(), '<p title="&quot;&gt;&lt;script&gt;">a&lt;b&gt;3<i>&#39;&amp;</i></p>')
    assert.equal(html`${'\0\ud800x'}`.toString(), '\uFFFD\uFFFDx')
  })

  test('SQL is marked as the lexer of the server reads it, and never changed', async () => {
    const sql = `delete from "Orders" where id = $1 and note <> 'é''x' -- bye\n/* c */\n\n$1 = "5"`
    const text = (await markedText('postgres', sql, makeHighlight())).toString()
    for (const [kind, piece] of [['keyword', 'delete'], ['name', '&quot;Orders&quot;'], ['parameter', '$1'], ['string', '&#39;é&#39;&#39;x&#39;'], ['comment', '-- bye'], ['comment', '/* c */']]) assert.ok(text.includes(`<span class="t-${kind}">${piece}</span>`), piece)
    const bare = (marked: string): string => marked.replaceAll(/<[^>]*>/g, '').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>')
    assert.equal(bare(text), sql)
    assert.equal(bare((await markedText('postgres', "select 'open", makeHighlight())).toString()), "select 'open")
    assert.equal(bare((await markedText('postgres', 'abc', async () => [{ start: 2, end: 9, kind: 'name' }, { start: 1, end: 2, kind: 'name' }, { start: 0, end: 1, kind: 'name' }])).toString()), 'abc')
  })

  test('what is shown is named by its hash, the same for everybody and at any time', async () => {
    const hold = makeHold()
    const [one, two] = [await makeStatement(hold, undefined), await makeStatement({ ...hold, waiting: true, votes: [] }, undefined)]
    assert.equal(one.shown, two.shown)
    assert.equal(one.shown, `console/3 sha256:${hash('sha256', `console/3\n${hold.action.digest}\n${one.markup.toString()}`)}`)
    assert.notEqual((await makeStatement({ ...hold, statedReason: 'x' }, undefined)).shown, one.shown)
    for (const hidden of ['never shown', 'session-invoice-agent']) assert.ok(!one.markup.toString().includes(hidden))
  })
})

const parts: NonNullable<Hold['action']['parts']> = [
  { verb: 'sql.transaction', verbs: ['sql.transaction'], effect: 'read', resources: [], tags: [], facts: {}, text: 'BEGIN' },
  { verb: 'sql.delete', verbs: ['sql.delete'], effect: 'write', resources: [{ kind: 'table', name: 'public.orders', access: 'write', tags: ['pii'] }], tags: ['pii'], facts: {}, text: 'DELETE FROM orders -- \u202e', impact: { exactRows: 3, unfiltered: true, notes: [] } },
  { verb: 'sql.transaction', verbs: ['sql.transaction'], effect: 'read', resources: [], tags: [], facts: {}, text: 'COMMIT' },
]

test('a plan is shown statement by statement, each with what it does', async () => {
  const hold = makeHold()
  const { markup, shown } = await makeStatement({ ...hold, action: { ...hold.action, protocol: 'postgres', parts, text: 'BEGIN; DELETE …' } }, makeHighlight())
  const text = markup.toString()
  assert.match(text, /A plan of 3 statements/)
  assert.match(text, /<li><p class="step"><b>DELETE<\/b> <span class="access a-write">Writes<\/span> <code>public\.orders<\/code> <span class="tag">pii<\/span> <span class="every">every row: 3 rows<\/span><\/p>[^]*<\/li><li>/)
  assert.ok(text.includes('\\u{202e}') && !text.includes('\u202e'))
  const other = parts.with(1, { ...parts[1]!, text: 'DELETE FROM customers' })
  assert.notEqual((await makeStatement({ ...hold, action: { ...hold.action, protocol: 'postgres', parts: other, text: 'BEGIN; DELETE …' } }, undefined)).shown, shown)
})

describe('deciding without scripts', () => {
  test('a yes, a no, and what was shown goes with them', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const [yes, no] = [await at.ask(sqlAction('delete from orders where id = 1'), { runs: { result: 'executed', ms: 41, rows: 1, status: 'DELETE 1' } }), await at.ask(sqlAction('delete from orders'))]
    assert.match((await bob.get('/')).text, /DELETE<\/span> <span class="target">public\.orders/)
    const { shown } = await bob.form(yes.id)
    const answer = await bob.vote(yes.id, 'approve', { reason: 'asked for\r\nby finance' })
    assert.deepEqual([answer.status, answer.location], [303, `/holds/${yes.id}`])
    const { votes } = await at.hold(yes.id)
    assert.deepEqual(votes.map(({ verdict, channel, assurance, reason, shown: seen }) => [verdict, channel, assurance, reason, seen]), [['approve', 'console', 'console', 'asked for\nby finance', shown]])
    const voted = at.world.events.find(({ type }) => type === 'voted')
    assert.equal(voted?.type === 'voted' && voted.vote.shown, shown)
    assert.equal((await bob.vote(no.id, 'deny', { reason: '' })).status, 303)
    assert.equal((await at.hold(no.id)).state, 'denied')
    assert.match((await bob.get(`/holds/${no.id}`)).text, /You denied this/)
    await until('it to have run', async () => (await at.hold(yes.id)).state === 'executed')
    assert.match((await bob.get(`/holds/${yes.id}`)).text, /<dt>Outcome<\/dt><dd>executed[^]*<dt>Rows<\/dt><dd>1<[^]*41 ms/)
  })

  test('who asked and who reads the log finds the receipt on the page, and nobody else', async () => {
    await using log = await auditLog(['nobody'])
    await using at = await startConsole({}, '127.0.0.1', log.desk, log.receipts)
    const [bob, alice] = [await visitor(at, 'bob'), await visitor(at, 'alice')]
    const { id, code } = await at.ask(sqlAction('delete from orders'))
    const link = `<a href="/api/receipts/${id}" download="${code}.receipt.json">`
    const offered = async (who: typeof bob): Promise<boolean> => (await who.get(`/holds/${id}`)).text.includes(link)
    assert.deepEqual([await offered(alice), await offered(bob)], [true, false], 'it is of the agent of alice')
    log.state.readers = ['dba']
    assert.deepEqual([await offered(alice), await offered(bob)], [true, true])
  })

  test('every conflict says what happened, and counts nothing', async () => {
    await using at = await startConsole()
    const [bob, alice] = [await visitor(at, 'bob'), await visitor(at, 'alice')]
    const two = terms([requirement({ count: 2 })], { askReason: true })
    const hold = await at.ask(sqlAction('delete from orders'), { needs: two })
    const fields = await bob.form(hold.id)
    const path = `/holds/${hold.id}/vote`
    const conflict = async (as: typeof bob, form: Record<string, string>, status: number, said: RegExp) => {
      const answer = await as.post(path, form)
      assert.equal(answer.status, status, String(said))
      assert.match(alertIn(answer.text), said)
    }
    const yes = { ...fields, verdict: 'approve', reason: 'because' }
    await conflict(bob, { ...yes, digest: `sha256:${'b2'.repeat(32)}` }, 409, /What you saw is not what is waiting/)
    await conflict(bob, { ...yes, revision: '7' }, 409, /This changed while you looked at it/)
    await conflict(bob, { ...yes, shown: 'console/3 sha256:other' }, 409, /This changed while you looked at it/)
    await conflict(bob, { ...yes, reason: ' ' }, 422, /A reason is missing/)
    await conflict(bob, { ...yes, reason: 'a\u202eb' }, 400, /This cannot be taken as it is/)
    await conflict(alice, { ...yes, csrf: (await alice.form(hold.id))['csrf'] ?? '' }, 403, /You may not decide this/)
    const other = fieldIn((await alice.get('/')).text, 'csrf')
    assert.equal((await alice.post(`/holds/${hold.id}/withdraw`, { csrf: other })).status, 303) // it is her agent's
    await conflict(bob, yes, 409, /This was decided before you \| This is decided already: withdrawn/)
    assert.deepEqual((await at.hold(hold.id)).votes, [])
    assert.equal((await bob.post(path, { ...yes, csrf: other })).status, 403)
    assert.equal((await bob.post('/holds/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa/vote', yes)).status, 404)
  })

  test('what the rule wants approved elsewhere has no button here; a no counts', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const hold = await at.ask(sqlAction('delete from orders'), { needs: terms([requirement({ assurance: 'chat', channels: ['slack', 'api'] })]) })
    const { text } = await bob.get(`/holds/${hold.id}`)
    assert.match(text, /The rule takes a yes not here, but through these alone: api, slack/)
    assert.match(text, /<b>1<\/b> of dba, through slack or api/)
    assert.ok(!text.includes('value="approve"') && text.includes('value="deny"'))
    const answer = await bob.vote(hold.id, 'approve')
    assert.equal(answer.status, 403)
    assert.match(alertIn(answer.text), /This is approved elsewhere \| The rule takes a yes through these alone: slack, api/)
    const refused = at.world.events.find(({ type }) => type === 'vote-refused')
    assert.equal(refused?.type === 'vote-refused' && refused.cause, 'the vote came by console, and the rule takes votes by api, slack')
    assert.equal((await bob.vote(hold.id, 'deny')).status, 303)
    assert.equal((await at.hold(hold.id)).state, 'denied')
  })

  test('a second submission and a late one', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const hold = await at.ask(sqlAction('delete from orders'))
    const fields = { ...(await bob.form(hold.id)), verdict: 'approve' }
    assert.equal((await bob.post(`/holds/${hold.id}/vote`, fields)).status, 303)
    const again = await bob.post(`/holds/${hold.id}/vote`, fields)
    assert.deepEqual([again.status, alertIn(again.text)], [409, 'Your decision is recorded already | You approved this. Sending it again changed nothing.'])
    const late = await at.ask(sqlAction('delete from orders where id = 3'))
    const lateFields = { ...(await bob.form(late.id)), verdict: 'approve' }
    at.world.skewMs += 61_000
    const answer = await bob.post(`/holds/${late.id}/vote`, lateFields)
    assert.equal(answer.status, 410)
    assert.match(alertIn(answer.text), /Your decision came too late/)
  })

  test('who may not see it, may not; who may not decide it, gets no buttons', async () => {
    await using at = await startConsole()
    const hold = await at.ask(sqlAction('delete from orders'))
    const dave = await visitor(at, 'dave')
    const unknown = await dave.get('/holds/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa')
    const hidden = await dave.get(`/holds/${hold.id}`)
    const still = (text: string): string => text.replace(/data-now="\d+"/, '')
    assert.deepEqual([hidden.status, still(hidden.text)], [404, still(unknown.text)])
    assert.match((await dave.get('/')).text, /Nothing waits for you/)
    const alice = await visitor(at, 'alice')
    const own = await alice.get(`/holds/${hold.id}`)
    assert.match(own.text, /you are responsible for invoice-agent[^]*Take it back/)
    assert.doesNotMatch(own.text, /value="approve"/)
    assert.match((await alice.get('/?tab=mine')).text, /public\.orders/)
    assert.doesNotMatch((await alice.get('/?tab=needs')).text, /public\.orders/)
    const nobody = await fetch(`${at.url}/holds/${hold.id}`, { redirect: 'manual' })
    assert.deepEqual([nobody.status, nobody.headers.get('location')], [303, `/oauth2/start?rd=%2Fholds%2F${hold.id}`])
  })

  test('what is cut cannot be approved by what can be seen of it', async () => {
    await using at = await startConsole()
    const hold = await at.ask(sqlAction('delete from orders', [], { textCut: true }))
    const bob = await visitor(at, 'bob')
    const page = await bob.get(`/holds/${hold.id}`)
    assert.match(page.text, /There is more to this action[^]*holds approve hold_[a-z2-7]{26} --server http[^ ]+ --digest sha256:[0-9a-f]{64}/)
    assert.doesNotMatch(page.text, /value="approve"/)
    assert.equal((await bob.vote(hold.id, 'approve')).status, 403)
    assert.equal((await bob.vote(hold.id, 'deny')).status, 303)
  })

  test('looking changes nothing', async () => {
    await using at = await startConsole()
    const hold = await at.ask(sqlAction('delete from orders'))
    const bob = await visitor(at, 'bob')
    for (const path of [`/holds/${hold.id}/vote`, `/holds/${hold.id}/withdraw`]) assert.equal((await bob.get(path)).status, 405)
    await bob.get(`/holds/${hold.id}?action=approve&verdict=approve&confirm=1`)
    assert.deepEqual([(await at.hold(hold.id)).state, (await at.hold(hold.id)).votes.length], ['pending', 0])
  })

  test('hostile texts are texts', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const hostile = `</code></pre><script>alert(1)</script><img src=x onerror=alert(1)> \u202e\u200b ${'x'.repeat(60_000)}`
    const hold = await at.ask(sqlAction(hostile, [], { tags: ['<b>tag'], resources: [{ kind: 'table', name: 'public."><svg onload=alert(1)>', access: 'write', tags: [] }], impact: { notes: ['<i>note'], unfiltered: true } }), { as: { ...at.agent, name: '</title><script>alert(1)</script>' }, because: '<b>because', statedReason: 'javascript:alert(1)\u2066</blockquote><script>' })
    for (const path of ['/', `/holds/${hold.id}`]) {
      const { status, text } = await bob.get(path)
      assert.equal(status, 200)
      assert.ok(!/<script>|<img src=x|<svg onload|<b>because|<i>note|<b>tag|href="javascript/.test(text), path)
      assert.doesNotMatch(text, /[\u202e\u200b\u2066]/)
      assert.match(text, /\\u\{202e\}/)
    }
  })

  test('an HTTP action, and reasons that the rule asks for', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const hold = await at.ask(action('POST /v1/refunds\nhost: orders\n\n{}'), { needs: terms([requirement()], { askReason: true }) })
    assert.match((await bob.get(`/holds/${hold.id}`)).text, /<span class="t-keyword">POST<\/span> \/v1\/refunds\n<span class="t-comment">host<\/span>[^]*<textarea[^>]* required/)
    assert.equal((await bob.vote(hold.id, 'approve', { reason: 'asked for' })).status, 303)
  })

  test('whether this is usual: what the requester asked before, and what became of it', async () => {
    await using at = await startConsole()
    const bob = await visitor(at, 'bob')
    const card = async (id: string) => /<section class="card history">.*?<\/section>/s.exec((await bob.get(`/holds/${id}`)).text)?.[0].replaceAll(/<time[^>]*>|<\/?(?!a)[a-z][^>]*>/g, '') ?? ''
    const first = await at.ask(sqlAction('delete from orders where customer_id = 1'))
    assert.match(await card(first.id), /Nothing by this requester here/)
    await bob.vote(first.id, 'deny', { reason: 'not before Monday <b>' })
    const second = await at.ask(sqlAction('delete from orders where customer_id = 2', [], { shape: first.action.shape }))
    const text = await card(second.id)
    assert.match(text, /Like this1: 1 denied/)
    assert.ok(text.includes(`<a href="/holds/${first.id}" class="code">${first.code}</a>`), text)
    assert.match(text, /Othernothing/)
    assert.match(text, /said no to the same[^]*not before Monday &lt;b&gt;/)
    assert.equal(await card(first.id), '', 'what is decided has none')
  })

  test('which policies decide now, each rule with its reason, in the order of its file', async () => {
    await using at = await startConsole()
    const { text, status } = await (await visitor(at, 'bob')).get('/policies')
    assert.equal(status, 200)
    assert.match(text, /<a href="\/policies" aria-current="page">Policies<\/a>/)
    assert.deepEqual([...text.matchAll(/<h2>([a-z-]+) <small>([^<]*)/g)].map(([, name, file]) => `${name} ${file}`), ['agents policies/agents.yaml', 'customer-data policies/customer-data.yaml'])
    assert.deepEqual([...text.matchAll(/<\/span> (allow|hold|deny)<\/span> <b>([a-z-]+)<\/b>/g)].map(([, then, rule]) => `${then} ${rule}`), ['allow read', 'hold delete', 'deny leave-salaries'])
    assert.match(text, /<b>read<\/b> <span class="tag">only observes/)
    assert.ok(text.includes('Salaries are &lt;b&gt;nobody&lt;/b&gt;’s business.') && text.includes('Instead: Ask the people team.') && text.includes('# &lt;/pre&gt;&lt;script&gt;'))
    assert.equal((await fetch(`${at.url}/policies`, { redirect: 'manual' })).status, 303, 'for who is signed in')
  })
})
