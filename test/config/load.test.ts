import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { partyKey } from '../../src/model/caller.ts'
import { configText, makeFolder } from './folder.ts'

const only = (problems: readonly string[], pattern: RegExp): void => {
  assert.equal(problems.length, 1, problems.join(' | ') || 'no problem')
  assert.match(problems[0] ?? '', pattern)
}

test('the shortest configuration: loopback only, strict defaults', async () => {
  using folder = makeFolder()
  const config = await folder.config(configText(), { HOSTNAME: 'pod-1' })
  assert.deepEqual([config.http.host, config.console.host, config.admin.host], ['127.0.0.1', '127.0.0.1', '127.0.0.1'])
  assert.equal(config.replica, 'pod-1')
  assert.equal(config.console.url, 'http://127.0.0.1:8081')
  assert.deepEqual(config.http.trustedProxies, [])
  assert.deepEqual(config.identity.issuers[0]?.algorithms, ['RS256', 'ES256', 'EdDSA'])
  assert.equal(config.identity.issuers[0]?.delegation.allowed, false)
  assert.deepEqual(config.store, { kind: 'embedded', path: join(folder.path, 'data', 'holds.db') })
  assert.deepEqual(config.journal.durability, { read: 'written', write: 'synced', held: 'synced' })
  assert.deepEqual(config.approval.keys, [])
  assert.equal(config.approvalKeyFile, join(folder.path, 'data', 'approval.key'))
  assert.deepEqual(config.policyFiles.map(({ file }) => file), ['policies/orders.yaml'])
  assert.deepEqual(config.policyFacts.issuers, [{ name: 'corp', issuers: ['https://login.example.com'] }])
  assert.deepEqual(config.http.services[0]?.routes.map(({ path, service }) => [service, path]), [['orders-api', '/']])
})

test('members of a group are accounts of configured issuers, and no agents', async () => {
  using folder = makeFolder()
  const members = (list: string, more = ''): string => configText(`members: { oncall: [${list}] }\n${more}`)
  const { members: known } = await folder.config(members('{ issuer: corp, subject: alice }'))
  assert.deepEqual([...(known.get('oncall') ?? [])], [partyKey({ issuer: 'https://login.example.com', subject: 'alice' })])
  only(await folder.problems(members('{ issuer: crop, subject: alice }')), /members\.oncall\[0\]\.issuer.*crop/)
  only(await folder.problems(members('{ issuer: corp, subject: bot }', 'agents: { bot: { issuer: corp, subject: bot, owner: { issuer: corp, subject: alice } } }\n')), /is the registered agent "bot"/)
  only(await folder.problems(members('', 'groups: [agents]\n')), /oncall/)
})

test('durations and sizes arrive as numbers', async () => {
  using folder = makeFolder()
  const config = await folder.config(configText('approvals: { replay-window: 0s, results-kept: 1h30m }\njournal: { segment-size: 16MiB }\n', ', routes: [{ path: /v1, inspect-body: 64KiB, hold: { wait: 90s, pending-status: 409 } }]'))
  assert.deepEqual([config.approval.replayWindowMs, config.approval.resultKeptMs, config.journal.segmentBytes], [0, 5_400_000, 16_777_216])
  assert.deepEqual([config.http.services[0]?.routes[0]?.inspectBytes, config.http.services[0]?.routes[0]?.hold], [65_536, { waitMs: 90_000, pendingStatus: 409 }])
  only(await folder.problems(configText('approvals: { replay-window: 30 }\n')), /approvals\.replay-window: a number stands where text/)
  only(await folder.problems(configText('approvals: { replay-window: 30min }\n')), /must be a duration/)
  only(await folder.problems(configText('journal: { segment-size: 16mb }\n')), /must be a size/)
})

test('YAML traps are told, with their place', async () => {
  using folder = makeFolder()
  const traps: readonly (readonly [string, RegExp])[] = [
    [configText('workers: 1\nworkers: 2\n'), /^7:1 .*twice/],
    [configText('deployment: 0123\n'), /leading zero/],
    [configText('deployment: 12\n'), /number stands where text/],
    [configText('grops: [a]\n'), /unknown key "grops"; did you mean "groups"/],
    [configText('people: !!js/function "f"\n'), /tags/],
    [`${configText()}---\n${configText()}`, /second document/],
    ['', /empty/],
    ['issuers:\n\tcorp: {}\n', /tab/],
  ]
  for (const [text, pattern] of traps) only(await folder.problems(text), pattern)
  assert.equal((await folder.config(configText('groups: [no, off]\n'))).policyFacts.groups?.join(), 'no,off')
})

