import { setTimeout as pause } from 'node:timers/promises'

/** How long to wait for what comes in the end, on a machine that has much else to do. Only what never comes takes that long. */
export const inTheEnd = 20_000

/** Waits until the condition gives something other than `undefined` or `false`, and gives it back. Looks every few milliseconds, never longer than the deadline. */
export const until = async <T>(what: string, condition: () => T | undefined | false | Promise<T | undefined | false>, deadlineMs = inTheEnd): Promise<T> => {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for: ${what}`)
    await pause(5)
  }
}
