import { createServer, type AddressInfo } from 'node:net'

const given = new Set<number>()

/** A port that was free a moment ago: for programs that cannot be given port 0. Whoever uses it retries when it was taken since. None is given twice. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  if (given.has(port)) return await freePort()
  given.add(port)
  return port
}
