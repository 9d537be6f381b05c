import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TeamsBotOptions } from '../channels/teams/options.ts'
import { loadConfig } from '../config/load.ts'
import { png, type Colour } from '../lib/png.ts'
import { formatProblem } from '../lib/problem.ts'
import { zip } from '../lib/zip.ts'
import { type Command, type Options, parseOptions } from './command.ts'
import type { ConfigIo } from './config.ts'
import { exit, Failure } from './io.ts'
import { configFileOf } from './serve.ts'

const options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'the configuration (COUNTERSIGN_CONFIG, or countersign.yaml here)' },
  out: { type: 'string', short: 'o', value: 'FILE', help: 'where to write it (countersign-teams.zip)' },
} as const satisfies Options

/** What Teams is told about the bot, to be uploaded by an administrator. */
export const manifestOf = (appId: string, consoleUrl: string) => ({
  $schema: 'https://developer.microsoft.com/en-us/json-schemas/teams/v1.17/MicrosoftTeams.schema.json',
  manifestVersion: '1.17',
  version: '1.0.0',
  id: appId,
  developer: { name: 'Countersign', websiteUrl: consoleUrl, privacyUrl: consoleUrl, termsOfUseUrl: consoleUrl },
  name: { short: 'Countersign', full: 'Countersign approvals' },
  description: { short: 'Approve or deny what agents ask for.', full: 'Shows actions of agents that wait for approval, takes the decisions of those who may decide, and says what became of them.' },
  icons: { color: 'color.png', outline: 'outline.png' },
  accentColor: '#1F3A5F',
  bots: [{ botId: appId, scopes: ['team', 'groupChat'], supportsFiles: false, isNotificationOnly: false }],
  permissions: ['identity', 'messageTeamMembers'],
  validDomains: [new URL(consoleUrl).hostname],
})

const [blue, white, clear]: readonly Colour[] = [[0x1f, 0x3a, 0x5f, 255], [255, 255, 255, 255], [0, 0, 0, 0]]

/** Two strokes of a tick, as wide as a twelfth of the picture. */
const isTick = (size: number, x: number, y: number): boolean => {
  const [at, down] = [x / size, y / size]
  const near = (fromX: number, fromY: number, toX: number, toY: number): boolean => {
    const [dx, dy] = [toX - fromX, toY - fromY]
    const along = Math.min(1, Math.max(0, ((at - fromX) * dx + (down - fromY) * dy) / (dx * dx + dy * dy)))
    return Math.hypot(at - fromX - along * dx, down - fromY - along * dy) < 1 / 12
  }
  return near(0.24, 0.53, 0.43, 0.71) || near(0.43, 0.71, 0.77, 0.31)
}

const icons = (): readonly { readonly name: string; readonly bytes: Buffer }[] => [
  { name: 'color.png', bytes: png(192, (x, y) => (isTick(192, x, y) ? white! : blue!)) },
  { name: 'outline.png', bytes: png(32, (x, y) => (isTick(32, x, y) ? white! : clear!)) },
]

const botOf = (bots: readonly TeamsBotOptions[], name: string | undefined): TeamsBotOptions => {
  const fitting = bots.filter((bot) => name === undefined || bot.name === name)
  const apps = new Set(fitting.map(({ appId }) => appId))
  const [first] = fitting
  if (first === undefined) throw new Failure(name === undefined ? 'no channel of kind teams-bot is configured' : `no channel of kind teams-bot is called ${name}`, exit.usage)
  if (apps.size > 1) throw new Failure(`there are several bots; name the channel of one: ${fitting.map((bot) => bot.name).join(', ')}`, exit.usage)
  return first
}

const writeManifest = async (args: readonly string[], io: ConfigIo): Promise<number> => {
  const { values, positionals } = parseOptions(args, options, { min: 0, max: 1 })
  const { config, problems } = await loadConfig(resolve(io.cwd, configFileOf(values.config, io)), io.env)
  if (problems) {
    for (const problem of problems) io.stderr.write(`${formatProblem(problem)}\n`)
    return exit.invalid
  }
  const { appId } = botOf(config.channels.filter((channel) => channel.kind === 'teams-bot'), positionals[0])
  const { url } = config.console
  if (!url.startsWith('https:')) throw new Failure('Teams only reaches a console by https: set listeners.console.url', exit.invalid)
  const file = resolve(io.cwd, values.out ?? 'countersign-teams.zip')
  writeFileSync(file, zip([{ name: 'manifest.json', bytes: Buffer.from(`${JSON.stringify(manifestOf(appId, url), undefined, 2)}\n`) }, ...icons()]))
  io.stderr.write(`Upload ${file} in the Teams admin centre, or as a custom app, and add it to the team.\nThe messaging endpoint of the bot (Azure, Configuration): ${url}/teams/activities\n`)
  return exit.ok
}

export const teamsCommands: readonly Command[] = [
  { path: ['teams', 'manifest'], summary: 'Write the app package of the Teams bot', usage: '[CHANNEL]', details: 'A zip with the manifest and its icons, made of the configuration of this machine. It holds no secret.', options, examples: ['countersign teams manifest', 'countersign teams manifest oncall-chat --out bot.zip'], run: writeManifest },
]
