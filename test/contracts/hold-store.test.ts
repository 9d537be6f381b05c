import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Secret } from '../../src/lib/secret.ts'
import { openEmbeddedStore } from '../../src/stores/embedded/embedded-store.ts'
import { openRedisStore } from '../../src/stores/redis/redis-store.ts'
import { startRedis } from '../stores/redis-server.ts'
import { grantStoreContract } from './grant-store-contract.ts'
import { holdStoreContract, type StoreFixture } from './hold-store-contract.ts'

const overBoth = (name: string, start: () => Promise<StoreFixture>): void => {
  holdStoreContract(name, start)
  grantStoreContract(name, start)
}

overBoth('embedded', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-store-'))
  return {
    open: async (clockSkewMs) => openEmbeddedStore({ kind: 'embedded', path: join(dir, 'holds.db') }, clockSkewMs ? { clockSkewMs } : {}),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
})

overBoth('redis', async () => {
  const server = await startRedis()
  return {
    open: (clockSkewMs) => openRedisStore({ kind: 'redis', connect: { mode: 'single', url: new Secret(`redis://127.0.0.1:${server.port}`) }, prefix: 'cs', acknowledgingReplicas: 0 }, clockSkewMs ? { clockSkewMs } : {}),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})

overBoth('redis cluster', async () => {
  const server = await startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
  await server.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  for (let tries = 0; !(await server.command('CLUSTER', 'INFO')).includes('cluster_state:ok') && tries < 200; tries++) await pause(25)
  return {
    open: (clockSkewMs) => openRedisStore({ kind: 'redis', connect: { mode: 'cluster', nodes: [{ host: '127.0.0.1', port: server.port }] }, prefix: 'cs', acknowledgingReplicas: 0 }, clockSkewMs ? { clockSkewMs } : {}),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
})
