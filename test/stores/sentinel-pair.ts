import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { HoldStore } from '../../src/approval/hold-store.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { defined } from '../../src/lib/defined.ts'
import { freePort } from '../support/ports.ts'
import type { PostgresTls } from '../support/postgres-tls.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { filesOf, startRedis, type RedisServer } from './redis-server.ts'

export interface SentinelPair extends AsyncDisposable {
  readonly primary: RedisServer
  readonly replica: RedisServer
  /** Of the Sentinel. */
  readonly port: number
  open(acknowledgingReplicas: number): Promise<HoldStore>
}

/** A primary, its replica, and a Sentinel that promotes after a second. */
export const startPair = async (tls?: PostgresTls): Promise<SentinelPair> => {
  await using making = new AsyncDisposableStack()
  const dir = making.use(temporaryFolder('sentinel')).path
  const primary = making.use(await startRedis(['--repl-diskless-sync-delay', '0'], defined({ tls })))
  const replica = making.use(await startRedis(['--replicaof', '127.0.0.1', String(primary.port), '--repl-diskless-sync-delay', '0'], defined({ tls })))
  await until('replication', async () => (await replica.command('INFO', 'replication')).includes('master_link_status:up'), 15_000)
  const config = join(dir, 'sentinel.conf')
  const port = await freePort()
  await writeFile(config, [`port ${tls === undefined ? port : 0}`, 'bind 127.0.0.1', `dir ${dir}`, `sentinel monitor holds 127.0.0.1 ${primary.port} 1`, 'sentinel down-after-milliseconds holds 1000', 'sentinel failover-timeout holds 5000', ''].join('\n'))
  const sentinel = making.use(await startRedis(['--sentinel'], { port, config, ...defined({ tls }) }))
  await until('the Sentinel to know the replica', async () => (await sentinel.command('SENTINEL', 'REPLICAS', 'holds')).includes(String(replica.port)), 20_000)
  const open: SentinelPair['open'] = (acknowledgingReplicas) => openRedisStore({ kind: 'redis', connect: { mode: 'sentinel', sentinels: [{ host: '127.0.0.1', port }], name: 'holds', ...defined({ tls: tls && filesOf(tls) }) }, prefix: 'cs', acknowledgingReplicas })
  const ends = making.move()
  return { primary, replica, port, open, [Symbol.asyncDispose]: () => ends.disposeAsync() }
}
