import type { Problem } from '../lib/problem.ts'
import { problemAt, type YamlSource } from '../lib/yaml-source.ts'
import { compileGlob, globProblem, splitSegments } from './glob.ts'
import type { ClassificationSource } from './language.ts'
import { couldBeAny, objectNameProblem } from './object-names.ts'
import { foldCase, viewsOf } from './path-views.ts'
import { meant } from './meant.ts'

export type TaggedKind = 'path' | 'table' | 'column' | 'tool'

interface Entry {
  /** A path in all its readings, of anything else its name. */
  readonly test: (name: string, views: readonly (readonly string[])[]) => boolean
  readonly tags: readonly string[]
}

export interface Classification {
  readonly tags: ReadonlySet<string>
  tagsOf(service: string, kind: TaggedKind, name: string): readonly string[]
}

const SECTIONS = { path: 'paths', table: 'tables', column: 'columns', tool: 'tools' } as const
const SEPARATORS = { path: '/', table: '.', column: '.', tool: '/' } as const
const NONE: readonly string[] = Object.freeze([])

const globTest = (kind: 'path' | 'tool', pattern: string): Entry['test'] => {
  const glob = compileGlob(kind === 'path' ? foldCase(pattern) : pattern, SEPARATORS[kind])
  return kind === 'path' ? (_name, views) => views.some((view) => glob.matches(view)) : (name) => glob.matches(splitSegments(name, SEPARATORS[kind]))
}

export const compileClassification = (files: readonly { readonly source: YamlSource; readonly value: ClassificationSource }[], services: readonly string[], problems: Problem[]): Classification => {
  const entries = new Map<string, Record<TaggedKind, Entry[]>>()
  const tags = new Set<string>()
  for (const { source, value } of files) {
    for (const [service, sections] of Object.entries(value.classification)) {
      if (!services.includes(service)) problems.push(problemAt(source, ['classification', service], `no service is called "${service}"${meant(service, services)}`, { on: 'key', quote: true }))
      const known = entries.get(service) ?? { path: [], table: [], column: [], tool: [] }
      entries.set(service, known)
      for (const kind of Object.keys(SECTIONS) as TaggedKind[]) {
        for (const [pattern, names] of Object.entries(sections[SECTIONS[kind]] ?? {})) {
          const problem = globProblem(pattern, SEPARATORS[kind]) ?? (kind === 'table' || kind === 'column' ? objectNameProblem(kind, pattern) : undefined) ?? (kind === 'path' && !pattern.startsWith('/') ? `a path begins with "/", unlike "${pattern}"` : undefined)
          if (problem !== undefined) problems.push(problemAt(source, ['classification', service, SECTIONS[kind], pattern], problem, { on: 'key', quote: true }))
          known[kind].push({ test: kind === 'table' || kind === 'column' ? couldBeAny([pattern]) : globTest(kind, pattern), tags: names })
          for (const name of names) tags.add(name)
        }
      }
    }
  }
  const tagsOf = (service: string, kind: TaggedKind, name: string): readonly string[] => {
    const known = entries.get(service)?.[kind]
    if (known === undefined || known.length === 0) return NONE
    const views = kind === 'path' ? viewsOf(name).loose : []
    const found = known.filter(({ test }) => test(name, views))
    return found.length === 0 ? NONE : [...new Set(found.flatMap((entry) => entry.tags))].toSorted()
  }
  return { tags, tagsOf }
}
