import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { until } from '../support/until.ts'
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
const ask = (more: Parameters<typeof at.ask>[1] = {}) => at.ask(sqlAction(`DELETE FROM orders WHERE id = ${++count}`), { needs: terms([requirement()], { withinMs: 600_000, runWithinMs: 60_000 }), ...more })
const alertOn = (page: Page) => page.locator('.alert:visible h2').textContent()
const state = async (id: string) => (await at.hold(id)).state

for (const javaScriptEnabled of [false, true]) {
  describe(javaScriptEnabled ? 'with scripts' : 'without scripts', () => {
    test('approve, deny, and the result', async () => {
      const { page, complaints } = await visitorOf(browser, at.url, 'bob', { javaScriptEnabled })
      const [yes, no] = [await ask({ runs: { result: 'executed', ms: 41, rows: 37 } }), await ask()]
      await page.goto(`${at.url}/`)
      await page.click(`#${yes.id} a`)
      await page.fill('textarea', 'Asked for by finance.')
      await page.click('.approve')
      await page.waitForURL(`${at.url}/holds/${yes.id}`)
      await page.locator('.yours').waitFor()
      await until('it to have run', async () => (await state(yes.id)) === 'executed')
      if (!javaScriptEnabled) await page.reload()
      await page.locator('.result').waitFor()
      assert.match((await page.locator('.result').textContent()) ?? '', /executed.*37.*41 ms/s)
      await page.goto(`${at.url}/holds/${no.id}`)
      await page.click('.deny')
      await page.locator('.s-denied').first().waitFor()
      assert.equal(await state(no.id), 'denied')
      assert.deepEqual(complaints, [])
    })

    test('a digest or a page that is not the current one, a second press, the way back, and an end', async () => {
      const { page } = await visitorOf(browser, at.url, 'bob', { javaScriptEnabled })
      const other = await page.context().newPage()
      const hold = await ask()
      const address = `${at.url}/holds/${hold.id}`
      await page.goto(address)
      const digest = await page.locator('input[name=digest]').elementHandle()
      const content = (await page.content()).replaceAll(hold.action.digest, `sha256:${'0'.repeat(64)}`)
      assert.ok(digest !== null && content.includes('0'.repeat(64)))
      await page.route(`${address}/vote`, async (route) => route.continue({ postData: (route.request().postData() ?? '').replace(/digest=[^&]*/, `digest=sha256%3A${'0'.repeat(64)}`) }), { times: 1 })
      await page.click('.approve')
      assert.equal(await alertOn(page), 'What you saw is not what is waiting')
      await other.goto(address) // two pages of one person
      await page.click('.approve')
      await page.locator('.yours').waitFor()
      if (javaScriptEnabled) await other.locator('.yours').waitFor()
      else {
        await other.click('.approve')
        assert.equal(await alertOn(other), 'Your decision is recorded already')
      }
      await page.goBack()
      await page.reload()
      assert.equal(await page.locator('.approve').count(), 0)
      assert.equal((await at.hold(hold.id)).votes.length, 1)
      const late = await at.ask(sqlAction(`DELETE FROM late WHERE id = ${++count}`), { needs: terms([requirement()], { withinMs: 1_000 }) })
      await page.goto(`${at.url}/holds/${late.id}`)
      await until('its end', async () => (await state(late.id)) === 'expired', 8_000)
      if (javaScriptEnabled) await page.locator('.s-expired').first().waitFor()
      else {
        await page.click('.approve')
        assert.equal(await alertOn(page), 'Your decision came too late')
      }
      await page.context().close()
    })
  })
}

for (const colorScheme of ['light', 'dark'] as const)
  test(`no barriers on any page and in any state, ${colorScheme}`, async () => {
    const { page } = await visitorOf(browser, at.url, 'bob', { colorScheme })
    const needs = terms([requirement({ count: 2 })], { askReason: true })
    const hold = await at.ask(sqlAction(`UPDATE customers SET tier = 'gold' -- ${++count}`, ['x'], { impact: { estimatedRows: 18_211, unfiltered: true, notes: ['a note'] } }), { needs, statedReason: 'Please.' })
    const found: string[] = []
    const look = async (path: string) => {
      await page.goto(`${at.url}${path}`)
      found.push(...(await barriersIn(page)).map((each) => `${path} ${each}`))
    }
    for (const path of ['/', '/policies', '/?tab=mine', '/?tab=all', `/holds/${hold.id}`, '/holds/hold_aaaaaaaaaaaaaaaaaaaaaaaaaa', '/oauth2/signed-out']) await look(path)
    await page.goto(`${at.url}/holds/${hold.id}`)
    await page.fill('textarea', 'Looks right.')
    await page.click('.approve')
    await page.locator('.yours').waitFor()
    found.push(...(await barriersIn(page)))
    const all = await at.world.a.life.list({ limit: 100 }, at.party('bob', { groups: ['dba'] }))
    for (const one of new Map(all.holds.map((each) => [each.state, each])).values()) await look(`/holds/${one.id}`)
    assert.deepEqual([...new Set(found)], [])
    await page.setViewportSize({ width: 320, height: 640 })
    for (const path of ['/', '/policies', `/holds/${hold.id}`]) {
      await page.goto(`${at.url}${path}`)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, path)
    }
    await page.context().close()
  })

