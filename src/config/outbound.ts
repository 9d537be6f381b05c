import { isForbiddenHost, isLoopbackHost } from '../lib/outbound-address.ts'

export interface OutboundRule {
  /** The only hosts there are; `undefined`: any that is not forbidden. */
  readonly hosts?: readonly string[] | undefined
}

const parse = (text: string): URL | undefined => {
  // The parser of URLs strips these silently; what is written must be what is meant.
  if (/[\s\p{Cc}\\]/u.test(text)) return undefined
  return URL.canParse(text) ? new URL(text) : undefined
}

const hostOf = (url: URL): string => url.hostname.replace(/\.$/, '').toLowerCase()

const forbidden = 'leads to a link-local, metadata or unspecified address'

const common = (url: URL): string | undefined => {
  if (url.username !== '' || url.password !== '') return 'holds credentials; a URL is no place for them'
  if (url.hash !== '') return 'has a fragment, which is never sent'
  if (isForbiddenHost(url.hostname)) return forbidden
  return undefined
}

/** What is wrong with a URL that we call ourselves (keys, introspection, sinks), or `undefined`. */
export const outboundProblem = (text: string, { hosts }: OutboundRule): string | undefined => {
  const url = parse(text)
  if (url === undefined) return 'is no URL'
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) return 'must be https, or http on loopback'
  return common(url) ?? unnamed(hostOf(url), hosts)
}

/** The same for a host that is spoken to in another way than by HTTP. */
export const hostProblem = (host: string, { hosts }: OutboundRule): string | undefined => (isForbiddenHost(host) ? forbidden : unnamed(host.replace(/\.$/, '').toLowerCase(), hosts))

const unnamed = (host: string, hosts: OutboundRule['hosts']): string | undefined =>
  hosts === undefined || hosts.some((one) => one.toLowerCase().replace(/\.$/, '') === host.replace(/^\[|\]$/g, '')) ? undefined : `is on a host that outbound.hosts does not name (${host})`

/** What is wrong with an upstream: an origin and nothing else, and never a metadata address. */
export const originProblem = (text: string): string | undefined => {
  const url = parse(text)
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return 'must be an origin such as http://127.0.0.1:9000'
  const wrong = common(url)
  if (wrong !== undefined) return wrong
  if (url.search !== '' || text.includes('?') || text.includes('#')) return 'must be an origin only: no query'
  if (url.pathname !== '/' || /^[^/]*\/\/[^/]*\/./.test(text)) return `must be an origin only: ${url.origin}`
  return undefined
}
