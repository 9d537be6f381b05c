import type { ConsoleOptions } from '../channels/web/options.ts'
import type { SlackOptions } from '../channels/slack/options.ts'
import type { TeamsOptions } from '../channels/teams/options.ts'
import type { OutgoingOptions } from '../channels/webhook/options.ts'
import { readSigningKey } from '../channels/webhook/signing.ts'
import type { IssuerOptions } from '../identity/options.ts'
import { defined } from '../lib/defined.ts'
import { isLoopbackHost } from '../lib/outbound-address.ts'
import type { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { VoteChannel } from '../model/decision.ts'
import { type Checks, missing } from './checks.ts'
import { ms } from './issuers.ts'
import { outboundProblem } from './outbound.ts'
import type { ConfigSource } from './schema.ts'
import { makeSlackOptions } from './slack-channel.ts'
import { makeTeamsBotOptions } from './teams-channel.ts'

type ChannelSource = ConfigSource['channels'][string]

export type ChannelConfig = OutgoingOptions | SlackOptions | TeamsOptions

/** Where people can vote as it is configured; what programs are told decides nothing. */
export const votesBy = ({ signIn, login }: Pick<ConsoleOptions, 'signIn' | 'login'>, channels: readonly ChannelConfig[]): readonly VoteChannel[] => [
  'api',
  ...(signIn === undefined ? [] : (['console'] as const)),
  ...(login === undefined ? [] : (['cli'] as const)),
  ...(channels.some((channel) => channel.kind === 'slack' && channel.interactivity !== undefined) ? (['slack'] as const) : []),
  ...(channels.some(({ kind }) => kind === 'teams-bot') ? (['teams'] as const) : []),
]

export const makeChannels = ({ channels, services, groups, listeners }: ConfigSource, issuers: readonly IssuerOptions[], checks: Checks): readonly ChannelConfig[] =>
  Object.entries(channels).map(([name, source]): ChannelConfig => {
    const path: Path = ['channels', name]
    for (const [index, service] of (source.only.services ?? []).entries()) checks.known([...path, 'only', 'services', index], service, Object.keys(services), 'service')
    if (groups !== undefined) for (const [index, group] of (source.only.groups ?? []).entries()) checks.known([...path, 'only', 'groups', index], group, groups, 'group')
    const common = { name, interest: defined({ services: source.only.services, tags: source.only.tags, groups: source.only.groups }), timeoutMs: ms(source.timeout), groupWithinMs: 'group-within' in source ? ms(source['group-within']) : 0, privateAddresses: source['private-addresses'] }
    if (source.kind === 'teams-bot') return makeTeamsBotOptions(path, source, common, issuers, listeners.console['sign-in'] !== undefined, checks)
    if (source.kind === 'teams-webhook') return { kind: 'teams-webhook', ...common, url: makeSecretUrl(path, source, checks), payload: source.payload }
    const url = checkedUrl(path, source.url, source, checks)
    if (source.kind === 'slack') {
      // A click says in which conversation it was, and nothing else about the channel.
      const first = Object.entries(channels).find(([, one]) => one.kind === 'slack' && one.channel === source.channel)?.[0]
      if (first !== name) checks.report([...path, 'channel'], `is the conversation of the channel "${first}"`)
      return makeSlackOptions(path, source, { ...common, url }, listeners.console['sign-in'] !== undefined, checks)
    }
    if (source.kind === 'pagerduty') return { kind: 'pagerduty', ...common, url, severity: source.severity, routingKey: checks.secret([...path, 'routing-key'], source['routing-key'], source['routing-key-file'], true) ?? missing }
    const secrets = [makeSecret(path, 'secret', source.secret, source['secret-file'], checks), makeSecret(path, 'previous-secret', source['previous-secret'], source['previous-secret-file'], checks)]
    return { kind: source.kind, ...common, url, payload: source.payload, secrets: secrets.filter((secret) => secret !== undefined) }
  })

const checkedUrl = (path: Path, url: string, { 'private-addresses': inside }: ChannelSource, checks: Checks): string => {
  const problem = outboundProblem(url, checks.outbound)
  // What stands in the address of a hook may be the only secret that it has.
  if (problem !== undefined) checks.report([...path, 'url'], problem, { hide: true })
  else if (!inside && isLoopbackHost(new URL(url).hostname)) checks.report([...path, 'url'], 'leads to this machine; say private-addresses: true if that is meant', { hide: true })
  return url
}

const makeSecretUrl = (path: Path, source: ChannelSource & { readonly kind: 'teams-webhook' }, checks: Checks): Secret => {
  const url = checks.secret([...path, 'url'], source.url, source['url-file'], true) ?? missing
  if (url !== missing) checkedUrl(path, url.reveal(), source, checks)
  return url
}

const makeSecret = (path: Path, key: string, value: string | undefined, file: string | undefined, checks: Checks): Secret | undefined => {
  const secret = checks.secret([...path, key], value, file, false)
  if (secret !== undefined && secret !== missing && readSigningKey(secret.reveal()) === undefined) checks.report([...path, key], 'is no key of a webhook: whsk_ or whsec_, and base64 of 32 bytes (whsec_: 24 to 64)', { hide: true })
  return secret
}
