import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isRoot, type Image } from './image.ts'

export interface Mount {
  readonly source: string
  readonly target: string
  readonly writable?: boolean
}

export interface Container {
  readonly process: ChildProcess
  output(): string
  /** To the program itself, which has process number 1 where namespaces are permitted. */
  signal(signal: NodeJS.Signals): void
  ended(): Promise<number | null>
}

/** Whether this user may have what a container has: a file system of its own, read-only, another user, process number 1. */
export const canIsolate = (): boolean => isRoot && ['unshare', 'setpriv', 'chroot', 'mount'].every((program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0) && spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0

/** The folders that a dynamically linked program needs of the system around it. */
const systemFolders = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/dev', '/proc']
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Creates the places that are mounted over. Before the image is looked at, because it may change nothing afterwards. */
export const prepare = ({ path, stage }: Image, mounts: readonly Mount[]): void => {
  for (const folder of [...systemFolders, '/nodejs/bin', ...mounts.map(({ target }) => target)].filter((each) => each.startsWith('/'))) {
    const at = join(path, folder)
    if (existsSync(at) || !existsSync(folder) && systemFolders.includes(folder)) continue
    mkdirSync(dirname(at), { recursive: true })
    if (systemFolders.includes(folder) && lstatSync(folder).isSymbolicLink()) symlinkSync(readlinkSync(folder), at)
    else mkdirSync(at, { recursive: true })
  }
  // A volume begins with what the image has there.
  const [user = 0, group = 0] = (stage.user ?? '').split(':').map(Number)
  if (isRoot) for (const { source, writable } of mounts) if (writable) chownSync(source, user, group)
}

/** Runs a command as a container of the image would: its paths, its user, nothing writable but the mounts that are. */
export const runContainer = (image: Image, command: readonly string[], mounts: readonly Mount[], env: Readonly<Record<string, string>> = {}): Container => {
  const { path, stage } = image
  const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOSTNAME: 'replica-a', ...stage.env, ...env }
  const bind = (source: string, target: string, options: string): readonly string[] => [`mount --bind ${quoted(source)} ${quoted(join(path, target))}`, ...(options ? [`mount -o remount,bind,${options} ${quoted(join(path, target))}`] : [])]
  const script = [
    'set -e',
    'mount --make-rprivate /',
    ...bind(path, '/', ''),
    ...systemFolders.filter((folder) => existsSync(folder) && !lstatSync(folder).isSymbolicLink() && folder !== '/proc').flatMap((folder) => bind(folder, folder, folder === '/dev' ? '' : 'ro')),
    `mount -t proc proc ${quoted(join(path, '/proc'))}`,
    ...bind(dirname(process.execPath), '/nodejs/bin', 'ro'),
    ...mounts.flatMap(({ source, target, writable }) => bind(source, target, writable ? '' : 'ro')),
    `mount -o remount,bind,ro ${quoted(path)}`,
    `exec setpriv --no-new-privs --inh-caps=-all chroot --userspec=${stage.user ?? '0:0'} --groups= ${quoted(path)} ${command.map(quoted).join(' ')}`,
  ].join('\n')
  const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  return watched(child, (signal) => process.kill(childOf(child.pid ?? 0), signal))
}

/** Where that is not permitted: the same layout in place, as this user. Absolute paths are those of the image's folder. */
export const runInPlace = ({ path, stage }: Image, command: readonly string[], mounts: readonly Mount[], env: Readonly<Record<string, string>> = {}): Container => {
  const mapped = command.map((word) => {
    const mount = mounts.find(({ target }) => word === target || word.startsWith(`${target}/`))
    return mount ? mount.source + word.slice(mount.target.length) : word === '/nodejs/bin/node' ? process.execPath : word.startsWith('/') ? join(path, word) : word
  })
  const child = spawn(mapped[0] ?? '', mapped.slice(1), { cwd: path, env: { PATH: process.env['PATH'] ?? '', HOSTNAME: 'replica-a', ...stage.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  return watched(child, (signal) => void child.kill(signal))
}

const watched = (child: ChildProcess, signal: Container['signal']): Container => {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => (output += text))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  return { process: child, output: () => output, signal, ended: () => ended }
}

const childOf = (pid: number): number => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
