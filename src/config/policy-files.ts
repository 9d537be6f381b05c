import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Checks } from './checks.ts'

export interface PolicyFile {
  /** As people call it: relative to the folder of the configuration. */
  readonly file: string
  readonly text: string
}

const MAX_FILES = 1_000
const MAX_BYTES = 1_048_576
const MAX_DEPTH = 8

const isPolicy = (name: string): boolean => /\.ya?ml$/.test(name) && !/\.cases\.ya?ml$/.test(name)

/** Every policy file below the given files and folders, in the order of their names. Names with a dot in front are passed over: a mounted volume keeps its versions there. */
export const readPolicyFiles = (paths: readonly string[], checks: Checks): readonly PolicyFile[] => {
  const found = new Map<string, string>()
  for (const [index, path] of paths.entries()) {
    const report = (message: string, absent = false): void => checks.report(['policies', index], message, { absent })
    const full = resolve(checks.folder, path)
    const before = found.size
    try {
      walk(full, 0, found, checks.files, true)
      if (found.size === before) report('holds no policy file (*.yaml, without *.cases.yaml), or only files that are named already')
    } catch (error) {
      const { code, path: where } = error as NodeJS.ErrnoException
      report(code === undefined && error instanceof Error ? error.message : `cannot be read${where === undefined || where === full ? '' : `: ${relative(checks.folder, where)}`} (${code ?? 'unknown error'})`, code !== undefined)
    }
  }
  return [...found].map(([full, text]) => ({ file: relative(checks.folder, full) || full, text })).toSorted((a, b) => (a.file < b.file ? -1 : 1))
}

const walk = (full: string, depth: number, found: Map<string, string>, involved: Set<string>, wasNamed: boolean): void => {
  involved.add(full)
  const about = statSync(full)
  if (about.isDirectory()) {
    if (depth > MAX_DEPTH) throw new Error(`has folders nested deeper than ${MAX_DEPTH}`)
    for (const name of readdirSync(full).toSorted()) {
      if (name.startsWith('.')) continue
      const inner = join(full, name)
      if (isPolicy(name) || statSync(inner).isDirectory()) walk(inner, depth + 1, found, involved, false)
    }
    return
  }
  if (!about.isFile()) {
    if (wasNamed) throw new Error('is neither a file nor a folder')
    return
  }
  if (about.size > MAX_BYTES) throw new Error(`holds a file longer than ${MAX_BYTES} bytes`)
  if (found.size >= MAX_FILES) throw new Error(`holds more than ${MAX_FILES} files`)
  found.set(full, readFileSync(full, 'utf8'))
}
