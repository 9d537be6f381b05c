import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { pathText, type Problem } from './problem.ts'
import { kindsWith, knownKeys } from './schema-keys.ts'
import { type Path, type Position, problemAt, readYaml, type YamlSource } from './yaml-source.ts'

/** A text that is what its schema asks for. */
export interface ReadDocument<T> {
  readonly value: T
  readonly source: YamlSource
  readonly locate: (path: Path) => Position
}

/**
 * Reads a YAML text against a schema of strict objects: the value, or every problem at once.
 * A problem never quotes a value whose key is unknown or whose schema reports with `params: { hide: true }`.
 */
export const readDocument = <T>(text: string, file: string, schema: z.ZodType<T>): { readonly document: ReadDocument<T> } | { readonly problems: readonly Problem[] } => {
  const read = readYaml(text, file)
  if ('problems' in read) return read
  const { source } = read
  const checked = schema.safeParse(source.value)
  if (checked.success) return { document: { value: checked.data, source, locate: source.locate } }
  const problems = checked.error.issues.flatMap((issue) => flatten(issue as Issue)).flatMap((issue) => describe(issue, source, schema))
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
}

interface Issue {
  readonly code?: string | undefined
  readonly path: Path
  readonly message: string
  readonly expected?: string
  readonly keys?: readonly string[]
  readonly values?: readonly unknown[]
  /** Of a union whose branches one key tells apart. */
  readonly options?: readonly unknown[]
  readonly errors?: readonly (readonly Issue[])[]
  readonly issues?: readonly Issue[]
  readonly params?: { readonly hide?: boolean; readonly nearest?: string }
}

/** Of a union, the branch that got furthest is the one that was meant. */
const flatten = (issue: Issue, base: Path = []): readonly Issue[] => {
  const path = [...base, ...issue.path]
  if (issue.code === 'invalid_key' && issue.issues?.[0]) return [{ ...issue, path, message: issue.issues[0].message }]
  if (issue.code !== 'invalid_union' || issue.errors === undefined) return [{ ...issue, path }]
  const branches = issue.errors.filter((branch) => branch.length > 0).toSorted((a, b) => reach(b) - reach(a))
  const [best, next] = branches
  if (best === undefined) return [{ ...issue, path, ...(issue.options === undefined ? {} : { values: issue.options.filter((option) => option !== undefined) }) }]
  if (reach(best) === 0 && next !== undefined && reach(next) === 0) {
    const expected = branches.map((branch) => expectedText(branch[0])).filter((text) => text !== undefined)
    if (expected.length === branches.length) return [{ ...issue, path, code: 'invalid_type', expected: [...new Set(expected)].join(' or ') }]
  }
  return best.flatMap((inner) => flatten(inner, path))
}

const reach = (branch: readonly Issue[]): number => Math.max(...branch.map((issue) => issue.path.length + (issue.code === 'invalid_type' ? 0 : 0.5)))

const WORDS: Readonly<Record<string, string>> = { object: 'a map', record: 'a map', array: 'a list', string: 'text', number: 'a number', int: 'a whole number', boolean: 'true or false' }

const expectedText = (issue: Issue | undefined): string | undefined => {
  if (issue === undefined) return undefined
  if (issue.values !== undefined) return issue.values.map((value) => JSON.stringify(value)).join(', ')
  return issue.code === 'invalid_type' && issue.expected !== undefined ? (WORDS[issue.expected] ?? issue.expected) : undefined
}

const kindOf = (value: unknown): string => (value === null ? 'nothing' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'a map' : typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'true or false' : Number.isFinite(value) ? 'a number' : 'no finite number')

const describe = (issue: Issue, source: YamlSource, schema: z.ZodType): readonly Problem[] => {
  const { path } = issue
  const given = valueAt(source.value, path)
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, path)
    return (issue.keys ?? []).map((key) => {
      const elsewhere = known.includes(key) // in another branch of a union
      const kinds = elsewhere ? kindsWith(schema, path, key) : []
      const belongs = kinds.length > 0 ? `: it belongs to ${kinds.map((kind) => `"${kind}"`).join(' or ')}` : elsewhere ? ': it belongs to another kind of this' : ''
      return problemAt(source, [...path, key], `unknown key "${key}"${path.length === 0 ? '' : ` in ${pathText(path)}`}${belongs}`, { on: 'key', nearest: elsewhere ? undefined : nearest(key, known) })
    })
  }
  if (issue.code === 'invalid_key') return [problemAt(source, path, issue.message, { on: 'key' })]
  if (issue.values !== undefined) {
    const known = issue.values.map(String)
    const found = typeof given === 'string' ? `"${given.slice(0, 80)}" is not known here` : given === undefined ? 'is missing' : `${kindOf(given)} stands here`
    return [problemAt(source, path, `${found}; one of ${known.join(', ')}`, { nearest: typeof given === 'string' ? nearest(given, known) : undefined, quote: true })]
  }
  if (issue.code === 'invalid_type') {
    const expected = expectedText(issue) ?? issue.expected ?? 'another type'
    if (given === undefined) return [problemAt(source, path, `is missing; ${expected} is expected`)]
    const hint = expected !== 'text' ? '' : typeof given === 'number' ? '; put it in quotes if it is text, and give it its unit if it has one (30s, 64KiB)' : typeof given === 'boolean' ? '; put it in quotes if it is text' : ''
    return [problemAt(source, path, `${kindOf(given)} stands where ${expected} is expected${hint}`, { quote: true })]
  }
  return [problemAt(source, path, issue.message, { nearest: issue.params?.nearest, quote: issue.params?.hide !== true })]
}

const valueAt = (value: unknown, path: Path): unknown => path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined), value)
