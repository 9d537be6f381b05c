import { isServiceUrl } from '../channels/teams/activity.ts'
import type { Connector, TeamsBotOptions } from '../channels/teams/options.ts'
import type { ChannelOptions } from '../channels/options.ts'
import { longestKnownMs } from '../identity/links.ts'
import type { IssuerOptions } from '../identity/options.ts'
import { isLoopbackHost } from '../lib/outbound-address.ts'
import type { Path } from '../lib/yaml-source.ts'
import { type Checks, missing } from './checks.ts'
import { ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import type { ConfigSource } from './schema.ts'

type TeamsBotSource = ConfigSource['channels'][string] & { readonly kind: 'teams-bot' }

const publicConnector = {
  issuer: 'https://api.botframework.com',
  'jwks-url': 'https://login.botframework.com/v1/.well-known/keys',
  'token-url': 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
  scope: 'https://api.botframework.com/.default',
  'service-hosts': ['smba.trafficmanager.net', '*.botframework.com'],
}

export const makeTeamsBotOptions = (path: Path, source: TeamsBotSource, common: ChannelOptions, issuers: readonly IssuerOptions[], signsIn: boolean, checks: Checks): TeamsBotOptions => {
  const { conversation, 'app-id': appId } = source
  const tenant = source.tenant.toLowerCase()
  for (const key of ['app-id', 'tenant'] as const) if (!/^[0-9A-Za-z-]{1,64}$/.test(source[key])) checks.report([...path, key], 'is no id, such as 0f9d1c3e-58a1-4d0b-9a52-6f2f1b0c7d11')
  if (/;messageid=/.test(conversation)) checks.report([...path, 'conversation'], 'is one thread; leave out what begins with ";messageid="')
  if (!signsIn) checks.report(path, 'lets people decide, and nobody can say who they are: listeners.console.sign-in is missing', { on: 'key' })
  const groupsMaxAgeMs = ms(source['groups-max-age'])
  if (groupsMaxAgeMs > longestKnownMs) checks.report([...path, 'groups-max-age'], 'must not be more than 30d')
  const connector = makeConnectorOptions([...path, 'connector'], source, tenant, checks)
  const serviceUrl = source['service-url']
  callable([...path, 'service-url'], serviceUrl, source, checks)
  if (!isServiceUrl(serviceUrl, connector.serviceHosts)) checks.report([...path, 'service-url'], `must be https on one of ${connector.serviceHosts.join(', ')}`)
  return {
    kind: 'teams-bot',
    ...common,
    appId,
    appSecret: checks.secret([...path, 'app-secret'], source['app-secret'], source['app-secret-file'], true) ?? missing,
    tenant,
    issuer: makeIssuerOf(path, source, tenant, issuers, checks),
    conversation,
    serviceUrl,
    payload: source.payload,
    groupsMaxAgeMs,
    connector,
  }
}

/** The value that callers from this tenant carry as their issuer. */
const makeIssuerOf = (path: Path, { issuer: name }: TeamsBotSource, tenant: string, issuers: readonly IssuerOptions[], { report, known }: Checks): string => {
  const at = [...path, 'issuer']
  const issuer = issuers.find((one) => one.name === name)
  if (issuer === undefined) {
    known(at, name, issuers.map((one) => one.name), 'issuer')
    return ''
  }
  const value = issuer.issuers.find((one) => one.toLowerCase().includes(`/${tenant}/`))
  if (issuer.preset !== 'entra') report(at, 'has another preset than entra: the accounts of Teams are those of an Entra tenant')
  else if (value === undefined) report(at, `does not accept the tenant ${tenant}`)
  return value ?? ''
}

const makeConnectorOptions = (path: Path, source: TeamsBotSource, tenant: string, checks: Checks): Connector => {
  const { connector } = source
  const { issuer = publicConnector.issuer, scope = publicConnector.scope, 'jwks-url': jwksUrl = publicConnector['jwks-url'], 'token-url': tokenUrl = publicConnector['token-url'].replace('{tenant}', tenant), 'service-hosts': serviceHosts = publicConnector['service-hosts'] } = connector
  callable([...path, 'jwks-url'], jwksUrl, source, checks)
  callable([...path, 'token-url'], tokenUrl, source, checks)
  for (const [index, host] of serviceHosts.entries()) if (!/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?$/.test(host)) checks.report([...path, 'service-hosts', index], 'is no host in lower case; "*." may stand in front')
  return { issuer, jwksUrl, tokenUrl, scope, serviceHosts }
}

const callable = (path: Path, url: string, { 'private-addresses': inside }: TeamsBotSource, checks: Checks): void => {
  const problem = outboundProblem(url, checks.outbound)
  if (problem !== undefined) checks.report(path, problem)
  else if (!inside && isLoopbackHost(new URL(url).hostname)) checks.report(path, 'leads to this machine; say private-addresses: true if that is meant')
}
