import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const given = new Set<number>()

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  const free = await new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
  await new Promise((resolve) => server.close(resolve))
  return free
}

/**
 * For programs that cannot be given port 0. It lies below those that systems give to outgoing connections and to port 0, so that nobody
 * comes by it between this moment and its use. None is given twice.
 */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
}
