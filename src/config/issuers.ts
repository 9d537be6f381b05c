import type { ClaimRule, IssuerOptions, KeySource } from '../identity/options.ts'
import { defined } from '../lib/defined.ts'
import { parseDuration } from '../lib/duration.ts'
import { isLoopbackHost } from '../lib/outbound-address.ts'
import { nearest } from '../lib/nearest.ts'
import { JsonProblem, parseStrictJson } from '../lib/strict-json.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Checks } from './checks.ts'
import { parseSize } from './fields.ts'
import { lintIssuer } from './issuer-lint.ts'
import { entraIssuers, entraKeys, presetDefaults } from './issuer-presets.ts'
import { outboundProblem } from './outbound.ts'
import type { ConfigSource, IssuerSource } from './schema.ts'

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** A duration or size that the schema has seen. */
export const ms = (text: string): number => parseDuration(text) ?? 0
export const bytes = (text: string): number => parseSize(text) ?? 0

export const makeIssuers = (source: ConfigSource['issuers'], checks: Checks): readonly IssuerOptions[] => {
  const names = Object.keys(source)
  const all = Object.entries(source).map(([name, issuer]) => makeIssuer(name, issuer, names, checks))
  const seen = new Map<string, string>()
  for (const { name, issuers } of all) {
    for (const issuer of issuers) {
      const other = seen.get(issuer)
      if (other !== undefined) checks.report(['issuers', name], `accepts ${issuer}, and so does "${other}"; who a token is from must be one answer`, { on: 'key' })
      seen.set(issuer, name)
    }
  }
  return all
}

const makeIssuer = (name: string, source: IssuerSource, names: readonly string[], checks: Checks): IssuerOptions => {
  const path: Path = ['issuers', name]
  const preset = presetDefaults[source.preset]
  const issuers = makeIssuerValues(source, path, checks)
  const { delegation, introspection } = source
  for (const [index, actor] of (delegation?.['actor-issuers'] ?? []).entries()) checks.known([...path, 'delegation', 'actor-issuers', index], actor, names, 'issuer')
  const options: IssuerOptions = {
    name,
    issuers,
    preset: source.preset,
    keys: makeKeys(source, issuers, path, checks),
    audiences: makeAudiences(source, path, checks),
    algorithms: makeAlgorithms(source, path, checks),
    kind: source.kind ?? preset.kind,
    clockToleranceMs: within(source['clock-tolerance'], 300_000, [...path, 'clock-tolerance'], checks),
    maxTokenAgeMs: ms(source['max-token-age']),
    claimPaths: makeClaimPaths(source),
    claims: { ...preset.claims, ...source.claims },
    required: makeRequired(source, path, checks),
    groupNames: source['group-names'],
    emailDomains: makeDomains(source['email-domains'], [...path, 'email-domains'], checks),
    delegation: { allowed: delegation !== undefined, actorIssuers: delegation?.['actor-issuers'] ?? [] },
    jwks: {
      maxAgeMs: ms(source.jwks['max-age']),
      maxStaleMs: ms(source.jwks['max-stale']),
      cooldownMs: ms(source.jwks.cooldown),
      errorBackoffMs: ms(source.jwks['error-backoff']),
      maxBytes: bytes(source.jwks['max-size']),
      timeoutMs: within(source.jwks.timeout, 60_000, [...path, 'jwks', 'timeout'], checks),
    },
    ...defined({ tokenTypes: makeTokenTypes(source, path, checks) ?? preset.tokenTypes, introspection: makeIntrospection(introspection, path, checks) }),
  }
  lintIssuer(source, options, path, checks)
  return options
}

const within = (text: string, most: number, path: Path, { report }: Checks): number => {
  const value = ms(text)
  if (value > most) report(path, `must be at most ${most / 1_000}s`)
  return value
}

