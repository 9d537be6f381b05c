/** What our own server answered, as a document that nothing of runs and nothing is loaded for. */
const policy = (globalThis as unknown as { trustedTypes?: { createPolicy(name: string, rules: { createHTML(text: string): string }): { createHTML(text: string): string } } }).trustedTypes?.createPolicy('countersign', { createHTML: (text) => text })

const parse = (text: string): Document => new DOMParser().parseFromString(policy?.createHTML(text) ?? text, 'text/html')

/** Gets a page of ours again, as its viewer sees it now. It is no use of the session: nobody did anything. Gives nothing when the session is over. */
export const loadAgain = async (): Promise<Document | undefined> => {
  const response = await fetch(location.href, { headers: { 'countersign-live': '1' }, redirect: 'manual', signal: AbortSignal.timeout(10_000) })
  if (response.type === 'opaqueredirect') return undefined
  if (!response.ok) throw new Error(`status ${response.status}`)
  const page = parse(await response.text())
  setClock(page)
  return page
}

let ahead = 0

/** How far the server's clock is from ours: times are counted by the server's. */
export const setClock = (page: Document): void => {
  const now = Number(page.documentElement.dataset['now'])
  if (now > 0) ahead = now - Date.now()
}

export const serverNow = (): number => Date.now() + ahead

/** Says something to those who hear the page, without moving anybody. */
export const announce = (text: string, urgent = false): void => {
  const place = document.getElementById(urgent ? 'alarm' : 'news')
  if (place !== null) place.textContent = text
}
