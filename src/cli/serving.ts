import cluster from 'node:cluster'
import { resolve } from 'node:path'
import { pino, type Logger } from 'pino'
import { withApprovalKey } from '../config/approval-key.ts'
import type { Config } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { compilePolicies } from '../config/policies.ts'
import { formatProblem, type Problem } from '../lib/problem.ts'
import { startReplica } from '../main.ts'
import type { PolicySet } from '../policy/policy-set.ts'
import { exit, type Io } from './io.ts'

/** What runs is let run for so long after SIGTERM; an orchestrator should wait a little longer. */
const graceMs = 50_000

export const serve = async (configFile: string, io: Io): Promise<number> => {
  const file = resolve(io.cwd, configFile)
  const loaded = await load(file, io)
  if ('problems' in loaded) {
    for (const problem of loaded.problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  return run(file, loaded, io)
}

interface Loaded {
  readonly config: Config
  readonly policies: PolicySet
  readonly warnings: readonly Problem[]
}

const load = async (file: string, io: Io): Promise<Loaded | { readonly problems: readonly Problem[] }> => {
  const { config, problems } = await loadConfig(file, io.env)
  if (problems) return { problems }
  const compiled = compilePolicies(config)
  if (compiled.problems) return { problems: compiled.problems }
  return { config: withApprovalKey(config), policies: compiled.policies, warnings: compiled.warnings }
}

const run = async (_file: string, { config, policies, warnings }: Loaded, io: Io): Promise<number> => {
  const log = makeLog(io)
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, 'a policy may not do what it seems to')
  await using replica = await startReplica(config, policies, { log })
  log.info({ ...replica.addresses, policyVersion: replica.policyVersion() }, 'ready')
  const hangUp = (): void => replica.reopen()
  process.on('SIGHUP', hangUp)
  await new Promise<void>((resolve_) => (io.signal.aborted ? resolve_() : io.signal.addEventListener('abort', () => resolve_(), { once: true })))
  process.off('SIGHUP', hangUp)
  log.info({}, 'draining')
  await replica.drain(graceMs)
  return exit.ok
}

/** Operators' log on stderr; stdout belongs to the audit stream. */
const makeLog = (io: Io): Logger => pino({ level: io.env['COUNTERSIGN_LOG'] ?? 'info', base: cluster.worker ? { worker: cluster.worker.id } : {}, timestamp: pino.stdTimeFunctions.isoTime }, { write: (line: string) => void io.stderr.write(line) })
