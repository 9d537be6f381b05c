import type { Ask } from './ask.ts'

/** Lets one work after the other ask on a connection: each asks several questions in one transaction of its own. */
export interface Turns {
  /** Rejects at once where too many wait. */
  take<T>(work: (ask: Ask) => Promise<T>): Promise<T>
}

const MOST_WAITING = 256

export const makeTurns = (ask: Ask): Turns => {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  return {
    take: async (work) => {
      if (waiting >= MOST_WAITING) throw new Error('too many wait for this connection')
      waiting++
      const mine = last.then(() => {
        waiting--
        return work(ask)
      })
      last = mine.catch(() => undefined)
      return mine
    },
  }
}
