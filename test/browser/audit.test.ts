import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { checkReceipt } from '../../src/audit/receipts/check.ts'
import { action, caller } from '../audit/audit-samples.ts'
import { auditLog } from '../channels/web/audit-log.ts'
import { barriersIn } from './barriers.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { startConsole } from './world.ts'

const hostile = '<img src=x onerror=alert(1)>\u202Egnp.exe'

/** Somebody looks for who approved what, opens one record and has it checked: with scripts and without, on a wide window and on a phone. */
describe('the audit log in a browser', { concurrency: 1 }, () => {
  let log: Awaited<ReturnType<typeof auditLog>>
  let at: Awaited<ReturnType<typeof startConsole>>
  let browser: Browser
  before(async () => {
    log = await auditLog(['dba'])
    await log.events({ type: 'decided', attempt: 'try-2', caller: { ...caller, subject: hostile }, action: { ...action, resources: [{ kind: 'table', name: hostile, access: 'write', tags: [] }] }, decision: { verdict: 'deny', matched: [], policyVersion: 'v' } })
    await log.sign()
    at = await startConsole({}, '127.0.0.1', log.desk, log.receipts)
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await at?.[Symbol.asyncDispose]()
    await log?.[Symbol.asyncDispose]()
  })

  for (const [javaScriptEnabled, width, colorScheme] of [[true, 1200, 'light'], [true, 390, 'dark'], [false, 390, 'light']] as const) {
    test(`${javaScriptEnabled ? 'with' : 'without'} scripts, ${width} wide, ${colorScheme}`, async () => {
      const inOrder = async (page: Page): Promise<void> => {
        if (!javaScriptEnabled) return // axe is a script itself
        assert.deepEqual(await barriersIn(page), [])
        assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
      }
      const { page: bob, complaints } = await visitorOf(browser, at.url, 'bob', { viewport: { width, height: 900 }, javaScriptEnabled, colorScheme })
      const before = log.read.length
      await bob.goto(`${at.url}/audit`)
      if (javaScriptEnabled) await bob.locator('#live[data-state=live]').waitFor()
      await inOrder(bob)
      assert.match(await bob.locator('.log').innerText(), /\\u\{202e\}gnp\.exe/)
      await bob.getByLabel('Approver').fill('bob')
      await bob.getByLabel('On what').fill('orders')
      await bob.getByRole('button', { name: 'Search' }).click()
      await bob.getByText('4 records, the newest first.').waitFor()
      assert.equal(new URL(bob.url()).searchParams.get('approver'), 'bob')
      assert.equal(await bob.getByLabel('Approver').inputValue(), 'bob')
      await inOrder(bob)
      const [exported] = await Promise.all([bob.waitForEvent('download'), bob.getByRole('link', { name: 'Export', exact: true }).click()])
      assert.equal(exported.suggestedFilename(), 'countersign-audit.ndjson')
      assert.equal(readFileSync(await exported.path(), 'utf8').trimEnd().split('\n').length, 4)
      await bob.locator('.log tbody tr', { hasText: 'Voted' }).locator('a').first().click()
      await bob.getByText('Bob approved by console').waitFor()
      await bob.getByText('ticket 4711').first().waitFor()
      await inOrder(bob)
      await bob.getByRole('button', { name: 'Verify' }).click()
      await bob.getByText('It is what was signed.').waitFor()
      assert.match(await bob.locator('.proof').innerText(), /one of the \d+ records of prod\/r1\/1/)
      await inOrder(bob)
      const [receipt] = await Promise.all([bob.waitForEvent('download'), bob.getByRole('link', { name: 'Download the signed receipt' }).click()])
      assert.equal(receipt.suggestedFilename(), 'hold_1.receipt.json')
      assert.equal(checkReceipt(readFileSync(await receipt.path()), [log.receiptSigner]).receipt.predicate.decision.result, 'approved')
      await bob.goto(`${at.url}/audit?text=---`)
      await bob.getByText('Nothing was looked for').waitFor()
      await inOrder(bob)
      await bob.goto(`${at.url}/audit?who=nobody-at-all`)
      await bob.getByText('Nothing is found').waitFor()
      assert.deepEqual(log.read.slice(before).map((event) => event.type === 'audit-exported' ? `${event.end ?? 'export'} ${event.query}` : event.type === 'audit-read' && event.query), ['search everything', 'search on=orders approver=bob', 'export log on=orders approver=bob', 'whole log on=orders approver=bob', 'record r1/1/2', 'record r1/1/2', 'proof r1/1/2', 'receipt hold_1', 'search who=nobody-at-all'])
      assert.deepEqual(complaints.filter((text) => !text.includes('400')), [])
    })
  }

  test('whoever may not read it, is told so and sees no way there', async () => {
    const { page: dave } = await visitorOf(browser, at.url, 'dave')
    assert.equal(await dave.locator('nav a[href="/audit"]').count(), 0)
    const before = log.read.length
    await dave.goto(`${at.url}/audit?who=alice`)
    await dave.getByText('Only people of the groups').waitFor()
    assert.deepEqual(log.read.slice(before).map((event) => event.type === 'audit-read-refused' && [event.by.subject, event.query]), [['dave', 'search who=alice']])
  })
})
