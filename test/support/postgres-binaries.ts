import { execFileSync } from 'node:child_process'
import { accessSync, constants, globSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where a server's programs are, and which major version they are. */
export interface PostgresBinaries {
  readonly directory: string
  readonly major: number
}

const oldest = 15

const runs = (program: string): boolean => {
  try {
    accessSync(program, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const versionOf = (directory: string): number => {
  const words = execFileSync(join(directory, 'postgres'), ['--version'], { encoding: 'utf8' })
  return Number(/\b(\d+)\.\d+/.exec(words)?.[1] ?? 0)
}

let found: PostgresBinaries | undefined

/** The machine's own server, the oldest one that will do: what works there works on the newer ones. `undefined` when there is none. */
export const findPostgres = (): PostgresBinaries | undefined => {
  if (found !== undefined) return found
  const directories = [...globSync('/usr/lib/postgresql/*/bin'), ...globSync('/usr/pgsql-*/bin'), ...(process.env['PATH'] ?? '').split(delimiter)]
  const servers = directories.filter((directory) => runs(join(directory, 'postgres')) && runs(join(directory, 'initdb'))).map((directory) => ({ directory, major: versionOf(directory) }))
  found = servers.filter((server) => server.major >= oldest).sort((a, b) => a.major - b.major)[0]
  return found
}

/** A server refuses to run as root: root lends it another user of the machine. Everybody else runs it as themselves. */
export const serverUser = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return user === undefined ? { uid: 65_534, gid: 65_534 } : { uid: Number(user[2]), gid: Number(user[3]) }
}
