import { BlockList, isIP } from 'node:net'

/** IPv4 inside IPv6 is IPv4; a zone is no part of the address. */
const plainAddress = (address: string): string => {
  const bare = address.split('%', 1)[0] ?? ''
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)
  return mapped?.[1] ?? bare
}

/** Whether an address lies in any of the ranges. Throws for a text that is no range; a text that is no address lies in none. */
export const compileCidrs = (ranges: readonly string[]): ((address: string) => boolean) => {
  const list = new BlockList()
  for (const range of ranges) {
    const [base = '', length, ...rest] = range.split('/')
    const version = isIP(base)
    const bits = length === undefined ? (version === 4 ? 32 : 128) : /^\d{1,3}$/.test(length) ? Number(length) : -1
    if (version === 0 || rest.length > 0 || bits < 0 || bits > (version === 4 ? 32 : 128)) throw new Error(`"${range}" is no address range such as 10.0.0.0/8`)
    list.addSubnet(base, bits, version === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    const plain = plainAddress(address)
    const version = isIP(plain)
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6')
  }
}
