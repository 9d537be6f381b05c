import { lookup as resolveName, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, request, type Dispatcher } from 'undici'
import { Busy, Closed } from '../../approval/channel.ts'
import { isForbiddenAddress, isPrivateAddress } from '../../lib/outbound-address.ts'

const mostAnswerBytes = 64 * 1024
const longestWaitMs = 3_600_000
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
      const wait = passing.has(statusCode) ? retryAfter(answered['retry-after']) : undefined
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

const readOut = async (body: Dispatcher.ResponseData['body']): Promise<void> => {
  let bytes = 0
  for await (const chunk of body) if ((bytes += (chunk as Uint8Array).length) > mostAnswerBytes) throw new Error('the answer is too long')
}

const retryAfter = (header: string | string[] | undefined): number | undefined => {
  if (typeof header !== 'string') return undefined
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 1_000), longestWaitMs) : undefined
}