const makeIssuerValues = (source: IssuerSource, path: Path, checks: Checks): readonly string[] => {
  const { preset, issuer, tenants } = source
  const foreign = (key: keyof IssuerSource, of: string): void => {
    if (source[key] !== undefined && preset !== of) checks.report([...path, key], `belongs to the preset ${of}`, { on: 'key' })
  }
  foreign('tenants', 'entra')
  foreign('cloud', 'entra')
  foreign('hosted-domains', 'google')
  if (preset === 'entra') {
    if (issuer !== undefined) checks.report([...path, 'issuer'], 'follows from "tenants" with the preset entra', { on: 'key' })
    for (const [index, tenant] of (tenants ?? []).entries()) if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tenant)) checks.report([...path, 'tenants', index], 'is no tenant id (a GUID in lower case); common and organizations are everybody')
    if ((tenants?.length ?? 0) === 0) checks.report([...path, 'tenants'], 'is missing; without it the tokens of every tenant would be good')
    return entraIssuers(tenants ?? [], source.cloud)
  }
  const value = issuer ?? presetDefaults[preset].issuer
  if (value === undefined) {
    checks.report([...path, 'issuer'], 'is missing')
    return []
  }
  const problem = /^https?:/.test(value) ? outboundProblem(value, isReached(source) ? checks.outbound : {}) : 'must be https, or http on loopback'
  if (problem !== undefined) checks.report([...path, 'issuer'], problem)
  else if (value.includes('?')) checks.report([...path, 'issuer'], 'has a query')
  return [value]
}

/** Whether the address of the issuer itself is ever called. */
const isReached = ({ keys }: IssuerSource): boolean => keys['jwks-url'] === undefined && keys['jwks-file'] === undefined && keys['discovery-url'] === undefined

const makeKeys = (source: IssuerSource, issuers: readonly string[], path: Path, checks: Checks): KeySource => {
  const { keys } = source
  const at: Path = [...path, 'keys']
  const given = (['discovery-url', 'jwks-url', 'jwks-file'] as const).filter((key) => keys[key] !== undefined)
  if (given.length > 1) checks.report([...at, given[1] ?? ''], `stands beside "${given[0]}"; one of them`, { on: 'key' })
  const file = checks.file([...at, 'jwks-file'], keys['jwks-file'])
  if (file) return { from: 'inline', jwks: makeKeySet(file.text, [...at, 'jwks-file'], checks) }
  const bearer = checks.secret([...at, 'bearer'], keys.bearer, keys['bearer-file'], false)
  const ca = checks.file([...at, 'ca-file'], keys['ca-file'])
  const [first = ''] = issuers
  const known = source.preset === 'entra' ? entraKeys(source.tenants ?? [], source.cloud) : undefined
  const uri = keys['jwks-url'] ?? (keys['discovery-url'] === undefined ? known : undefined)
  const url = uri ?? keys['discovery-url'] ?? `${first.replace(/\/$/, '')}/.well-known/openid-configuration`
  const where = uri === undefined ? [...at, 'discovery-url'] : [...at, 'jwks-url']
  const wasWritten = given.length > 0 || source.preset === 'entra'
  const problem = wasWritten ? outboundProblem(url, checks.outbound) : undefined
  if (problem !== undefined) checks.report(where, problem)
  // Keys that come over a local port would let whoever listens there speak for an issuer elsewhere.
  else if (wasWritten && url.startsWith('http:') && !issuers.every((issuer) => URL.canParse(issuer) && isLoopbackHost(new URL(issuer).hostname))) checks.report(where, 'must be https: the issuer is not on this machine')
  if (uri === undefined) {
    if (bearer ?? ca) checks.report(at, '"bearer" and "ca-file" go with "jwks-url"', { on: 'key' })
    return { from: 'discovery', url }
  }
  return { from: 'uri', url, ...defined({ caFile: ca?.path, bearer }) }
}

const makeKeySet = (text: string, path: Path, { report }: Checks): { readonly keys: readonly Record<string, unknown>[] } => {
  if (text === '') return { keys: [] }
  try {
    const set = parseStrictJson(Buffer.from(text)) as { keys?: unknown } | null
    const keys = typeof set === 'object' && Array.isArray(set?.keys) ? (set.keys as unknown[]).filter((key): key is Record<string, unknown> => typeof key === 'object' && key !== null) : []
    if (keys.length === 0) report(path, 'holds no keys')
    if (keys.some((key) => 'd' in key || 'k' in key || key['kty'] === 'oct')) report(path, 'holds a private or symmetric key; a key set is public')
    return { keys }
  } catch (error) {
    report(path, error instanceof JsonProblem ? `is no key set: ${error.message}` : 'is no key set')
    return { keys: [] }
  }
}

