import { LineCounter, isMap, isNode, isScalar, parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { nearest } from '../lib/nearest.ts'

export interface Problem {
  readonly file: string
  readonly line: number
  readonly message: string
  readonly policy?: string
  readonly rule?: string
}

export const problemText = ({ file, line, message, policy, rule }: Problem): string =>
  `${file}:${line}: ${policy === undefined ? '' : rule === undefined ? `policy ${policy}: ` : `rule ${policy}/${rule}: `}${message}`

type Path = readonly PropertyKey[]

/** A policy text with its positions. */
export interface Source {
  readonly file: string
  /** What the text says, not yet checked. */
  readonly value: unknown
  /** Line of the value at a path, or of the nearest thing around it. */
  line(path: Path): number
}

const MAX_TEXT = 1_000_000

/** YAML 1.2, one document, no duplicate keys, no custom tags, no merge keys; aliases cannot grow it. */
export const readSource = (text: string, file: string): Source | { readonly problems: readonly Problem[] } => {
  if (text.length > MAX_TEXT) return { problems: [{ file, line: 1, message: `longer than ${MAX_TEXT} characters` }] }
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, version: '1.2', schema: 'core', uniqueKeys: true, strict: true, merge: false, stringKeys: true, prettyErrors: false })
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) return { problems: faults.map((fault) => ({ file, line: counter.linePos(fault.pos[0]).line, message: fault.message })) }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 50 })
    if (value === null || value === undefined) return { problems: [{ file, line: 1, message: 'the file is empty' }] }
    return { file, value, line: (path) => lineOf(document, counter, path) }
  } catch (error) {
    return { problems: [{ file, line: 1, message: error instanceof Error ? error.message : String(error) }] }
  }
}

const lineOf = (document: Document, counter: LineCounter, path: Path): number => {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (length > 0) {
      // A member stands where its key stands, not where its value begins.
      const parent = document.getIn(path.slice(0, length - 1), true)
      const pair = isMap(parent) ? parent.items.find((item) => isScalar(item.key) && item.key.value === path[length - 1]) : undefined
      if (pair && isScalar(pair.key) && pair.key.range) return counter.linePos(pair.key.range[0]).line
    }
    if (isNode(node) && node.range) return counter.linePos(node.range[0]).line
  }
  return 1
}

interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly code?: string | undefined
  readonly keys?: readonly string[]
  readonly values?: readonly unknown[]
  readonly errors?: readonly (readonly Issue[])[]
}

/** Of a union, the branch that got furthest is the one that was meant. */
const flatten = (issue: Issue, base: Path = []): readonly (Issue & { readonly path: Path })[] => {
  const path = [...base, ...issue.path]
  if (issue.code !== 'invalid_union' || issue.errors === undefined) return [{ ...issue, path }]
  const depth = (branch: readonly Issue[]): number => Math.max(0, ...branch.map((inner) => inner.path.length + (inner.code === 'unrecognized_keys' ? 1 : 0) + (inner.code === 'custom' || inner.code === 'too_small' || inner.code === 'too_big' || inner.code === 'invalid_format' ? 0.5 : 0)))
  const [best] = issue.errors.filter((branch) => branch.length > 0).toSorted((a, b) => depth(b) - depth(a))
  if (best === undefined || depth(best) === 0) return [{ ...issue, path, message: issue.message === 'Invalid input' ? 'expected a list, or { not: [...] }, here' : issue.message }]
  return best.flatMap((inner) => flatten(inner, path))
}

const valueAt = (value: unknown, path: Path): unknown => path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined), value)

export const meant = (name: string, known: Iterable<string>): string => {
  const found = nearest(name, known)
  return found === undefined ? '' : `; did you mean "${found}"?`
}

export const checkSource = <T>(source: Source, schema: z.ZodType<T>, knownKeys: readonly string[]): { readonly value: T } | { readonly problems: readonly Problem[] } => {
  const checked = schema.safeParse(source.value)
  if (checked.success) return { value: checked.data }
  const problems: Problem[] = []
  for (const issue of checked.error.issues.flatMap((found) => flatten(found as Issue))) {
    const where = issue.path.map(String).join('.')
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys ?? []) problems.push({ file: source.file, line: source.line([...issue.path, key]), message: `unknown key "${key}"${where === '' ? '' : ` in ${where}`}${meant(key, knownKeys)}` })
      continue
    }
    const given = valueAt(source.value, issue.path)
    const hint = issue.values !== undefined && typeof given === 'string' ? `"${given}" is not known here${meant(given, issue.values.map(String))}; known: ${issue.values.join(', ')}` : issue.message
    problems.push({ file: source.file, line: source.line(issue.path), message: where === '' ? hint : `${where}: ${hint}` })
  }
  return { problems }
}
