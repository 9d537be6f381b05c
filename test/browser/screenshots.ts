/** `npm run screenshots`: the pictures in docs/console.md, from the console of the tour (`npm start`) and, for passkeys, which take a name, from one at localhost. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import type { Page } from 'playwright-core'
import { until } from '../support/until.ts'
import { startChromium, visitorOf } from './browsers.ts'
import { takePasskeys } from './passkey-screenshots.ts'

const root = resolve(import.meta.dirname, '..', '..')
const folder = join(root, 'docs', 'images')
const place = mkdtempSync(join(tmpdir(), 'countersign-screenshots-'))
chmodSync(place, 0o1777) // as /tmp is: the database may run as another user
mkdirSync(folder, { recursive: true })

const world = spawn(process.execPath, [join(root, 'examples/world/main.ts')], { cwd: root, env: { ...process.env, NO_COLOR: '1', TMPDIR: place, WORLD: join(place, 'world') }, stdio: ['ignore', 'pipe', 'inherit'] })
let text = ''
let over = false
world.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
const ended = once(world, 'exit')
await until('the tour', () => text.includes('Ctrl-C ends everything.'), 120_000)
const found = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? ''
const [proxy, database, url] = [found(/proxy +(http:\S+)/), found(/database +(postgres:\S+)/), found(/approvals +(http:\S+)/)]
const token = (who: string): string => readFileSync(join(place, 'world', `${who}.token`), 'utf8')
const browser = await startChromium()

/** What an agent asks for, and goes on waiting for. */
const refund = (order: string, body: object): void => void fetch(`${proxy}/v1/orders/${order}/refund`, { method: 'POST', headers: { authorization: `Bearer ${token('invoice-agent')}`, 'content-type': 'application/json' }, body: JSON.stringify(body) }).catch(() => {})
const query = (sql: string, values: readonly unknown[] = []): void => {
  const client = new pg.Client({ host: '127.0.0.1', port: Number(new URL(database).port), database: 'crm', user: 'agent', password: token('invoice-agent') })
  client.on('error', () => {})
  client.connect().then(() => client.query(sql, [...values])).then(() => client.end(), (error: Error) => over || process.stderr.write(`${error.message}\n`))
}

const take = async (page: Page, name: string, whole = false): Promise<void> => {
  await page.locator('#live[data-state=live]').waitFor()
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: whole })
}

try {
  const { page } = await visitorOf(browser, url, 'bob', { viewport: { width: 1200, height: 820 }, colorScheme: 'light' })
  refund('o-1003', { reason: 'arrived broken', amount: 129.9 })
  await page.locator('.row').first().waitFor()
  query("DELETE FROM orders\n WHERE status = $1\n   AND placed_on < '2020-03-01' -- cancelled long ago", ['cancelled'])
  await page.locator('.row').nth(1).waitFor()
  query("UPDATE orders SET status = 'shipped'")
  await page.locator('.row').nth(2).waitFor()
  await take(page, 'inbox')
  for (const box of await page.locator('.pick').all()) await box.check()
  await page.click('.chosen button')
  await page.locator('.together .piece').first().waitFor()
  await take(page, 'together', true)
  await page.goto(url)
  await page.locator('.row', { hasText: 'cancelled long ago' }).click()
  await take(page, 'hold', true)
  const { page: phone } = await visitorOf(browser, url, 'bob', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: 'dark', isMobile: true, hasTouch: true })
  await phone.goto(url)
  await take(phone, 'phone-inbox')
  await phone.locator('.row', { hasText: 'cancelled long ago' }).click()
  await take(phone, 'phone-hold')
  await phone.locator('.approve').scrollIntoViewIfNeeded()
  await take(phone, 'phone-decide')
  await page.fill('textarea', 'Agreed with support, ticket 4711.')
  await page.click('.approve')
  await page.locator('.result').waitFor()
  await take(page, 'executed', true)
  const { page: carol } = await visitorOf(browser, url, 'carol', { viewport: { width: 1200, height: 900 }, colorScheme: 'light' })
  await carol.goto(`${url}/audit?approver=bob&on=orders`)
  await take(carol, 'audit', true)
  await carol.locator('.log tbody tr', { hasText: 'Voted' }).locator('a').first().click()
  await carol.getByRole('button', { name: 'Verify' }).click()
  for (let tries = 0; tries < 20 && (await carol.locator('.proved').count()) === 0; tries++) await carol.getByRole('button', { name: 'Verify again' }).click() // a signature follows within a second
  await carol.locator('.proved').waitFor()
  await take(carol, 'audit-record', true)
  await carol.goto(`${url}/lineage?who=invoice-agent`)
  await take(carol, 'lineage', true)
  await takePasskeys(browser, folder)
} finally {
  over = true
  await browser.close()
  world.kill('SIGTERM')
  await ended
  rmSync(place, { recursive: true, force: true, maxRetries: 5 })
}
