import type { Server } from 'node:net'
import { until } from '../support/until.ts'

/** Listens, also where the port is taken for a moment by some connection's other end. */
export const listenAt = async (server: Server, port: number): Promise<void> => {
  await until(`port ${port} to be free`, () =>
    new Promise<boolean>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error))
      server.once('error', failed)
      server.listen(port, '127.0.0.1', () => {
        server.off('error', failed)
        resolve(true)
      })
    }))
}
