/** The tour's identity provider serves the tests as well; what drives its pages without a browser is here. */
import { startIdp, type Idp } from '../../examples/world/idp.ts'

export { startIdp, type Idp }

/** A browser as far as a login page needs one: cookies, redirects, forms. */
export const makeBrowser = () => {
  const cookies = new Map<string, Map<string, string>>()

  const visit = async (url: string, form?: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> => {
    const jar = cookies.get(new URL(url).host) ?? new Map<string, string>()
    cookies.set(new URL(url).host, jar)
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(5_000),
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), ...headers },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (name !== undefined && value) jar.set(name, value)
      else if (name !== undefined) jar.delete(name)
    }
    return response
  }

  /** Follows redirects and fills in every form it meets until a page has none or `stop` recognises the address. */
  const logIn = async (start: string, login: string, stop: (url: string) => boolean = () => false): Promise<{ readonly url: string; readonly text: string }> => {
    let url = start
    let response = await visit(url)
    for (let steps = 0; steps < 20; steps++) {
      const location = response.headers.get('location')
      if (location !== null) {
        url = new URL(location, url).href
        if (stop(url)) return { url, text: '' }
        await response.body?.cancel()
        response = await visit(url)
        continue
      }
      const text = await response.text()
      const form = formOf(text)
      if (form === undefined) return { url, text }
      url = new URL(form.action ?? url, url).href
      response = await visit(url, { ...form.fields, ...('login' in form.fields ? { login, password: 'any' } : {}) })
    }
    throw new Error('the login took more than 20 steps')
  }

  return { visit, logIn }
}

const formOf = (html: string): { readonly action: string | undefined; readonly fields: Record<string, string> } | undefined => {
  const form = /<form[^>]*>[\s\S]*?<\/form>/i.exec(html)?.[0]
  if (form === undefined) return undefined
  const attribute = (tag: string, name: string): string | undefined => new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`, 'i').exec(tag)?.[1]?.replaceAll('&amp;', '&')
  const fields: Record<string, string> = {}
  for (const [tag] of form.matchAll(/<(?:input|button)[^>]*>/gi)) {
    const name = attribute(tag, 'name')
    if (name !== undefined && name !== 'abort') fields[name] = attribute(tag, 'value') ?? ''
  }
  return { action: attribute(/<form[^>]*>/i.exec(form)?.[0] ?? '', 'action'), fields }
}
