import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Refusal } from '../../model/refusal.ts'
import { connect, whenReady, type Connection, type RedisStoreOptions } from './connection.ts'

/** One atomic step. It takes the time from Redis; `ARGV[1]` is added to it: 0, but in tests. */
export const script = (body: string): Script => {
  const text = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1])
local function text(number) return string.format('%.0f', number) end
${body}`
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

export interface Script {
  readonly text: string
  readonly sha: string
}

/** Small records in Redis beside the holds. All keys carry one hash tag. */
export interface Records extends AsyncDisposable {
  key(name: string): string
  /** Ends with the answer, or with `store-unavailable` in time. */
  ask<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
}

const deadlineMs = 4_000

/** `what` the records are: for whoever reads that they are away. */
export const makeRecords = (options: RedisStoreOptions, what: string, test: { readonly clockSkewMs?: () => number }): Records => {
  const connection = connect(options, what)
  let isOpen = true
  const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', `The store for ${what} does not answer. Try again later.`, { cause, retryAfterSeconds: 5 })

  const ask: Records['ask'] = async (work) => {
    if (!isOpen) throw unavailable('the store is closed')
    const timer = new AbortController()
    const answer = (async () => {
      if (connection.status !== 'ready') await whenReady(connection, deadlineMs / 2)
      return await work(connection)
    })()
    try {
      return await Promise.race([answer, pause(deadlineMs, undefined, { signal: timer.signal }).then(() => Promise.reject(new Error('Redis did not answer in time')))])
    } catch (error) {
      answer.catch(() => {})
      throw unavailable(error)
    } finally {
      timer.abort()
    }
  }

  return {
    key: (name) => `{${options.prefix}}:${name}`,
    ask,
    run: (step, keys, args) =>
      ask(async () => {
        const values = [...keys, String(Math.round(test.clockSkewMs?.() ?? 0)), ...args]
        try {
          return await connection.evalsha(step.sha, keys.length, ...values)
        } catch (error) {
          if (!(error instanceof Error) || !/NOSCRIPT/.test(error.message)) throw error
          return await connection.eval(step.text, keys.length, ...values)
        }
      }),
    async [Symbol.asyncDispose]() {
      isOpen = false
      connection.disconnect()
    },
  }
}
