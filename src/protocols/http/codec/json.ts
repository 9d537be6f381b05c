import { isExactInteger, sameDecimal } from '../../../lib/exact-number.ts'
import { Refusal } from '../../../model/refusal.ts'

export interface JsonRules {
  /** Keys of one object that differ only in case are refused, like duplicates. */
  readonly caseVariants: 'refuse' | 'allow'
  readonly maxDepth: number
  /** Values of any kind, in all. */
  readonly maxNodes: number
}

export const defaultJsonRules: JsonRules = { caseVariants: 'refuse', maxDepth: 64, maxNodes: 100_000 }

export type JsonObject = { [key: string]: JsonValue }
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject

/** Objects without inherited members, yet with a shape that the engine can optimise: their only ancestor is empty and frozen. */
export const Bare = function () {} as unknown as new () => JsonObject
Bare.prototype = Object.freeze(Object.create(null))

const malformed = (what: string): Refusal => new Refusal('malformed', `The JSON body ${what}.`)

/**
 * JSON that every parser reads the same way, or a refusal: UTF-8 without a byte order mark, one value, no key twice in one object,
 * no lone surrogate, and no number that a double would turn into another one.
 */
export const parseJson = (bytes: Uint8Array, rules: JsonRules = defaultJsonRules): JsonValue => parseJsonText(decodeUtf8(bytes), rules)

/** Bytes as text, not one byte replaced. A byte order mark is refused: some readers skip it, some fail. */
export const decodeUtf8 = (bytes: Uint8Array): string => {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw new Refusal('malformed', 'The body begins with a byte order mark.')
  try {
    return decoder.decode(bytes)
  } catch {
    throw new Refusal('malformed', 'The body is not valid UTF-8.')
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const parseJsonText = (text: string, { caseVariants, maxDepth, maxNodes }: JsonRules = defaultJsonRules): JsonValue => {
  const foldKeys = caseVariants === 'refuse'
  const { length } = text
  let at = 0
  let nodes = 0

  const blanks = (): number => {
    for (;;) {
      const code = text.charCodeAt(at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      at++
    }
  }

  const string = (): string => {
    const start = ++at
    for (; at < length; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x22) return text.slice(start, at++)
      if (code === 0x5c) return escapedString(start)
      if (code < 0x20) throw malformed('contains a control character in a string')
    }
    throw malformed('ends inside a string')
  }

  const escapedString = (start: number): string => {
    for (; at < length; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x5c) at++
      else if (code === 0x22) {
        const value = unescape(text.slice(start - 1, ++at))
        if (!value.isWellFormed()) throw malformed('contains half of a surrogate pair')
        return value
      }
    }
    throw malformed('ends inside a string')
  }

  const number = (): number => {
    const start = at
    let simple = true
    for (; at < length; at++) {
      const code = text.charCodeAt(at)
      if (code >= 0x30 && code <= 0x39) continue
      if (code !== 0x2d && code !== 0x2b && code !== 0x2e && code !== 0x65 && code !== 0x45) break
      if (code !== 0x2d || at !== start) simple = false
    }
    return readNumber(text.slice(start, at), simple)
  }

  const word = (expected: string, value: null | boolean): null | boolean => {
    if (!text.startsWith(expected, at)) throw malformed('is not JSON')
    at += expected.length
    return value
  }

  const array = (depth: number): JsonValue[] => {
    const items: JsonValue[] = []
    at++
    if (blanks() === 0x5d) {
      at++
      return items
    }
    for (;;) {
      items.push(value(depth))
      const code = blanks()
      at++
      if (code === 0x5d) return items
      if (code !== 0x2c) throw malformed('is not JSON')
    }
  }

  const object = (depth: number): JsonObject => {
    const members = new Bare()
    at++
    if (blanks() === 0x7d) {
      at++
      return members
    }
    let folded: Set<string> | undefined
    let count = 0
    for (;;) {
      if (blanks() !== 0x22) throw malformed('is not JSON')
      const key = string()
      if (key in members) throw malformed('contains the same key twice in one object')
      if (foldKeys) {
        // The first key of an object has nothing to be like; from the second on the folded names are compared.
        if (count === 1) folded = new Set([fold(Object.keys(members)[0] as string)])
        if (folded) {
          const name = fold(key)
          if (folded.has(name)) throw malformed('contains keys that differ only in case')
          folded.add(name)
        }
      }
      count++
      if (blanks() !== 0x3a) throw malformed('is not JSON')
      at++
      members[key] = value(depth)
      const code = blanks()
      at++
      if (code === 0x7d) return members
      if (code !== 0x2c) throw malformed('is not JSON')
    }
  }

  const value = (depth: number): JsonValue => {
    if (++nodes > maxNodes) throw malformed('has too many values')
    const code = blanks()
    if (code === 0x22) return string()
    if (code === 0x7b || code === 0x5b) {
      if (depth >= maxDepth) throw malformed('is nested too deeply')
      return code === 0x7b ? object(depth + 1) : array(depth + 1)
    }
    if (code === 0x74) return word('true', true)
    if (code === 0x66) return word('false', false)
    if (code === 0x6e) return word('null', null)
    if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return number()
    throw malformed('is not JSON')
  }

  const result = value(0)
  blanks()
  if (at < length) throw malformed('goes on after its value')
  return result
}

/** Wider than any one decoder folds: long s and the Kelvin sign become their ASCII look-alikes. */
const fold = (key: string): string => {
  for (let index = 0; index < key.length; index++) if (key.charCodeAt(index) > 0x7f) return key.toUpperCase().toLowerCase()
  return key.toLowerCase()
}

const unescape = (quoted: string): string => {
  try {
    return JSON.parse(quoted) as string
  } catch {
    throw malformed('contains a broken string')
  }
}

const grammar = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** `simple`: an optional minus sign and digits only. */
const readNumber = (text: string, simple: boolean): number => {
  if (simple && text.length <= 15 && text.charCodeAt(0) !== 0x2d && (text.charCodeAt(0) !== 0x30 || text.length === 1)) return Number(text)
  if (text.length > 400 || !grammar.test(text)) throw malformed('contains something that is no number')
  const value = Number(text)
  if (simple ? !isExactInteger(text) : !Number.isFinite(value)) throw malformed('contains a number that is too large to be kept exactly')
  if (!simple && !sameDecimal(text, String(value))) throw malformed('contains a number that is too precise to be kept exactly')
  return value
}
