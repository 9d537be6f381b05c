import { parseStrictJson } from '../lib/strict-json.ts'
import { fetchBytes, FetchProblem, type Fetch, type FetchLimits } from './bounded-fetch.ts'
import type { LoadKeys } from './key-set.ts'
import type { IssuerOptions } from './options.ts'
import { shown } from './steps.ts'

/** How this issuer's keys are loaded: always from where the configuration points, never from where a token does. */
export const makeKeyLoader = ({ keys, issuers }: IssuerOptions, fetch: Fetch, limits: FetchLimits): LoadKeys => {
  if (keys.from === 'inline') {
    const bytes = Buffer.from(JSON.stringify(keys.jwks))
    return () => Promise.resolve(bytes)
  }
  if (keys.from === 'uri') {
    const headers = { accept: 'application/json' }
    const { url, bearer } = keys
    return () => fetchBytes(fetch, url, { method: 'GET', headers: bearer === undefined ? headers : { ...headers, authorization: `Bearer ${bearer.reveal()}` } }, limits)
  }
  const { url } = keys
  return async () => {
    const document = parseStrictJson(await fetchBytes(fetch, url, { method: 'GET', headers: { accept: 'application/json' } }, limits))
    const uri = keysUri(document, issuers, new URL(url).protocol)
    return fetchBytes(fetch, uri, { method: 'GET', headers: { accept: 'application/json' } }, limits)
  }
}

/** The document must speak for the issuer we asked about, and may not lead from TLS to plain text. */
const keysUri = (document: unknown, issuers: readonly string[], protocol: string): string => {
  const { issuer, jwks_uri: uri } = (typeof document === 'object' && document !== null ? document : {}) as { issuer?: unknown; jwks_uri?: unknown }
  if (typeof issuer !== 'string' || !issuers.some((ours) => ours === issuer || isTemplateOf(issuer, ours))) throw new FetchProblem(`a discovery document of ${shown(issuer)}`, true)
  const target = typeof uri === 'string' ? URL.parse(uri) : null
  if (target === null || (target.protocol !== 'https:' && target.protocol !== protocol)) throw new FetchProblem(`the key address ${shown(uri)}`, true)
  return target.href
}

/** A directory's shared document leaves the tenant open. */
const isTemplateOf = (template: string, issuer: string): boolean => {
  const [head, tail, ...more] = template.split('{tenantid}')
  if (head === undefined || tail === undefined || more.length > 0) return false
  return issuer.startsWith(head) && issuer.endsWith(tail) && /^[0-9A-Za-z.-]+$/.test(issuer.slice(head.length, issuer.length - tail.length))
}
