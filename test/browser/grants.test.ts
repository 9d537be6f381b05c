import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { barriersIn } from './barriers.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { requirement, sqlAction, startConsole, terms } from './world.ts'

/** A grant is given and ended by clicks, with scripts and without, and nobody has to read more than is there. */
describe('grants in a browser', { concurrency: 1 }, () => {
  let at: Awaited<ReturnType<typeof startConsole>>
  let browser: Browser
  before(async () => {
    at = await startConsole()
    at.world.pinned = { policyVersion: `sha256:${'5e'.repeat(32)}`, values: '' }
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await at?.[Symbol.asyncDispose]()
  })

  for (const [javaScriptEnabled, width] of [[true, 1200], [false, 390]] as const) {
    test(`${javaScriptEnabled ? 'with' : 'without'} scripts, ${width} wide`, async () => {
      const text = `UPDATE orders SET state = 'shipped' WHERE id IN (${width})`
      const barriers = async (page: Page): Promise<readonly string[]> => (javaScriptEnabled ? await barriersIn(page) : []) // axe is a script itself
      const hold = await at.ask(sqlAction(text, [], { verb: 'sql.update', verbs: ['sql.update'], pattern: { same: text, text: () => 'UPDATE orders SET state = <text> WHERE id IN (<number>, …)' } }), { needs: terms([requirement()], { grant: { times: 5, rows: 100, withinMs: 3_600_000 } }) })
      const { page: bob, complaints } = await visitorOf(browser, at.url, 'bob', { viewport: { width, height: 900 }, javaScriptEnabled })
      await bob.goto(`${at.url}/holds/${hold.id}`)
      await bob.getByText('Let more like this through').click()
      assert.equal(await bob.locator('.grant .pattern').innerText(), 'UPDATE orders SET state = <text> WHERE id IN (<number>, …)')
      assert.deepEqual(await barriers(bob), [])
      for (const [label, value] of [['More', '3'], ['Rows', '50'], ['Minutes', '30']] as const) await bob.locator('.grant').getByLabel(label).fill(value)
      await bob.locator('button.approve').click()
      await bob.getByText('3 more like it, 50 rows in all').waitFor()
      await bob.getByText('Look at it').click()
      const card = bob.locator(`[id="${hold.id.replace('hold_', 'grant_')}"]`)
      assert.match(await card.innerText(), /0 of 3 used, 0 of 50 rows, (?:29|30) min/)
      assert.equal(await bob.evaluate('document.documentElement.scrollWidth <= innerWidth').catch(() => true), true)
      assert.deepEqual(await barriers(bob), [])
      await card.getByRole('button', { name: 'End it' }).click()
      await card.getByText('Revoked').first().waitFor()
      assert.equal((await at.hold(hold.id)).granted?.ended, 'revoked')
      assert.deepEqual(complaints, [])
    })
  }
})
