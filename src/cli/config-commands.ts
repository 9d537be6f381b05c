import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { policyWorldOf, protocolEnforces } from '../config/policies.ts'
import { formatProblem } from '../lib/problem.ts'
import { terminalText } from '../lib/terminal-text.ts'
import { caseAction } from './case-action.ts'
import type { Command, Option, Options } from './command.ts'
import { configCommand } from './config.ts'
import { exit, Failure } from './io.ts'
import { policyCommands, type PolicyCommandParts } from './policy.ts'

/** The commands that look at a configuration, with the real loader behind them. */
const config = { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' } as const satisfies Option

const mount = (verb: string, summary: string, usage: string, options: Options, examples: readonly string[]): Command => ({ path: ['config', verb], summary, usage, options, examples, run: (args, io) => configCommand([verb, ...args], io) })

const readWorld: PolicyCommandParts['readWorld'] = async (file, io) => {
  const { config: loaded, problems } = await loadConfig(resolve(io.cwd, file), io.env)
  if (problems) throw new Failure(problems.map((problem) => formatProblem(problem).split('\n').map(terminalText).join('\n')).join('\n'), exit.invalid)
  return policyWorldOf(loaded.policyFacts)
}

export const configCommands: readonly Command[] = [
  mount('check', 'Read the configuration and the policies, open nothing, and tell every problem', '[FILE] [--json]', { config, json: { type: 'boolean', help: 'for programs' } }, ['countersign config check --config countersign.yaml']),
  mount('render', 'Show the configuration with every default filled in; secrets stay references', '[FILE]', { config }, ['countersign config render countersign.yaml']),
  mount('schema', 'Print the JSON schema of the configuration, for editors', '', {}, ['countersign config schema > countersign.schema.json']),
  ...policyCommands({ makeAction: caseAction, enforceable: protocolEnforces, readWorld }),
]
