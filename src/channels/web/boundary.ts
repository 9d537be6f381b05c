import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../model/refusal.ts'

/** Which addresses are ours, so that a page of somebody else cannot speak to us under its own name. */
export interface Boundary {
  /** Throws unless exactly one `Host` is there and it is ours. */
  host(request: IncomingMessage): void
  /** Throws when a browser says that another site sent this. */
  origin(request: IncomingMessage): void
  /** The same for pages: anybody may link to them, and nobody may put them into a frame. */
  arrival(request: IncomingMessage): void
  /** Throws unless a browser says that a page of our own sent this: a cookie comes along whoever sends. */
  ownPage(request: IncomingMessage): void
}

/** Values of a header as they came: node joins or drops repeated ones, and a repeated one is two stories. */
export const headerValues = (request: IncomingMessage, name: string): readonly string[] => {
  const values: string[] = []
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) if (request.rawHeaders[at]?.toLowerCase() === name) values.push(request.rawHeaders[at + 1] ?? '')
  return values
}

export const makeBoundary = (url: string, hosts: readonly string[]): Boundary => {
  const own = new URL(url)
  const listed = new Set(hosts.map((host) => host.toLowerCase()))
  const isOurs = (host: string): boolean => host === own.host || listed.has(host) || listed.has(host.replace(/:\d{1,5}$/, ''))

  const origin: Boundary['origin'] = (request) => {
    const origins = headerValues(request, 'origin')
    if (origins.length > 1 || (origins[0] !== undefined && origins[0].toLowerCase() !== own.origin)) throw elsewhere()
    if (headerValues(request, 'sec-fetch-site').some((value) => value !== 'same-origin' && value !== 'none')) throw elsewhere()
  }

  return {
    origin,
    host(request) {
      const [host, ...more] = headerValues(request, 'host')
      if (host === undefined || more.length > 0 || !isOurs(host.toLowerCase())) throw new Refusal('misdirected', 'This address serves another host name.')
    },
    arrival(request) {
      const [mode, destination] = [headerValues(request, 'sec-fetch-mode')[0], headerValues(request, 'sec-fetch-dest')[0]]
      if (mode !== 'navigate' || destination !== 'document') return origin(request)
      if (headerValues(request, 'origin').length > 0) throw elsewhere() // a navigation with an origin is a form of another page
    },
    ownPage(request) {
      origin(request)
      if (headerValues(request, 'origin').length === 0 && headerValues(request, 'sec-fetch-site')[0] !== 'same-origin') throw elsewhere()
    },
  }
}

const elsewhere = (): Refusal => new Refusal('denied', 'Requests from pages of another site are not answered.')
