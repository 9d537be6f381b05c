import { parentPort, workerData } from 'node:worker_threads'
import { giveWay } from '../../give-way.ts'
import { failureOf, type Answered, type Asked } from '../../search-thread.ts'
import { openAuditIndex, type AuditIndex } from './audit-index.ts'

/* The thread that keeps the index and answers what is asked of it: neither reading the log nor a long answer holds the loop that serves actions. */

export interface WorkerOptions {
  readonly path: string
  readonly directory: string
}

/** What was written a moment ago is found as well, if it can be read in so long. */
const freshMs = 250
/** In one step; whoever asks meanwhile waits for its end. */
const stepMs = 250
const idleMs = 500

const answer = (index: AuditIndex, { n, what, args }: Asked): Answered => {
  try {
    index.advance(freshMs)
    return { n, value: (index[what] as (...given: readonly unknown[]) => unknown)(...args) }
  } catch (error) {
    return failureOf(n, error)
  }
}

giveWay()
const { path, directory } = workerData as WorkerOptions
const index = openAuditIndex(path, directory)
let next: NodeJS.Timeout | undefined

/** A log that cannot be read now is tried again; whoever asks hears why. */
const step = (): boolean => {
  try {
    return index.advance(stepMs)
  } catch {
    return true
  }
}

const turn = (): void => {
  next = setTimeout(turn, step() ? idleMs : 1)
}
turn()

parentPort?.on('message', (asked: Asked | 'close') => {
  if (asked !== 'close') return parentPort?.postMessage(answer(index, asked))
  clearTimeout(next)
  index[Symbol.dispose]()
  parentPort?.close()
})
