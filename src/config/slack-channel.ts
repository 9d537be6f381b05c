import type { Interactivity, SlackOptions } from '../channels/slack/options.ts'
import type { ChannelOptions } from '../channels/options.ts'
import { longestKnownMs } from '../identity/links.ts'
import type { Secret } from '../lib/secret.ts'
import type { Path } from '../lib/yaml-source.ts'
import { type Checks, missing } from './checks.ts'
import { ms } from './issuers.ts'
import type { ConfigSource } from './schema.ts'

type SlackSource = ConfigSource['channels'][string] & { readonly kind: 'slack' }

export const makeSlackOptions = (path: Path, source: SlackSource, common: ChannelOptions & { readonly url: string }, signsIn: boolean, checks: Checks): SlackOptions => {
  const { channel: conversation, workspaces } = source
  if (!/^[CGD][A-Z0-9]{2,60}$/.test(conversation)) checks.report([...path, 'channel'], 'is no id of a conversation: Slack shows it at the end of "about this channel", such as C0123456789')
  for (const [index, workspace] of workspaces.entries()) if (!/^[TE][A-Z0-9]{2,60}$/.test(workspace)) checks.report([...path, 'workspaces', index], 'is no id of a workspace, such as T0123456789')
  const interactivity = makeInteractivity(path, source, checks)
  if (interactivity !== undefined) {
    if (workspaces.length === 0) checks.report([...path, 'workspaces'], 'must name the workspaces whose members decide')
    if (!signsIn) checks.report(path, 'lets people decide, and nobody can say who they are: listeners.console.sign-in is missing', { on: 'key' })
  }
  const groupsMaxAgeMs = ms(source['groups-max-age'])
  if (groupsMaxAgeMs > longestKnownMs) checks.report([...path, 'groups-max-age'], 'must not be more than 30d')
  const url = common.url.replace(/\/+$/, '')
  return { kind: 'slack', ...common, url, token: makeToken([...path, 'token'], source.token, source['token-file'], 'xoxb-', checks), conversation, payload: source.payload, interactivity, workspaces, sharedChannel: source['shared-channel'], linkMaxAgeMs: ms(source['link-max-age']), groupsMaxAgeMs }
}

const makeInteractivity = (path: Path, source: SlackSource, checks: Checks): Interactivity | undefined => {
  const given = (key: 'app-token' | 'signing-secret' | 'previous-signing-secret'): boolean => source[key] !== undefined || source[`${key}-file`] !== undefined
  if (given('app-token') && given('signing-secret')) checks.report([...path, 'signing-secret'], 'stands beside "app-token"; clicks come in by one of them', { on: 'key', hide: true })
  if (given('previous-signing-secret') && !given('signing-secret')) checks.report([...path, 'previous-signing-secret'], 'belongs to "signing-secret"', { on: 'key', hide: true })
  if (given('app-token')) return { by: 'socket', appToken: makeToken([...path, 'app-token'], source['app-token'], source['app-token-file'], 'xapp-', checks) }
  if (!given('signing-secret')) return undefined
  const secrets = (['signing-secret', 'previous-signing-secret'] as const).map((key) => checks.secret([...path, key], source[key], source[`${key}-file`], false))
  return { by: 'http', signingSecrets: secrets.filter((secret) => secret !== undefined) }
}

const makeToken = (path: Path, value: string | undefined, file: string | undefined, prefix: string, checks: Checks): Secret => {
  const token = checks.secret(path, value, file, true) ?? missing
  if (token !== missing && !new RegExp(`^${prefix}[A-Za-z0-9-]+$`).test(token.reveal())) checks.report(path, `is no token that begins with ${prefix}`, { hide: true })
  return token
}
