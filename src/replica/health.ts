import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { HoldStore } from '../approval/hold-store.ts'
import type { RecoveredJournal } from '../audit/file-journal.ts'
import type { Health } from '../channels/web/health.ts'
import type { Config } from '../config/config.ts'
import { formatProblem, type Problem } from '../lib/problem.ts'
import { version } from '../lib/version.ts'
import { causeText } from '../model/refusal.ts'

/** How far a replica has come. */
export interface Standing {
  readonly journalIsDead: boolean
  readonly draining: boolean
  readonly policyVersion: string
  readonly generation: number
  /** Of a reload that was refused. */
  readonly lastProblems: readonly Problem[]
}

export interface HealthParts {
  readonly journal: Pick<RecoveredJournal, 'check' | 'disk'>
  readonly store: Pick<HoldStore, 'check'>
  readonly standing: () => Standing
  /** What other parts say of themselves, each under its name in the answer. */
  readonly others: () => Readonly<Record<string, unknown>>
}

/** What probes and people are told of this process; `look` asks the journal and the store anew. */
export const makeHealth = ({ deployment, replica }: Pick<Config, 'deployment' | 'replica'>, { journal, store, standing, others }: HealthParts): { readonly look: () => Promise<Health> } & Disposable => {
  const loop = monitorEventLoopDelay({ resolution: 20 })
  loop.enable()

  const look = async (): Promise<Health> => {
    const problems = { journal: refusalOf(() => journal.check()), store: await answerOf(store.check()) }
    const { journalIsDead, draining, policyVersion, generation, lastProblems } = standing()
    return {
      live: !journalIsDead, // too little space passes without a restart
      ready: !draining && problems.journal === undefined && problems.store === undefined,
      started: true,
      detail: {
        version,
        deployment,
        replica,
        draining,
        journal: problems.journal ?? 'ok',
        disk: journal.disk(),
        store: problems.store ?? 'ok',
        policy: { version: policyVersion, generation, ...(lastProblems.length > 0 ? { lastReload: 'refused', problems: lastProblems.map(formatProblem) } : {}) },
        ...others(),
        eventLoop: sinceLastLook(loop),
      },
    }
  }

  return { look, [Symbol.dispose]: () => void loop.disable() }
}

const refusalOf = (check: () => void): string | undefined => {
  try {
    check()
    return undefined
  } catch (error) {
    return causeText(error)
  }
}

const answerOf = (promise: Promise<void>): Promise<string | undefined> => promise.then(() => undefined, causeText)

/** How late this process was at its own timers since somebody asked last. */
const sinceLastLook = (loop: ReturnType<typeof monitorEventLoopDelay>): object => {
  const found = loop.count === 0 ? {} : { p99Ms: round(loop.percentile(99) / 1e6), maxMs: round(loop.max / 1e6) }
  loop.reset()
  return found
}

const round = (value: number): number => Math.round(value * 10) / 10
