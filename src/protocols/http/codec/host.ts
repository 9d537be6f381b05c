import { formatAddress, parseAddress } from '../../../lib/address.ts'
import { Refusal } from '../../../model/refusal.ts'

const ordinary = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/
const kept = new Map<string, string>()
const keptEntries = 1000

/**
 * The one spelling of a Host value: ASCII lower case, no port, no trailing dot; an IPv6 literal in brackets and shortest form.
 * Throws `malformed` for anything that is no host and optional port.
 */
export const canonicalHost = (value: string): string => {
  const known = kept.get(value)
  if (known !== undefined) return known
  const host = parseHost(value)
  // Refusals are not kept, so that strangers cannot fill this with junk that is worth nothing.
  if (kept.size >= keptEntries) kept.clear()
  if (value.length <= 255) kept.set(value, host)
  return host
}

const parseHost = (value: string): string => {
  if (value.length > 300) throw malformed()
  if (value.startsWith('[')) {
    const close = value.indexOf(']')
    const address = close < 0 ? undefined : parseAddress(value.slice(1, close))
    if (address === undefined || !value.slice(1, close).includes(':')) throw malformed()
    checkPort(value.slice(close + 1))
    const text = formatAddress(address)
    return text.includes(':') ? `[${text}]` : text
  }
  const colon = value.indexOf(':')
  const name = colon < 0 ? value : value.slice(0, colon)
  if (colon >= 0) checkPort(value.slice(colon))
  // Only ASCII letters are folded: toLowerCase alone would turn the Kelvin sign into a k.
  const bare = (name.endsWith('.') ? name.slice(0, -1) : name).replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
  if (bare.length > 253 || !ordinary.test(bare) || bare.split('.').some((label) => label.length > 63)) throw malformed()
  // A name whose last label is a number is an address in some spelling; only the plain spelling is one.
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(bare) && parseAddress(bare) === undefined) throw malformed()
  return bare
}

const checkPort = (text: string): void => {
  if (text === '') return
  if (!/^:\d{1,5}$/.test(text) || Number(text.slice(1)) === 0 || Number(text.slice(1)) > 65_535) throw malformed()
}

const malformed = (): Refusal => new Refusal('malformed', 'The Host header is not a host name with an optional port.')
