import { setTimeout as pause } from 'node:timers/promises'
import { Busy } from '../../lib/receiver.ts'

/** Takes turns: one message after the other, so far apart that nobody has to be told to slow down. */
export interface Pace {
  /** Waits for the next turn. Rejects with `Busy` while the receiver wants to be left alone. */
  turn(signal: AbortSignal): Promise<void>
  /** The receiver says for how long. */
  rest(ms: number): void
}

export const makePace = (apartMs: number): Pace => {
  let next = 0
  let restsUntil = 0
  return {
    async turn(signal) {
      const now = performance.now()
      if (restsUntil > now) throw new Busy('Slack wants to be left alone', restsUntil - now)
      const mine = Math.max(now, next)
      next = mine + apartMs
      if (mine > now) await pause(mine - now, undefined, { signal, ref: false })
    },
    rest(ms) {
      restsUntil = Math.max(restsUntil, performance.now() + ms)
    },
  }
}
