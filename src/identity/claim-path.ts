import type { Claims } from './token-shape.ts'

/** `realm_access.roles`, or a JSON pointer (`/https:~1~1example.org~1groups`) where a key contains a dot. */
export type ClaimPath = readonly string[]

export const parseClaimPath = (path: string): ClaimPath =>
  path.startsWith('/') ? path.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')) : path.split('.')

/** Own members only: a path never reaches into what every object inherits. */
export const readClaim = (claims: Claims, path: ClaimPath): unknown => {
  let value: unknown = claims
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}