test('nothing that is empty opens anything', async () => {
  using folder = makeFolder()
  for (const [text, pattern] of [
    ['issuers: {}\nservices: { a: { upstream: "http://127.0.0.1:1" } }\npolicies: [policies]\n', /names no issuer/],
    [configText().replace(/services:\n.*\n/, 'services: {}\n'), /names no service/],
    [configText().replace('[./policies]', '[]'), /names no policy/],
    [configText().replace('[countersign]', '[]'), /audience is mandatory/],
    [configText().replace('[countersign]', '[""]'), /must not be empty/],
    [configText().replace(', audiences: [countersign]', ''), /audience is mandatory/],
    [configText().replace('[countersign]', 'null'), /nothing stands where a list/],
    [configText().replace('[countersign]', '[countersign], algorithms: []'), /no token would be good/],
    [configText().replace('[countersign]', '[countersign], required: { team: [] }'), /an empty list would match nothing/],
    [configText('', ', routes: []'), /cannot be reached/],
  ] as const) only(await folder.problems(text), pattern)
})

test('two services, hosts, paths or ports are never the same', async () => {
  using folder = makeFolder()
  const routes = (...list: readonly string[]): string => configText('', `, routes: [${list.join(', ')}]`)
  only(await folder.problems(routes('{ host: a.example, path: /v1 }', '{ host: a.example, path: /v1/ }')), /same host and path/)
  only(await folder.problems(configText().replace('policies:', '  other: { upstream: "http://127.0.0.1:9001" }\npolicies:')), /belong to service "orders-api"/)
  assert.deepEqual(await folder.problems(routes('{ host: a.example, path: /v1 }', '{ host: b.example, path: /v1 }', '{ path: /v1 }')), [])
  for (const bad of ['host: A.example', 'host: "*.example"', 'host: a.example.', 'host: "a.example:80"', 'path: v1', 'path: /a/../b', 'path: "/a//b"', 'path: "/a/*/%2e"', 'path: "/a?x"']) only(await folder.problems(routes(`{ ${bad} }`)), /must be/)
  only(await folder.problems(configText('listeners: { http: { address: "127.0.0.1:9901" } }\n')), /same port as the listener "http"/)
})

test('references between parts are checked', async () => {
  using folder = makeFolder()
  only(await folder.problems(configText('agents:\n  bot: { issuer: crop, subject: bot, owner: { issuer: corp, subject: alice } }\n')), /^7:18 agents\.bot\.issuer: no issuer is called "crop"; did you mean "corp"/)
  only(await folder.problems(configText('people: { alice: [{ issuer: corp, subject: a }, { issuer: other, subject: b }] }\n')), /people\.alice\[1\]\.issuer: no issuer/)
  only(await folder.problems(configText('people: { alice: [{ issuer: corp, subject: a }, { issuer: corp, subject: a2 }], bob: [{ issuer: corp, subject: a2 }, { issuer: corp, subject: b }] }\n')), /belongs to "alice" as well/)
  only(await folder.problems(configText('agents: { bot: { issuer: corp, subject: bot, owner: { issuer: corp, subject: bot } } }\n')), /itself a registered agent/)
  only(await folder.problems(configText('listeners: { console: { login: { issuer: okta, client-id: cli } } }\n')), /no issuer is called "okta"/)
  only(await folder.problems(configText('store: { kind: redis, url: "redis://redis:6379" }\n')), /approvals\.keys: is missing/)
  const { identity, approval } = await folder.config(configText('agents: { bot: { issuer: corp, subject: bot, owner: { issuer: corp, subject: alice } } }\npeople: { alice: [{ issuer: corp, subject: alice }, { issuer: "https://login.example.com", subject: alice2 }] }\n'))
  assert.deepEqual(identity.agents[0]?.owner, { issuer: 'https://login.example.com', subject: 'alice' })
  assert.deepEqual(approval.people, [[{ issuer: 'https://login.example.com', subject: 'alice' }, { issuer: 'https://login.example.com', subject: 'alice2' }]])
})

