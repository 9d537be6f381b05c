import { Redis } from 'ioredis'
import { tlsClient } from '../lib/tls-client.ts'
import type { OptionsOf } from './options.ts'
import type { Sink } from './sink.ts'

const timeoutMs = 5_000

/**
 * Adds lines to a stream, fields `id` and `event`. A batch is one transaction: all of it is in the stream, or none, so lines never overtake each other.
 * The stream is trimmed at about `maxLength`: it is a feed to read from soon, not an archive.
 */
export const makeRedisSink = (options: OptionsOf<'redis'>): Sink => {
  const redis = new Redis(options.url.reveal(), {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: () => null, // the tail decides when to try again
    connectionName: 'countersign-audit',
    ...(options.tls === undefined ? {} : { tls: tlsClient(options.tls) }),
  })
  let cause: Error | undefined
  redis.on('error', (error: Error) => { cause = error }) // every command's own rejection tells the tail

  const connected = async (): Promise<void> => {
    if (redis.status === 'ready') return
    if (redis.status !== 'wait' && redis.status !== 'end') redis.disconnect()
    cause = undefined
    await redis.connect().catch((error: unknown) => { throw cause?.message ? cause : error }) // its own says that it failed, and not why
  }

  return {
    limits: { lines: 500, bytes: 256 * 1024 },
    timeoutMs: 2 * timeoutMs,
    deliver: async (lines) => {
      await connected()
      const batch = redis.multi()
      for (const { id, sent } of lines) batch.xadd(options.stream, 'MAXLEN', '~', options.maxLength, '*', 'id', id, 'event', sent)
      const results = await batch.exec()
      if (results === null) throw new Error('the transaction was discarded')
      const failed = results.find(([error]) => error !== null)
      if (failed?.[0]) throw failed[0]
    },
    check: async () => {
      await connected()
      await redis.ping()
      return 'it answers'
    },
    [Symbol.asyncDispose]: async () => redis.disconnect(),
  }
}
