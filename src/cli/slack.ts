import { resolve } from 'node:path'
import { makeManifest } from '../channels/slack/manifest.ts'
import type { SlackOptions } from '../channels/slack/options.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../lib/problem.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit, Failure } from './io.ts'
import { configFileOf } from './serve.ts'

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  clicks: { type: 'string', value: 'HOW', choices: ['socket', 'http'], help: 'how clicks come in, where the configuration does not say, or says both' },
} as const satisfies Options

const clicksOf = (channels: readonly SlackOptions[]): 'socket' | 'http' | undefined => {
  const ways = new Set(channels.flatMap(({ interactivity }) => (interactivity === undefined ? [] : [interactivity.by])))
  if (ways.size > 1) throw new Failure('clicks of one channel come by a socket and those of another by HTTP: these are two apps; say which with --clicks', exit.usage)
  return [...ways][0]
}

const showManifest = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values } = parseOptions(args, options)
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(values.config, io)), io.env)
  if (problems) {
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  const by = values.clicks === 'http' || values.clicks === 'socket' ? values.clicks : (clicksOf(config.channels.filter((channel) => channel.kind === 'slack')) ?? 'socket')
  if (by === 'http' && !config.console.url.startsWith('https:')) throw new Failure('Slack only posts clicks to a console by https: set listeners.console.url, or let them come by Socket Mode (app-token)', exit.invalid)
  io.stdout.write(`${JSON.stringify(makeManifest({ by, consoleUrl: config.console.url }), undefined, 2)}\n`)
  return exit.ok
}

export const slackCommands: readonly Command[] = [
  { path: ['slack', 'manifest'], summary: 'Write the manifest of the Slack app', usage: '', details: 'At api.slack.com/apps choose "Create New App" and "From a manifest", and paste it. Then install the app and copy its tokens.', options, examples: ['countersign slack manifest', 'countersign slack manifest --clicks http'], run: showManifest },
]
