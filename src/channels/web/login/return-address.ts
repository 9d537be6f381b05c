/** Pages to which somebody may come back after logging in: the ones that there are. Anything else leads to the first page. */
const pages = [/^\/$/, /^\/passkeys$/, /^\/links$/, /^\/links\/new\/[A-Za-z0-9_-]{1,900}$/, /^\/holds\/[A-Za-z0-9_-]{1,100}$/]

/** A place on our own site, built anew from what is allowed in it. */
export const returnAddress = (given: string | null): string => {
  if (given === null || !/^\/(?![/\\])[\x21-\x7e]{0,1000}$/.test(given) || given.includes('\\')) return '/'
  const url = URL.parse(given, 'http://own')
  if (url?.origin !== 'http://own' || !pages.some((page) => page.test(url.pathname))) return '/'
  const tab = url.searchParams.get('tab')
  return `${url.pathname}${tab !== null && /^[a-z]{1,20}$/.test(tab) ? `?tab=${tab}` : ''}`
}
