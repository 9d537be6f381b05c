import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { compiled } from './compiled.ts'
import { memoryFolder } from './memory-folder.ts'
import { findPostgres } from './postgres-binaries.ts'
import { offerPackages, type SystemPackage } from './system-packages.ts'

/**
 * `npm test`: what the tests need, then the type check, the linter, and every test, with node's own summary last.
 * Arguments are test files (or globs), to run only those.
 */
const root = resolve(import.meta.dirname, '..', '..')
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)

const needed: readonly SystemPackage[] = [
  { command: 'redis-server', package: 'redis-server', why: 'the tests of the Redis store run against a real one' },
  { command: 'postgres', package: 'postgresql', why: 'the tests of the PostgreSQL proxy run against a real server', isThere: () => findPostgres() !== undefined },
  { command: 'chromium', package: 'chromium', why: 'the console is tested in a real browser' },
  { command: 'rsyslogd', package: 'rsyslog', why: 'the syslog sink is tested against a real one' },
  { command: 'the TLS driver of rsyslogd', package: 'rsyslog-openssl', why: 'the syslog sink speaks TLS only', isThere: () => globSync('/usr/lib/*/rsyslog/lmnsd_ossl.so').length > 0 },
  { command: 'python3', package: 'python3', why: 'canonical JSON is compared with a second implementation, in Python' },
  { command: 'psql', package: 'postgresql-client', why: 'the tests of the PostgreSQL proxy run psql through it' },
]

/** A step that does not end is a failed one: node's own limit counts for tests, not for a file that stays open after them. */
const longestStepMs = 14 * 60_000

const step = (title: string, command: string, args: readonly string[], env = process.env): boolean => {
  process.stdout.write(`\n${title}\n`)
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env, timeout: longestStepMs })
  if (error) process.stdout.write(`${command}: ${error.message}\n`)
  if (status !== 0) process.stdout.write(`${title}: failed\n`)
  return status === 0
}

const tests = (args: readonly string[]): readonly string[] => {
  const files = globSync(args.length > 0 ? [...args] : ['test/**/*.test.ts'], { cwd: root }).sort()
  // What is wrong with the shape of the program is worth knowing before anything else.
  const first = files.filter((file) => file.endsWith('architecture.test.ts'))
  return [...first, ...files.filter((file) => !first.includes(file))]
}

const run = (): number => {
  if (!offerPackages(needed)) return 1
  // Before the tests, which take minutes and whose summary would stand behind it: what fails here is seen at once.
  if (![step('type check', bin('tsc'), ['--noEmit']), step('type check of what runs in browsers', bin('tsc'), ['--noEmit', '--project', 'src/channels/web/islands']), step('lint', bin('oxlint'), ['--deny-warnings'])].every(Boolean)) return 1
  const files = tests(process.argv.slice(2))
  if (files.length === 0) {
    process.stdout.write('no test file matches\n')
    return 1
  }
  using folder = memoryFolder()
  process.once('SIGINT', () => {}) // ends the step, which has it too; then the folder goes
  const env = { ...process.env, TMPDIR: folder.path, NODE_COMPILE_CACHE: compiled }
  return step(`tests, with their data in ${folder.path}`, process.execPath, ['--import', './test/support/must-end.ts', '--test', '--test-concurrency=2', '--test-timeout=300000', '--test-reporter=spec', ...files], env) ? 0 : 1
}

process.exitCode = run()
