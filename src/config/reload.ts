import type { Problem } from '../lib/problem.ts'
import { formatProblem } from '../lib/problem.ts'
import type { ExplainingPolicySet } from '../policy/policy-set.ts'
import type { Config, LoadedConfig } from './config.ts'
import { compilePolicies } from './policies.ts'
import { needsRestart, sameness } from './restart.ts'

/** A configuration and the policies that were compiled for it: what a process runs on, as a whole. */
export interface Loaded {
  readonly config: Config
  readonly policies: ExplainingPolicySet
}

export interface ReloadState {
  /** 1 for what the process was started with. */
  readonly generation: number
  readonly policyVersion: string
  /** Why the last reload was refused; empty if what the files say is in force. */
  readonly lastProblems: readonly Problem[]
}

export interface ReloadOutcome {
  /** Whether what the files say is in force now. */
  readonly applied: boolean
  readonly policyVersion: string
  readonly problems: readonly string[]
}

export interface Reload {
  /** Reads everything anew. Calls that come while one runs share the next one. Never rejects. */
  run(): Promise<ReloadOutcome>
  state(): ReloadState
  /** What to watch: the files of the last try, good or bad, and those that are in force. */
  files(): readonly string[]
}

export interface ReloadParts {
  /** The first phase; without effects. */
  readonly load: () => Promise<LoadedConfig>
  /** The second phase: everything at once. If it throws, the old set stays in force. */
  readonly adopt: (next: Loaded) => Promise<void>
  /** Told each time that a set is refused. */
  readonly rejected: (problems: readonly string[]) => Promise<void>
}

/** The whole new set or the old one; never a part of either. */
export const makeReload = (first: Loaded & { readonly files: readonly string[] }, { load, adopt, rejected }: ReloadParts): Reload => {
  let current: Loaded = first
  let files = first.files
  let tried: readonly string[] = first.files
  let generation = 1
  let lastProblems: readonly Problem[] = []
  let last: Promise<unknown> = Promise.resolve()
  let next: Promise<ReloadOutcome> | undefined

  const refuse = async (problems: readonly Problem[]): Promise<ReloadOutcome> => {
    lastProblems = problems
    const texts = problems.map(formatProblem)
    await rejected(texts).catch(() => {})
    return { applied: false, policyVersion: current.policies.version, problems: texts }
  }

  const once = async (): Promise<ReloadOutcome> => {
    let loaded: LoadedConfig
    try {
      loaded = await load()
    } catch (error) {
      return refuse([fault(error)])
    }
    tried = loaded.files
    if (loaded.problems) return refuse(loaded.problems)
    // The key that the first start made goes on being used, whatever became of its file.
    const config = keepKey(current.config, loaded.config)
    const compiled = compilePolicies(config)
    if (compiled.problems) return refuse(compiled.problems)
    const fixed = needsRestart(current.config, config, loaded.place)
    if (fixed.length > 0) return refuse(fixed)
    const set: Loaded = { config, policies: compiled.policies }
    const isSame = lastProblems.length === 0 && compiled.policies.version === current.policies.version && sameness(config) === sameness(current.config)
    if (!isSame) {
      try {
        await adopt(set)
      } catch (error) {
        return refuse([fault(error)])
      }
      current = set
      generation++
      lastProblems = []
    }
    files = loaded.files
    return { applied: true, policyVersion: current.policies.version, problems: [] }
  }

  return {
    run() {
      // What runs may have read the files already, so a call that comes meanwhile gets a run of its own.
      next ??= last.then(() => {
        next = undefined
        return once()
      })
      last = next
      return next
    },
    state: () => ({ generation, policyVersion: current.policies.version, lastProblems }),
    files: () => [...new Set([...files, ...tried])],
  }
}

const keepKey = (before: Config, after: Config): Config =>
  after.approvalKeyFile !== undefined && after.approvalKeyFile === before.approvalKeyFile ? { ...after, approval: { ...after.approval, keys: before.approval.keys } } : after

const fault = (error: unknown): Problem => ({ file: 'countersign', line: 1, column: 1, path: '', message: `the new configuration could not be taken over: ${error instanceof Error ? error.message : String(error)}` })
