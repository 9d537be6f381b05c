import type { Page } from 'playwright-core'

/** A device in front of this page that keeps passkeys and knows who is there. */
export const deviceFor = async (page: Page) => {
  const session = await page.context().newCDPSession(page)
  await session.send('WebAuthn.enable')
  const { authenticatorId } = (await session.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })) as { readonly authenticatorId: string }
  return {
    verifies: (isUserVerified: boolean) => session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    clear: () => session.send('WebAuthn.clearCredentials', { authenticatorId }),
    credentials: async () => ((await session.send('WebAuthn.getCredentials', { authenticatorId })) as { readonly credentials: readonly { readonly signCount: number }[] }).credentials,
  }
}

/** A browser without scripts sends a form as it is, and so does one that has not loaded them yet. */
export const ready = (page: Page): Promise<void> => page.locator('#live[data-state=live]').waitFor()

export const signInAgain = async (page: Page, user: string, then: string): Promise<void> => {
  await page.click('text=Sign in again')
  await page.fill('input[name=login]', user)
  await page.fill('input[name=password]', 'any')
  await page.click('button[type=submit]')
  await page.waitForURL(then)
}

export const addPasskey = async (page: Page, url: string, user: string, name: string): Promise<void> => {
  await page.goto(`${url}/passkeys`)
  if ((await page.locator('input[name=name]').count()) === 0) await signInAgain(page, user, `${url}/passkeys`)
  await ready(page)
  await page.fill('input[name=name]', name)
  await page.click('.approve')
  await page.locator('.passkeys li', { hasText: name }).waitFor()
}
