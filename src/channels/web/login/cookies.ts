import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../../model/refusal.ts'
import { headerValues } from '../boundary.ts'

/** How long somebody may take to log in at the issuer. */
export const flowMs = 10 * 60_000

export interface Cookie {
  /** Its value, `undefined` if it is not there. Two of one name are two stories, and refused. */
  read(request: IncomingMessage): string | undefined
  /** The header that sets it. Without `maxAgeMs` it ends with the browser. */
  set(value: string, maxAgeMs?: number): string
  clear(): string
}

/**
 * Over TLS the name has the prefix that keeps other hosts of the same site, and plain HTTP, from planting it. Over plain HTTP, which is for loopback only,
 * a browser would not take such a cookie; there every server on this machine can read and write it.
 */
export const makeCookie = (name: 'session' | 'login', secure: boolean): Cookie => {
  const full = `${secure ? '__Host-' : ''}countersign-${name}`
  const rules = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  return {
    read(request) {
      const values = headerValues(request, 'cookie').flatMap((line) => line.split(';')).map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${full}=`)).map((pair) => pair.slice(full.length + 1))
      if (values.length > 1) throw new Refusal('two-identities', 'The browser sent two cookies of one name. Close it, delete the cookies of this address, and sign in again.')
      return values[0] === '' ? undefined : values[0]
    },
    set: (value, maxAgeMs) => `${full}=${value}; ${rules}${maxAgeMs === undefined ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1_000)}`}`,
    clear: () => `${full}=; ${rules}; Max-Age=0`,
  }
}
