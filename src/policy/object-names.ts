import { dottedSegments } from '../lib/dotted-name.ts'
import { compileGlob, type Glob } from './glob.ts'

/*
 * Names of tables (schema.table), columns (schema.table.column) and functions (schema.function).
 */

/** Why a pattern for tables or columns would not mean what it seems to. */
export const objectNameProblem = (kind: 'table' | 'column' | 'function', pattern: string): string | undefined => {
  const segments = dottedSegments(pattern)
  if (segments.includes('**')) return undefined
  const wanted = kind === 'column' ? 3 : 2
  if (segments.length === wanted || (kind === 'function' && segments.length === 1)) return undefined
  if (segments.length === wanted - 1) return `"${pattern}" names no schema: did you mean "public.${pattern}", or "*.${pattern}" for every schema?`
  return `"${pattern}" is no ${kind}: a name is ${kind === 'column' ? 'schema.table.column' : `schema.${kind}`}`
}

interface Pattern {
  readonly whole: Glob
  readonly length: number
  readonly open: boolean
  /** By how many of the last segments: what a name with as few could mean. */
  readonly tails: readonly Glob[]
  /** Without its last segment: what "all columns" is about. */
  readonly parent: Glob | undefined
}

const compile = (pattern: string): Pattern => {
  const segments = dottedSegments(pattern)
  const length = segments.length
  return {
    whole: compileGlob(pattern, '.'),
    length,
    open: segments.includes('**'),
    tails: segments.map((_, at) => compileGlob(segments.slice(length - at - 1).join('.'), '.')),
    parent: length < 2 ? undefined : compileGlob(segments.slice(0, -1).join('.'), '.'),
  }
}

/** Whether a name that is known only in part, or that stands for all columns, could be one of these. For lists on which being counts against the caller. */
export const couldBeAny = (patterns: readonly string[]): ((name: string) => boolean) => {
  const compiled = patterns.map(compile)
  return (name) => {
    const segments = dottedSegments(name)
    return compiled.some((pattern) => couldBe(pattern, segments))
  }
}

const couldBe = (pattern: Pattern, name: readonly string[]): boolean => {
  if (pattern.whole.matches(name)) return true
  if (name.length > 1 && name.at(-1) === '*' && pattern.parent?.matches(name.slice(0, -1)) === true) return true
  if (pattern.open) return false
  if (name.length < pattern.length) return pattern.tails[name.length - 1]?.matches(name) ?? false
  return name.length > pattern.length && pattern.whole.matches(name.slice(-pattern.length))
}
