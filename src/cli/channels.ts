import { resolve } from 'node:path'
import { publicKeyText } from '../channels/webhook/signing.ts'
import { signingKeys } from '../channels/webhook/webhook.ts'
import { withApprovalKey } from '../config/approval-key.ts'
import type { ChannelConfig } from '../config/channels.ts'
import type { Config } from '../config/config.ts'
import { webhookKey } from '../config/deployment-keys.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../lib/problem.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit } from './io.ts'
import { configFileOf } from './serve.ts'

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  json: { type: 'boolean', help: 'one JSON array on standard output' },
} as const satisfies Options

interface Described {
  readonly name: string
  readonly kind: string
  /** The host alone: the rest of a hook's address may be its secret. */
  readonly host: string
  readonly payload?: string
  /** What its receiver checks signatures with; those of HMAC have the secret. */
  readonly publicKeys?: readonly string[]
}

const describe = (config: Config, channel: ChannelConfig): Described => {
  const { name, kind } = channel
  if (channel.kind === 'teams-webhook') return { name, kind, host: new URL(channel.url.reveal()).host, payload: channel.payload }
  if (channel.kind === 'teams-bot') return { name, kind, host: new URL(channel.serviceUrl).host, payload: channel.payload }
  const { host } = new URL(channel.url)
  if (channel.kind === 'pagerduty') return { name, kind, host }
  if (channel.kind === 'slack') return { name, kind, host, payload: channel.payload }
  const keys = signingKeys(channel, { kind: 'ed25519', key: webhookKey(config) })
  return { name, kind, host, payload: channel.payload, publicKeys: keys.filter((key) => key.kind === 'ed25519').map(({ key }) => publicKeyText(key)) }
}

const showChannels = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, options)
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(values.config, io)), io.env)
  if (problems) {
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  const described = config.channels.length === 0 ? [] : config.channels.map((channel) => describe(withApprovalKey(config), channel))
  if (values.json === true) io.stdout.write(`${JSON.stringify(described)}\n`)
  else if (described.length === 0) io.stderr.write('No channels are configured.\n')
  else for (const { name, kind, host, payload, publicKeys = [] } of described) io.stdout.write(`${[name, kind, host, ...(payload === undefined ? [] : [`payload ${payload}`]), ...publicKeys].join('  ')}\n`)
  return exit.ok
}

export const channelCommands: readonly Command[] = [
  { path: ['channels'], summary: 'Show the configured channels and the public keys of their signatures', usage: '', details: 'Reads the configuration of this machine. Give the public key to whoever receives the messages.', options, examples: ['countersign channels', 'countersign channels --json'], run: showChannels },
]
