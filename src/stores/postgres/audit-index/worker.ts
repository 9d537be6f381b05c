import { setTimeout as pause } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { giveWay } from '../../give-way.ts'
import { failureOf, type Answered, type Asked } from '../../search-thread.ts'
import { openPostgresIndex, type PostgresIndexOptions } from './audit-index.ts'

/* The thread that reads this replica's log into the database and answers what is asked of it. A database that is slow or away holds nothing but this thread. */

const freshMs = 250
const stepMs = 1_000
const idleMs = 500
const longestWaitMs = 30_000

giveWay()
const index = openPostgresIndex(workerData as PostgresIndexOptions)
const stop = new AbortController()

/** What was written a moment ago is found as well, if it can be read in so long; one at a time, whoever asks. */
let feeding: Promise<boolean> = Promise.resolve(true)
const advance = (budgetMs: number): Promise<boolean> => (feeding = feeding.catch(() => true).then(() => index.advance(budgetMs)))

const answer = async ({ n, what, args }: Asked): Promise<Answered> => {
  try {
    await advance(freshMs)
    return { n, value: await (index[what] as (...given: readonly unknown[]) => Promise<unknown>)(...args) }
  } catch (error) {
    return failureOf(n, error)
  }
}

const follow = async (): Promise<void> => {
  for (let wait = idleMs; !stop.signal.aborted; ) {
    const ended = await advance(stepMs).then((done) => ((wait = idleMs), done), () => ((wait = Math.min(longestWaitMs, wait * 2)), true))
    await pause(ended ? wait : 1, undefined, { signal: stop.signal }).catch(() => {})
  }
}
void follow()

parentPort?.on('message', async (asked: Asked | 'close') => {
  if (asked !== 'close') return parentPort?.postMessage(await answer(asked))
  stop.abort()
  parentPort?.close()
  try {
    await index[Symbol.asyncDispose]()
  } finally {
    process.exit()
  }
})
