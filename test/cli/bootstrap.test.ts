import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const script = join(import.meta.dirname, '..', '..', 'src', 'cli', 'bootstrap.js')
const { staleness } = (await import(script)) as { staleness: (directory: string) => string | undefined }

const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-bootstrap-'))
  try {
    await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const entry = (version: string, more: object = {}) => ({ version, integrity: `sha512-${version}`, ...more })

const lay = async (folder: string, wanted: object, installed: Record<string, object> | undefined): Promise<void> => {
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages: { '': {}, ...wanted } }))
  if (installed === undefined) return
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  await writeFile(join(folder, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }))
  for (const path of Object.keys(installed)) {
    await mkdir(join(folder, path), { recursive: true })
    await writeFile(join(folder, path, 'package.json'), '{}')
  }
}

test('installed packages are compared with the lock file, not with the mere folder', () =>
  inFolder(async (folder) => {
    const wanted = { 'node_modules/a': entry('1.0.0'), 'node_modules/b': entry('2.0.0', { optional: true }) }
    await lay(folder, wanted, undefined)
    assert.match(staleness(folder) ?? '', /not installed yet/)
    await lay(folder, wanted, { 'node_modules/a': entry('1.0.0') })
    assert.equal(staleness(folder), undefined)
    await lay(folder, { ...wanted, 'node_modules/a': entry('1.0.1') }, { 'node_modules/a': entry('1.0.0') })
    assert.match(staleness(folder) ?? '', /^a is not installed/)
    await lay(folder, { 'node_modules/a': { version: '1.0.0', integrity: 'sha512-other' } }, { 'node_modules/a': entry('1.0.0') })
    assert.match(staleness(folder) ?? '', /^a is not installed/)
    await lay(folder, wanted, { 'node_modules/a': entry('1.0.0'), 'node_modules/b': entry('1.9.0') })
    assert.match(staleness(folder) ?? '', /^b is not installed/)
    await lay(folder, wanted, { 'node_modules/a': entry('1.0.0') })
    await rm(join(folder, 'node_modules', 'a', 'package.json'))
    assert.match(staleness(folder) ?? '', /^a is not installed/)
  }))

test('a file is run with its arguments, and its end is the end', () =>
  inFolder(async (folder) => {
    const file = join(folder, 'file.ts')
    await writeFile(file, 'const say: string = process.argv.slice(2).join("+")\nconsole.log(say)\nif (say === "die") process.kill(process.pid, "SIGTERM")\nelse process.exitCode = 7\n')
    const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', timeout: 20_000 })
    const seven = run(file, 'a b', '--c')
    assert.deepEqual([seven.status, seven.stdout], [7, 'a b+--c\n'])
    assert.equal(run(file, 'die').status, 128 + 15)
    assert.equal(run().status, 2)
    assert.equal(run(join(folder, 'nothing.ts')).status, 2)
  }))
