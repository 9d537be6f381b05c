import type { AdminOptions, ConsoleOptions, SignInOptions } from '../channels/web/options.ts'
import { compileCidrs } from '../lib/cidr.ts'
import { defined } from '../lib/defined.ts'
import { isLoopbackHost } from '../lib/outbound-address.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { HttpListenerOptions, HttpServiceOptions } from '../protocols/http/options.ts'
import type { Checks } from './checks.ts'
import { splitAddress } from './fields.ts'
import { bytes, ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import { checkRanges } from './services.ts'
import type { ConfigSource } from './schema.ts'
import { checkCertificate } from './tls-client.ts'

type Listeners = ConfigSource['listeners']

/** A day is long for a decision, and nobody is gone and still logged in for longer. */
const longestSessionMs = 24 * 3_600_000
const longestStepUpMs = 3_600_000

const makeSignIn = (source: NonNullable<Listeners['console']['sign-in']>, issuers: ReadonlyMap<string, readonly string[]>, path: Path, checks: Checks): SignInOptions | undefined => {
  const [issuer] = issuers.get(source.issuer) ?? []
  if (!checks.known([...path, 'issuer'], source.issuer, [...issuers.keys()], 'issuer') || issuer === undefined) return undefined
  const problem = /^https?:/.test(issuer) ? outboundProblem(issuer, checks.outbound) : 'has no address to log in at'
  if (problem !== undefined) checks.report([...path, 'issuer'], problem)
  if (!source.scopes.includes('openid')) checks.report([...path, 'scopes'], 'lacks openid, without which nobody says who has logged in')
  if (ms(source['step-up'].within) > longestStepUpMs) checks.report([...path, 'step-up', 'within'], 'must be at most 1h')
  for (const [index, acr] of source['step-up']['acr-values'].entries()) if (/\s/.test(acr)) checks.report([...path, 'step-up', 'acr-values', index], 'is one value; write each in a line of its own')
  for (const key of ['idle', 'max-age'] as const) if (ms(source[key]) > longestSessionMs) checks.report([...path, key], 'must be at most 24h')
  const clientSecret = checks.secret([...path, 'client-secret'], source['client-secret'], source['client-secret-file'], false)
  return { issuer, clientId: source['client-id'], scopes: source.scopes, idleMs: ms(source.idle), maxAgeMs: ms(source['max-age']), stepUp: { acrValues: source['step-up']['acr-values'], withinMs: ms(source['step-up'].within) }, ...defined({ clientSecret }) }
}

export const makeConsole = ({ console: source }: Listeners, issuers: ReadonlyMap<string, readonly string[]>, checks: Checks): ConsoleOptions => {
  const path: Path = ['listeners', 'console']
  const at = splitAddress(source.address)
  const url = makeConsoleUrl(source, at, path, checks)
  const login = source.login
  const known = login === undefined || checks.known([...path, 'login', 'issuer'], login.issuer, [...issuers.keys()], 'issuer')
  for (const [index, host] of source.hosts.entries()) if (!/^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)) checks.report([...path, 'hosts', index], 'is no host; patterns are not read here')
  return {
    ...at,
    url,
    hosts: source.hosts,
    streams: { total: source.streams.total, perViewer: source.streams['per-viewer'] },
    ...defined({
      tls: makeTls(source.tls, path, checks),
      audience: source.audience,
      signIn: source['sign-in'] && makeSignIn(source['sign-in'], issuers, [...path, 'sign-in'], checks),
      login: login && known ? { issuer: issuers.get(login.issuer)?.[0] ?? login.issuer, clientId: login['client-id'], scopes: login.scopes, ...defined({ resource: login.resource }) } : undefined,
    }),
  }
}

