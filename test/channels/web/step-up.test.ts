import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeBrowser } from '../../support/idp.ts'
import { startConsoleDesk } from './console-desk.ts'

const sessionIn = (response: Response): string => response.headers.getSetCookie().map((line) => /^countersign-session=([^;]+)/.exec(line)?.[1]).find((value) => value !== undefined) ?? ''
const whoami = async (url: string, cookie: string) => (await fetch(`${url}/api/whoami`, { headers: { cookie: `countersign-session=${cookie}` } })).status
const away = '/oauth2/step-up?rd=%2Fpasskeys'

test('somebody who is logged in logs in once more, and gets a new session', async () => {
  await using desk = await startConsoleDesk()
  const bob = await desk.logIn('bob')
  const before = (await bob.get('/oauth2/step-up')).headers.get('location') ?? ''
  const asked = new URL(before).searchParams
  assert.deepEqual([asked.get('prompt'), asked.get('max_age'), asked.get('acr_values')], ['login', '0', null])
  const { url } = await bob.logIn(`${desk.url}${away}`, 'bob', (at) => at.includes('/oauth2/callback'))
  const raised = await bob.visit(url)
  const [id, to] = [sessionIn(raised), raised.headers.get('location')]
  assert.deepEqual([id.length, to], [43, '/passkeys'])
  assert.equal(await whoami(desk.url, id), 200)
  assert.deepEqual(desk.events.flatMap((event) => (event.type === 'signed-in' ? [event.steppedUp] : [])), [undefined, true])
  assert.equal((await bob.visit(url)).status, 400) // once
})

test('the id before is worth nothing after it', async () => {
  await using desk = await startConsoleDesk()
  const bob = await desk.logIn('bob')
  const first = (await bob.logIn(`${desk.url}${away}`, 'bob', (at) => at.includes('/oauth2/callback'))).url
  const one = sessionIn(await bob.visit(first))
  const second = (await bob.logIn(`${desk.url}${away}`, 'bob', (at) => at.includes('/oauth2/callback'))).url
  const two = sessionIn(await bob.visit(second))
  assert.deepEqual([await whoami(desk.url, one), await whoami(desk.url, two)], [401, 200])
})

test('another person who logs in then changes nothing', async () => {
  await using desk = await startConsoleDesk()
  const bob = await desk.logIn('bob')
  const { url } = await bob.logIn(`${desk.url}${away}`, 'alice', (at) => at.includes('/oauth2/callback'))
  const answer = await bob.visit(url)
  assert.deepEqual([answer.status, sessionIn(answer)], [403, ''])
  assert.match(await answer.text(), /Another person has signed in/)
  // This provider ends bob's login when alice logs in there.
  assert.notEqual(((await (await bob.get('/api/whoami')).json()) as { readonly subject?: string }).subject, 'alice')
  assert.deepEqual(desk.events.flatMap((event) => (event.type === 'signed-in' ? [event.caller.subject] : [])), ['bob'])
})

test('it is over when the session is over', async () => {
  await using desk = await startConsoleDesk()
  const bob = await desk.logIn('bob')
  const { url } = await bob.logIn(`${desk.url}${away}`, 'bob', (at) => at.includes('/oauth2/callback'))
  desk.standing = 'changed' // ends every session, as a changed configuration does
  const answer = await bob.visit(url)
  assert.deepEqual([answer.status, sessionIn(answer)], [401, ''])
  assert.match(await answer.text(), /Your session ended before you came back/)
})

test('who is not logged in logs in as ever, and is not raised by it', async () => {
  await using desk = await startConsoleDesk()
  const start = await makeBrowser().visit(`${desk.url}${away}`)
  assert.equal(new URL(start.headers.get('location') ?? '').searchParams.get('prompt'), null)
})

test('a login that is not made as it has to be is none', async () => {
  await using desk = await startConsoleDesk({ acrValues: ['phr'] })
  const bob = await desk.logIn('bob')
  const start = await bob.get(away)
  assert.equal(new URL(start.headers.get('location') ?? '').searchParams.get('acr_values'), 'phr')
  const { url } = await bob.logIn(`${desk.url}${away}`, 'bob', (at) => at.includes('/oauth2/callback'))
  const answer = await bob.visit(url)
  assert.deepEqual([answer.status, sessionIn(answer)], [401, ''])
  assert.equal((await bob.get('/api/whoami')).status, 200)
})
