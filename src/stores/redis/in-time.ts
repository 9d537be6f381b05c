import { setTimeout as pause } from 'node:timers/promises'
import { whenReady, type Connection } from './connection.ts'

const deadlineMs = 4_000

/** Every wait on Redis ends here: with the answer, or with an error in time. */
export const inTime = async <T>(connection: Connection, step: () => Promise<T>): Promise<T> => {
  const timer = new AbortController()
  const answer = (async () => {
    if (connection.status !== 'ready') await whenReady(connection, deadlineMs / 2)
    return await step()
  })()
  const late = pause(deadlineMs, undefined, { signal: timer.signal }).then(() => {
    if (!('nodes' in connection)) connection.disconnect(true) // it may be dead without anybody having said so
    throw new Error('Redis did not answer in time')
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    timer.abort()
  }
}