const makeConsoleUrl = ({ url, tls }: Listeners['console'], { host, port }: { readonly host: string; readonly port: number }, path: Path, { report }: Checks): string => {
  if (url === undefined) {
    if (!isLoopbackHost(host)) report([...path, 'url'], 'is missing; beyond loopback only you know under which name people reach it')
    return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '' || parsed.password !== '' || parsed.pathname !== '/' || /[?#]/.test(url)) report([...path, 'url'], 'must be an origin such as https://approvals.example.org')
  else if (parsed.protocol === 'http:' && !isLoopbackHost(parsed.hostname)) report([...path, 'url'], 'must be https beyond loopback: approvers send their tokens there')
  return parsed?.origin ?? url
}

export const makeTls = (tls: Listeners['http']['tls'], path: Path, checks: Checks) => {
  if (tls === undefined) return undefined
  const cert = checks.file([...path, 'tls', 'cert-file'], tls['cert-file'])
  const key = checks.file([...path, 'tls', 'key-file'], tls['key-file'])
  if (cert?.text && key?.text) checkCertificate([...path, 'tls'], { cert: cert.path, key: key.path }, checks)
  return { certFile: cert?.path ?? '', keyFile: key?.path ?? '' }
}

export const makeAdmin = ({ admin: source }: Listeners, { report }: Checks): AdminOptions => {
  const at = splitAddress(source.address)
  if (!isLoopbackHost(at.host) && !source['allow-public']) report(['listeners', 'admin', 'address'], 'is reachable from elsewhere, and the admin listener knows no login: use 127.0.0.1, or say "allow-public: true" if the network keeps everybody else out')
  return at
}

const strangers = ['1.1.1.1', '9.9.9.9', '93.184.216.34', '203.0.113.7', '2001:db8::1', '2606:4700::1', '2a00:1450::1']

/** So wide that no set of proxies is meant, by its length or, for IPv4 inside IPv6, by whom it takes in. */
const isEverybody = (range: string): boolean => {
  const [base = '', bits] = range.split('/')
  try {
    const isInside = compileCidrs([range])
    return (bits !== undefined && Number(bits) < (base.includes(':') ? 16 : 8)) || strangers.filter(isInside).length > 1
  } catch {
    return false
  }
}

export const makeHttpListener = ({ http: source }: Listeners, services: readonly HttpServiceOptions[], consoleUrl: string, checks: Checks): HttpListenerOptions => {
  const path: Path = ['listeners', 'http']
  checkRanges(source['trusted-proxies'], [...path, 'trusted-proxies'], checks)
  for (const [index, range] of source['trusted-proxies'].entries()) if (isEverybody(range)) checks.report([...path, 'trusted-proxies', index], 'trusts more or less everybody to say who they are; name the proxies')
  for (const [claim, header] of Object.entries(source['claim-headers'])) if (!/^x-[A-Za-z0-9-]{1,64}$/i.test(header)) checks.report([...path, 'claim-headers', claim], 'must be a header that begins with x-')
  return {
    ...splitAddress(source.address),
    trustedProxies: source['trusted-proxies'],
    limits: { targetBytes: bytes(source.limits.target), headerBytes: bytes(source.limits.headers), headerCount: source.limits['header-count'], connections: source.limits.connections },
    timeouts: { headersMs: ms(source.timeouts.headers), bodyMs: ms(source.timeouts.body), keepAliveMs: ms(source.timeouts['keep-alive']), sessionRecheckMs: ms(source.timeouts['session-recheck']) },
    services,
    consoleUrl,
    claimHeaders: source['claim-headers'],
    ...defined({ tls: makeTls(source.tls, path, checks) }),
  }
}

/** Two listeners on one port end at boot with less clear words. */
export const checkPorts = (listeners: Listeners, { report }: Checks): void => {
  const seen = new Map<number, { readonly host: string; readonly name: string }[]>()
  const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::'
  for (const name of ['http', 'postgres', 'console', 'admin'] as const) {
    const listener = listeners[name]
    if (listener === undefined) continue
    const { host, port } = splitAddress(listener.address)
    const others = seen.get(port) ?? []
    const clash = port === 0 ? undefined : others.find((other) => other.host === host || isAny(host) || isAny(other.host))
    if (clash) report(['listeners', name, 'address'], `takes the same port as the listener "${clash.name}"`)
    seen.set(port, [...others, { host, name }])
  }
}
