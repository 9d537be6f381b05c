import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { callerOf, day, ran, statement } from '../audit/lineage-story.ts'
import { auditLog } from '../channels/web/audit-log.ts'
import { barriersIn } from './barriers.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { sqlAction, startConsole } from './world.ts'

const hostile = '<img src=x onerror=alert(1)>\u202Egnp.exe'

/** Somebody walks the map, from an agent to a table to whoever said yes: with scripts and without, on a wide window and on a phone. */
describe('lineage in a browser', { concurrency: 1 }, () => {
  let log: Awaited<ReturnType<typeof auditLog>>
  let at: Awaited<ReturnType<typeof startConsole>>
  let browser: Browser
  before(async () => {
    log = await auditLog(['dba'])
    for (const event of [...day(), ...ran(callerOf(hostile, 'agent', 's-x'), statement('sql.select', { [hostile]: 'read', ['x'.repeat(3_000)]: 'read' }))]) await log.events(event)
    at = await startConsole({}, '127.0.0.1', log.desk)
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await at?.[Symbol.asyncDispose]()
    await log?.[Symbol.asyncDispose]()
  })

  for (const [javaScriptEnabled, width, colorScheme] of [[true, 1200, 'light'], [true, 390, 'dark'], [false, 390, 'light']] as const) {
    test(`${javaScriptEnabled ? 'with' : 'without'} scripts, ${width} wide, ${colorScheme}`, async () => {
      const { page, complaints } = await visitorOf(browser, at.url, 'bob', { viewport: { width, height: 900 }, javaScriptEnabled, colorScheme })
      const inOrder = async (of: Page): Promise<void> => {
        assert.equal(await of.locator('.map:visible').count(), 1)
        if (!javaScriptEnabled) return // axe is a script itself
        assert.deepEqual(await barriersIn(of), [])
        assert.equal(await of.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
      }
      const before = log.read.length
      await page.goto(`${at.url}/lineage`)
      await inOrder(page)
      assert.equal(await page.getByLabel('From').inputValue(), '7d')
      assert.match((await page.locator('.map:visible').textContent()) ?? '', /\\u\{202e\}gnp\.exe/)
      assert.equal(await page.locator('.lineage img').count(), 0)
      await page.getByLabel('Who', { exact: true }).fill('invoice-agent')
      await page.getByRole('button', { name: 'Show' }).click()
      await page.getByText('8 kinds of action, the newest first').waitFor()
      await page.locator('.map:visible a.m-box', { hasText: 'public.orders' }).last().click()
      await page.locator('.about', { hasText: 'public.orders' }).waitFor()
      assert.ok((await page.locator('.log tbody tr').count()) > 3)
      assert.match(await page.locator('.flows').innerText(), /public\.customers ⇢\s*into\s*public\.orders|public\.customers[^]*public\.orders/)
      await inOrder(page)
      await page.locator('.map:visible a.m-vote', { hasText: 'bob' }).first().click()
      await page.locator('.about', { hasText: 'bob' }).waitFor()
      await inOrder(page)
      await page.getByRole('link', { name: 'its record', exact: true }).first().click()
      await page.getByText('bob approved by console').first().waitFor()
      await page.getByRole('link', { name: 'What invoice-agent touched in a week' }).click()
      await page.locator('.about', { hasText: 'invoice-agent' }).waitFor()
      await page.goto(`${at.url}/lineage?for=alice&end=reports.daily`)
      await page.getByRole('heading', { name: 'Connected?' }).waitFor()
      assert.equal(await page.locator('.path li').count(), 2)
      await page.goto(`${at.url}/lineage?who=---`)
      await page.getByText('Nothing was looked for').waitFor()
      await page.goto(`${at.url}/lineage?who=nobody-at-all`)
      await page.getByText('Nothing is found').waitFor()
      assert.ok(log.read.slice(before).every(({ type }) => type === 'audit-read'))
      assert.ok(log.read.length - before >= 7)
      assert.deepEqual(complaints.filter((text) => !text.includes('400')), [])
    })
  }

  test('with the keyboard alone, from box to box', async () => {
    const { page } = await visitorOf(browser, at.url, 'bob', { viewport: { width: 1200, height: 900 } })
    await page.goto(`${at.url}/lineage?who=%3Dreport-agent`)
    await page.getByRole('button', { name: 'Show' }).focus()
    await page.keyboard.press('Tab')
    for (const expected of ['carol', 'report-agent', 's-report-1']) {
      await page.keyboard.press('Tab')
      assert.ok(String(await page.evaluate('document.activeElement.textContent')).startsWith(expected), expected)
    }
    await page.keyboard.press('Enter')
    await page.locator('.about', { hasText: 's-report-1' }).waitFor()
  })

  test('a hold leads there for whoever reads the log, and for nobody else', async () => {
    const hold = await at.ask(sqlAction('delete from orders where id = 1'))
    const { page: bob } = await visitorOf(browser, at.url, 'bob')
    await bob.goto(`${at.url}/holds/${hold.id}`)
    await bob.getByRole('link', { name: 'Who touched public.orders' }).click()
    await bob.getByRole('heading', { name: 'Lineage', exact: true }).waitFor()
    log.state.readers = ['auditors']
    try {
      await bob.goto(`${at.url}/holds/${hold.id}`)
      await bob.getByText('Decide by').waitFor()
      assert.equal(await bob.locator('a[href^="/lineage"]').count(), 0)
      await bob.goto(`${at.url}/lineage`)
      await bob.getByText('Only people of the groups').waitFor()
    } finally {
      log.state.readers = ['dba']
    }
  })
})
