import { readdirSync, readFileSync } from 'node:fs'
import { fail } from './outcome.ts'

/* Time that a case bounds: what a program took, not what the machine did for others meanwhile. */

/** What the system says of a thread, in words; nothing where it says nothing, or the thread has ended. */
const said = (file: string): readonly string[] => {
  try {
    return readFileSync(file, 'utf8').replace(/^.*\) /, '').split(' ')
  } catch {
    return []
  }
}

const threads = (): readonly string[] => {
  try {
    return readdirSync('/proc/self/task')
  } catch {
    return []
  }
}

/** For how long each of our threads has stood in line for a processor, in milliseconds. */
const waiting = (): ReadonlyMap<string, number> => new Map(threads().map((thread) => [thread, Number(said(`/proc/self/task/${thread}/schedstat`)[1] ?? 0) / 1e6]))

const added = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number => [...before].reduce((sum, [thread, waited]) => sum + (after.get(thread) ?? waited) - waited, 0)

/** For how long the main thread of a process has had one: the most that it can have kept anybody waiting. */
export const working = (pid: number): number => {
  const [user, system] = said(`/proc/${pid}/task/${pid}/stat`).slice(11, 13)
  if (user === undefined || system === undefined) return fail('the system does not say how long a thread has worked')
  return (Number(user) + Number(system)) * 10 // hundredths of a second
}

/** Starts now; gives the milliseconds up to each call. */
export const stopwatch = (): (() => number) => {
  const [began, waited, worked] = [performance.now(), waiting(), process.threadCpuUsage()]
  return () => {
    const { user, system } = process.threadCpuUsage(worked)
    return Math.max((user + system) / 1_000, performance.now() - began - added(waited, waiting()))
  }
}
