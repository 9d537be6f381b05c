#!/usr/bin/env node
// Runs a TypeScript file of this project, from a fresh clone too: `node src/cli/bootstrap.js <file.ts> [args]`.
// Installs the locked packages when they are missing or others than the lock file names, then hands over to the pinned Node.
// Plain JavaScript, because it must start on any Node from 18 on, before anything is installed.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** @param {string} path */
const readJson = (path) => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Why the installed packages are not those of the lock file, or undefined if they are.
 * An optional package may be absent: it is for another platform, or could not be fetched.
 * @param {string} directory
 * @returns {string | undefined}
 */
export const staleness = (directory) => {
  const wanted = readJson(join(directory, 'package-lock.json'))
  if (wanted === undefined) return undefined
  const installed = readJson(join(directory, 'node_modules', '.package-lock.json'))
  if (installed === undefined) return 'packages are not installed yet'
  for (const [path, entry] of Object.entries(wanted.packages ?? {})) {
    if (path === '') continue
    const found = existsSync(join(directory, path, 'package.json')) ? installed.packages?.[path] : undefined
    if (found === undefined ? !entry.optional : found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path.slice(path.lastIndexOf('node_modules/') + 13)} is not installed as the lock file says`
    }
  }
  return undefined
}

/** @param {string} directory */
export const install = (directory) => {
  const reason = staleness(directory)
  if (reason === undefined) return true
  process.stderr.write(`countersign: ${reason}; running npm ci\n`)
  // Development packages always: NODE_ENV=production would otherwise leave them out and they would be missed again next time.
  const { status, error } = spawnSync('npm', ['ci', '--include=dev', '--include=optional', '--loglevel=error', '--no-progress'], { cwd: directory, stdio: ['ignore', 2, 2] })
  if (status === 0) return true
  process.stderr.write(`countersign: npm ci failed${error ? ` (${error.message})` : ''}. Run it in ${directory} to see why.\n`)
  return false
}

/** @param {string} version */
export const isRecent = (version) => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 24 || (major === 24 && minor >= 12)
}

/**
 * The Node to run on: the pinned one, else this one if it can run TypeScript as it is.
 * @param {string} directory
 */
export const chooseNode = (directory) => {
  const pinned = join(directory, 'node_modules', '.bin', 'node')
  if (existsSync(pinned) && spawnSync(pinned, ['--version'], { stdio: 'ignore' }).status === 0) return realpathSync(pinned)
  if (isRecent(process.versions.node)) return process.execPath
  process.stderr.write(`countersign: needs Node 24.12 or newer, and this is ${process.versions.node}. Install Node 24, or run on linux x64 or arm64, where npm ci brings it.\n`)
  return undefined
}

/** V8 would take 2 to 128 MB for new objects. With 32 MB a process that thousands wait at stays small, and one that rested is at once as fast as before. */
const youngHeap = ['--min-semi-space-size=16', '--max-semi-space-size=16']

/**
 * Runs the file under that Node with the same streams, passes signals on, and ends as it ends.
 * @param {string} node
 * @param {string} file
 * @param {readonly string[]} args
 */
export const handOver = (node, file, args) => {
  // The scripts of package.json and whatever the file starts by the name `node` find the pinned one first.
  const path = [dirname(node), join(root, 'node_modules', '.bin'), process.env['PATH']].filter(Boolean).join(':')
  const child = spawn(node, [...youngHeap, file, ...args], { stdio: 'inherit', env: { ...process.env, PATH: path } })
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) {
    process.on(signal, () => {
      // A terminal sends SIGINT to the whole group: the child has it already.
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    process.stderr.write(`countersign: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 1)
  })
}

const isMain = process.argv[1] !== undefined && existsSync(process.argv[1]) && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)

if (isMain) {
  const [file, ...args] = process.argv.slice(2)
  if (file === undefined) {
    process.stderr.write('usage: node src/cli/bootstrap.js <file.ts> [arguments]\n')
    process.exitCode = 2
  } else {
    const node = install(root) ? chooseNode(root) : undefined
    if (node === undefined) process.exitCode = 1
    else if (existsSync(resolve(file))) handOver(node, resolve(file), args)
    else {
      process.stderr.write(`countersign: there is no file ${file}\n`)
      process.exitCode = 2
    }
  }
}
