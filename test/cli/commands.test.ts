import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { makeAdminListener } from '../../src/channels/web/health.ts'
import { commands } from '../../src/cli/commands.ts'
import { silent } from '../channels/web/hold-desk.ts'
import { makeShell } from './shell.ts'

const all = await commands.all()
const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')

describe('every command', () => {
  test('is found by its name, and is alone with it', async () => {
    for (const { path } of all) assert.deepEqual((await commands.named([...path, 'and', 'more']))?.path, path)
    assert.equal(new Set(all.map(({ path }) => path.join(' '))).size, all.length)
  })

  for (const { path, examples, options } of all) {
    const name = path.join(' ')
    test(`${name} explains itself, with examples and every option`, async () => {
      await using shell = await makeShell()
      for (const argv of [[...path, '--help'], [...path, '-h'], ['help', ...path]]) {
        const { code, out, err } = await shell.run(argv)
        assert.deepEqual([code, err], [0, ''])
        assert.ok(examples.length > 0 && examples.every((example) => out.includes(example)))
        for (const option of Object.keys(options)) assert.ok(out.includes(`--${option}`), option)
      }
    })

    test(`${name} takes no option that it does not know`, async () => {
      await using shell = await makeShell()
      const { code, out, err } = await shell.run([...path, '--no-such-option'])
      assert.deepEqual([code, out], [2, ''])
      assert.match(err, new RegExp(`usage: countersign ${name}`))
    })
  }
})

test('what was mistyped is guessed, and nothing else is done', async () => {
  await using shell = await makeShell()
  const guess = async (...argv: string[]) => {
    const { code, err, out } = await shell.run(argv)
    assert.deepEqual([code, out], [2, ''])
    return /did you mean (.+)\?/.exec(err)?.[1]
  }
  assert.equal(await guess('hold', 'ls'), 'holds')
  assert.equal(await guess('holds', 'aprove', 'x'), 'holds approve')
  assert.equal(await guess('holds', 'ls', '--stat', 'x'), '--state')
  assert.equal(await guess('frobnicate'), undefined)
  assert.equal(await guess(), undefined)
  assert.equal(await guess('holds'), undefined)
  assert.equal(await guess('holds', 'ls', 'extra'), undefined)
  assert.equal(await guess('holds', 'ls', '-o', 'xml'), undefined)
})

test('completion scripts parse in their shells and know every command', async (t) => {
  await using shell = await makeShell()
  assert.equal((await shell.run(['completion', 'tcsh'])).code, 2)
  assert.equal((await shell.run(['completion', 'constructor'])).code, 2)
  for (const name of ['bash', 'zsh', 'fish']) {
    const { out } = await shell.run(['completion', name])
    for (const { path } of all) for (const word of path) assert.ok(out.includes(word), `${name}: ${word}`)
    const parsed = spawnSync(name, ['-n'], { input: out, encoding: 'utf8', timeout: 5_000 })
    if (parsed.error) t.diagnostic(`${name} is not here to try`)
    else assert.deepEqual([parsed.status, parsed.stderr], [0, ''])
  }
  const { out } = await shell.run(['completion', 'bash'])
  const complete = (words: string[]): string => spawnSync('bash', ['-c', `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _countersign; echo "\${COMPREPLY[@]}"`], { encoding: 'utf8' }).stdout.trim()
  assert.equal(complete(['countersign', 'ho']), 'holds')
  assert.equal(complete(['countersign', 'holds', 'ap']), 'approve')
  assert.equal(complete(['countersign', 'holds', 'approve', '--dig']), '--digest')
  assert.equal(complete(['countersign', 'login', '--dev']), '--device')
})

test('the process: exit codes, no colour and no noise in pipes, and readers that have seen enough', () => {
  const run = (script: string) => spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 20_000, env: { PATH: process.env['PATH'], HOME: '/nonexistent', NODE: process.execPath, MAIN: main } })
  assert.match(run('"$NODE" "$MAIN" --version').stdout, /^countersign \d+\.\d+\.\d+ \(node 2\d/)
  assert.equal(run('"$NODE" "$MAIN" nonsense').status, 2)
  assert.equal(run('"$NODE" "$MAIN" whoami --server http://127.0.0.1:9').status, 7)
  assert.equal(run('COUNTERSIGN_TOKEN=x "$NODE" "$MAIN" whoami --server http://127.0.0.1:9').status, 1)
  const broken = run('"$NODE" "$MAIN" completion fish | head -c 10; echo "${PIPESTATUS[0]}"')
  assert.equal(broken.stderr, '')
  assert.match(broken.stdout, /0\n$/)
  assert.ok(!run('"$NODE" "$MAIN" --help').stdout.includes('\u001b'))
})

test('healthcheck asks the admin listener: the default one, a named one, or that of a configuration', async () => {
  await using shell = await makeShell()
  await using listener = makeAdminListener({ host: '127.0.0.1', port: 0 }, { log: silent, health: () => ({ live: true, ready: false, started: true, detail: { store: 'down' } }), reload: () => Promise.reject(new Error('not here')) })
  const { port } = await listener.listen()
  const url = `http://127.0.0.1:${port}`
  const ready = await shell.run(['healthcheck', '--url', url])
  assert.deepEqual([ready.code, JSON.parse(ready.out)], [1, { status: 'failing', store: 'down' }])
  assert.equal((await shell.run(['healthcheck', '--probe', 'live'], { env: { COUNTERSIGN_ADMIN_URL: url } })).code, 0)
  await writeFile(join(shell.home, 'c.yaml'), `listeners: { admin: { address: '0.0.0.0:${port}' } }\n`)
  assert.equal((await shell.run(['healthcheck', '--probe', 'live', '--config', 'c.yaml'])).code, 0)
  assert.equal((await shell.run(['healthcheck', '--url', 'http://127.0.0.1:9'])).code, 1)
  assert.equal((await shell.run(['healthcheck', '--url', 'nonsense'])).code, 2)
  assert.equal((await shell.run(['healthcheck', '--probe', 'lively'])).code, 2)
})

test('the page about the command line knows every command', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8')
  assert.deepEqual(all.map(({ path }) => path.join(' ')).filter((name) => !page.includes(name)), [], 'docs/cli.md does not name these commands')
})
