import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inflateSync } from 'node:zlib'
import { commands } from '../../src/cli/commands.ts'
import { Failure, type Io } from '../../src/cli/io.ts'
import { makeFolder } from '../config/folder.ts'

const appId = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee'
const tenant = '11111111-2222-4333-8444-555555555555'
const bot = (name: string, id: string): string => `  ${name}: { kind: teams-bot, app-id: ${id}, app-secret: "\${env:BOT}", tenant: ${tenant}, issuer: entra, conversation: "19:0@thread.tacv2" }`
const text = (channels: readonly string[], url = 'https://approvals.example.org'): string => `listeners: { console: { url: "${url}", sign-in: { issuer: entra, client-id: countersign } } }
issuers: { entra: { preset: entra, tenants: [${tenant}], audiences: [countersign] } }
services: { orders-api: { upstream: "http://127.0.0.1:9000" } }
policies: [./policies]
channels:
${channels.join('\n')}
`
const run = async (folder: { readonly path: string }, ...args: string[]): Promise<{ readonly code: number; readonly stderr: string }> => {
  let stderr = ''
  const io = { stdout: { write: () => {} }, stderr: { write: (more: string) => (stderr += more) }, env: { BOT: 's3cret' }, cwd: folder.path } as unknown as Io
  const command = (await commands.named(['teams', 'manifest']))!
  const code = await command.run(args, io).catch((error: unknown) => { if (error instanceof Failure) { stderr += error.message; return error.code } throw error })
  return { code, stderr }
}

/** The files of an archive whose entries are stored as they are, as its directory lists them. */
const filesIn = (archive: Buffer): ReadonlyMap<string, Buffer> => {
  const files = new Map<string, Buffer>()
  const end = archive.length - 22
  assert.equal(archive.readUInt32LE(end), 0x06054b50)
  for (let at = archive.readUInt32LE(end + 16); at < end; ) {
    const [size, name, place] = [archive.readUInt32LE(at + 24), archive.readUInt16LE(at + 28), archive.readUInt32LE(at + 42)]
    const data = place + 30 + archive.readUInt16LE(place + 26)
    files.set(archive.toString('ascii', at + 46, at + 46 + name), archive.subarray(data, data + size))
    at += 46 + name
  }
  return files
}

test('the app package of the bot: a manifest and two icons, always the same, without a secret', async () => {
  using folder = makeFolder()
  folder.write('countersign.yaml', text([bot('chat', appId)]))
  const { code, stderr } = await run(folder, '--out', 'bot.zip')
  assert.equal(code, 0, stderr)
  assert.match(stderr, /https:\/\/approvals\.example\.org\/teams\/activities/)
  const archive = readFileSync(join(folder.path, 'bot.zip'))
  const files = filesIn(archive)
  assert.deepEqual([...files.keys()], ['manifest.json', 'color.png', 'outline.png'])
  const manifest = JSON.parse(String(files.get('manifest.json')))
  assert.deepEqual([manifest.id, manifest.bots[0].botId, manifest.validDomains], [appId, appId, ['approvals.example.org']])
  assert.ok(manifest.name.short.length <= 30 && manifest.description.short.length <= 80)
  for (const [name, size] of [['color.png', 192], ['outline.png', 32]] as const) {
    const image = files.get(name)!
    assert.deepEqual([image.readUInt32BE(16), image.readUInt32BE(20)], [size, size])
    assert.equal(inflateSync(image.subarray(41, 41 + image.readUInt32BE(33))).length, size * (size * 4 + 1))
  }
  assert.ok(!archive.includes('s3cret'))
  await run(folder, '--out', 'again.zip')
  assert.ok(archive.equals(readFileSync(join(folder.path, 'again.zip'))))
})

test('it says what is missing', async () => {
  using folder = makeFolder()
  const other = 'bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee'
  folder.write('countersign.yaml', text([bot('one', appId), bot('two', other)]))
  assert.match((await run(folder)).stderr, /several bots.*one, two/)
  assert.equal((await run(folder, 'two')).code, 0)
  assert.match((await run(folder, 'three')).stderr, /called three/)
  folder.write('countersign.yaml', text(['  ops: { kind: webhook, url: "https://hooks.example.com/" }']))
  assert.match((await run(folder)).stderr, /no channel of kind teams-bot/)
  folder.write('countersign.yaml', text([bot('one', appId)], 'http://127.0.0.1:8081'))
  assert.match((await run(folder)).stderr, /only reaches a console by https/)
})
