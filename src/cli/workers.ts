import cluster, { type Worker } from 'node:cluster'
import type { Logger } from 'pino'

/** How long a worker that died is left before its place is filled again: one that dies at once must not spin. */
const restMs = 1_000

/** Which of the workers this process is, from 1; undefined in a process that works alone or supervises. */
export const workerNumber = (): number | undefined => (cluster.isWorker ? Number(process.env['COUNTERSIGN_WORKER']) : undefined)

/**
 * Runs this same command in so many processes that share the listeners, and fills the place of one that dies.
 * Each worker has a number of its own, and with it a journal of its own. Resolves when all have ended after the signal.
 */
export const supervise = (count: number, signal: AbortSignal, log: Logger): Promise<number> =>
  new Promise((resolve) => {
    const numbers = new Map<Worker, number>()
    let worst = 0

    const start = (number: number): void => {
      if (signal.aborted) return
      const worker = cluster.fork({ COUNTERSIGN_WORKER: String(number) })
      numbers.set(worker, number)
      worker.on('message', (message) => {
        // One worker was told to reload: the files are the same for all.
        if (message === 'reload') for (const other of numbers.keys()) if (other !== worker) other.process.kill('SIGHUP')
      })
    }

    cluster.on('exit', (worker, code, killedBy) => {
      const number = numbers.get(worker)
      numbers.delete(worker)
      if (number === undefined) return
      if (signal.aborted) worst = Math.max(worst, code ?? 1)
      else {
        log.error({ worker: number, code, signal: killedBy }, 'a worker ended and is started anew')
        setTimeout(() => start(number), restMs)
      }
      if (signal.aborted && numbers.size === 0) resolve(worst)
    })
    process.on('SIGHUP', () => {
      for (const worker of numbers.keys()) worker.process.kill('SIGHUP')
    })
    signal.addEventListener('abort', () => {
      for (const worker of numbers.keys()) worker.process.kill('SIGTERM')
      if (numbers.size === 0) resolve(worst)
    })
    for (let number = 1; number <= count; number++) start(number)
  })

/** Passes a reload that this worker was asked for on to the others. */
export const tellWorkers = (): void => {
  if (cluster.isWorker) process.send?.('reload')
}
