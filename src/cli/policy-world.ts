import { formatProblem, type Problem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import type { CaseParts } from '../policy/cases.ts'
import type { PolicyWorld } from '../policy/load.ts'
import type { Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { worldOf, type CasesFile } from './policy-files.ts'
import { outputOption } from './rendering.ts'

/** What the policy commands need from the rest of the program. */
export interface PolicyCommandParts {
  /** The HTTP protocol's own reading of a request. */
  readonly makeAction: CaseParts['makeAction']
  readonly makeSql: CaseParts['makeSql']
  readonly enforceable: PolicyWorld['enforceable']
  /** The world of a configuration file; throws a `Failure` (exit 3) for one that does not load. */
  readonly readWorld: (file: string, io: Io) => Promise<PolicyWorld>
}

export const policyOptions = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'take services, groups and issuers from this configuration' },
  output: outputOption('table', 'json'),
} as const satisfies Options

export const findWorld = async (config: string | undefined, { cases, problems = [] }: { readonly cases: readonly CasesFile[]; readonly problems?: readonly Problem[] }, parts: PolicyCommandParts, io: Io): Promise<PolicyWorld> => {
  if (config !== undefined) return parts.readWorld(config, io)
  const world = worldOf(cases, parts.enforceable)
  if (world === undefined && problems.length > 0) throw new Failure(problems.map(terminalLines).join('\n'), exit.invalid) // a file that does not read may be the one that says it
  if (world === undefined) throw new Failure('which services are there? Give --config FILE, or a "world" in a cases file beside the policies', exit.usage)
  return world
}

export const issuersOf = (world: PolicyWorld): ReadonlyMap<string, string> =>
  new Map(world.issuers.map((issuer): [string, string] => (typeof issuer === 'string' ? [issuer, issuer] : [issuer.name, issuer.issuers[0] ?? issuer.name])))

const terminalLines = (problem: Problem): string => formatProblem(problem).split('\n').map(terminalText).join('\n')

export const writeProblems = (problems: readonly Problem[], word: string, io: Io): void => {
  for (const problem of problems) io.stderr.write(`${word}: ${terminalLines(problem)}\n`)
}
