import type { Action } from '../../../model/action.ts'
import type { Caller } from '../../../model/caller.ts'

/**
 * A value that any header can carry: UTF-8, every byte that is not a visible ASCII character escaped as `%XX`, and `%`, `,` and `#` as well,
 * so that lists split at commas, chains at `#`, and `decodeURIComponent` gives back exactly what was there.
 */
export const headerValue = (text: string): string => (harmless.test(text) ? text : text.toWellFormed().replace(others, encodeURIComponent))

const harmless = /^[!"$&-+\--~]*$/
const others = /[^!"$&-+\--~]/gu

export interface CallerHeaders {
  /** A signed statement about the caller that upstreams can verify. */
  readonly assertion: string
  /** Claim name to header name. */
  readonly claims: Readonly<Record<string, string>>
}

/** Who is asking, for the upstream. Every name is always there, so that none can be taken from anywhere else. */
export const identityHeaders = (caller: Caller, action: Pick<Action, 'digest'>, { assertion, claims }: CallerHeaders): string[] => {
  const pairs = [
    'x-countersign-user', headerValue(caller.subject),
    'x-countersign-groups', (caller.groups ?? []).map(headerValue).join(','),
    'x-countersign-chain', caller.onBehalfOf.map((principal) => `${headerValue(principal.issuer)}#${headerValue(principal.subject)}`).join(','),
    'x-countersign-assertion', assertion,
    'x-countersign-action', action.digest,
  ]
  for (const claim in claims) {
    const value = Object.hasOwn(caller.claims, claim) ? caller.claims[claim] : undefined
    if (value !== undefined) pairs.push((claims[claim] as string).toLowerCase(), claimValue(value))
  }
  return pairs
}

const claimValue = (value: unknown): string => {
  if (typeof value === 'string') return headerValue(value)
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.map(headerValue).join(',')
  return headerValue(JSON.stringify(value))
}

/** Where the request came from, in our words. */
export const forwardingHeaders = (from: { readonly address: string; readonly scheme: 'http' | 'https'; readonly host: string }): string[] => [
  'x-forwarded-for', from.address, 'x-forwarded-proto', from.scheme, 'x-forwarded-host', from.host,
]
