import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse } from 'yaml'

/* The format is described in README.md beside the cases. */

export type Tree = { readonly [key: string]: unknown }

export interface Case {
  readonly id: string
  readonly area: string
  readonly title: string
  readonly class: string
  readonly level: string
  readonly gate: boolean
  readonly given: Tree
  readonly runs: readonly Run[]
}

/** One independent run of a case: what is sent, in which world, and what must be true afterwards. */
export interface Run {
  readonly label: string
  /** `given` of the case with the item's own members over it. */
  readonly given: Tree
  readonly item: Tree
  readonly expect: Tree
}

export const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

const own = ['as', 'target', 'settings', 'rules', 'upstream', 'probe', 'state', 'replicas', 'store'] as const

/** The item's expectation over that of the case, key by key at the top. */
const mergeExpect = (outer: Tree, inner: Tree): Tree => {
  const merged: Record<string, unknown> = { ...outer }
  for (const [key, value] of Object.entries(inner)) {
    if (value === null) delete merged[key]
    else if (key === 'that') merged['that'] = [...list(outer['that']), ...list(value)]
    else merged[key] = value
    if (key === 'decision') delete merged['at_least']
    if (key === 'at_least') delete merged['decision']
  }
  // An item in which something runs does not inherit that everything is held (K02).
  if (outer['upstream'] === 'none' && isTree(inner['upstream']) && Number(inner['upstream']['count']) > 0 && !('state' in inner)) delete merged['state']
  return merged
}

export const list = (value: unknown): readonly unknown[] => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value])

const kinds = ['http', 'raw', 'h2', 'slow', 'mcp', 'jwt', 'introspection', 'pg', 'pg_params', 'pg_messages', 'pg_bytes', 'pg_hex', 'mysql', 'mysql_packets', 'mysql_hex', 'slack', 'teams', 'render', 'config', 'canonical', 'tamper', 'policy_test', 'corpus', 'generate', 'steps', 'property'] as const

export const kindOf = (item: Tree): string => kinds.find((kind) => kind in item) ?? Object.keys(item).find((key) => !['note', 'expect', 'as', 'options', 'headers'].includes(key)) ?? 'nothing'

const runsOf = (given: Tree, input: Tree, expect: Tree): readonly Run[] => {
  const items = Array.isArray(input['each']) ? [...(input['each'] as readonly Tree[]), ...('corpus' in input ? [{ corpus: input['corpus'] }] : [])] : [input]
  return items.map((item, index) => {
    const merged = mergeExpect(expect, isTree(item['expect']) ? item['expect'] : {})
    const over = Object.fromEntries(own.filter((key) => key in item).map((key) => [key, item[key]]))
    return { label: items.length === 1 ? '' : `item ${index + 1}${typeof item['note'] === 'string' ? ` (${item['note']})` : ''}`, given: { ...given, ...over }, item, expect: merged }
  })
}

const caseOf = (area: string, profile: unknown, source: Tree): Case => {
  const { id, title, given, input, expect } = source
  if (typeof id !== 'string' || typeof title !== 'string' || !isTree(input)) throw new Error(`a case of ${area} has no id, title or input`)
  const base: Tree = { profile, ...(isTree(given) ? given : {}) }
  return { id, area, title, class: String(source['class']), level: String(source['level']), gate: source['gate'] === true, given: base, runs: runsOf(base, input, isTree(expect) ? expect : {}) }
}

/** Every case of a folder, or of one file. */
export const loadCases = (folder: string): readonly Case[] => {
  const files = statSync(folder).isDirectory() ? readdirSync(folder).filter((name) => name.endsWith('.yaml')).toSorted().map((name) => join(folder, name)) : [folder]
  const cases = files.flatMap((file) => {
    const document = parse(readFileSync(file, 'utf8'), { version: '1.2', maxAliasCount: 0 }) as unknown
    if (!isTree(document) || !Array.isArray(document['cases'])) throw new Error(`${file} holds no cases`)
    const area = typeof document['area'] === 'string' ? document['area'] : basename(file, '.yaml')
    return (document['cases'] as readonly Tree[]).map((source) => caseOf(area, document['profile'], source))
  })
  const seen = new Set<string>()
  for (const { id } of cases) {
    if (seen.has(id)) throw new Error(`two cases are called ${id}`)
    seen.add(id)
  }
  return cases.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}
