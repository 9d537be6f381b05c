import type { CredentialOptions } from '../credentials/options.ts'
import { compileCidrs } from '../lib/cidr.ts'
import { defined } from '../lib/defined.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Service } from '../model/service.ts'
import type { HttpServiceOptions, RouteOptions } from '../protocols/http/options.ts'
import type { Checks } from './checks.ts'
import { bytes, ms } from './issuers.ts'
import { originProblem } from './outbound.ts'
import type { ConfigSource, HttpServiceSource } from './schema.ts'

export interface Services {
  readonly http: readonly HttpServiceOptions[]
  readonly services: readonly Service[]
  readonly credentials: readonly CredentialOptions[]
}

export const makeServices = (source: ConfigSource['services'], checks: Checks): Services => {
  const http = Object.entries(source).flatMap(([name, service]): readonly (readonly [string, HttpServiceSource])[] => (service.protocol === 'http' ? [[name, service]] : []))
  checkRoutes(http, checks)
  return {
    http: http.map(([name, service]) => makeService(name, service, checks)),
    services: Object.entries(source).map(([name, { protocol, labels }]) => ({ name, protocol, labels })),
    credentials: http.flatMap(([service, { credential }]) => makeCredential(service, credential, checks) ?? []),
  }
}

export const checkRanges = (ranges: readonly string[], path: Path, { report }: Checks): void => {
  for (const [index, range] of ranges.entries()) {
    try {
      compileCidrs([range])
    } catch (error) {
      report([...path, index], error instanceof Error ? error.message : 'is no address range')
    }
  }
}

const makeService = (name: string, source: HttpServiceSource, checks: Checks): HttpServiceOptions => {
  const path: Path = ['services', name]
  const problem = originProblem(source.upstream)
  if (problem !== undefined) checks.report([...path, 'upstream'], problem)
  checkRanges(source['allowed-addresses'], [...path, 'allowed-addresses'], checks)
  const ca = checks.file([...path, 'ca-file'], source['ca-file'])
  return {
    name,
    upstream: URL.canParse(source.upstream) ? new URL(source.upstream).origin : source.upstream,
    allowedCidrs: source['allowed-addresses'],
    connections: source.connections,
    connectTimeoutMs: ms(source['connect-timeout']),
    headersTimeoutMs: ms(source['headers-timeout']),
    bodyTimeoutMs: ms(source['body-timeout']),
    routes: source.routes.map((route) => makeRoute(name, route)),
    ...defined({ caFile: ca?.path, audience: source.audience }),
  }
}

const makeRoute = (service: string, route: HttpServiceSource['routes'][number]): RouteOptions => ({
  service,
  path: route.path,
  stripPrefix: route['strip-prefix'],
  encodedSlash: route['encoded-slash'],
  inspectBytes: bytes(route['inspect-body']),
  maxBodyBytes: bytes(route['max-body']),
  jsonRpc: route['json-rpc'],
  graphql: route.graphql,
  caseVariants: route['case-variants'],
  methodOverride: defined({ form: route['method-override'].form }),
  unboundHeaders: route['unbound-headers'].map((header) => header.toLowerCase()),
  upgrades: route.upgrades,
  hold: { waitMs: ms(route.hold.wait), pendingStatus: route.hold['pending-status'] },
  errors: route.errors,
  ...defined({ host: route.host }),
})

/** Headers by which the upstream decides whom and what it serves: a repeat with another one is another action. */
const alwaysBound = new Set(['host', 'authorization', 'cookie', 'content-type', 'content-encoding', 'content-length', 'transfer-encoding', 'x-http-method-override', 'x-method-override', 'x-http-method'])

const PATH = /^\/(?:[A-Za-z0-9._~!$&'()*+,=:@-]+(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)*\/?)?$/

const checkRoutes = (services: readonly (readonly [string, HttpServiceSource])[], { report }: Checks): void => {
  const seen = new Map<string, string>()
  for (const [name, { routes }] of services) {
    for (const [index, route] of routes.entries()) {
      const path: Path = ['services', name, 'routes', index]
      const { host } = route
      if (host !== undefined && (!/^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$|^\[[0-9a-f:.]+\]$/.test(host) || host.length > 253)) report([...path, 'host'], 'must be one host name in ASCII lower case, without port, pattern or dot at its end')
      if (!PATH.test(route.path) || /(?:^|\/)\.{1,2}(?:\/|$)/.test(route.path)) report([...path, 'path'], 'must be whole plain segments, such as /v1/orders')
      if (bytes(route['max-body']) < bytes(route['inspect-body'])) report([...path, 'max-body'], 'is less than "inspect-body"')
      for (const [at, header] of route['unbound-headers'].entries()) if (alwaysBound.has(header.toLowerCase())) report([...path, 'unbound-headers', at], `${header} changes what an action means, so it is a part of what is approved`)
      const key = `${host ?? '*'} ${route.path.replace(/\/$/, '')}`
      const other = seen.get(key)
      if (other !== undefined) report(path, `the same host and path belong to ${other === name ? 'another route of this service' : `service "${other}"`}${host === undefined ? '; tell them apart by host or path' : ''}`)
      seen.set(key, name)
    }
  }
}

const HEADER = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/
const notOurs = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'te', 'trailer', 'expect', 'keep-alive', 'proxy-connection'])

const makeCredential = (service: string, source: HttpServiceSource['credential'], checks: Checks): CredentialOptions | undefined => {
  if (source === undefined) return undefined
  const path: Path = ['services', service, 'credential']
  const ways = [source.bearer ?? source['bearer-file'], source.header ?? source.value ?? source['value-file'], source.basic].filter((way) => way !== undefined).length
  if (ways !== 1) {
    checks.report(path, 'must be one of "bearer", "header" with "value", "basic"', { on: 'key' })
    return undefined
  }
  if (source.basic) {
    const password = checks.secret([...path, 'basic', 'password'], source.basic.password, source.basic['password-file'], true)
    if (source.basic.user.includes(':')) checks.report([...path, 'basic', 'user'], 'cannot hold a colon')
    return password && { service, headers: [{ name: 'authorization', value: new Secret(`Basic ${Buffer.from(`${source.basic.user}:${password.reveal()}`).toString('base64')}`) }] }
  }
  if (source.bearer !== undefined || source['bearer-file'] !== undefined) {
    const token = checks.secret([...path, 'bearer'], source.bearer, source['bearer-file'], true)
    return token && { service, headers: [{ name: 'authorization', value: new Secret(`Bearer ${token.reveal().replace(/^Bearer /i, '')}`) }] }
  }
  const value = checks.secret([...path, 'value'], source.value, source['value-file'], true)
  if (source.header === undefined) checks.report([...path, 'header'], 'is missing')
  else if (!HEADER.test(source.header) || notOurs.has(source.header.toLowerCase())) checks.report([...path, 'header'], 'is no header that carries a credential')
  return value && { service, headers: [{ name: (source.header ?? '').toLowerCase(), value }] }
}
