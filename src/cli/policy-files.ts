import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { readDocument } from '../lib/document.ts'
import type { Problem } from '../lib/problem.ts'
import type { Service } from '../model/service.ts'
import { casesSchema, type CasesSource } from '../policy/cases.ts'
import type { PolicyWorld } from '../policy/load.ts'
import { exit, Failure, type Io } from './io.ts'

export interface CasesFile {
  readonly file: string
  readonly directory: string
  readonly value: CasesSource
  /** Line of a case. */
  readonly lineOf: (index: number) => number
}

export interface PolicyFiles {
  readonly policies: readonly { readonly file: string; readonly text: string }[]
  readonly cases: readonly CasesFile[]
  readonly problems: readonly Problem[]
}

const MAX_FILES = 500
const MAX_BYTES = 1 << 20

const isCases = (file: string): boolean => /\.cases\.ya?ml$/.test(file)

const readText = async (path: string): Promise<string> => {
  try {
    if ((await stat(path)).size > MAX_BYTES) throw new Failure(`${path} is larger than 1 MB`, exit.invalid)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, exit.usage)
  }
}

const listFiles = async (path: string): Promise<readonly string[]> => {
  const found = await stat(path).catch((error: unknown) => {
    throw new Failure(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, exit.usage)
  })
  if (!found.isDirectory()) return [path]
  return (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).toSorted().map((name) => join(path, name))
}

/** A policy brings its cases along, also where it is named alone. */
const casesBeside = (path: string): readonly string[] => {
  const beside = path.replace(/(\.ya?ml)$/, '.cases$1')
  return !isCases(path) && existsSync(beside) ? [beside] : []
}

/** Policies and their cases below the given files and directories, named relative to where the command runs. */
export const readPolicyFiles = async (paths: readonly string[], io: Io): Promise<PolicyFiles> => {
  const found = (await Promise.all(paths.map((path) => listFiles(resolve(io.cwd, path))))).flat()
  const all = [...new Set([...found, ...found.flatMap(casesBeside)])]
  if (all.length === 0) throw new Failure(`no policy files in ${paths.join(', ')}`, exit.usage)
  if (all.length > MAX_FILES) throw new Failure(`more than ${MAX_FILES} files`, exit.usage)
  const name = (path: string): string => relative(io.cwd, path) || path
  const policies = await Promise.all(all.filter((path) => !isCases(path)).map(async (path) => ({ file: name(path), text: await readText(path) })))
  const problems: Problem[] = []
  const cases: CasesFile[] = []
  for (const path of all.filter(isCases)) {
    const read = readDocument(await readText(path), name(path), casesSchema)
    if ('problems' in read) problems.push(...read.problems)
    else cases.push({ file: name(path), directory: dirname(path), value: read.document.value, lineOf: (index) => read.document.source.locate(['cases', index]).line })
  }
  return { policies, cases, problems }
}

/** The files that a cases file is about: those it lists, else the policy of the same name. */
export const policiesOf = async ({ file, directory, value }: CasesFile, io: Io): Promise<readonly { readonly file: string; readonly text: string }[]> => {
  const names = value.policies ?? [basename(file).replace(/\.cases(\.ya?ml)$/, '$1')]
  return Promise.all(names.map(async (name) => ({ file: relative(io.cwd, join(directory, name)), text: await readText(join(directory, name)) })))
}

export const hashText = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** Of the worlds that cases bring along, one that has everything in any of them. */
export const worldOf = (cases: readonly CasesFile[], enforceable: PolicyWorld['enforceable']): PolicyWorld | undefined => {
  const worlds = cases.flatMap(({ value }) => (value.world === undefined ? [] : [value.world]))
  if (worlds.length === 0) return undefined
  const services = new Map<string, Service>()
  const issuers = new Map<string, string[]>()
  for (const world of worlds) {
    for (const [name, { protocol = 'http', labels = {} }] of Object.entries(world.services)) services.set(name, { name, protocol, labels })
    for (const [name, values] of Object.entries(world.issuers ?? {})) issuers.set(name, [...new Set([...(issuers.get(name) ?? []), ...(typeof values === 'string' ? [values] : values)])])
  }
  const groups = worlds.some(({ groups: some }) => some === undefined) ? undefined : [...new Set(worlds.flatMap((world) => world.groups ?? []))]
  const channels = [...new Set(worlds.flatMap((world) => world.channels ?? ['console' as const]))]
  return { services: [...services.values()], groups, issuers: [...issuers].map(([name, values]) => ({ name, issuers: values })), channels, enforceable, hash: hashText }
}
