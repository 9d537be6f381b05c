import { type Caller, partyKey } from '../../model/caller.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PostgresListenerOptions } from './options.ts'

/** How many clients may be logged in, and how many of them as one caller. Who is not logged in yet takes no place from those who are. */
export interface Places {
  /** Gives the place back when called; throws where there is none. */
  take(caller: Caller, limits: PostgresListenerOptions['limits']): () => void
}

export const makePlaces = (): Places => {
  const taken = new Map<string, number>()
  let total = 0
  return {
    take(caller, limits) {
      const key = partyKey(caller)
      const own = taken.get(key) ?? 0
      if (total >= limits.connections) throw new Refusal('too-many-waiting', 'Too many clients are connected.')
      if (own >= limits.connectionsPerCaller) throw new Refusal('too-many-waiting', 'Too many connections of this caller are open.', { instead: 'Close some of them, or use a pool.' })
      total++
      taken.set(key, own + 1)
      let given = false
      return () => {
        if (given) return
        given = true
        total--
        const left = (taken.get(key) ?? 0) - 1
        if (left > 0) taken.set(key, left)
        else taken.delete(key)
      }
    },
  }
}
