import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core'

/** Debian's Chromium, without anything that would call out. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })

export interface Visitor {
  readonly page: Page
  /** What the page complained about: refused by the content security policy, or thrown. */
  readonly complaints: string[]
}

/** Who has logged in where, so that not every test does it again. */
const logins = new Map<string, Awaited<ReturnType<BrowserContext['storageState']>>>()

/** A browser of its own in which this person has logged in; `afresh`: by a login that nobody else uses, because it will be ended. */
export const visitorOf = async (browser: Browser, url: string, user: string, options: BrowserContextOptions = {}, how: 'known' | 'afresh' = 'known'): Promise<Visitor> => {
  const key = `${user} ${url}`
  const known = how === 'known' ? logins.get(key) : undefined
  const context = await browser.newContext({ ...options, ...(known ? { storageState: known } : {}) })
  context.setDefaultTimeout(8_000)
  await context.route((address) => !['127.0.0.1', 'localhost'].includes(address.hostname), (route) => route.abort()) // the identity provider's page asks for a font
  const page = await context.newPage()
  const complaints: string[] = []
  await page.goto(url)
  if (known === undefined) {
    await page.fill('input[name=login]', user)
    await page.fill('input[name=password]', 'any')
    await page.click('button[type=submit]')
    await page.click('button[type=submit]')
    await page.waitForURL((at) => at.href.startsWith(url))
    if (how === 'known') logins.set(key, await context.storageState())
  }
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  return { page, complaints }
}
