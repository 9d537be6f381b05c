import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProblem } from '../../src/lib/problem.ts'
import { parseReference } from '../../src/config/secret-reference.ts'
import { configText, makeFolder } from './folder.ts'

const bearer = (value: string): string => configText('', `, credential: { bearer: ${JSON.stringify(value)} }`)

test('a secret is a reference, and the reference gives something', async () => {
  using folder = makeFolder()
  folder.write('token', 'from-file\n')
  folder.write('empty', '\n')
  folder.write('lines', 'a\nb\n')
  mkdirSync(join(folder.path, 'folder'))
  const value = async (text: string, env = {}): Promise<string | undefined> => (await folder.config(text, env)).credentials[0]?.headers[0]?.value.reveal()
  assert.equal(await value(bearer('${env:A}'), { A: 'x' }), 'Bearer x')
  assert.equal(await value(bearer('${env:A:-fallback}')), 'Bearer fallback')
  assert.equal(await value(bearer('${env:A:-a$$b}')), 'Bearer a$b')
  assert.equal(await value(bearer('Bearer ${env:A}'), { A: 'x' }), 'Bearer x')
  assert.equal(await value(bearer('${file:./token}')), 'Bearer from-file')
  assert.equal(await value(bearer(`\${file:${join(folder.path, 'token')}}`)), 'Bearer from-file')
  assert.equal(await value(configText('', ', credential: { bearer-file: token }')), 'Bearer from-file')

  for (const [text, pattern, env] of [
    [bearer('${env:A}'), /services\.orders-api\.credential\.bearer: \$\{env:A\} is not set/, {}],
    [bearer('${env:A}'), /\$\{env:A\} is empty/, { A: '' }],
    [bearer('${env:A:-}'), /\$\{env:A\}/, {}],
    [bearer('${file:nowhere}'), /\$\{file:nowhere\} cannot be read \(ENOENT\)/, {}],
    [bearer('${file:empty}'), /is empty/, {}],
    [bearer('${file:folder}'), /no regular file/, {}],
    [bearer('${file:/dev/zero}'), /no regular file/, {}],
    [bearer('${file:lines}'), /control character/, {}],
    [bearer('${env:A}'), /control character/, { A: 'x\r\nx-admin: 1' }],
    [bearer('${vault:kv#x}'), /begins with \$\{env: or \$\{file:/, {}],
    [bearer('${env:A'), /not closed|never written/, {}],
    [bearer('$${env:A}'), /never written down|not closed/, { A: 'x' }],
    [bearer('pre${env:A}'), /one reference only/, { A: 'x' }],
    [bearer('${env:A}${env:A}'), /one reference only/, { A: 'x' }],
    [configText('', ', credential: { bearer: "${env:A}", bearer-file: token }'), /one of them/, { A: 'x' }],
    [configText('', ', credential: { header: x-key }'), /value: is missing/, {}],
    [configText('', ', credential: { header: transfer-encoding, value: "${env:A}" }'), /no header that carries/, { A: 'x' }],
    [configText('', ', credential: {}'), /must be one of/, {}],
    [configText('deployment: "${env:A}"\n'), /./, { A: 'x' }],
    [configText('data: "${env:A}"\n'), /secret fields only/, { A: 'x' }],
  ] as const) {
    const problems = await folder.problems(text, env)
    assert.equal(problems.length, 1, `${text}: ${problems.join(' | ')}`)
    assert.match(problems[0] ?? '', pattern)
  }
  assert.equal((await folder.config(configText('data: "a$$b"\n'))).data, join(folder.path, 'a$b'))
})

test('no problem shows a value: not the one that was written down, not the one that was resolved', async () => {
  using folder = makeFolder()
  folder.write('lines', 'hunter2\nhunter2')
  const texts = [
    bearer('hunter2'),
    bearer('hunter2${env:A}'),
    bearer('${hunter2'),
    bearer('${env:NO:-hunter2'),
    configText('', ', credential: { bearer: [hunter2] }'),
    configText('', ', credential: { bearer: 12345678, header: [], beare: hunter2 }'),
    'services:\n  a:\n    credential:\n      bearer: hunter2\n      hedaer: hunter2\n',
    bearer('${file:lines}'),
    bearer('${env:MULTI}'),
    configText('store: { kind: redis, url: "redis://:hunter2@redis:6379" }\n'),
    configText('store: { kind: redis, url: "redis://redis:6379?password=hunter2" }\n'),
    configText('store: { kind: redis, url: "${env:A}" }\n'),
    configText('sinks: { s: { kind: http, url: "https://user:hunter2@logs.example.com/" } }\n'),
    configText('', ', labels: { x: 1, y: 2 }').replace('http://127.0.0.1:9000', 'http://u:hunter2@127.0.0.1:9000'),
    configText().replace('https://login.example.com', 'https://u:hunter2@login.example.com'),
    configText('approvals: { keys: ["${env:A}"] }\n'),
  ]
  for (const text of texts) {
    const { problems } = await folder.load(text, { A: 'hunter2', MULTI: 'hunter2\nx' })
    assert.ok(problems, text)
    for (const problem of problems) assert.doesNotMatch(JSON.stringify(problem) + formatProblem(problem), /hunter2|12345678/, text)
  }
})

test('only one reference after a scheme at most is ever taken for a reference', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('', '${env:A}', '$${env:A}', '${file:/x}'), fc.string(), (before, middle, after) => {
      const text = before + middle + after
      const good = parseReference(text).problem === undefined
      if (good) assert.match(text, /^(?:[A-Za-z]{1,20} )?\$\{(?:env|file):[^{}]+\}$/)
    }),
    { numRuns: 2_000 },
  )
})

test('a Redis URL may be written, its password may not', async () => {
  using folder = makeFolder()
  const text = (url: string): string => configText(`store: { kind: redis, url: ${JSON.stringify(url)} }\napprovals: { keys: ["\${env:KEY}"] }\n`)
  const env = { KEY: 'k'.repeat(32), PW: 'a/b@c:d', URL: 'rediss://:secret@redis:6380/1' }
  const url = async (value: string): Promise<string> => {
    const { store } = await folder.config(text(value), env)
    return store.kind === 'redis' && store.connect.mode === 'single' ? store.connect.url.reveal() : ''
  }
  assert.equal(await url('redis://redis:6379/0'), 'redis://redis:6379/0')
  assert.equal(await url('redis://:${env:PW}@redis:6379'), 'redis://:a%2Fb%40c%3Ad@redis:6379')
  assert.equal(await url('${env:URL}'), env.URL)
  for (const bad of ['http://redis:6379', 'redis://169.254.169.254:6379', 'redis:', 'redis://a:b@redis:6379']) assert.equal((await folder.problems(text(bad), env)).length, 1, bad)
  assert.match((await folder.problems(text('redis://redis:6379'), { KEY: 'short' })).join(), /shorter than 32/)
})
