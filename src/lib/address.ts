import { Refusal } from '../model/refusal.ts'

/** An IP address as eight groups of 16 bits. IPv4 stands in its IPv6-mapped place, so that both spellings are one address. */
export type Address = readonly number[]

export interface AddressRange {
  readonly base: Address
  /** Leading bits that count, of 128. */
  readonly bits: number
}

/** Dotted decimal with four plain parts, or RFC 4291 text. No leading zeros, hexadecimal, short forms, zones or ports. */
export const parseAddress = (text: string): Address | undefined => {
  if (text.length > 45) return undefined
  if (!text.includes(':')) {
    const four = parseFour(text)
    return four && [0, 0, 0, 0, 0, 0xffff, four[0], four[1]]
  }
  return parseGroups(text)
}

const decimal = /^(?:0|[1-9]\d{0,2})$/

const parseFour = (text: string): readonly [number, number] | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes: number[] = []
  for (const part of parts) {
    if (!decimal.test(part) || Number(part) > 255) return undefined
    bytes.push(Number(part))
  }
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  return [a * 256 + b, c * 256 + d]
}

const parseGroups = (text: string): Address | undefined => {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = '', tail] = halves
  const front = groupsOf(head, tail === undefined)
  const back = tail === undefined ? [] : groupsOf(tail, true)
  if (front === undefined || back === undefined) return undefined
  const gap = 8 - front.length - back.length
  if (tail === undefined ? gap !== 0 : gap < 1) return undefined
  return [...front, ...Array.from({ length: gap }, () => 0), ...back]
}

/** `last`: these groups end the address, so that dotted decimal may end them. */
const groupsOf = (text: string, last: boolean): number[] | undefined => {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const four = last && index === parts.length - 1 ? parseFour(part) : undefined
      if (four === undefined) return undefined
      groups.push(...four)
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

const isFour = (address: Address): boolean => address[5] === 0xffff && !address.slice(0, 5).some(Boolean)

/** One text for one address: dotted decimal for IPv4, RFC 5952 for IPv6. */
export const formatAddress = (address: Address): string => {
  if (isFour(address)) {
    const [high = 0, low = 0] = address.slice(6)
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  }
  let start = -1
  let longest = 1
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && address[to] === 0) to++
    if (to - from > longest) [start, longest] = [from, to - from]
  }
  const hex = address.map((group) => group.toString(16))
  return start < 0 ? hex.join(':') : `${hex.slice(0, start).join(':')}::${hex.slice(start + longest).join(':')}`
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. `undefined` for anything else, and for a base with bits behind the prefix. */
export const parseRange = (text: string): AddressRange | undefined => {
  const [base = '', length, ...rest] = text.split('/')
  const address = parseAddress(base)
  if (address === undefined || rest.length > 0) return undefined
  const width = base.includes(':') ? 128 : 32
  if (length !== undefined && (!decimal.test(length) || Number(length) > width)) return undefined
  const bits = 128 - width + (length === undefined ? width : Number(length))
  for (let index = 0; index < 8; index++) if (((address[index] ?? 0) & ~maskOf(bits, index) & 0xffff) !== 0) return undefined
  return { base: address, bits }
}

const maskOf = (bits: number, group: number): number => {
  const counted = Math.min(16, Math.max(0, bits - group * 16))
  return (0xffff << (16 - counted)) & 0xffff
}

export const inRange = ({ base, bits }: AddressRange, address: Address): boolean => {
  for (let index = 0; index < 8; index++) {
    const mask = maskOf(bits, index)
    if (mask === 0) return true
    if ((((base[index] ?? 0) ^ (address[index] ?? 0)) & mask) !== 0) return false
  }
  return true
}

interface Peer {
  readonly address: Address
  readonly text: string
}

/** Connections carry many requests, and most come from few places. */
const peers = new Map<string, Peer>()
const keptPeers = 1000

const peerOf = (peer: string): Peer => {
  const known = peers.get(peer)
  if (known) return known
  const address = parsePeer(peer)
  const made = { address, text: formatAddress(address) }
  if (peers.size >= keptPeers) peers.clear()
  peers.set(peer, made)
  return made
}

/** The address of a socket: a zone says through which interface of ours, not who. */
const parsePeer = (peer: string): Address => {
  const zone = peer.indexOf('%')
  const address = parseAddress(zone < 0 ? peer : peer.slice(0, zone))
  if (address === undefined) throw new Error(`the socket's address "${peer}" is none`)
  return address
}

/** A hop as proxies write it: an address, with a port behind IPv4 or behind brackets. */
const parseHop = (text: string): Address | undefined => {
  const hop = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text) ?? /^([^:]+):\d{1,5}$/.exec(text)
  return parseAddress(hop?.[1] ?? text)
}

/**
 * Who is really calling: the right-most hop that we do not trust, in its one spelling. From a peer that we do not trust, the header counts for nothing.
 * Throws `malformed` when a trusted hop names something that is no address. If all are trusted it is the farthest one.
 */
export const clientAddress = (peer: string, forwardedFor: readonly string[], trusted: readonly AddressRange[]): string => {
  const known = peerOf(peer)
  if (trusted.length === 0 || forwardedFor.length === 0) return known.text
  let { address } = known
  const hops = forwardedFor.join(',').split(',')
  while (hops.length > 0 && isTrusted(address, trusted)) {
    const hop = hops.pop()?.trim() ?? ''
    if (hop === '') continue
    const next = parseHop(hop)
    if (next === undefined) throw new Refusal('malformed', 'X-Forwarded-For contains something that is no address.')
    address = next
  }
  return formatAddress(address)
}

const isTrusted = (address: Address, trusted: readonly AddressRange[]): boolean => trusted.some((range) => inRange(range, address))
