/** The pictures of passkeys. Alone: `node test/browser/passkey-screenshots.ts`. */
import { join, resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { startChromium, visitorOf } from './browsers.ts'
import { addPasskey, deviceFor, ready } from './device.ts'
import { requirement, sqlAction, startConsole, terms } from './world.ts'

export const takePasskeys = async (browser: Browser, folder: string): Promise<void> => {
  await using at = await startConsole({}, 'localhost')
  const needs = terms([requirement({ assurance: 'passkey' })], { withinMs: 1_800_000, runWithinMs: 600_000 })
  const ask = (sql: string) => at.ask(sqlAction(sql), { needs, because: 'Deleting customers cannot be undone: a yes to it is signed.' })
  const { page } = await visitorOf(browser, at.url, 'bob', { viewport: { width: 1200, height: 820 }, colorScheme: 'light' }, 'afresh')
  const key = await deviceFor(page)
  await addPasskey(page, at.url, 'bob', 'Key on the ring')
  await key.clear()
  await addPasskey(page, at.url, 'bob', 'Work laptop')
  const [first, second] = [await ask("DELETE FROM orders WHERE customer_id = 4711 AND state = 'cancelled'"), await ask("DELETE FROM orders WHERE customer_id = 4712 AND state = 'cancelled'")]
  await page.goto(`${at.url}/holds/${first.id}`)
  await ready(page)
  await page.click('.approve')
  await page.locator('.yours').waitFor()
  await page.goto(`${at.url}/passkeys`)
  await ready(page)
  await page.screenshot({ path: join(folder, 'passkeys.png') })
  await page.goto(`${at.url}/holds/${second.id}`)
  await ready(page)
  await page.fill('textarea', 'Agreed with support, ticket 4711.')
  await page.screenshot({ path: join(folder, 'passkey-approve.png') })
  await page.context().close()
}

if (import.meta.main) {
  const browser = await startChromium()
  try {
    await takePasskeys(browser, resolve(import.meta.dirname, '..', '..', 'docs', 'images'))
  } finally {
    await browser.close()
  }
}
