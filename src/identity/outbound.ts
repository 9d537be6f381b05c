import { readFileSync } from 'node:fs'
import { Agent, fetch as undiciFetch } from 'undici'
import type { Fetch } from './bounded-fetch.ts'

export interface Outbound extends AsyncDisposable {
  readonly fetch: Fetch
}

/** Connections to one issuer. With `caFile` only that authority is believed: a cluster's own, which no public list has. */
export const makeOutbound = (caFile: string | undefined): Outbound => {
  const agent = new Agent({ connections: 4, connect: { timeout: 5_000, ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }) } })
  return {
    fetch: (url, init) => undiciFetch(url, { ...init, dispatcher: agent }),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}
