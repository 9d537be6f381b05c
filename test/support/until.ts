import { setTimeout as pause } from 'node:timers/promises'

/** Waits until the condition gives something other than `undefined` or `false`, and gives it back. Looks every few milliseconds, never longer than the deadline. */
export const until = async <T>(what: string, condition: () => T | undefined | false | Promise<T | undefined | false>, deadlineMs = 15_000): Promise<T> => {
  const end = Date.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for: ${what}`)
    await pause(5)
  }
}
