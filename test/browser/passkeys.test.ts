import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { checkEvidence } from '../../src/approval/spoken-yes.ts'
import { until } from '../support/until.ts'
import { barriersIn } from './barriers.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { addPasskey, deviceFor, ready, signInAgain } from './device.ts'
import { requirement, sqlAction, startConsole, terms } from './world.ts'

let at: Awaited<ReturnType<typeof startConsole>>
let browser: Browser
before(async () => {
  at = await startConsole({}, 'localhost')
  browser = await startChromium()
})
after(async () => {
  await browser.close()
  await at[Symbol.asyncDispose]()
})

let count = 0
const ask = (needs = terms([requirement({ assurance: 'passkey' })], { withinMs: 600_000 })) => at.ask(sqlAction(`DELETE FROM orders WHERE id = ${++count}`), { needs })
const state = async (id: string) => (await at.hold(id)).state

test('a passkey is added, signs a yes, and is removed', async () => {
  const { page, complaints } = await visitorOf(browser, at.url, 'bob', {}, 'afresh')
  const device = await deviceFor(page)
  const hold = await ask()
  await page.goto(`${at.url}/holds/${hold.id}`)
  await page.locator('.warn', { hasText: 'you have none here' }).waitFor()
  assert.deepEqual(await barriersIn(page), [])
  assert.equal(await page.locator('.approve').count(), 0)
  await addPasskey(page, at.url, 'bob', 'Work laptop')
  assert.deepEqual(await barriersIn(page), [])
  assert.equal((await device.credentials()).length, 1)
  await ready(page)
  await page.fill('input[name=name]', 'The same again')
  await page.click('.approve')
  await page.locator('[data-problem]', { hasText: 'has a passkey of yours here already' }).waitFor()
  await page.goto(`${at.url}/holds/${hold.id}`)
  assert.deepEqual(await barriersIn(page), [])
  await page.fill('textarea', 'Asked for by finance – “ja”.\nTwice.')
  await ready(page)
  await page.locator('.approve').focus()
  await page.keyboard.press('Enter')
  await page.locator('.yours').waitFor()
  const after = await at.hold(hold.id)
  const [vote] = after.votes
  assert.ok(vote?.evidence)
  assert.deepEqual([after.state, vote.assurance, vote.reason], ['approved', 'passkey', 'Asked for by finance – “ja”.\nTwice.'])
  assert.equal(checkEvidence(vote.evidence, hold.id, vote).yes.voter.subject, 'bob')
  await page.goto(`${at.url}/passkeys`)
  await page.locator('.passkeys li', { hasText: 'last used' }).waitFor()
  await page.click('.passkeys button')
  await page.locator('.empty').waitFor()
  assert.deepEqual(complaints.filter((text) => !text.includes('net::ERR_FAILED')), []) // the font of the identity provider's page
  await page.context().close()
})

test('who is not known to the device, or has no passkey on it, signs nothing', async () => {
  const { page } = await visitorOf(browser, at.url, 'bob', {}, 'afresh')
  const device = await deviceFor(page)
  await addPasskey(page, at.url, 'bob', 'Phone')
  const hold = await ask()
  await page.goto(`${at.url}/holds/${hold.id}`)
  await ready(page)
  await device.verifies(false)
  await page.click('.approve')
  await page.locator('[data-problem]', { hasText: 'No passkey was used' }).waitFor()
  await device.verifies(true)
  await device.clear()
  await page.click('.approve')
  await page.locator('[data-problem]', { hasText: 'No passkey was used' }).waitFor()
  assert.deepEqual([await state(hold.id), (await at.hold(hold.id)).votes.length], ['pending', 0])
  await page.click('.deny')
  await until('the no', async () => (await state(hold.id)) === 'denied')
  await page.context().close()
})

test('a page that shows what is not there any more says so, and nothing is signed', async () => {
  const { page } = await visitorOf(browser, at.url, 'bob', {}, 'afresh')
  const device = await deviceFor(page)
  await addPasskey(page, at.url, 'bob', 'Key on the ring')
  const before = (await device.credentials())[0]?.signCount
  const hold = await ask(terms([requirement({ count: 2, assurance: 'passkey' })], { withinMs: 600_000 }))
  await page.goto(`${at.url}/holds/${hold.id}`)
  await ready(page)
  await page.evaluate(`document.querySelector('input[name=revision]').value = '7'`)
  await page.click('.approve')
  await page.locator('.alert:visible h2', { hasText: 'This changed while you looked at it' }).waitFor()
  assert.equal((await device.credentials())[0]?.signCount, before)
  assert.equal((await at.hold(hold.id)).votes.length, 0)
  await page.context().close()
})

test('without scripts one is told, and can say no', async () => {
  const { page } = await visitorOf(browser, at.url, 'bob', { javaScriptEnabled: false }, 'afresh')
  const hold = await ask()
  await page.goto(`${at.url}/holds/${hold.id}`)
  await page.locator('noscript .warn', { hasText: 'only with scripts' }).waitFor()
  await page.click('.approve')
  await page.locator('.alert', { hasText: 'It takes more to approve this' }).waitFor()
  assert.equal(await state(hold.id), 'pending')
  await page.click('.deny')
  await page.locator('.s-denied').first().waitFor()
  await page.context().close()
})

test('a rule that asks for a fresh login sends there and back', async () => {
  const { page } = await visitorOf(browser, at.url, 'bob', {}, 'afresh')
  const hold = await ask(terms([requirement({ freshLoginMs: 60_000 })], { withinMs: 600_000 }))
  await page.goto(`${at.url}/holds/${hold.id}`)
  await signInAgain(page, 'bob', `${at.url}/holds/${hold.id}`)
  await page.click('.approve')
  await page.locator('.yours').waitFor()
  assert.equal(await state(hold.id), 'approved')
  await page.context().close()
})