describe('live', () => {
  test('what is held is seen by itself, focus stays, and one stream serves all pages', async () => {
    const { page, complaints } = await visitorOf(browser, at.url, 'bob')
    const first = await ask()
    await page.goto(`${at.url}/`)
    await page.locator('#live[data-state=live]').waitFor()
    const others = await Promise.all([1, 2].map(() => page.context().newPage()))
    for (const other of others) {
      await other.goto(`${at.url}/?tab=all`)
      await other.locator('#live[data-state=live]').waitFor()
    }
    const streams = await Promise.all([page, ...others].map((each) => each.evaluate('navigator.locks.query().then(({ held }) => held.length)')))
    assert.deepEqual(streams, [1, 1, 1])
    await page.bringToFront()
    await page.focus(`#${first.id} a`)
    const second = await ask()
    await page.locator(`#${second.id}`).waitFor()
    assert.equal(await page.evaluate('document.activeElement.closest("li").id'), first.id)
    assert.match((await page.locator('#news').textContent()) ?? '', /^New: DELETE public\.orders/)
    await at.world.a.life.vote(first.id, { verdict: 'deny', digest: first.action.digest, by: at.party('carol', { groups: ['dba'] }), channel: 'api', assurance: 'console' })
    await page.locator(`#${first.id}.gone`).waitFor() // it has the focus, so it fades and stays
    await page.close() // the one that held the stream
    const third = await ask()
    await others[0]!.locator(`#${third.id}`).waitFor()
    assert.deepEqual(complaints, [])
    await others[0]!.context().close()
  })

  test('keys move, and Enter decides', async () => {
    const { page } = await visitorOf(browser, at.url, 'bob')
    const hold = await ask()
    await page.goto(`${at.url}/?tab=all`)
    await page.locator('#live[data-state=live]').waitFor()
    await page.keyboard.press('j')
    assert.equal(await page.evaluate('document.activeElement.className'), 'row')
    await page.keyboard.press('/')
    await page.keyboard.type('nothing like this')
    await page.locator('.holds > li:visible').first().waitFor({ state: 'hidden' })
    await page.goto(`${at.url}/holds/${hold.id}`)
    await page.locator('#live[data-state=live]').waitFor()
    await page.keyboard.press('a')
    assert.equal(await state(hold.id), 'pending')
    await page.keyboard.press('Enter')
    await page.locator('.yours').waitFor()
    assert.equal(await state(hold.id), 'approved')
    await page.locator('#live[data-state=live]').waitFor() // of the page after it
    await page.keyboard.press('?')
    await page.locator('dialog[open]').waitFor()
    assert.deepEqual(await barriersIn(page), [])
    await page.uncheck('#keys-on')
    await page.keyboard.press('Escape')
    await page.keyboard.press('i')
    assert.equal(page.url(), `${at.url}/holds/${hold.id}`)
    await page.context().close()
  })

  test('several in one step: ticked by keys, looked at, decided by Enter; a tick does not stay on what has changed', async () => {
    const { page, complaints } = await visitorOf(browser, at.url, 'bob')
    // Nobody has said no to this one yet.
    const as = at.party('tidy-agent', { kind: 'agent', groups: ['agents'] })
    const [one, two, three] = [await ask({ as }), await ask({ as }), await ask({ as, needs: terms([requirement({ count: 2 })]) })]
    await page.goto(`${at.url}/`)
    await page.locator('#live[data-state=live]').waitFor()
    for (const { id } of [one, two, three]) {
      await page.focus(`#${id} .row`)
      await page.keyboard.press('x')
      assert.ok(await page.isChecked(`#${id} .pick`))
    }
    await page.keyboard.press('j')
    assert.equal(await page.evaluate('document.activeElement.className'), 'row')
    await page.focus('.tabs a')
    await at.world.a.life.vote(three.id, { verdict: 'approve', digest: three.action.digest, by: at.party('carol', { groups: ['dba'] }), channel: 'api', assurance: 'console' })
    await page.locator(`#${three.id}[data-revision="${three.revision + 1}"]`).waitFor()
    assert.equal(await page.isChecked(`#${three.id} .pick`), false)
    await page.focus('.chosen button')
    await page.keyboard.press('Enter')
    await page.locator('.together h1').waitFor()
    assert.deepEqual(await page.locator('.piece h2 .code').allTextContents(), [one.code, two.code])
    assert.deepEqual(await barriersIn(page), [])
    assert.equal(await state(one.id), 'pending')
    await page.setViewportSize({ width: 320, height: 640 })
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320)
    await page.keyboard.press('a')
    await page.keyboard.press('Enter')
    await page.locator('.fates').waitFor()
    assert.deepEqual(await page.locator('h1').allTextContents(), ['You approved 2 of 2'])
    assert.deepEqual([await state(one.id), await state(two.id), await state(three.id)], ['approved', 'approved', 'pending'])
    assert.deepEqual(await barriersIn(page), [])
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('a hold that changes while somebody writes is not exchanged under their hands', async () => {
    const { page } = await visitorOf(browser, at.url, 'bob')
    const hold = await ask({ needs: terms([requirement({ count: 2 })]) })
    await page.goto(`${at.url}/holds/${hold.id}`)
    await page.locator('#live[data-state=live]').waitFor()
    await page.fill('textarea', 'I am about to')
    await at.world.a.life.vote(hold.id, { verdict: 'approve', digest: hold.action.digest, by: at.party('carol', { groups: ['dba'] }), channel: 'api', assurance: 'console' })
    await page.locator('#changed:visible').waitFor()
    assert.equal(await page.inputValue('textarea'), 'I am about to')
    assert.ok(await page.locator('.vote .approve').isDisabled())
    await page.click('#changed a')
    await page.locator('.vote .approve:enabled').waitFor()
    await page.context().close()
  })
})

test('no frame shows it', async () => {
  const { page } = await visitorOf(browser, at.url, 'bob')
  const hold = await ask()
  const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(`<iframe src="${at.url}/holds/${hold.id}"></iframe>`))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await until('the frame to have been refused', () => page.frames().some((frame) => frame.url().startsWith('chrome-error:')))
  assert.ok(!page.frames().some((frame) => frame.url().startsWith(at.url)))
  server.close()
  server.closeAllConnections()
  await page.context().close()
})

