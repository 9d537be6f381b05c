import { lookup as resolveName, type LookupAddress } from 'node:dns'
import type { IncomingHttpHeaders } from 'node:http'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, request } from 'undici'
import { Closed } from '../approval/channel.ts'
import { isForbiddenAddress, isPrivateAddress } from '../lib/outbound-address.ts'
import { Busy, readText, retryAfter } from '../lib/receiver.ts'

const waits = { least: 1_000, most: 3_600_000 }
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** It was turned away, by this status. What the receiver says about it stays unsaid: it may repeat what it was sent. */
export class Declined extends Error {
  override readonly name = 'Declined'
  readonly status: number
  constructor(status: number) {
    super(`HTTP ${status}`)
    this.status = status
  }
}

export interface Message {
  readonly method: 'POST' | 'PUT' | 'GET'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Delivery extends AsyncDisposable {
  /**
   * Resolves when the receiver has taken it: with the whole text of a 2xx answer. Redirects are not followed.
   * `heard` is told the headers of such an answer.
   * Rejects with `Busy` where it names a time, with `Closed` for 410, with `Declined` for every other status.
   */
  send(message: Message, signal: AbortSignal, heard?: (headers: IncomingHttpHeaders) => void): Promise<string>
}

/** Calls receivers. What a name resolves to is looked at each time a connection is made, and that very address is connected to. */
export const makeDelivery = ({ privateAddresses, timeoutMs }: { readonly privateAddresses: boolean; readonly timeoutMs: number }): Delivery => {
  const wrong = (address: string): boolean => isForbiddenAddress(address) || (!privateAddresses && isPrivateAddress(address))
  const agent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: timeoutMs, lookup: guarded(wrong) }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })

  return {
    send: async ({ method, url, headers = {}, body }, signal, heard) => {
      const target = new URL(url)
      const literal = target.hostname.replace(/^\[|\]$/g, '')
      if (isIP(literal) !== 0 && wrong(literal)) throw new Error(`${literal} is an address that we do not call`)
      const kind = body === undefined ? {} : { 'content-type': 'application/json' }
      const { statusCode, headers: answered, body: answer } = await request(target, { method, headers: { ...kind, 'user-agent': 'countersign', ...headers }, ...(body === undefined ? {} : { body }), dispatcher: agent, signal })
      const text = await readText(answer)
      if (statusCode >= 200 && statusCode < 300) {
        heard?.(answered)
        return text
      }
      if (statusCode === 410) throw new Closed(`HTTP ${statusCode}`)
      const wait = passing.has(statusCode) ? retryAfter(answered['retry-after'], waits) : undefined
      throw wait === undefined ? new Declined(statusCode) : new Busy(`HTTP ${statusCode}`, wait)
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

/** Resolves a name as the system does, and leaves out the addresses that are wrong. */
const guarded = (wrong: (address: string) => boolean): LookupFunction => (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, [])
    const good = (found as LookupAddress[]).filter(({ address }) => !wrong(address))
    const [first] = good
    if (first === undefined) return callback(new Error(`${hostname} resolves to no address that we call`), [])
    if (options.all === true) callback(null, good)
    else callback(null, first.address, first.family)
  })
}