test('what actions would wait for is there', async () => {
  using folder = makeFolder()
  const key = 'witness.example.org+da27d341+BEQpkwZQBKoeTEj03QFYGUwCNJvMZkzZbkAOommRio1R'
  const watched = (more: string, at = `url: "https://w.example.org", key: "${key}"`): string => configText(`audit: { witnesses: { w: { ${at} } }, required: { ${more} } }\n`)
  only(await folder.problems(configText('audit: { required: { write: local+sink } }\n')), /audit\.required\.write: waits for a sink, and there is none/)
  only(await folder.problems(configText('sinks: { out: { kind: stdout } }\naudit: { required: { write: local+sink, sinks: [siem] } }\n')), /no sink is called "siem"/)
  only(await folder.problems(configText('audit: { required: { held: local+witness } }\n')), /audit\.required\.held: waits for a witness, and there is none/)
  only(await folder.problems(watched('held: local+witness, witnesses: 2')), /waits for 2 witnesses, and there are 1/)
  only(await folder.problems(watched('held: local', `url: "http://w.example.org", key: "${key}"`)), /audit\.witnesses\.w\.url: must be https/)
  for (const bad of [key.replace('BEQp', 'AEQp'), 'prod+c74f20a3', 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW']) only(await folder.problems(watched('held: local', `url: "https://w.example.org", key: "${bad}"`)), /is no key of a witness/)
  only(await folder.problems(configText('journal: { disk-marks: { warn: 91 } }\n')), /journal\.disk-marks\.alert: is less than "warn"/)
  const { witnesses, auditRequired } = await folder.config(watched('held: local+witness'))
  assert.deepEqual([witnesses.map(({ name, everyMs, key: { name: signer } }) => [name, everyMs, signer]), auditRequired.held, auditRequired.withinMs], [[['w', 10_000, 'witness.example.org']], 'local+witness', 5_000])
})

test('listeners do not open by accident', async () => {
  using folder = makeFolder()
  for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'example.org']) only(await folder.problems(configText(`listeners: { admin: { address: "${host}:9901" } }\n`)), /admin listener knows no login/)
  only(await folder.problems(configText('listeners: { admin: { address: "0.0.0.0:9901", auth: none } }\n')), /unknown key "auth"/)
  assert.equal((await folder.config(configText('listeners: { admin: { address: "0.0.0.0:9901", allow-public: true } }\n'))).admin.host, '0.0.0.0')
  for (const range of ['0.0.0.0/0', '::/0', '0.0.0.0/1', '128.0.0.0/1', '2000::/3', '::ffff:0:0/96']) only(await folder.problems(configText(`listeners: { http: { trusted-proxies: ["${range}"] } }\n`)), /more or less everybody/)
  only(await folder.problems(configText('listeners: { http: { trusted-proxies: [proxy.example] } }\n')), /no address range/)
  only(await folder.problems(configText('listeners: { console: { address: "0.0.0.0:8081" } }\n')), /console\.url: is missing/)
  only(await folder.problems(configText('listeners: { console: { url: "http://approvals.example.org" } }\n')), /must be https/)
  only(await folder.problems(configText('listeners: { console: { url: "https://approvals.example.org/x" } }\n')), /must be an origin/)
})

test('policy files: folders, links behind a volume, never cases or hidden names', async () => {
  using folder = makeFolder()
  folder.write('mounted/..v1/a.yaml', 'policy: a')
  folder.write('mounted/a.cases.yaml', 'cases: []')
  folder.write('mounted/readme.md', 'x')
  folder.write('mounted/team/b.yml', 'policy: b')
  symlinkSync('..v1', join(folder.path, 'mounted', '..data'))
  symlinkSync('..data/a.yaml', join(folder.path, 'mounted', 'a.yaml'))
  const { policyFiles } = await folder.config(configText().replace('./policies', './mounted'))
  assert.deepEqual(policyFiles, [{ file: 'mounted/a.yaml', text: 'policy: a' }, { file: 'mounted/team/b.yml', text: 'policy: b' }])
  only(await folder.problems(configText().replace('./policies', './nowhere')), /policies\[0\]: cannot be read \(ENOENT\)/)
  folder.write('empty/x.txt', '')
  only(await folder.problems(configText().replace('./policies', './empty')), /no policy file/)
  symlinkSync('.', join(folder.path, 'empty', 'loop'))
  only(await folder.problems(configText().replace('./policies', './empty')), /nested deeper/)
})

test('every file that plays a part is known, so that it can be watched', async () => {
  using folder = makeFolder()
  folder.write('token', 'abc')
  const text = configText('', ', credential: { bearer-file: ./token }')
  const { files } = await folder.load(text)
  for (const name of ['countersign.yaml', 'token', 'policies', 'policies/orders.yaml']) assert.ok(files.includes(join(folder.path, name)), name)
  const missing = await folder.load(text.replace('./token', './nowhere'))
  assert.ok(missing.problems && missing.files.includes(join(folder.path, 'nowhere')))
})

test('a resolved secret is nowhere to be read in the configuration', async () => {
  using folder = makeFolder()
  const config = await folder.config(configText('', ', credential: { basic: { user: u, password: "${env:PW}" } }'), { PW: 'hunter2' })
  const encoded = Buffer.from('u:hunter2').toString('base64')
  for (const shown of [JSON.stringify(config), inspect(config, { depth: 20, showHidden: true }), String(config.credentials[0]?.headers[0]?.value)]) assert.ok(!shown.includes('hunter2') && !shown.includes(encoded))
  assert.equal(config.credentials[0]?.headers[0]?.value.reveal(), `Basic ${encoded}`)
})
