import { Refusal } from '../../../model/refusal.ts'
import { type Fate, fateOf, foldedName, isFieldValue, isToken, passesInAnswers } from './header-names.ts'

/** What the framing and routing headers of a request say; each at most once. */
export interface RequestHead {
  readonly host: string
  readonly contentLength: number | undefined
  readonly chunked: boolean
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  /** Lower case; `undefined` unless the client asks to change the protocol. */
  readonly upgrade: string | undefined
  readonly expectContinue: boolean
}

export interface HeaderLimits {
  /** Names and values together. */
  readonly bytes: number
  readonly count: number
}

export const defaultHeaderLimits: HeaderLimits = { bytes: 16_384, count: 100 }

const malformed = (what: string): Refusal => new Refusal('malformed', what)

/**
 * Checks the headers of one request as pairs in the order of the wire, and reads those that say where it ends and where it goes.
 * Nothing is repaired: what two parsers could read differently is refused. `checked` is a value that has passed before: a long token need not be looked through each time.
 */
export const checkRequestHeaders = (rawHeaders: readonly string[], limits: HeaderLimits = defaultHeaderLimits, checked?: string): RequestHead => {
  const { length } = rawHeaders
  if (length > limits.count * 2) throw new Refusal('too-large', 'The request has too many headers.')
  let bytes = 0
  let host: string | undefined
  let contentLength: string | undefined
  let transferEncoding: string | undefined
  let contentType: string | undefined
  let contentEncoding: string | undefined
  let upgrade: string | undefined
  let expect: string | undefined
  for (let index = 0; index < length; index += 2) {
    const name = rawHeaders[index] as string
    const value = rawHeaders[index + 1]
    if (value === undefined || !isToken(name)) throw malformed('A header name is not valid.')
    if (value !== checked && !isFieldValue(value)) throw malformed('A header value contains a control character.')
    bytes += name.length + value.length + 4
    // Only names of these lengths are looked at more closely.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') host = once(host, value, 'Host')
        break
      case 6:
        if (name.toLowerCase() === 'expect') expect = once(expect, value, 'Expect')
        break
      case 7:
        if (name.toLowerCase() === 'upgrade') upgrade = once(upgrade, value, 'Upgrade')
        break
      case 12:
        if (foldedName(name) === 'content-type') contentType = onceExact(name, contentType, value, 'Content-Type')
        break
      case 14:
      case 17:
      case 16: {
        const lower = foldedName(name)
        if (lower === 'content-length') contentLength = onceExact(name, contentLength, value, 'Content-Length')
        else if (lower === 'transfer-encoding') transferEncoding = onceExact(name, transferEncoding, value, 'Transfer-Encoding')
        else if (lower === 'content-encoding') contentEncoding = onceExact(name, contentEncoding, value, 'Content-Encoding')
        break
      }
      default:
    }
  }
  if (bytes > limits.bytes) throw new Refusal('too-large', 'The request headers are too large.')
  if (host === undefined || host === '') throw malformed('The Host header is missing.')
  if (transferEncoding !== undefined && contentLength !== undefined) throw malformed('Content-Length and Transfer-Encoding exclude each other.')
  if (transferEncoding !== undefined && !equalsFolded(transferEncoding, 'chunked')) throw malformed('The only transfer coding understood here is chunked.')
  if (expect !== undefined && !equalsFolded(expect, '100-continue')) throw malformed('The only expectation understood here is 100-continue.')
  return {
    host,
    contentLength: contentLength === undefined ? undefined : parseLength(contentLength),
    chunked: transferEncoding !== undefined,
    contentType,
    contentEncoding,
    upgrade: upgrade?.toLowerCase(),
    expectContinue: expect !== undefined,
  }
}

const once = (before: string | undefined, value: string, name: string): string => {
  if (before !== undefined) throw malformed(`The ${name} header stands more than once.`)
  return value
}

/** A framing header in a spelling with `_` or `.` is a second one for gateways that fold these characters. */
const onceExact = (name: string, before: string | undefined, value: string, proper: string): string => {
  if (name.includes('_') || name.includes('.')) throw malformed(`${name} is not a spelling of ${proper}.`)
  return once(before, value, proper)
}

const equalsFolded = (value: string, wanted: string): boolean => value === wanted || (value.length === wanted.length && value.toLowerCase() === wanted)

const parseLength = (value: string): number => {
  if (!/^\d{1,15}$/.test(value)) throw malformed('Content-Length is not a plain number.')
  return Number(value)
}

/** The end-to-end part of a request's headers, as it will be forwarded before ours are added. */
export interface ForwardedHeaders {
  /** Flat name and value pairs in the order and spelling of the client. No hop-by-hop header, none of ours, no credential of the client. */
  readonly pairs: readonly string[]
  /** The same with lower-case names, one entry per pair, without what says nothing about the action: what the digest binds. */
  readonly bound: readonly (readonly [name: string, value: string])[]
}

export interface ForwardRules {
  /** Lower-case names that may differ between what was approved and its repeat. */
  readonly unbound?: ReadonlySet<string>
  /** Names to leave out beside the fixed ones, folded (`foldedName`): those under which we send claims or credentials of our own. */
  readonly drop?: ReadonlySet<string>
}

const nothing: ForwardRules = {}

