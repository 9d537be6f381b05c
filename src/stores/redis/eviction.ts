import { primaries, type Connection } from './connection.ts'

/** The store is set up so that it may lose records. Stops the program; never a refusal. */
export class UnsafeRedis extends Error {
  override readonly name = 'UnsafeRedis'
}

/** A policy that evicts would remove the very records that say no. */
export const keepsRecords = async (connection: Connection): Promise<void> => {
  for (const node of primaries(connection)) {
    const policy = await evictionPolicy((...args) => node.call(...args))
    if (policy !== 'noeviction') throw new UnsafeRedis(`Redis may drop holds: maxmemory-policy is ${policy ?? 'unknown'}, and must be noeviction`)
  }
}

const evictionPolicy = async (call: (command: string, ...args: string[]) => Promise<unknown>): Promise<string | undefined> => {
  try {
    const answer = await call('CONFIG', 'GET', 'maxmemory-policy')
    if (Array.isArray(answer) && typeof answer[1] === 'string') return answer[1]
  } catch (error) {
    if (!(error instanceof Error) || !/NOPERM|unknown command|not allowed/i.test(error.message)) throw error
  }
  return /^maxmemory_policy:(\S+)/m.exec(String(await call('INFO', 'memory')))?.[1]
}
