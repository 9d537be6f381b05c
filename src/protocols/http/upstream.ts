import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import { readFileSync } from 'node:fs'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import type { HttpServiceOptions } from './options.ts'
import { makeUpstreamPool, type UpstreamPool } from './upstream-pool.ts'

/** How to reach one service: its connections, and nothing about policy. */
export interface Upstream extends Pick<UpstreamPool, 'send' | 'retire'>, Disposable {
  readonly service: string
  readonly origin: URL
  /** Resolves names to allowed addresses only; for connections made elsewhere (upgrades). */
  readonly lookup: LookupFunction
  readonly ca: string | undefined
  /** How long the answer to a handshake may take. */
  readonly handshakeMs: number
  /** How long a client may leave its answer unread. */
  readonly stallMs: number
  /** Whether this address may be connected to. */
  mayReach(address: string): boolean
  /** Equal for options that make the same upstream. */
  readonly key: string
}

export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

const makeFence = (cidrs: readonly string[]) => {
  const fence = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    fence.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return (address: string): boolean => cidrs.length === 0 || fence.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

/** Every connection asks anew, so a name that moved out of its range while an action waited is not followed. */
const makeLookup = (mayReach: (address: string) => boolean): LookupFunction => (hostname, options, callback) => {
  systemLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
    if (error) return callback(error, '', 4)
    const allowed = found.filter(({ address }) => mayReach(address))
    const first = allowed[0]
    if (first === undefined) return callback(new AddressRefused(`${hostname} resolves outside its allowed range (${found.map(({ address }) => address).join(', ')})`), '', 4)
    if (options.all) return callback(null, allowed)
    return callback(null, first.address, first.family)
  })
}

const authorityOf = ({ caFile }: HttpServiceOptions): string | undefined => (caFile === undefined ? undefined : readFileSync(caFile, 'utf8'))

/** Everything that an upstream is made from, and what its certificate authority's file says now. */
export const upstreamKey = (options: HttpServiceOptions): string =>
  JSON.stringify([options.name, options.upstream, options.allowedCidrs, authorityOf(options), options.connections, options.connectTimeoutMs, options.headersTimeoutMs, options.bodyTimeoutMs])

export const makeUpstream = (options: HttpServiceOptions): Upstream => {
  const origin = new URL(options.upstream)
  const literal = origin.hostname.replace(/^\[|\]$/g, '')
  const mayReach = makeFence(options.allowedCidrs)
  const lookup = makeLookup(mayReach)
  const ca = authorityOf(options)
  const barred = isIP(literal) !== 0 && !mayReach(literal)
  const pool = makeUpstreamPool({
    host: literal, port: Number(origin.port) || (origin.protocol === 'https:' ? 443 : 80), lookup, tls: origin.protocol === 'https:' ? { ca } : undefined,
    connectTimeoutMs: options.connectTimeoutMs, headersTimeoutMs: options.headersTimeoutMs, bodyTimeoutMs: options.bodyTimeoutMs,
  }, options.connections, barred ? new AddressRefused(`${literal} is outside the allowed range`) : undefined)

  return {
    service: options.name,
    key: upstreamKey(options),
    origin,
    lookup,
    ca,
    handshakeMs: options.connectTimeoutMs + options.headersTimeoutMs,
    stallMs: options.bodyTimeoutMs,
    mayReach: (address) => !barred && mayReach(address),
    send: pool.send,
    retire: pool.retire,
    [Symbol.dispose]: pool.close,
  }
}
