import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ChatAccount } from '../../../src/identity/links.ts'
import { makeBrowser } from '../../support/idp.ts'
import { fieldIn, startConsoleDesk } from './console-desk.ts'

const account: ChatAccount = { chat: 'slack', workspace: 'T0HOME', user: 'U0BOB' }
const hour = 3_600_000

type Desk = Awaited<ReturnType<typeof startConsoleDesk>>
const ticketOf = ({ linking }: Desk, over: Partial<ChatAccount> = {}, display = 'bob'): string => linking.tickets.issue({ account: { ...account, ...over }, display, keepMs: 24 * hour })

describe('linking accounts', () => {
  test('somebody who is not logged in logs in first, looks, and says yes once', async () => {
    await using desk = await startConsoleDesk()
    const ticket = ticketOf(desk, {}, '<b>bob</b>\u202e')
    const fresh = await fetch(`${desk.url}/links/new/${ticket}`, { redirect: 'manual' })
    assert.equal(fresh.headers.get('location'), `/oauth2/start?rd=${encodeURIComponent(`/links/new/${ticket}`)}`)
    const bob = await desk.logIn('bob')
    const page = await (await bob.get(`/links/new/${ticket}`)).text()
    for (const part of ['U0BOB', 'T0HOME', '&lt;b&gt;bob&lt;/b&gt;\\u{202e}', 'Only say yes']) assert.ok(page.includes(part), part)
    assert.equal(await desk.linking.links.whose(account), undefined, 'looking links nothing')
    const form = { csrf: fieldIn(page, 'csrf'), ticket: fieldIn(page, 'ticket') }
    assert.deepEqual([(await bob.post('/links', form)).status, (await bob.post('/links', form)).status], [303, 400])
    assert.deepEqual(await desk.linking.links.whose(account), { issuer: desk.idp.issuer, subject: 'bob' })
    assert.deepEqual(desk.events.filter(({ type }) => type === 'linked'), [{ type: 'linked', by: { issuer: desk.idp.issuer, subject: 'bob' }, account }])
  })

  test('comes back to it after logging in', async () => {
    await using desk = await startConsoleDesk()
    const path = `/links/new/${ticketOf(desk, {}, 'x'.repeat(80))}`
    const { url } = await makeBrowser().logIn(`${desk.url}/oauth2/start?rd=${encodeURIComponent(path)}`, 'bob', (at) => at.startsWith(`${desk.url}/links`))
    assert.equal(url, `${desk.url}${path}`)
  })

  test('nobody links by a forged form, another session, an old, foreign or invented ticket', async () => {
    await using desk = await startConsoleDesk()
    const [bob, carol] = [await desk.logIn('bob'), await desk.logIn('carol')]
    const ticket = ticketOf(desk)
    const csrf = fieldIn(await (await bob.get(`/links/new/${ticket}`)).text(), 'csrf')
    const csrfOfCarol = fieldIn(await (await carol.get(`/links/new/${ticket}`)).text(), 'csrf')
    assert.equal((await bob.post('/links', { csrf, ticket }, { origin: 'https://evil.test' })).status, 403)
    assert.equal((await bob.post('/links', { csrf, ticket }, {})).status, 403)
    assert.equal((await bob.post('/links', { csrf: csrfOfCarol, ticket })).status, 403)
    assert.equal((await bob.post('/links', { csrf, ticket: ticketOf(desk, { workspace: 'T0EVIL' }) })).status, 400)
    assert.equal((await bob.post('/links', { csrf, ticket: `${ticket.slice(0, -2)}AA` })).status, 400)
    assert.equal((await bob.get('/links/new/AAAA')).status, 400)
    desk.time.skewMs += 11 * 60_000
    assert.equal((await bob.post('/links', { csrf, ticket })).status, 400)
    assert.equal(await desk.linking.links.whose(account), undefined)
  })

  test('an account and a person are taken once; whoever is linked can end it, and nobody else', async () => {
    await using desk = await startConsoleDesk()
    const [bob, carol] = [await desk.logIn('bob'), await desk.logIn('carol')]
    const link = async (who: typeof bob, over: Partial<ChatAccount> = {}): Promise<number> => {
      const page = await (await who.get(`/links/new/${ticketOf(desk, over)}`)).text()
      return (await who.post('/links', { csrf: fieldIn(page, 'csrf'), ticket: fieldIn(page, 'ticket') })).status
    }
    assert.deepEqual([await link(bob), await link(carol), await link(bob, { user: 'U0OTHER' })], [303, 409, 409])
    const end = async (who: typeof bob): Promise<number> => (await who.post('/links/end', { csrf: fieldIn(await (await who.get('/')).text(), 'csrf'), chat: 'slack', workspace: 'T0HOME' })).status
    assert.match(await (await bob.get('/links')).text(), /U0BOB/)
    assert.match(await (await bob.get('/')).text(), /<a href="\/links">Links<\/a>/)
    assert.doesNotMatch(await (await carol.get('/links')).text(), /U0BOB/)
    assert.equal(await end(carol), 303)
    assert.notEqual(await desk.linking.links.whose(account), undefined)
    assert.equal(await end(bob), 303)
    assert.equal(await desk.linking.links.whose(account), undefined)
    assert.deepEqual(desk.events.filter(({ type }) => type === 'unlinked').length, 1)
    assert.deepEqual([await link(carol), await link(bob, { user: 'U0OTHER' })], [303, 303])
  })

  test('a login makes known who somebody is; that all logins are over makes it unknown', async () => {
    await using desk = await startConsoleDesk()
    const bob = { issuer: desk.idp.issuer, subject: 'bob' }
    assert.equal(await desk.linking.links.known(bob, hour), undefined)
    await desk.logIn('bob')
    assert.deepEqual((await desk.linking.links.known(bob, hour))?.groups, ['developers', 'dba'])
    desk.time.skewMs += 2 * hour
    assert.equal(await desk.linking.links.known(bob, hour), undefined)
  })
})
