import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { withApprovalKey } from '../../src/config/approval-key.ts'
import { fillAll } from '../cli/evidence-log.ts'
import { makeShell } from '../cli/shell.ts'
import { configText, makeFolder } from '../config/folder.ts'
import { barriersIn } from './barriers.ts'
import { startChromium } from './browsers.ts'

/** The report as an auditor opens it: a file on their machine, on a wide window, on a phone, on paper. */
describe('the report of a pack in a browser', { concurrency: 1 }, () => {
  const folder = makeFolder()
  let shell: Awaited<ReturnType<typeof makeShell>>
  let browser: Browser
  let report: string
  before(async () => {
    const config = withApprovalKey(await folder.config(configText()))
    await fillAll(config)
    shell = await makeShell({ COUNTERSIGN_CONFIG: join(folder.path, 'countersign.yaml') })
    const out = join(shell.home, 'pack')
    assert.equal((await shell.run(['evidence', '--from', '2026-10-05', '--to', '2026-11-01', '--framework', 'nist', '--out', out, '--directory', config.journal.directory])).code, 0)
    report = pathToFileURL(join(out, 'report.html')).href
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await shell?.[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  for (const [width, javaScriptEnabled] of [[1280, false], [390, true]] as const) {
    test(`${width} wide: whole, without barriers, and nothing is asked of anybody`, async () => {
      await using context = await browser.newContext({ viewport: { width, height: 900 }, javaScriptEnabled, bypassCSP: javaScriptEnabled })
      const page = await context.newPage()
      const asked: string[] = []
      const complaints: string[] = []
      page.on('request', (request) => asked.push(request.url()))
      page.on('console', (message) => complaints.push(message.text()))
      await page.goto(report)
      await page.getByRole('heading', { name: 'Exceptions' }).waitFor()
      assert.deepEqual(asked, [report])
      assert.deepEqual(complaints, [])
      assert.equal(await page.getByRole('img', { name: /^Held actions:/ }).count(), 1)
      await page.locator('summary', { hasText: 'CS-LATE' }).click()
      await page.locator('details', { hasText: 'CS-LATE' }).getByText('hold expired').waitFor()
      if (!javaScriptEnabled) return
      assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
      assert.deepEqual(await barriersIn(page), [])
    })
  }

  test('on paper everything is there, also what is folded away on the screen', async () => {
    await using context = await browser.newContext()
    const page = await context.newPage()
    await page.goto(report)
    await page.emulateMedia({ media: 'print' })
    assert.equal(await page.evaluate("document.querySelector('details ol.steps').checkVisibility() && document.querySelector('details ol.steps').getBoundingClientRect().height > 20"), true)
    assert.equal(await page.locator('nav').isVisible(), false)
    const paper = join(shell.home, 'report.pdf')
    await page.pdf({ path: paper, format: 'A4' })
    const pages = readFileSync(paper, 'latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0
    assert.ok(pages > 3 && pages < 40, `${pages} pages`)
  })
})
