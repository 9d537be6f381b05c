import { setTimeout as pause } from 'node:timers/promises'

/** Who lets so many through at one time stops the loop for no long stretch, and no upstream meets thousands of actions at once. */
const atOnce = 128
/** An action that takes longer than this holds nobody else up. */
const heldMs = 250
const lookMs = 10

/** Lets released actions through at the pace at which they run. A matter of order, never of permission. */
export interface Turnstile {
  /** How many may go now. */
  free(): number
  enter(hold: string): void
  /** It has ended, or will not run. */
  leave(hold: string): void
  /** Resolves when it is worth asking again, within moments. */
  more(): Promise<void>
}

export const makeTurnstile = (): Turnstile => {
  const inside = new Map<string, number>()
  let waiting: PromiseWithResolvers<void> | undefined

  return {
    free() {
      const long = performance.now() - heldMs
      for (const [hold, since] of inside) {
        if (since > long) break
        inside.delete(hold)
      }
      return Math.max(0, atOnce - inside.size)
    },
    enter(hold) {
      inside.delete(hold)
      inside.set(hold, performance.now())
    },
    leave(hold) {
      if (!inside.delete(hold) || waiting === undefined || inside.size > atOnce / 2) return
      waiting.resolve()
      waiting = undefined
    },
    more() {
      waiting ??= Promise.withResolvers<void>()
      return Promise.race([waiting.promise, pause(lookMs, undefined, { ref: false })])
    },
  }
}
