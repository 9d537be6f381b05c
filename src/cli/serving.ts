import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { parse } from 'yaml'
import { DirectoryTaken } from '../audit/writer-lock.ts'
import { withApprovalKey } from '../config/approval-key.ts'
import type { Config, LoadedConfig } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { compilePolicies } from '../config/policies.ts'
import { makeReload, type Reload } from '../config/reload.ts'
import { watchConfig } from '../config/watch.ts'
import { formatProblem, type Problem } from '../lib/problem.ts'
import { startReplica, type Replica } from '../main.ts'
import { addressFailure } from './address-failure.ts'
import { exit, Failure, type Io } from './io.ts'
import { makeProgramLog } from './program-log.ts'
import { supervise, tellWorkers, workerNumber } from './workers.ts'

/** What runs is let run for so long after SIGTERM; an orchestrator should wait a little longer. */
const graceMs = 50_000

/** From the file to a process that serves, until the signal fires. Resolves with the exit code. */
export const serve = async (configFile: string, io: Io): Promise<number> => {
  const file = resolve(io.cwd, configFile)
  const load = async (): Promise<LoadedConfig> => asWorker(await loadConfig(file, io.env))
  const loaded = await load()
  if (loaded.problems) return invalid(loaded.problems, io)
  const compiled = compilePolicies(loaded.config)
  if (compiled.problems) return invalid(compiled.problems, io)

  const log = makeLog(io)
  if (workerNumber() === undefined) {
    for (const warning of loaded.warnings) log.warn({ problem: formatProblem(warning) }, 'the configuration may not do what it seems to')
    for (const warning of compiled.warnings) log.warn({ problem: formatProblem(warning) }, 'a policy may not do what it seems to')
    if (loaded.config.workers > 1) return supervise(loaded.config.workers, io.signal, log)
  }
  const first = { config: withApprovalKey(loaded.config), policies: compiled.policies, files: loaded.files }
  let replica: Replica | undefined
  const reload = makeReload(first, { load, adopt: async ({ config, policies }) => replica?.adopt(config, policies), rejected: async (problems) => replica?.rejected(problems) })
  await using running = await startReplica(first.config, first.policies, { log, openapi: openApi(), reload: { run: () => (tellWorkers(), reload.run()), state: reload.state } }).catch((error: unknown) => {
    throw error instanceof DirectoryTaken ? new Failure(error.message) : addressFailure(error, first.config)
  })
  replica = running
  log.info({ ...running.addresses, policyVersion: running.policyVersion() }, 'ready')
  watchConfig({ file, files: reload.files, signal: io.signal, onChange: (cause) => onChange(cause, reload, running, log) })

  await aborted(io.signal)
  log.info({}, 'draining')
  await running.drain(graceMs)
  return exit.ok
}

const onChange = async (cause: 'start' | 'signal' | 'files', reload: Reload, replica: Replica, log: Logger): Promise<void> => {
  if (cause === 'signal') replica.reopen()
  const { generation } = reload.state()
  const { applied, policyVersion, problems } = await reload.run()
  if (!applied) log.error({ problems, policyVersion }, 'the new configuration was refused, the old one stays in force')
  else if (reload.state().generation !== generation) log.info({ policyVersion, generation: reload.state().generation }, 'reloaded')
}

const invalid = (problems: readonly Problem[], io: Io): number => {
  for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
  return exit.invalid
}

/** A worker is a replica of its own: two processes never write one journal, and a hold is spent by exactly one of them. */
const asWorker = (loaded: LoadedConfig): LoadedConfig => {
  const number = workerNumber()
  if (number === undefined || loaded.problems) return loaded
  const replica = `${loaded.config.replica}-${number}`
  const config: Config = { ...loaded.config, replica, approval: { ...loaded.config.approval, replica }, journal: { ...loaded.config.journal, replica } }
  return { ...loaded, config }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })

const openApi = (): unknown => parse(readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'openapi.yaml'), 'utf8'))

const levels = ['debug', 'info', 'warn', 'error', 'silent']

/** Operators' log on stderr; stdout belongs to the audit stream. */
const makeLog = (io: Io): Logger => {
  const level = io.env['COUNTERSIGN_LOG'] ?? 'info'
  if (!levels.includes(level)) throw new Failure(`COUNTERSIGN_LOG is one of ${levels.join(', ')}`, exit.usage)
  const number = workerNumber()
  return makeProgramLog(level, number === undefined ? {} : { worker: number }, (line) => void io.stderr.write(line))
}
