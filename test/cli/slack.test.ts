import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { Failure, type Io } from '../../src/cli/io.ts'
import { startFakeSlack, tokens } from '../channels/slack/fake-slack.ts'
import { configText, makeFolder } from '../config/folder.ts'

const console = 'listeners: { console: { url: "https://approvals.example.org", sign-in: { issuer: corp, client-id: console } } }'
const channel = (members: string): string => configText(`${console}\nchannels: { chat: { kind: slack, channel: C0APPROVALS, token: "\${env:BOT}", workspaces: [T0HOME], ${members} } }\n`)
const env = { BOT: tokens.bot, APP: tokens.app, SIGNING: tokens.signing }

const run = async (text: string, name: string, ...args: string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> => {
  using folder = makeFolder()
  folder.write('countersign.yaml', text)
  const said = { stdout: '', stderr: '' }
  const io = { stdout: { write: (more: string) => (said.stdout += more) }, stderr: { write: (more: string) => (said.stderr += more) }, env, cwd: folder.path } as unknown as Io
  const command = (await commands.named(name.split(' ')))!
  const code = await command.run(args, io).catch((error: unknown) => { if (error instanceof Failure) { said.stderr += error.message; return error.code } throw error })
  return { code, ...said }
}

test('the manifest fits the configured way of clicks', async () => {
  const manifest = async (text: string, ...args: string[]) => JSON.parse((await run(text, 'slack manifest', ...args)).stdout) as { settings: Record<string, unknown>; oauth_config: { scopes: { bot: string[] } } }
  const socket = await manifest(channel('app-token: "${env:APP}"'))
  assert.deepEqual([socket.settings['socket_mode_enabled'], socket.settings['interactivity']], [true, { is_enabled: true }])
  const http = { is_enabled: true, request_url: 'https://approvals.example.org/slack/interactions' }
  assert.deepEqual((await manifest(channel('signing-secret: "${env:SIGNING}"'))).settings['interactivity'], http)
  assert.deepEqual((await manifest(configText(console), '--clicks', 'http')).settings['interactivity'], http)
  assert.equal((await manifest(configText(console))).settings['socket_mode_enabled'], true)
  const plain = await run(configText(console.replace('https://approvals.example.org', 'http://localhost:8081')), 'slack manifest', '--clicks', 'http')
  assert.deepEqual([plain.code, plain.stdout], [3, ''])
  assert.match(plain.stderr, /^Slack only posts clicks to a console by https/)
  assert.deepEqual(socket.oauth_config.scopes.bot, ['chat:write', 'users:read', 'channels:read', 'groups:read'])
})

test('channels --check asks Slack what would work, posts nothing and shows no secret', async () => {
  await using slack = await startFakeSlack()
  slack.scopes = 'chat:write,users:read,channels:read,groups:read'
  const text = channel(`url: "${slack.url}", private-addresses: true, app-token: "\${env:APP}"`)
  const good = await run(text, 'channels', '--check')
  assert.equal(good.code, 0, good.stdout)
  assert.deepEqual(good.stdout.split('\n').slice(1, -1), ['  ok   the bot token is good, in the workspace Home (T0HOME)', '  ok   the bot token has the scopes that it needs', '  ok   the bot is a member of #C0APPROVALS', '  ok   the app token opens connections for clicks'])
  slack.scopes = 'channels:read'
  slack.shared = true
  slack.answers.set('apps.connections.open', ['not_allowed_token_type'])
  const bad = await run(text, 'channels', '--check')
  assert.equal(bad.code, 1)
  for (const said of ['FAIL the bot token lacks the scopes chat:write, users:read, groups:read', 'FAIL #C0APPROVALS is shared with another company', 'FAIL the app token: Slack answered apps.connections.open with not_allowed_token_type']) assert.ok(bad.stdout.includes(said), bad.stdout)
  slack.answers.set('auth.test', ['token_revoked'])
  assert.match((await run(text, 'channels', '--check', '--json')).stdout, /"ok":false,"text":"the bot token: Slack answered auth.test with token_revoked"/)
  const outputs = [good, bad].map(({ stdout, stderr }) => stdout + stderr).join()
  for (const secret of Object.values(tokens)) assert.ok(!outputs.includes(secret))
  assert.deepEqual([slack.messages, slack.whispers], [[], []])
})
