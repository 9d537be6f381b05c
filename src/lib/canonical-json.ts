/**
 * One text for one JSON value: members in code unit order, no blanks, `undefined` members left out.
 * Throws for what JSON cannot say (NaN, Infinity, functions, bytes, cycles), so that two different values never share a text.
 */
export const canonicalJson = (value: unknown): string => write(value, 0)

const maxDepth = 200

const write = (value: unknown, depth: number): string => {
  if (depth > maxDepth) throw new Error('value is nested too deeply for JSON')
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error('a number that JSON cannot say')
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`
  if (typeof value !== 'object' || ArrayBuffer.isView(value) || value instanceof Map || value instanceof Set || value instanceof Date) throw new Error(`a ${typeof value} that JSON cannot say`)
  const members: string[] = []
  for (const [key, member] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) if (member !== undefined) members.push(`${JSON.stringify(key)}:${write(member, depth + 1)}`)
  return `{${members.join(',')}}`
}