test('hostile texts do nothing', async () => {
  const { page, complaints } = await visitorOf(browser, at.url, 'bob')
  const text = `'</code></pre><script>document.title='owned'</script><img src=x onerror="document.title='owned'"> \u202e\u200b\0 <!channel> *x* ${'y'.repeat(64_000)}`
  const hold = await at.ask(sqlAction(text, [], { resources: [{ kind: 'table', name: '<svg/onload=document.title=1>', access: 'write', tags: ['<b>'] }] }), { statedReason: '</blockquote><script>document.title="owned"</script>', as: { ...at.agent, name: '"><script>document.title="owned"</script>' } })
  for (const path of ['/', `/holds/${hold.id}`]) {
    await page.goto(`${at.url}${path}`)
    await page.locator('#live[data-state=live]').waitFor()
    assert.doesNotMatch(await page.title(), /owned|^1/)
  }
  const shown = (await page.locator('pre.code').textContent()) ?? ''
  for (const piece of ['<script>', 'onerror=', '\\u{202e}\\u{200b}\\u{0}', 'y'.repeat(64_000)]) assert.ok(shown.includes(piece), piece.slice(0, 20))
  assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
  assert.deepEqual(complaints, [])
  await page.context().close()
})

test('all scripts together are small', async () => {
  const page = await fetch(`${at.url}/`, { redirect: 'manual' })
  assert.equal(page.status, 303)
  const { page: visited } = await visitorOf(browser, at.url, 'bob')
  await visited.goto(`${at.url}/`)
  await visited.locator('#live[data-state=live]').waitFor()
  const scripts = (await visited.evaluate(`performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')).map(({ name }) => name)`)) as string[]
  assert.ok(scripts.length > 3)
  const texts = await Promise.all(scripts.map(async (address) => Buffer.from(await (await fetch(address)).arrayBuffer())))
  const bytes = texts.reduce((sum, text) => sum + gzipSync(text).length, 0)
  assert.ok(bytes <= 35 * 1_024, `${bytes} bytes`)
  await visited.context().close()
})
