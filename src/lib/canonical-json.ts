/**
 * RFC 8785: one text for one JSON value. Members in code unit order, no blanks, `undefined` members left out.
 * Throws for what JSON cannot say (NaN, Infinity, functions, bytes, instances of classes, holes, halves of surrogate pairs) and for cycles,
 * so that two different values never share a text.
 */
export const canonicalJson = (value: unknown): string => write(value, 0)

const maxDepth = 200

const write = (value: unknown, depth: number): string => {
  if (typeof value === 'string') return text(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('a number that JSON cannot say')
    return JSON.stringify(value)
  }
  if (typeof value !== 'object') throw new Error(`a ${typeof value} that JSON cannot say`)
  if (depth > maxDepth) throw new Error('value is nested too deeply for JSON')
  if (Array.isArray(value)) {
    const items: string[] = []
    for (let index = 0; index < value.length; index++) items.push(write(value[index], depth + 1))
    return `[${items.join(',')}]`
  }
  if (!isPlain(value)) throw new Error('an instance of a class, which JSON cannot say')
  const members: string[] = []
  for (const key of Object.keys(value).toSorted()) {
    const member = (value as Record<string, unknown>)[key]
    if (member !== undefined) members.push(`${text(key)}:${write(member, depth + 1)}`)
  }
  return `{${members.join(',')}}`
}

const text = (string: string): string => {
  if (!string.isWellFormed()) throw new Error('half of a surrogate pair, which UTF-8 cannot say')
  return JSON.stringify(string)
}

/** Nothing stands between the object and the end of its prototype chain but, at most, one ancestor such as `Object.prototype`. */
const isPlain = (value: object): boolean => {
  const ancestor: unknown = Object.getPrototypeOf(value)
  return ancestor === null || Object.getPrototypeOf(ancestor) === null
}
