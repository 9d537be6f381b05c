import { lookup as resolveName, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, request } from 'undici'
import { Closed } from '../../approval/channel.ts'
import { isForbiddenAddress, isPrivateAddress } from '../../lib/outbound-address.ts'
import { Busy, readOut, retryAfter } from '../../lib/receiver.ts'

const waits = { least: 1_000, most: 3_600_000 }
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

export interface Delivery extends AsyncDisposable {
  /** Resolves when the receiver has taken it: with the whole of a 2xx answer. Redirects are not followed. */
  post(body: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>
}

/** Posts to one address. What its name resolves to is looked at each time a connection is made, and that very address is connected to. */
export const makeDelivery = (url: string, { privateAddresses, timeoutMs }: { readonly privateAddresses: boolean; readonly timeoutMs: number }): Delivery => {
  const target = new URL(url)
  const wrong = (address: string): boolean => isForbiddenAddress(address) || (!privateAddresses && isPrivateAddress(address))
  const agent = new Agent({ connections: 4, pipelining: 1, connect: { timeout: timeoutMs, lookup: guarded(wrong) }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  const literal = target.hostname.replace(/^\[|\]$/g, '')

  return {
    post: async (body, headers, signal) => {
      if (isIP(literal) !== 0 && wrong(literal)) throw new Error(`${literal} is an address that we do not call`)
      const { statusCode, headers: answered, body: answer } = await request(target, { method: 'POST', headers: { 'content-type': 'application/json', 'user-agent': 'countersign', ...headers }, body, dispatcher: agent, signal })
      await readOut(answer)
      if (statusCode >= 200 && statusCode < 300) return
      const said = `HTTP ${statusCode}`
      if (statusCode === 410) throw new Closed(said)
      const wait = passing.has(statusCode) ? retryAfter(answered['retry-after'], waits) : undefined
      throw wait === undefined ? new Error(said) : new Busy(said, wait)
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
