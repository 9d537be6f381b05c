import { join, resolve } from 'node:path'
import { defined } from '../lib/defined.ts'
import type { StoreOptions } from '../stores/options.ts'
import { type Checks, missing } from './checks.ts'
import { splitAddress } from './fields.ts'
import { isTlsUrl, makeRedisUrl } from './database-url.ts'
import { makeTlsClient } from './tls-client.ts'
import type { ConfigSource } from './schema.ts'

export const makeStore = ({ store: source, data }: ConfigSource, checks: Checks): StoreOptions => {
  if (source.kind === 'embedded') {
    return { kind: 'embedded', path: source.path === undefined ? join(resolve(checks.folder, data), 'holds.db') : resolve(checks.folder, source.path) }
  }
  return { kind: 'redis', connect: makeConnect(source, checks), prefix: makePrefix(source.prefix, checks), acknowledgingReplicas: source['acknowledging-replicas'] }
}

const makePrefix = (prefix: string, { report }: Checks): string => {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(prefix)) report(['store', 'prefix'], 'is letters, digits, "-", "_" and ".", at most 64 characters')
  return prefix
}

type RedisSource = Extract<ConfigSource['store'], { kind: 'redis' }>

const makeConnect = (source: RedisSource, checks: Checks): Extract<StoreOptions, { kind: 'redis' }>['connect'] => {
  const { sentinel, cluster } = source
  const isSingle = source.url !== undefined || source['url-file'] !== undefined
  if ([isSingle, sentinel !== undefined, cluster !== undefined].filter(Boolean).length !== 1) checks.report(['store'], 'must have one of "url", "sentinel", "cluster"')
  const password = checks.secret(['store', 'password'], source.password, source['password-file'], false)
  const files = makeTlsClient(['store'], { ...source, certificate: source['client-certificate'] }, 'client-certificate', checks)
  const tls = source.tls ? files : undefined
  const unusedWithout = (how: string): void => {
    for (const key of ['ca-file', 'client-certificate'] as const) if (source[key] !== undefined) checks.report(['store', key], `is not looked at without TLS: ${how}`, { on: 'key' })
  }
  if (!isSingle && !source.tls) unusedWithout('say "tls: true"')
  if (sentinel) {
    const sentinelPassword = checks.secret(['store', 'sentinel', 'sentinel-password'], sentinel['sentinel-password'], sentinel['sentinel-password-file'], false)
    return { mode: 'sentinel', sentinels: sentinel.nodes.map(splitAddress), name: sentinel.name, ...defined({ password, sentinelPassword, tls }) }
  }
  if (cluster) return { mode: 'cluster', nodes: cluster.nodes.map(splitAddress), ...defined({ password, tls }) }
  if (password !== undefined) checks.report(['store', 'password'], 'belongs to sentinel and cluster; a URL carries its own', { on: 'key' })
  if (source.tls) checks.report(['store', 'tls'], 'belongs to sentinel and cluster; a URL begins with rediss://', { on: 'key' })
  if (!isSingle) return { mode: 'single', url: missing }
  const url = makeRedisUrl(['store', 'url'], source.url, source['url-file'], checks)
  if (url !== missing && !isTlsUrl(url)) unusedWithout('begin the URL with rediss://')
  return { mode: 'single', url, ...defined({ tls: isTlsUrl(url) ? files : undefined }) }
}
