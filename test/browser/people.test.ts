import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { barriersIn } from './barriers.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { requirement, sqlAction, startConsole, terms } from './world.ts'

let at: Awaited<ReturnType<typeof startConsole>>
let browser: Browser
before(async () => {
  at = await startConsole()
  browser = await startChromium()
})
after(async () => {
  await browser.close()
  await at[Symbol.asyncDispose]()
})

let count = 0
const needs = terms([requirement({ count: 2, escalation: { afterMs: 300_000, groups: ['security'], users: [] } })], { withinMs: 600_000, runWithinMs: 60_000, breakGlass: [{ policy: 'p', rule: 'r', groups: ['security'], users: [], reason: 20 }] })
const ask = () => at.ask(sqlAction(`DELETE FROM orders WHERE id = ${++count}`), { needs, runs: { result: 'executed', ms: 41, rows: 37 } })
const barriers = async (page: Page, scripts: boolean): Promise<readonly string[]> => (scripts ? await barriersIn(page) : []) // axe is a script itself
const isWide = (page: Page) => page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth')
const snap = async (page: Page, name: string): Promise<void> => {
  const folder = process.env['SCREENSHOTS']
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}

for (const javaScriptEnabled of [false, true]) {
  describe(javaScriptEnabled ? 'with scripts' : 'without scripts', () => {
    test('one breaks the glass, everybody sees it, another reviews it', async () => {
      const viewport = javaScriptEnabled ? { width: 1200, height: 820 } : { width: 320, height: 640 }
      const colorScheme = javaScriptEnabled ? 'dark' as const : 'light' as const
      const [{ page: carol, complaints }, { page: bob }] = [await visitorOf(browser, at.url, 'carol', { javaScriptEnabled, viewport, colorScheme }), await visitorOf(browser, at.url, 'bob', { javaScriptEnabled, viewport, colorScheme })]
      const { id } = await ask()
      await carol.goto(`${at.url}/holds/${id}`)
      await carol.getByText('Break the glass').click()
      assert.deepEqual(await barriers(carol, javaScriptEnabled), [])
      assert.equal(await isWide(carol), false)
      await snap(carol, `glass-form-${viewport.width}`)
      await carol.fill('#why', 'too short')
      await carol.getByRole('button', { name: /Release it alone/ }).click()
      assert.equal((await at.hold(id)).state, 'pending', 'the browser asks for more words')
      await carol.fill('#why', 'Incident 4711: production is down, nobody answers.')
      await carol.getByRole('button', { name: /Release it alone/ }).click()
      await carol.locator('.alert.glass').waitFor()
      await bob.goto(at.url)
      await bob.locator('.row', { hasText: 'to be reviewed' }).first().waitFor()
      assert.deepEqual(await barriers(bob, javaScriptEnabled), [])
      await snap(bob, `glass-inbox-${viewport.width}`)
      await bob.locator(`#${id} a`).click()
      await bob.locator('#found').waitFor()
      assert.deepEqual(await barriers(bob, javaScriptEnabled), [])
      assert.equal(await isWide(bob), false)
      await snap(bob, `glass-review-${viewport.width}`)
      await bob.fill('#found', 'In order, see the incident report.')
      await bob.getByRole('button', { name: 'Reviewed' }).click()
      await bob.getByText('has reviewed it').waitFor()
      assert.deepEqual(complaints, [])
    })

    test('somebody is asked to look', async () => {
      const { page: bob } = await visitorOf(browser, at.url, 'bob', { javaScriptEnabled })
      const { id } = await ask()
      await bob.goto(`${at.url}/holds/${id}`)
      await bob.getByText('Ask somebody else to look').click()
      assert.deepEqual(await barriers(bob, javaScriptEnabled), [])
      await bob.fill('#subject', 'carol')
      await bob.fill('#note', 'Is this the new tenant?')
      await snap(bob, `hand-over-${String(javaScriptEnabled)}`)
      await bob.getByRole('button', { name: 'Ask' }).click()
      await bob.getByText('asked carol to look').waitFor()
      const { page: carol } = await visitorOf(browser, at.url, 'carol', { javaScriptEnabled })
      await carol.goto(`${at.url}/holds/${id}`)
      await carol.locator('.card.asked', { hasText: 'Is this the new tenant?' }).waitFor()
      assert.deepEqual(await barriers(carol, javaScriptEnabled), [])
      await snap(carol, `asked-${String(javaScriptEnabled)}`)
    })
  })
}
