import { Refusal } from '../../../model/refusal.ts'

/**
 * What a request line asks for, in one reading.
 *
 *     raw    /public/%41b/c%2Fd?x=1     what was received and what is forwarded, byte by byte
 *     path   /public/Ab/c%2Fd           what rules see: escapes of unreserved characters undone once, others in upper case
 *     query  x=1                        as received, without the question mark; empty if there is none
 *
 * `path` never contains a dot segment in any spelling, and `raw` contains none that a decoder could find by decoding once.
 */
export interface Target {
  readonly raw: string
  readonly path: string
  readonly query: string
}

export interface TargetRules {
  /** `keep` leaves escaped delimiters (`%2F`, `%23`, `%3F`) in the path as they are; a backslash is refused all the same. */
  readonly encodedSlash: 'refuse' | 'keep'
  readonly maxBytes: number
}

export const defaultTargetRules: TargetRules = { encodedSlash: 'refuse', maxBytes: 8192 }

const plain = 0
const refused = 1
const slash = 2
const percent = 3
const question = 4
const dot = 5
const semicolon = 6

/** One class per character; whatever is no visible ASCII character is refused by being outside. */
const classes = new Uint8Array(128).fill(refused, 0, 0x21)
classes[0x7f] = refused
classes['#'.charCodeAt(0)] = refused
classes['\\'.charCodeAt(0)] = refused
classes['/'.charCodeAt(0)] = slash
classes['%'.charCodeAt(0)] = percent
classes['?'.charCodeAt(0)] = question
classes['.'.charCodeAt(0)] = dot
classes[';'.charCodeAt(0)] = semicolon

const malformed = (what: string): Refusal => new Refusal('malformed', what)

/** Origin-form only. Throws `malformed`, or `too-large` for one that is too long. */
export const parseTarget = (raw: string, rules: TargetRules = defaultTargetRules): Target => {
  const { length } = raw
  if (length > rules.maxBytes) throw new Refusal('too-large', 'The request target is too long.')
  if (raw.charCodeAt(0) !== 0x2f) throw malformed('The request target must begin with a slash and name no host.')
  let end = -1
  let escaped = false
  let dotted = false
  let before = plain
  for (let index = 0; index < length; index++) {
    const code = raw.charCodeAt(index)
    const kind = code < 128 ? classes[code] : refused
    if (kind === plain) {
      before = plain
      continue
    }
    if (kind === refused) throw malformed('The request target contains a character that does not belong into it.')
    if (kind === percent) escaped = true
    else if (kind === dot && before === slash && end < 0) dotted = true
    else if (kind === question && end < 0) end = index
    before = kind ?? plain
  }
  const rawPath = end < 0 ? raw : raw.slice(0, end)
  const query = end < 0 ? '' : raw.slice(end + 1)
  if (!escaped) {
    if (dotted) refuseDotSegments(rawPath)
    return { raw, path: rawPath, query }
  }
  const path = rawPath.includes('%') ? decodePath(rawPath, rules) : rawPath
  refuseDotSegments(path)
  if (query.includes('%')) checkQuery(query)
  return { raw, path, query }
}

/** What is left of a target without a route's prefix, read again from the start; `undefined` if it does not lie under the prefix. */
export const stripPrefix = (target: Target, prefix: string, rules: TargetRules = defaultTargetRules): Target | undefined => {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
  if (bare === '') return target
  // Cut from the received bytes: an escaped spelling of the prefix is another path, and no route.
  if (!target.raw.startsWith(bare)) return undefined
  const rest = target.raw.slice(bare.length)
  if (rest === '') return parseTarget('/', rules)
  if (rest.charCodeAt(0) === 0x3f) return parseTarget(`/${rest}`, rules)
  return rest.charCodeAt(0) === 0x2f ? parseTarget(rest, rules) : undefined
}

/** The parts between slashes, empty ones included, without the empty one in front of the first slash. */
export const segmentsOf = (path: string): readonly string[] => path.slice(1).split('/')

const escapes = /%../g
const unreserved = /[A-Za-z0-9\-._~]/

const decodePath = (path: string, rules: TargetRules): string => {
  refuseBadEscapes(path)
  return path.replace(escapes, (escape) => {
    const code = Number.parseInt(escape.slice(1), 16)
    if (code < 0x20 || code === 0x7f) throw malformed('The path contains an escaped control character.')
    const character = String.fromCharCode(code)
    if (character === '\\') throw malformed('The path contains an escaped backslash.')
    if (rules.encodedSlash === 'refuse' && (character === '/' || character === '?' || character === '#')) throw malformed('The path contains an escaped delimiter.')
    return unreserved.test(character) ? character : escape.toUpperCase()
  })
}

const checkQuery = (query: string): void => {
  refuseBadEscapes(query)
  if (query.includes('%00')) throw malformed('The query contains an escaped zero byte.')
}

/** Every `%` begins a two-digit escape, and what the escapes say is UTF-8: shortest form, no surrogates, nothing cut. */
const refuseBadEscapes = (text: string): void => {
  try {
    decodeURIComponent(text)
  } catch {
    throw malformed('The request target contains a broken percent escape.')
  }
}

/** A step to nowhere or upwards, with or without parameters behind it or blanks around it, which some file systems cut off. */
const dotSegment = /(?:^|\/|%2F)(?:%20)*\.{1,2}(?:%20)*(?:;|%3B|\/|%2F|$)/

const refuseDotSegments = (path: string): void => {
  if (dotSegment.test(path)) throw malformed('The path contains a dot segment.')
}
