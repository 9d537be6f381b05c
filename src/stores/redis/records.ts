import { Refusal } from '../../model/refusal.ts'
import { connect, type Connection, type RedisStoreOptions } from './connection.ts'
import { inTime } from './in-time.ts'
import { runScript, type Script } from './script.ts'

/** Small records in Redis beside the holds. All keys carry one hash tag. */
export interface Records extends AsyncDisposable {
  key(name: string): string
  /** Ends with the answer, or with `store-unavailable` in time. */
  ask<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
}

/** `what` the records are: for whoever reads that they are away. */
export const makeRecords = (options: RedisStoreOptions, what: string, test: { readonly clockSkewMs?: () => number }): Records => {
  const connection = connect(options, what)
  let isOpen = true
  const unavailable = (cause: unknown): Refusal => new Refusal('store-unavailable', `The store for ${what} does not answer. Try again later.`, { cause, retryAfterSeconds: 5 })

  const ask: Records['ask'] = async (work) => {
    if (!isOpen) throw unavailable('the store is closed')
    return await inTime(connection, () => work(connection)).catch((error: unknown) => Promise.reject(unavailable(error)))
  }

  return {
    key: (name) => `{${options.prefix}}:${name}`,
    ask,
    run: (step, keys, args) => ask(() => runScript(connection, step, keys, [Math.round(test.clockSkewMs?.() ?? 0), ...args])),
    async [Symbol.asyncDispose]() {
      isOpen = false
      connection.disconnect()
    },
  }
}
