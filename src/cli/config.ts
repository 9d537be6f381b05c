import { dirname, relative, resolve } from 'node:path'
import type { LoadedConfig } from '../config/config.ts'
import { configJsonSchemaText } from '../config/json-schema.ts'
import { loadConfig } from '../config/load.ts'
import { compilePolicies, policyWorld } from '../config/policies.ts'
import { renderConfig } from '../config/render.ts'
import { formatProblem, type Problem } from '../lib/problem.ts'
import type { PolicyWorld } from '../policy/load.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { counted } from './rendering.ts'
import { configFileOf } from './serve.ts'

/** What these commands need of the process around them. */
export type ConfigIo = Pick<Io, 'stdout' | 'stderr' | 'env' | 'cwd'>

const fileOption = { config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' } } as const satisfies Options

const nameOf = (args: { readonly values: { readonly config?: string }; readonly positionals: readonly string[] }, io: ConfigIo): string => {
  const [named] = args.positionals
  if (named !== undefined && args.values.config !== undefined) throw new Failure('one file, please', exit.usage)
  return named ?? configFileOf(args.values.config, io)
}

/** Problems carry the name under which the file was asked for. */
const load = async (file: string, io: ConfigIo): Promise<LoadedConfig> => {
  const full = resolve(io.cwd, file)
  const loaded = await loadConfig(full, io.env)
  const named = (problem: Problem): Problem => (problem.file === full ? { ...problem, file } : problem)
  return loaded.problems ? { ...loaded, problems: loaded.problems.map(named) } : { ...loaded, warnings: loaded.warnings.map(named) }
}

const tell = (problems: readonly Problem[], io: ConfigIo, word = ''): void => {
  for (const problem of problems) io.stderr.write(`${word}${formatProblem(problem)}\n`)
}

const checkOptions = { ...fileOption, json: { type: 'boolean', help: 'one JSON object on standard output' } } as const satisfies Options

/** Reads everything, opens nothing, tells every problem: 0 or 3. */
export const checkConfig = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const parsed = parseOptions(args, checkOptions, { min: 0, max: 1 })
  const file = nameOf(parsed, io)
  const loaded = await load(file, io)
  const { config } = loaded
  const { policies, problems: refused, warnings: doubts = [] } = config ? compiled(config, seenFromHere(file, io)) : {}
  const problems = loaded.problems ?? refused ?? []
  const warnings = loaded.problems ? [] : [...loaded.warnings, ...doubts]
  if (parsed.values.json === true) io.stdout.write(`${JSON.stringify({ valid: problems.length === 0, problems, warnings, policyVersion: policies?.version ?? null })}\n`)
  else {
    tell(problems, io)
    tell(warnings, io, 'warning: ')
    if (problems.length > 0) io.stderr.write(`${counted(problems.length, 'problem')}\n`)
    else if (config && policies) io.stdout.write(`${file}: ok, ${counted(config.policyFacts.services.length, 'service')}, ${counted(config.identity.issuers.length, 'issuer')}, ${counted(policies.rules.length, 'rule')}, policies ${policies.version}\n`)
  }
  return problems.length === 0 ? exit.ok : exit.invalid
}

const compiled = (config: NonNullable<LoadedConfig['config']>, named: (problem: Problem) => Problem) => {
  const loaded = compilePolicies(config)
  return loaded.problems ? { problems: loaded.problems.map(named) } : { policies: loaded.policies, warnings: loaded.warnings.map(named) }
}

/** Policies are named from the folder of the configuration; whoever reads a problem is somewhere else. */
const seenFromHere = (configFile: string, io: ConfigIo) => (problem: Problem): Problem => ({ ...problem, file: relative(io.cwd, resolve(io.cwd, dirname(configFile), problem.file)) })

/** The effective configuration; a secret is shown as the reference to it. */
export const showConfig = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { config, problems } = await load(nameOf(parseOptions(args, fileOption, { min: 0, max: 1 }), io), io)
  if (problems) {
    tell(problems, io)
    return exit.invalid
  }
  io.stdout.write(renderConfig(config))
  return exit.ok
}

export const showSchema = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  parseOptions(args, {})
  io.stdout.write(configJsonSchemaText())
  return exit.ok
}

/** The world of a configuration file, for the policy commands. Where policies are written and reviewed its secrets, certificates and folders need not be. */
export const readWorld = async (file: string, io: ConfigIo): Promise<PolicyWorld> => {
  const loaded = await load(file, io)
  const facts = loaded.problems ? loaded.policyFacts : loaded.config.policyFacts
  if (facts) return policyWorld(facts)
  tell(loaded.problems ?? [], io)
  throw new Failure(`${file} does not load`, exit.invalid)
}

export const configCommands: readonly Command[] = [
  { path: ['config', 'check'], summary: 'Read the configuration and the policies, and tell every problem', usage: '[FILE]', details: 'Opens no connection and changes nothing. Exit code 3 if anything is wrong.', options: checkOptions, examples: ['countersign config check', 'countersign config check --json /etc/countersign/countersign.yaml'], run: checkConfig },
  { path: ['config', 'render'], summary: 'Show the configuration with every default filled in', usage: '[FILE]', details: 'Secrets are shown as the references to them.', options: fileOption, examples: ['countersign config render'], run: showConfig },
  { path: ['config', 'schema'], summary: 'Print the JSON schema of the configuration, for editors', usage: '', options: {}, examples: ['countersign config schema > countersign.schema.json'], run: showSchema },
]
