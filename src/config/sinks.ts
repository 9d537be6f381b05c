import { resolve } from 'node:path'
import { defined } from '../lib/defined.ts'
import { isLoopbackHost } from '../lib/outbound-address.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { AwsKey } from '../sinks/aws-signature.ts'
import type { OptionsOf, SinkOptions } from '../sinks/options.ts'
import { type Checks, missing } from './checks.ts'
import { splitAddress } from './fields.ts'
import { bytes, ms } from './issuers.ts'
import { hostProblem, outboundProblem } from './outbound.ts'
import { isTlsUrl, makeRedisUrl } from './database-url.ts'
import type { ConfigSource } from './schema.ts'
import type { SinkSource } from './sink-schema.ts'
import { makeTlsClient } from './tls-client.ts'

export const makeSinks = ({ sinks, services }: Pick<ConfigSource, 'sinks' | 'services'>, checks: Checks): readonly SinkOptions[] => {
  const paths = new Map<string, string>()
  const make = (name: string, source: SinkSource): SinkOptions => {
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
        return { kind: 'redis', name, ...makeRedis(path, source, checks), stream: source.stream, maxLength: source['max-length'] }
      case 'elastic':
        return { kind: 'elastic', name, ...makeWeb(path, source, checks, 'base'), index: makeIndex(path, source.index, checks), ...makeAuthorization(path, source, checks) }
      case 'splunk': {
        const token = checks.secret([...path, 'token'], source.token, source['token-file'], true) ?? missing
        if (!source.ack) checks.warn([...path, 'kind'], 'counts a batch as taken when the collector has received it, before it is indexed; "ack: true" waits for the indexer')
        return { kind: 'splunk', name, ...makeWeb(path, source, checks, 'base'), token, sourcetype: source.sourcetype, ...defined({ index: source.index, ackMs: source.ack ? ms(source['ack-timeout']) : undefined }) }
      }
      case 'datadog':
        return { kind: 'datadog', name, ...makeWeb(path, source, checks, 'base'), apiKey: checks.secret([...path, 'api-key'], source['api-key'], source['api-key-file'], true) ?? missing, service: source.service, tags: source.tags }
      case 'otlp':
        return { kind: 'otlp', name, ...makeWeb(path, source, checks), headers: makeHeaders(path, source, checks), service: source.service }
      case 'syslog':
        checks.warn([...path, 'kind'], 'has no acknowledgement: records that are on their way when a receiver or we end are lost, and nobody knows; another sink beside it keeps them')
        if (!/^[!#-<>-\\^-~]{1,32}$/.test(source['sd-id'])) checks.report([...path, 'sd-id'], 'is up to 32 characters of printable ASCII, without spaces, "=", "]" and quotes')
        return { kind: 'syslog', name, ...makeRemote([...path, 'address'], source.address, checks), tls: makeTlsClient(path, { ...source, certificate: source.tls }, 'tls', checks), facility: source.facility, sdId: source['sd-id'], maxBytes: bytes(source['max-size']), timeoutMs: ms(source.timeout) }
      case 'kafka':
        return { kind: 'kafka', name, ...makeKafka(path, source, checks), timeoutMs: ms(source.timeout) }
      case 's3':
        return { kind: 's3', name, ...makeWeb(path, { ...source, 'batch-lines': mostLinesOfAnObject, 'batch-size': source['object-size'] }, checks, 'base'), region: source.region, key: makeAwsKey(path, source, checks), everyMs: ms(source.every), ...defined({ lock: source.lock && { mode: locks[source.lock.mode], forMs: ms(source.lock.for) } }) }
      case 'openlineage': {
        const { url, timeoutMs, ca } = makeWeb(path, { ...source, 'batch-lines': 1, 'batch-size': '1MiB' }, checks)
        return { kind: 'openlineage', name, url, timeoutMs, namespaces: Object.entries(services).map(([service, { protocol, upstream }]) => [service, namespaceOf(protocol, upstream)]), ...makeAuthorization(path, source, checks), ...defined({ ca }) }
      }
    }
  }
  return Object.entries(sinks).map(([name, source]) => ({ ...make(name, source), ...('format' in source ? { format: source.format } : {}) }))
}

const usualPorts: Readonly<Record<string, string>> = { postgres: '5432', mysql: '3306' }

/** As OpenLineage calls places: by protocol, host and port. */
const namespaceOf = (protocol: string, upstream: string): string => {
  if (upstream.includes('://')) return URL.canParse(upstream) ? new URL(upstream).origin : upstream
  return `${protocol}://${upstream}${/:\d+$/.test(upstream) || usualPorts[protocol] === undefined ? '' : `:${usualPorts[protocol]}`}`
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

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}$/
/** Those that a request has anyway. */
const notOurs: ReadonlySet<string> = new Set(['authorization', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'user-agent'])

const makeHeaders = (path: Path, source: Extract<SinkSource, { readonly kind: 'otlp' }>, checks: Checks): readonly { readonly name: string; readonly value: Secret }[] => {
  const { authorization } = makeAuthorization(path, source, checks)
  const value = checks.secret([...path, 'value'], source.value, source['value-file'], source.header !== undefined)
  if (value !== undefined && source.header === undefined) checks.report([...path, 'header'], 'is missing')
  const name = source.header?.toLowerCase() ?? ''
  if (source.header !== undefined && (!TOKEN.test(name) || notOurs.has(name))) checks.report([...path, 'header'], 'is no header that carries a credential')
  return [...(authorization === undefined ? [] : [{ name: 'authorization', value: authorization }]), ...(value === undefined ? [] : [{ name, value }])]
}

const makeRedis = (path: Path, source: Extract<SinkSource, { readonly kind: 'redis' }>, checks: Checks) => {
  const url = makeRedisUrl([...path, 'url'], source.url, source['url-file'], checks)
  const tls = makeTlsClient(path, { ...source, certificate: source.tls }, 'tls', checks)
  if (url !== missing && !isTlsUrl(url)) for (const key of ['ca-file', 'tls'] as const) if (source[key] !== undefined) checks.report([...path, key], 'is not looked at without TLS: begin the URL with rediss://', { on: 'key' })
  return { url, ...defined({ tls: isTlsUrl(url) ? tls : undefined }) }
}

const makeRemote = (path: Path, address: string, checks: Checks): { readonly host: string; readonly port: number } => {
  const at = splitAddress(address)
  const problem = hostProblem(at.host, checks.outbound)
  if (problem !== undefined) checks.report(path, problem)
  return at
}

const mostLinesOfAnObject = 100_000
const locks = { compliance: 'COMPLIANCE', governance: 'GOVERNANCE' } as const

/** What is not named comes from where all programs for AWS look first. */
const makeAwsKey = (path: Path, source: Extract<SinkSource, { readonly kind: 's3' }>, checks: Checks): AwsKey => {
  const part = (key: 'access-key-id' | 'secret-access-key', variable: string): Secret => {
    const file = source[`${key}-file`]
    return checks.secret([...path, key], source[key] ?? (file === undefined ? `\${env:${variable}}` : undefined), file, true) ?? missing
  }
  const session = checks.secret([...path, 'session-token'], source['session-token'], source['session-token-file'], false)
  return { id: part('access-key-id', 'AWS_ACCESS_KEY_ID'), secret: part('secret-access-key', 'AWS_SECRET_ACCESS_KEY'), ...defined({ session }) }
}

const makeKafka = (path: Path, source: Extract<SinkSource, { readonly kind: 'kafka' }>, checks: Checks): Omit<OptionsOf<'kafka'>, 'kind' | 'name' | 'timeoutMs'> => {
  const { topic, plaintext, sasl } = source
  const brokers = source.brokers.map((address, index) => makeRemote([...path, 'brokers', index], address, checks))
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic)) checks.report([...path, 'topic'], 'is letters, digits, "-", "_" and ".", at most 249 characters')
  if (plaintext && !brokers.every(({ host }) => isLoopbackHost(host))) checks.report([...path, 'plaintext'], 'is for brokers on this machine: elsewhere records and passwords would travel in the clear')
  const password = sasl && (checks.secret([...path, 'sasl', 'password'], sasl.password, sasl['password-file'], true) ?? missing)
  return { brokers, topic, ...defined({ tls: plaintext ? undefined : makeTlsClient(path, { ...source, certificate: source.tls }, 'tls', checks), hosts: checks.outbound.hosts?.map((host) => host.toLowerCase()), sasl: sasl && password && { mechanism: sasl.mechanism, user: sasl.user, password } }) }
}
