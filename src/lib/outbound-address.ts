import { isIP } from 'node:net'
import { compileCidrs } from './cidr.ts'

/**
 * Addresses at which machines tell their secrets, and those that mean no machine: link-local, the metadata services of
 * clouds, unspecified, multicast and broadcast. Nothing that we are configured to talk to is ever there.
 */
const forbidden = compileCidrs([
  '0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '100.100.100.200', '168.63.129.16', '192.0.0.192',
  '::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254', 'fd20:ce::254', 'fd00:42::42',
])
const loopback = compileCidrs(['127.0.0.0/8', '::1'])
const inside = compileCidrs(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '198.18.0.0/15', 'fc00::/7', 'fec0::/10'])

/** Eight groups of an IPv6 address, dotted tail included. */
const groupsOf = (address: string): readonly number[] => {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a: string, b: string, c: string, d: string) => `${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`)
  const [head = '', tail] = dotted.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...middle, ...right].map((group) => Number.parseInt(group, 16))
}

const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`

/** The IPv4 addresses that an IPv6 address can stand for: mapped, compatible, translated, 6to4. */
const embeddedIn = (address: string): readonly string[] => {
  const groups = groupsOf(address)
  const [a = 0, b = 0, c = 0] = groups
  const last = dotted(groups[6] ?? 0, groups[7] ?? 0)
  if (groups.slice(0, 5).every((group) => group === 0) && (groups[5] === 0 || groups[5] === 0xffff) && !((groups[6] ?? 0) === 0 && (groups[7] ?? 0) <= 1)) return [last]
  if (groups.slice(0, 4).every((group) => group === 0) && groups[4] === 0xffff && groups[5] === 0) return [last]
  if (a === 0x64 && b === 0xff9b) return [last]
  if (a === 0x2002) return [dotted(b, c)]
  return []
}

const spellings = (address: string): readonly string[] => {
  const bare = address.split('%', 1)[0] ?? ''
  return isIP(bare) === 6 ? [bare, ...embeddedIn(bare)] : [bare]
}

/** Whether an address must never be connected to. To be asked again for every address that a name resolves to. A text that is no address is forbidden. */
export const isForbiddenAddress = (address: string): boolean => spellings(address).some((spelling) => isIP(spelling) === 0 || forbidden(spelling))

export const isLoopbackAddress = (address: string): boolean => spellings(address).some((spelling) => loopback(spelling))

/** Whether an address is one inside somebody's network, or this machine. */
export const isPrivateAddress = (address: string): boolean => spellings(address).some((spelling) => loopback(spelling) || inside(spelling))

/** Whether a host of a URL or a listen address is this machine only. */
export const isLoopbackHost = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase()
  return isIP(bare) !== 0 ? isLoopbackAddress(bare) : bare === 'localhost' || bare.endsWith('.localhost')
}

const metadataNames = new Set(['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data', 'instance-data.ec2.internal', 'metadata.azure.internal', 'metadata.tencentyun.com'])

/** Whether the host of a URL names such an address, whatever its spelling. Names are judged again when they are resolved. */
export const isForbiddenHost = (host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase()
  return bare === '' || (isIP(bare) !== 0 ? isForbiddenAddress(bare) : metadataNames.has(bare))
}
