import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface SystemPackage {
  readonly command: string
  /** Its name in Debian and Ubuntu. */
  readonly package: string
  readonly why: string
  /** Says whether it is there, where looking for the command in the path is not enough. */
  readonly isThere?: () => boolean
}

const isInstalled = (command: string): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

const isThere = (entry: SystemPackage): boolean => entry.isThere?.() ?? isInstalled(entry.command)

const succeeds = (command: string, args: readonly string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0

/** Sees to it that the commands are there: installs them where that needs no password, else says what is missing. */
export const offerPackages = (wanted: readonly SystemPackage[]): boolean => {
  const missing = wanted.filter((entry) => !isThere(entry))
  if (missing.length === 0) return true
  for (const entry of missing) process.stdout.write(`${entry.command} is missing: ${entry.why}\n`)
  const names = missing.map((entry) => entry.package)
  const become = process.getuid?.() === 0 ? [] : succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
  if (!isInstalled('apt-get') || become === undefined) {
    process.stdout.write(`Install it and run this again. On Debian or Ubuntu: sudo apt-get install ${names.join(' ')}\n`)
    return false
  }
  const apt = (...args: readonly string[]): boolean => {
    const line = [...become, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
    process.stdout.write(`running ${line.join(' ')}\n`)
    return spawnSync(line[0] ?? '', line.slice(1), { stdio: ['ignore', 'ignore', 'inherit'], timeout: 300_000 }).status === 0
  }
  // Install scripts start the service on a host that runs one; the tests start their own and leave it alone.
  const installed = (apt('install', '-y', '-qq', '--no-install-recommends', ...names) || (apt('update', '-qq') && apt('install', '-y', '-qq', '--no-install-recommends', ...names))) && missing.every(isThere)
  if (!installed) process.stdout.write(`Could not install ${names.join(' ')}. Install it by hand and run this again.\n`)
  return installed
}
