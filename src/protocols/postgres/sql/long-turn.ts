import { setImmediate as turn } from 'node:timers/promises'

/** Longer texts are read beside the event loop. A shorter one cannot be nested deeply enough to overflow the parser's stack. */
export const shortText = 6 * 1024

let last: Promise<void> = Promise.resolve()

/** Whoever goes on with long texts does so one by one, and between two of them the loop sees to everybody else: many may have waited for the same thing. */
export const longTurn = (length: number): Promise<void> | undefined => {
  if (length <= shortText) return undefined
  last = last.then(() => turn())
  return last
}