/** Rules from names as configuration spells them. `ours`: headers that only we may say. */
export const forwardRules = (unbound: readonly string[], ours: readonly string[]): ForwardRules => ({ unbound: new Set(unbound.map((name) => name.toLowerCase())), drop: new Set(ours.map(foldedName)) })

/**
 * What may go upstream of a client's headers. `Connection` is applied here, to the client's own headers:
 * ours are added to the result, so that nothing a client lists can take them away.
 * `Host` and `Content-Length` are left out: they follow from the target and the body.
 */
export const forwardableHeaders = (rawHeaders: readonly string[], rules: ForwardRules = nothing): ForwardedHeaders => {
  const listed = listedByConnection(rawHeaders)
  if (listed) refuseListing(listed)
  const pairs: string[] = []
  const bound: (readonly [string, string])[] = []
  const { drop, unbound } = rules
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    let value = rawHeaders[index + 1] as string
    const lower = name.toLowerCase()
    const fate: Fate = fateOf(lower)
    if (fate === 'drop' || listed?.has(lower) === true || drop?.has(foldedName(lower)) === true) continue
    if (fate === 'cookie') {
      const rest = withoutSession(value)
      if (rest === '') continue
      value = rest
    }
    pairs.push(name, value)
    if (fate === 'volatile' || unbound?.has(lower) === true) continue
    const judged = fate === 'prefer' ? withoutWaiting(value) : value
    if (fate !== 'prefer' || judged !== '') bound.push([lower, judged])
  }
  return { pairs, bound: sortedPairs(bound) }
}

/** By name; several of one name keep their order, which can matter. */
const sortedPairs = (pairs: (readonly [string, string])[]): readonly (readonly [string, string])[] => {
  // Insertion: a handful of entries, mostly few steps from their place.
  for (let next = 1; next < pairs.length; next++) {
    const pair = pairs[next] as readonly [string, string]
    let at = next - 1
    while (at >= 0 && (pairs[at] as readonly [string, string])[0] > pair[0]) {
      pairs[at + 1] = pairs[at] as readonly [string, string]
      at--
    }
    pairs[at + 1] = pair
  }
  return pairs
}

const listedByConnection = (rawHeaders: readonly string[]): ReadonlySet<string> | undefined => {
  let listed: Set<string> | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    const value = (rawHeaders[index + 1] as string).toLowerCase()
    if (value === 'keep-alive' || value === 'close') continue
    listed ??= new Set()
    for (const item of value.split(',')) listed.add(item.trim())
  }
  return listed
}

/** What a request says about its own content and sender is end-to-end: taken away on the last mile, it would be another request than the one that was judged. */
const refuseListing = (listed: ReadonlySet<string>): void => {
  for (const name of listed) if (name === 'host' || name === 'cookie' || name === 'authorization' || name.startsWith('content-')) throw malformed('Connection lists a header that belongs to the whole way.')
}

/** The client's pairs with ours behind them. Ours replace whatever has the same name in any spelling. */
export const withOurHeaders = (pairs: readonly string[], ours: readonly string[]): string[] => {
  const names = new Set<string>()
  for (let index = 0; index < ours.length; index += 2) names.add(foldedName(ours[index] as string))
  const all: string[] = []
  for (let index = 0; index < pairs.length; index += 2) if (!names.has(foldedName(pairs[index] as string))) all.push(pairs[index] as string, pairs[index + 1] as string)
  for (const text of ours) all.push(text)
  return all
}

const aboutWaiting = /^(?:respond-async|wait[ \t]*=[ \t]*\d{1,6})$/i

/** How long a client waits may change from try to try. Every other preference (`resolution=merge-duplicates`) can make another action of it. */
const withoutWaiting = (value: string): string =>
  // A quoted text could contain what looks like an item: then all of it counts.
  value.includes('"') ? value : value.split(',').map((item) => item.trim()).filter((item) => item !== '' && !aboutWaiting.test(item)).join(', ')

/** In which a browser presents its token. */
export const sessionCookie = '__Host-countersign'

/** That, and the console's: cookies know hosts and no ports, so a console of the same host has a browser send them here as well. */
const isOurCookie = (name: string): boolean => /^(?:__Host-countersign(?:-session|-login)?|countersign-(?:session|login))$/.test(name)
const nameIn = (pair: string): string => (pair.split('=', 1)[0] ?? '').replace(/\s+/g, '')

/** The cookies without ours; byte-identical where none of them is there. */
const withoutSession = (value: string): string => {
  if (!value.includes('countersign')) return value
  const pairs = value.split(';').map((part) => part.trim())
  return pairs.some((pair) => isOurCookie(nameIn(pair))) ? pairs.filter((pair) => pair !== '' && !isOurCookie(nameIn(pair))).join('; ') : value
}

/** Nobody but us logs a browser in: a service that sets our session would make people act as somebody else. */
const setsOurSession = (value: string): boolean => value.includes('countersign') && isOurCookie(nameIn(value.split(';', 1)[0] ?? ''))

/** An upstream's headers without what is meant for this hop only, what it lists in `Connection`, names that are ours to say, and our session. */
export const responseHeaders = (rawHeaders: readonly string[]): string[] => {
  const listed = listedByConnection(rawHeaders)
  const pairs: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    const lower = name.toLowerCase()
    const value = rawHeaders[index + 1] as string
    if (!passesInAnswers(lower) || listed?.has(lower) === true || (lower === 'set-cookie' && setsOurSession(value))) continue
    pairs.push(name, value)
  }
  return pairs
}
