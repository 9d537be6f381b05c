import { createHash } from 'node:crypto'
import type { Connection } from './connection.ts'

export interface Script {
  readonly text: string
  readonly sha: string
}

/** One atomic step. It takes the time from Redis; `ARGV[1]` is added to it: 0, but in tests. */
export const script = (body: string): Script => {
  const text = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1])
local function text(number) return string.format('%.0f', number) end
${body}`
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Redis has forgotten the text of a script after a restart, or never seen it. */
export const runScript = async (connection: Connection, { text, sha }: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown> => {
  const values = [...keys, ...args]
  try {
    return await connection.evalsha(sha, keys.length, ...values)
  } catch (error) {
    if (!(error instanceof Error) || !/NOSCRIPT/.test(error.message)) throw error
    return await connection.eval(text, keys.length, ...values)
  }
}
