import type { Execution } from './execution.ts'
import type { Expecting } from './replies.ts'
import type { Effects } from './statements.ts'

/** A Query whose statements are one execution: each has its own end, and ReadyForQuery is that of all. */
export const runningQuery = (execution: Execution, effects: Effects, unnamed: () => void, copyIn: boolean): Expecting => {
  let at = 0
  return {
    kind: 'query',
    execution,
    copyIn,
    done(tag) {
      execution.did(tag)
      effects.done(at++)
    },
    failed(error) {
      effects.failed()
      execution.failed(error)
    },
    ended() {
      unnamed()
      effects.failed()
      execution.finish()
    },
    lost: () => execution.lost(),
  }
}

/** One Execute of a portal, which may be one of several. */
export const runningExecute = (execution: Execution, maxRows: number, effects: Effects, notRun: () => void): Expecting => ({
  kind: 'execute',
  execution,
  done(tag) {
    execution.did(tag)
    effects.done(0)
    execution.finish()
  },
  suspended() {
    execution.suspended(maxRows)
  },
  failed(error) {
    notRun()
    effects.failed()
    execution.failed(error)
    execution.finish()
  },
  lost() {
    effects.failed()
    execution.lost()
  },
})
