import { setImmediate as turn } from 'node:timers/promises'

/** Longer texts are read beside the event loop. A shorter one cannot be nested deeply enough to overflow the parser's stack. */
export const shortText = 6 * 1024

/** For so long those whose turn it is go on one after the other, before the loop sees to everybody else. */
const sliceMs = 2

const waiting: (() => void)[] = []
let isReleasing = false

const release = async (): Promise<void> => {
  isReleasing = true
  while (waiting.length > 0) {
    await turn()
    const end = performance.now() + sliceMs
    do {
      waiting.shift()?.()
      await new Promise<void>((done) => process.nextTick(done)) // behind all that it does at once
    } while (waiting.length > 0 && performance.now() < end)
  }
  isReleasing = false
}

/** Whoever goes on with long texts does so in turn: what is done with one takes a while, and many may have waited for the same thing. */
export const longTurn = (length: number): Promise<void> | undefined => {
  if (length <= shortText) return undefined
  return new Promise((goOn) => {
    waiting.push(goOn)
    if (!isReleasing) void release()
  })
}
