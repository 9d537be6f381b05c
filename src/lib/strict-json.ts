import { isExactInteger } from './exact-number.ts'

/** What is wrong with a text that was to be JSON: fit for whoever sent it. */
export class JsonProblem extends Error {
  override readonly name = 'JsonProblem'
}

/**
 * JSON that every parser reads the same way: valid UTF-8 without a byte order mark, no key twice in one object,
 * no `__proto__`, no half of a surrogate pair, no number that a double turns into another whole one, and no deeper than `depth`.
 */
export const parseStrictJson = (bytes: Uint8Array, depth = 32): unknown => {
  const text = decode(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new JsonProblem('not JSON')
  }
  // From here on the text is known to be well-formed, so that its strings and brackets are enough to follow it.
  const open: (Set<string> | undefined)[] = []
  let keyNext = false
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]|-?\d[\d.eE+-]*/g)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined)
      if (open.length > depth) throw new JsonProblem(`nested deeper than ${depth}`)
      keyNext = token === '{'
    } else if (token === '}' || token === ']') {
      open.pop()
      keyNext = false
    } else if (token === ',') {
      keyNext = open.at(-1) !== undefined
    } else if (!token.startsWith('"')) {
      if (/[.eE]/.test(token) ? !Number.isFinite(Number(token)) : token.length > 15 && !isExactInteger(token)) throw new JsonProblem('a number that is too large to be kept exactly')
    } else {
      const string = JSON.parse(token) as string
      if (!string.isWellFormed()) throw new JsonProblem('half of a surrogate pair')
      const keys = open.at(-1)
      if (keyNext && keys) {
        if (string === '__proto__') throw new JsonProblem('the key "__proto__"')
        if (keys.has(string)) throw new JsonProblem(`the key ${JSON.stringify(string)} twice in one object`)
        keys.add(string)
      }
      keyNext = false
    }
  }
  return value
}

const decode = (bytes: Uint8Array): string => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new JsonProblem('not UTF-8')
  }
  if (text.startsWith('\uFEFF')) throw new JsonProblem('a byte order mark')
  return text
}
