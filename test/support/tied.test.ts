import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { spawnTied } from '../../examples/world/tied.ts'
import { until } from './until.ts'

/** Whether any process was started with this text among its arguments. */
const isMentioned = (text: string): boolean =>
  readdirSync('/proc').filter((name) => /^\d+$/.test(name)).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  })

const linux = { skip: process.platform !== 'linux' && 'looks into /proc' }

test('a program that ends by itself leaves its folder alone', linux, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tied-'))
  const child = spawnTied('/bin/true', [], { signal: 'SIGKILL', folder, output: 'ignore' })
  await once(child, 'exit')
  await until('whoever watches it to be gone', () => !isMentioned(folder))
  assert.ok(existsSync(folder))
  rmSync(folder, { recursive: true })
})

test('a program whose starter is killed ends, and its folder goes', linux, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tied-'))
  const script = `import { spawnTied } from ${JSON.stringify(new URL('../../examples/world/tied.ts', import.meta.url).href)}\nspawnTied('/bin/sleep', ['1000'], { signal: 'SIGKILL', folder: ${JSON.stringify(folder)}, output: 'ignore' })\nconsole.log('started')`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(starter.stdout, 'data')
  starter.kill('SIGKILL')
  await until('the folder to go', () => !existsSync(folder))
  await until('all of it to be gone', () => !isMentioned(folder))
})
