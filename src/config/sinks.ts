import { resolve } from 'node:path'
import { defined } from '../lib/defined.ts'
import type { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { SinkOptions } from '../sinks/options.ts'
import type { Checks } from './checks.ts'
import { bytes, ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import { makeRedisUrl } from './redis-url.ts'
import type { ConfigSource } from './schema.ts'
import type { SinkSource } from './sink-schema.ts'

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
      case 'http':
        return { kind: 'http', name, ...makeWeb(path, source, checks), body: source.body, ...makeAuthorization(path, source, checks) }
      case 'redis':
        return { kind: 'redis', name, url: makeRedisUrl([...path, 'url'], source.url, source['url-file'], checks), stream: source.stream, maxLength: source['max-length'] }
      case 'elastic':
        return { kind: 'elastic', name, ...makeWeb(path, source, checks, 'base'), index: makeIndex(path, source.index, checks), ...makeAuthorization(path, source, checks) }
    }
  })
}

interface WebSource {
  readonly url: string
  readonly 'ca-file'?: string | undefined
  readonly 'batch-lines': number
  readonly 'batch-size': string
  readonly timeout: string
}

/** `base`: paths of the place's own are put behind the URL. */
const makeWeb = (path: Path, source: WebSource, checks: Checks, use: 'whole' | 'base' = 'whole') => {
  const problem = outboundProblem(source.url, checks.outbound) ?? (use === 'base' && source.url.includes('?') ? 'has a query; the API of the place is put behind it' : undefined)
  if (problem !== undefined) checks.report([...path, 'url'], problem, { hide: true })
  return { url: source.url, batchLines: source['batch-lines'], batchBytes: bytes(source['batch-size']), timeoutMs: ms(source.timeout), ...defined({ ca: checks.file([...path, 'ca-file'], source['ca-file'])?.text }) }
}

const makeAuthorization = (path: Path, source: Extract<SinkSource, { readonly authorization?: unknown }>, checks: Checks): { readonly authorization?: Secret } =>
  defined({ authorization: checks.secret([...path, 'authorization'], source.authorization, source['authorization-file'], false) })

const makeIndex = (path: Path, index: string, { report }: Checks): string => {
  if (!/^[a-z0-9][a-z0-9._-]{0,199}$/.test(index)) report([...path, 'index'], 'is lower-case letters, digits, "-", "_" and ".", at most 200 characters')
  return index
}
