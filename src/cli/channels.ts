import { resolve } from 'node:path'
import type { Finding } from '../channels/options.ts'
import { checkSlack } from '../channels/slack/check.ts'
import { checkTeams } from '../channels/teams/check.ts'
import { publicKeyText } from '../channels/webhook/signing.ts'
import { signingKeys } from '../channels/webhook/webhook.ts'
import { withApprovalKey } from '../config/approval-key.ts'
import type { ChannelConfig } from '../config/channels.ts'
import type { Config } from '../config/config.ts'
import { webhookKey } from '../config/deployment-keys.ts'
import { loadConfig } from '../config/load.ts'
import { defined } from '../lib/defined.ts'
import { formatProblem } from '../lib/problem.ts'
import { visible } from '../lib/visible.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit } from './io.ts'
import { configFileOf } from './serve.ts'

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  json: { type: 'boolean', help: 'one JSON array on standard output' },
  check: { type: 'boolean', help: 'ask the chats whether each would work, without posting anything' },
} as const satisfies Options

interface Described {
  readonly name: string
  readonly kind: string
  /** The host alone: the rest of a hook's address may be its secret. */
  readonly host: string
  readonly payload?: string
  /** What its receiver checks signatures with; those of HMAC have the secret. */
  readonly publicKeys?: readonly string[]
  /** Of `--check`. */
  readonly findings?: readonly Finding[]
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

const textOf = ({ name, kind, host, payload, publicKeys = [], findings = [] }: Described): string =>
  [[name, kind, host, ...(payload === undefined ? [] : [`payload ${payload}`]), ...publicKeys].join('  '), ...findings.map(({ ok, text }) => `  ${ok ? 'ok  ' : 'FAIL'} ${visible(text)}`)].map((line) => `${line}\n`).join('')

const checkWithinMs = 20_000

/** `undefined`: nothing can be asked there without posting something. */
const check = async (channel: ChannelConfig): Promise<readonly Finding[] | undefined> => {
  const signal = AbortSignal.timeout(checkWithinMs)
  if (channel.kind === 'slack') return await checkSlack(channel, signal)
  return channel.kind === 'teams-bot' ? await checkTeams(channel, signal) : undefined
}

const showChannels = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, options)
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(values.config, io)), io.env)
  if (problems) {
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  const described = config.channels.length === 0 ? [] : await Promise.all(config.channels.map(async (channel) => ({ ...describe(withApprovalKey(config), channel), ...(values.check === true ? defined({ findings: await check(channel) }) : {}) })))
  if (values.json === true) io.stdout.write(`${JSON.stringify(described)}\n`)
  else if (described.length === 0) io.stderr.write('No channels are configured.\n')
  else for (const one of described) io.stdout.write(textOf(one))
  return described.some(({ findings = [] }) => findings.some(({ ok }) => !ok)) ? exit.failure : exit.ok
}

export const channelCommands: readonly Command[] = [
  { path: ['channels'], summary: 'Show the configured channels and the public keys of their signatures', usage: '', details: 'Reads the configuration of this machine. With --check it also asks Slack and Teams what their tokens are good for, and whether the conversation is there. Give the public key to whoever receives the messages.', options, examples: ['countersign channels', 'countersign channels --check', 'countersign channels --json'], run: showChannels },
]
