import { Cluster, Redis } from 'ioredis'
import { defined } from '../../lib/defined.ts'
import { tlsClient } from '../../lib/tls-client.ts'
import type { StoreOptions } from '../options.ts'

export type RedisStoreOptions = Extract<StoreOptions, { kind: 'redis' }>
export type Connection = Redis | Cluster

/**
 * Nothing is queued while Redis is away and nothing is sent twice: a write whose answer got lost may have happened,
 * and only the caller can know what that means.
 */
export const connect = ({ connect: how }: RedisStoreOptions, name: string): Connection => {
  const connection = open(how, { ...common, connectionName: `countersign-${name}` })
  connection.on('error', (error: Error) => void troubles.set(connection, error)) // every command reports its own failure; an unheard event would end the process
  return connection
}

/** What each connection heard last: a command that waits for it says no more than that it waits. */
const troubles = new WeakMap<Connection, Error>()

const troubleOf = (connection: Connection): string => {
  const error = troubles.get(connection) as (Error & { readonly lastNodeError?: Error }) | undefined
  return textOf(error?.lastNodeError ?? error) || connection.status
}

/** A name with several addresses fails with an error of several causes, which says nothing itself. */
const textOf = (error: Error | undefined): string => error?.message || (error instanceof AggregateError ? (error.errors as Error[]).map(({ message }) => message).join('; ') : '')

const common = {
  protocol: 2 as const,
  connectTimeout: 2_000,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  keepAlive: 10_000,
  retryStrategy: (times: number) => Math.min(50 * times, 1_000),
  // A primary that was demoted refuses writes: look up the new one. The refused command is not repeated.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
}

type CommonOptions = typeof common & { readonly connectionName: string }

const open = (how: RedisStoreOptions['connect'], common: CommonOptions): Connection => {
  const tls = how.tls && tlsClient(how.tls)
  if (how.mode === 'single') return new Redis(how.url.reveal(), { ...common, ...defined({ tls }) })
  const security = defined({ password: how.password?.reveal(), tls })
  if (how.mode === 'sentinel')
    return new Redis({
      ...common,
      ...security,
      sentinels: how.sentinels.map((at) => ({ ...at })),
      name: how.name,
      role: 'master',
      sentinelRetryStrategy: (times) => Math.min(50 * times, 1_000),
      ...defined({ sentinelPassword: how.sentinelPassword?.reveal() }),
      ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    })
  return new Cluster(
    how.nodes.map((at) => ({ ...at })),
    { enableOfflineQueue: false, clusterRetryStrategy: (times) => Math.min(50 * times, 1_000), retryDelayOnFailover: 100, slotsRefreshTimeout: 2_000, scaleReads: 'master', redisOptions: { ...common, ...security } },
  )
}

/** The one node or all primaries, to ask for their settings. */
export const primaries = (connection: Connection): readonly Redis[] => (connection instanceof Cluster ? connection.nodes('master') : [connection])

/** Resolves once commands are accepted; rejects when that takes too long. */
export const whenReady = (connection: Connection, timeoutMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    if (connection.status === 'ready') return resolve()
    const timer = setTimeout(() => done(new Error(`Redis is not reachable (${troubleOf(connection)})`)), timeoutMs)
    const ready = (): void => done()
    const done = (error?: Error): void => {
      clearTimeout(timer)
      connection.off('ready', ready)
      if (error) reject(error)
      else resolve()
    }
    connection.on('ready', ready)
  })
