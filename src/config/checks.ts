import { hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { nearest } from '../lib/nearest.ts'
import type { Problem } from '../lib/problem.ts'
import { Secret } from '../lib/secret.ts'
import { type Path, problemAt, type YamlSource } from '../lib/yaml-source.ts'
import type { OutboundRule } from './outbound.ts'
import { makeResolver, type Resolver } from './secret-reference.ts'

/** What every part of the configuration needs while it is made into options. Problems are collected, so that all are told at once. */
export interface Checks {
  report(path: Path, message: string, how?: { readonly nearest?: string | undefined; readonly on?: 'key' | 'value'; readonly hide?: boolean; readonly absent?: boolean }): void
  /** What loads and is probably not meant. */
  warn(path: Path, message: string): void
  /** Reports a name that is not one of the known ones. */
  known(path: Path, name: string, all: readonly string[], what: string): boolean
  /** The secret of a field or of its `-file` twin. Both or, if it is wanted, neither is a problem. */
  secret(path: Path, value: string | undefined, file: string | undefined, wanted: boolean): Secret | undefined
  /** The whole path of a file that must be there, and its text. */
  file(path: Path, name: string | undefined): { readonly path: string; readonly text: string } | undefined
  readonly resolver: Resolver
  /** The folder that paths are relative to. */
  readonly folder: string
  /** Every file that the configuration names. */
  readonly files: Set<string>
  /** Hashes of the certificates and key sets among them. */
  readonly fileHashes: Map<string, string>
  readonly outbound: OutboundRule
  readonly problems: readonly Problem[]
  /** How many of the problems say only that something is not on this machine, and could be on another. */
  readonly absences: () => number
  readonly warnings: readonly Problem[]
}

/** Stands in for a secret that could not be had, so that the other problems are found as well. Never leaves: with a problem there is no configuration. */
export const missing = new Secret('missing')

const MAX_BYTES = 1_048_576

export const makeChecks = (source: YamlSource, env: Readonly<Record<string, string | undefined>>, folder: string, outbound: OutboundRule): Checks => {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const files = new Set<string>()
  const fileHashes = new Map<string, string>()
  const resolver = makeResolver(env, folder)
  let absences = 0
  const report: Checks['report'] = (path, message, how = {}) => {
    if (how.absent === true) absences++
    problems.push(problemAt(source, path, message, { nearest: how.nearest, on: how.on ?? 'value', quote: how.hide !== true }))
  }
  return {
    report,
    warn: (path, message) => void warnings.push(problemAt(source, path, message, { quote: true })),
    known(path, name, all, what) {
      if (all.includes(name)) return true
      report(path, `no ${what} is called "${name}"`, { nearest: nearest(name, all) })
      return false
    },
    secret(path, value, file, wanted) {
      const twin = [...path.slice(0, -1), `${String(path.at(-1))}-file`]
      if (value !== undefined && file !== undefined) report(twin, `stands beside "${String(path.at(-1))}"; one of them`, { on: 'key', hide: true })
      if (value === undefined && file === undefined) {
        if (wanted) report(path, `is missing; a reference, or "${String(twin.at(-1))}"`, { hide: true })
        return wanted ? missing : undefined
      }
      const found = value === undefined ? resolver.file(file ?? '') : resolver.template(value)
      if (found instanceof Secret) return found
      report(value === undefined ? twin : path, found.problem, { hide: true, absent: true })
      return missing
    },
    file(path, name) {
      if (name === undefined) return undefined
      const full = resolve(folder, name)
      files.add(full)
      try {
        const about = statSync(full)
        if (about.isFile() && about.size <= MAX_BYTES) {
          const text = readFileSync(full, 'utf8')
          fileHashes.set(full, hash('sha256', text))
          if (text === '') report(path, 'is empty')
          return { path: full, text }
        }
        report(path, about.isFile() ? `is longer than ${MAX_BYTES} bytes` : 'is no regular file')
      } catch (error) {
        report(path, `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { absent: true })
      }
      return { path: full, text: '' }
    },
    resolver,
    folder,
    files,
    fileHashes,
    outbound,
    problems,
    absences: () => absences,
    warnings,
  }
}