const makeAudiences = ({ audiences }: IssuerSource, path: Path, { report }: Checks): readonly string[] => {
  if (audiences === undefined) report([...path, 'audiences'], 'is missing: an audience is mandatory, or tokens that were made for others would be good here')
  else if (audiences.length === 0) report([...path, 'audiences'], 'is empty: an audience is mandatory')
  return audiences ?? []
}

const makeAlgorithms = ({ algorithms }: IssuerSource, path: Path, { report }: Checks): readonly string[] => {
  if (algorithms?.length === 0) report([...path, 'algorithms'], 'is empty, so no token would be good')
  for (const [index, algorithm] of (algorithms ?? []).entries()) {
    const at = [...path, 'algorithms', index]
    if (ALGORITHMS.includes(algorithm)) continue
    if (algorithm.toLowerCase() === 'none') report(at, 'none means unsigned: anybody could write such a token')
    else if (/^hs\d+$/i.test(algorithm)) report(at, 'HS* is signed with a shared secret: whoever can check a token can make one')
    else report(at, `"${algorithm}" is not known here; one of ${ALGORITHMS.join(', ')}`, { nearest: nearest(algorithm, ALGORITHMS) })
  }
  return algorithms ?? ['RS256', 'ES256', 'EdDSA']
}

const makeTokenTypes = (source: IssuerSource, path: Path, { report }: Checks): readonly string[] | undefined => {
  const types = source['token-types']
  if (types?.length === 0) report([...path, 'token-types'], 'is empty, so no token would be good; leave it out')
  return types?.map((type) => type.toLowerCase().replace(/^application\//, ''))
}

const makeClaimPaths = (source: IssuerSource): IssuerOptions['claimPaths'] => {
  const given = source['claim-paths']
  const { subject = presetDefaults[source.preset].claimPaths.subject, groups, roles, email, name } = given
  return { ...presetDefaults[source.preset].claimPaths, subject, ...defined({ groups, roles, email, name, emailVerified: given['email-verified'], clientId: given['client-id'] }) }
}

const makeRequired = (source: IssuerSource, path: Path, { report }: Checks): Readonly<Record<string, ClaimRule>> => {
  const preset = presetDefaults[source.preset].required ?? {}
  const own = Object.entries(source.required).map(([claim, rule]): readonly [string, ClaimRule] => {
    if (typeof rule === 'object' && !Array.isArray(rule)) return [claim, { glob: [rule.glob].flat() }]
    return [claim, { equals: [rule].flat() }]
  })
  const implied: Record<string, ClaimRule> = {}
  if (source.preset === 'entra') implied['tid'] = { equals: source.tenants ?? [] }
  const domains = source['hosted-domains']
  if (source.preset === 'google' && domains !== undefined) {
    if (domains.length === 0) report([...path, 'hosted-domains'], 'is empty, so nobody would be accepted')
    implied['hd'] = { equals: domains }
  }
  for (const claim of Object.keys(implied)) if (claim in source.required) report([...path, 'required', claim], `follows from "${claim === 'tid' ? 'tenants' : 'hosted-domains'}"`, { on: 'key' })
  return { ...preset, ...Object.fromEntries(own), ...implied }
}

const makeDomains = (domains: readonly string[], path: Path, { report }: Checks): readonly string[] => {
  for (const [index, domain] of domains.entries()) if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(domain)) report([...path, index], 'is no domain in ASCII lower case, such as example.com')
  return domains
}

const makeIntrospection = (source: IssuerSource['introspection'], path: Path, checks: Checks): IssuerOptions['introspection'] => {
  if (source === undefined) return undefined
  const at: Path = [...path, 'introspection']
  const problem = outboundProblem(source.url, checks.outbound)
  if (problem !== undefined) checks.report([...at, 'url'], problem)
  const clientSecret = checks.secret([...at, 'client-secret'], source['client-secret'], source['client-secret-file'], true)
  return clientSecret === undefined ? undefined : { url: source.url, clientId: source['client-id'], clientSecret, opaqueTokens: source['opaque-tokens'], recheck: source.recheck }
}
