/** Which PostgreSQL servers there are to test against. */
import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { npmPostgres, versionOf, type PostgresBinaries } from '../../examples/world/postgres-binaries.ts'

export { npmPostgres, serverUser, type PostgresBinaries } from '../../examples/world/postgres-binaries.ts'

const oldest = 15

const runs = (program: string): boolean => {
  try {
    accessSync(program, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const serverIn = (directory: string): readonly PostgresBinaries[] => {
  if (!runs(join(directory, 'postgres')) || !runs(join(directory, 'initdb'))) return []
  const version = versionOf(directory)
  return 'problem' in version || version.major < oldest ? [] : [{ directory, major: version.major, env: process.env }]
}

let found: PostgresBinaries | undefined

/** The machine's own server, the oldest one that will do: what works there works on the newer ones. `undefined` when there is none. */
export const findPostgres = (): PostgresBinaries | undefined => {
  if (found !== undefined) return found
  const directories = [...globSync('/usr/lib/postgresql/*/bin'), ...globSync('/usr/pgsql-*/bin'), ...(process.env['PATH'] ?? '').split(delimiter)]
  found = directories.flatMap(serverIn).sort((a, b) => a.major - b.major)[0]
  return found
}

/** PostgreSQL 18 from npm. `undefined` where it does not run. */
export const newestPostgres = (): PostgresBinaries | undefined => {
  const answer = npmPostgres()
  return 'binaries' in answer ? answer.binaries : undefined
}
