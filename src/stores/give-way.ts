import { readlinkSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** Where processors are full, this thread runs when others rest, and gets a tenth or so of one where they never do. Without threads in `/proc` nothing changes. */
export const giveWay = (): void => {
  try {
    const thread = Number(/\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1])
    const behind = constants.priority.PRIORITY_BELOW_NORMAL
    if (Number.isSafeInteger(thread) && getPriority(thread) < behind) setPriority(thread, behind)
  } catch {
    // It reads the log as fast as everything else runs.
  }
}
