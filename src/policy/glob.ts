import { dottedSegments } from '../lib/dotted-name.ts'

/**
 * Globs on segments: `*` stands for any text within one segment, `**` (alone in its segment) for any number of segments, none included.
 * Everything else is itself. Only the pattern has special characters; the value that is matched is plain data.
 *
 *     /v1/orders/*      one segment below          /v1/orders/**      the collection itself and all below
 */
export interface Glob {
  readonly pattern: string
  /** Set where the pattern has no wildcard: the value must be exactly this. */
  readonly exact: string | undefined
  /** The first segment where it is literal; `undefined` where anything may stand there. */
  readonly first: string | undefined
  /** Whether nothing is kept out: `**` or `/**`. */
  readonly everything: boolean
  matches(segments: readonly string[]): boolean
  /** Matches, or something above it does: `sql.copy` covers `sql.copy.in`. For rules that hold or deny. */
  covers(segments: readonly string[]): boolean
}

type Segment = string | typeof ANY | readonly string[]

/** Any number of segments. */
const ANY = Symbol('**')

const compileSegment = (text: string): Segment => (text === '**' ? ANY : text.includes('*') ? text.split('*') : text)

/** `parts` are the literal pieces around the stars. Greedy from the left; the last piece is pinned to the end. */
const matchesPieces = (parts: readonly string[], value: string): boolean => {
  const head = parts[0] ?? ''
  const tail = parts.at(-1) ?? ''
  if (value.length < head.length + tail.length || !value.startsWith(head) || !value.endsWith(tail)) return false
  let at = head.length
  const end = value.length - tail.length
  for (let index = 1; index < parts.length - 1; index++) {
    const piece = parts[index] ?? ''
    const found = value.indexOf(piece, at)
    if (found < 0 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}

const matchesSegment = (segment: Segment, value: string): boolean =>
  typeof segment === 'string' ? segment === value : segment === ANY ? true : matchesPieces(segment, value)

/** The stars-and-backtrack walk: after a mismatch only the latest `**` takes one more segment, so the work is at most pattern × value. */
const walk = (pattern: readonly Segment[], value: readonly string[], prefix: boolean): boolean => {
  let p = 0
  let v = 0
  let star = -1
  let resume = 0
  while (v < value.length) {
    const segment = pattern[p]
    if (segment === ANY) {
      star = p++
      resume = v
    } else if (segment !== undefined && matchesSegment(segment, value[v] ?? '')) {
      p++
      v++
      if (prefix && p === pattern.length) return true
    } else if (star >= 0) {
      p = star + 1
      v = ++resume
    } else return false
  }
  while (pattern[p] === ANY) p++
  return p === pattern.length
}

export const splitSegments = (value: string, separators: string): readonly string[] => {
  if (separators === '.') return dottedSegments(value)
  if (separators.length === 1) return value.split(separators)
  const segments: string[] = []
  let start = 0
  for (let index = 0; index < value.length; index++) {
    if (!separators.includes(value[index] ?? '')) continue
    // The separator stays with the segment it ends, so that `a:b` and `a/b` differ.
    segments.push(value.slice(start, index + 1))
    start = index + 1
  }
  segments.push(value.slice(start))
  return segments
}

/** Why a text is no glob, or `undefined`. */
export const globProblem = (pattern: string, separators: string): string | undefined => {
  if (pattern === '') return 'an empty pattern matches nothing'
  for (const segment of splitSegments(pattern, separators)) {
    const bare = separators.length > 1 && segment.length > 0 && separators.includes(segment.at(-1) ?? '') ? segment.slice(0, -1) : segment
    if (bare.includes('**') && bare !== '**') return `"**" must stand alone in its segment, in "${pattern}"`
    if (bare === '**' && bare !== segment && separators.length > 1) return `"**" may only end a pattern here, in "${pattern}"`
  }
  return undefined
}

export const compileGlob = (pattern: string, separators: string): Glob => {
  const segments = splitSegments(pattern, separators).map(compileSegment)
  const exact = segments.every((segment) => typeof segment === 'string') ? pattern : undefined
  const lead = segments[0] === '' ? 1 : 0
  const first = segments[lead]
  return {
    pattern,
    exact,
    first: typeof first === 'string' ? first : undefined,
    everything: first === ANY && segments.length === lead + 1,
    matches: (value) => walk(segments, value, false),
    covers: (value) => walk(segments, value, true),
  }
}
