import { join, resolve } from 'node:path'
import { defined } from '../lib/defined.ts'
import { isForbiddenHost } from '../lib/outbound-address.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { SinkOptions } from '../sinks/options.ts'
import type { StoreOptions } from '../stores/options.ts'
import { type Checks, missing } from './checks.ts'
import { splitAddress } from './fields.ts'
import { bytes, ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import type { ConfigSource } from './schema.ts'
import { parseTemplate } from './secret-reference.ts'

/** Whether a password stands in the URL itself, and not a reference to one. */
const holdsPassword = (url: string): boolean => {
  const shape = url.replaceAll(/\$\{[^{}]*\}/g, '\0')
  const password = /^[a-z]+:\/\/[^/?#@:]*:([^/?#]*)@/i.exec(shape)?.[1] ?? /[?&]password=([^&#]*)/i.exec(shape)?.[1] ?? ''
  return password !== '' && password !== '\0'
}

/** A Redis URL may be written down as long as its password is not. What a reference gives inside of one is encoded for its place. */
const makeRedisUrl = (path: Path, value: unknown, file: string | undefined, checks: Checks): Secret => {
  const hidden = (message: string, absent = false): Secret => {
    checks.report(path, message, { hide: true, absent })
    return missing
  }
  let found: Secret | undefined
  if (typeof value === 'string') {
    const template = parseTemplate(value)
    if ('problem' in template) return hidden(template.problem)
    if (holdsPassword(value)) return hidden('holds a password; use a reference for it, such as redis://:${env:REDIS_PASSWORD}@redis:6379')
    const whole = template.references.length === 1 && template.literals.every((part) => part === '')
    const resolved = checks.resolver.template(value, whole ? undefined : encodeURIComponent)
    if (!(resolved instanceof Secret)) return hidden(resolved.problem, true)
    found = resolved
  } else if (value !== undefined) return hidden('must be text')
  if (found !== undefined && file !== undefined) return hidden('stands beside "url-file"; one of them')
  found ??= checks.secret(path, undefined, file, true) ?? missing
  if (found === missing) return missing
  const url = URL.canParse(found.reveal()) ? new URL(found.reveal()) : undefined
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') return hidden('is no Redis URL: redis://host:6379/0, or rediss:// for TLS')
  if (isForbiddenHost(url.hostname)) return hidden('leads to a link-local, metadata or unspecified address')
  return found
}

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
  if (sentinel) {
    const sentinelPassword = checks.secret(['store', 'sentinel', 'sentinel-password'], sentinel['sentinel-password'], sentinel['sentinel-password-file'], false)
    return { mode: 'sentinel', sentinels: sentinel.nodes.map(splitAddress), name: sentinel.name, tls: source.tls, ...defined({ password, sentinelPassword }) }
  }
  if (cluster) return { mode: 'cluster', nodes: cluster.nodes.map(splitAddress), tls: source.tls, ...defined({ password }) }
  if (password !== undefined) checks.report(['store', 'password'], 'belongs to sentinel and cluster; a URL carries its own', { on: 'key' })
  if (source.tls) checks.report(['store', 'tls'], 'belongs to sentinel and cluster; a URL begins with rediss://', { on: 'key' })
  return { mode: 'single', url: isSingle ? makeRedisUrl(['store', 'url'], source.url, source['url-file'], checks) : missing }
}

export const makeSinks = (sinks: ConfigSource['sinks'], checks: Checks): readonly SinkOptions[] => {
  const paths = new Map<string, string>()
  return Object.entries(sinks).map(([name, source]): SinkOptions => {
    const path: Path = ['sinks', name]
    switch (source.kind) {
      case 'stdout':
        return { kind: 'stdout', name }
      case 'file': {
        const full = resolve(checks.folder, source.path)
        if (paths.has(full)) checks.report([...path, 'path'], `is the file of the sink "${paths.get(full)}"`)
        paths.set(full, name)
        return { kind: 'file', name, path: full }
      }
      case 'http': {
        const problem = outboundProblem(source.url, checks.outbound)
        if (problem !== undefined) checks.report([...path, 'url'], problem, { hide: true })
        const authorization = checks.secret([...path, 'authorization'], source.authorization, source['authorization-file'], false)
        return { kind: 'http', name, url: source.url, batchLines: source['batch-lines'], batchBytes: bytes(source['batch-size']), timeoutMs: ms(source.timeout), format: source.format, ...defined({ authorization }) }
      }
      case 'redis':
        return { kind: 'redis', name, url: makeRedisUrl([...path, 'url'], source.url, source['url-file'], checks), stream: source.stream, maxLength: source['max-length'] }
    }
  })
}
