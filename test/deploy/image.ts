import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, posix, resolve } from 'node:path'
import { makeContextFilter, readDockerfile, type Copy, type Stage } from './dockerfile.ts'

export const root = resolve(import.meta.dirname, '..', '..')
export const isRoot = process.getuid?.() === 0

export interface Image extends Disposable {
  readonly stage: Stage
  /** Its file system, without that of the base. */
  readonly path: string
}

/** What a commit of this working copy would hold. */
const contextFiles = (): readonly string[] => {
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  const all = status === 0 ? stdout.split('\0') : readdirSync(root).filter((name) => !['node_modules', 'var', '.git'].includes(name)).flatMap(below)
  const isSent = makeContextFilter(root)
  return all.filter((path) => path !== '' && isSent(path) && existsSync(join(root, path)) && statSync(join(root, path)).isFile())
}

const below = (name: string): readonly string[] => (statSync(join(root, name)).isDirectory() ? readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((path) => join(name, path)) : [name])

/** Does what the Dockerfile says, without a builder and without the files of the base images. */
export const buildImage = (name: string): Image => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-image-'))
  chmodSync(home, 0o755)
  const stages = readDockerfile(root)
  const files = contextFiles()
  const built = new Map<string, string>()
  const build = (stage: Stage): string => {
    const done = built.get(stage.name)
    if (done !== undefined) return done
    const at = join(home, stage.name || 'final')
    mkdirSync(at)
    built.set(stage.name, at)
    let workdir = '/'
    for (const step of stage.steps) {
      if (step.kind === 'workdir') mkdirSync(join(at, (workdir = step.path)), { recursive: true })
      else if (step.kind === 'run') for (const command of step.commands) run(command, at, workdir)
      else if (step.from === undefined) copyContext(step, at, workdir)
      else copyStage(step, build(stages.find((other) => other.name === step.from)!), at, workdir)
    }
    return at
  }
  const [stage] = stages.filter((each) => each.name === name)
  if (stage === undefined) throw new Error(`the Dockerfile has no stage ${name}`)

  const copyContext = ({ sources, target }: Copy, at: string, workdir: string): void => {
    const folder = posix.resolve(workdir, target)
    const toFolder = target.endsWith('/')
    for (const source of sources) {
      const below = files.filter((file) => file.startsWith(`${source}/`))
      if (below.length === 0 && !files.includes(source)) throw new Error(`COPY ${source}: not in the context`)
      if (below.length === 0) cpSync(join(root, source), join(at, folder, ...(toFolder ? [basename(source)] : [])))
      for (const file of below) cpSync(join(root, file), join(at, folder, file.slice(source.length + 1)))
    }
  }
  try {
    return { stage, path: build(stage), [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }) }
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    throw error
  }
}

const copyStage = ({ sources, target, owner }: Copy, from: string, at: string, workdir: string): void => {
  const to = join(at, posix.resolve(workdir, target))
  for (const source of sources) {
    cpSync(join(from, source), to, { recursive: true, verbatimSymlinks: true })
    chmodSync(to, statSync(join(from, source)).mode)
  }
  if (owner !== undefined) own(to, owner)
}

const own = (path: string, owner: string): void => {
  const [user = 0, group = 0] = owner.split(':').map(Number)
  if (isRoot) chownSync(path, user, group)
}

const run = ([program = '', ...args]: readonly string[], at: string, workdir: string): void => {
  const mapped = args.map((arg) => (arg.startsWith('/') ? join(at, arg) : arg))
  if (program === 'npm' && args[0] === 'ci') {
    const { status, stderr } = spawnSync('npm', [...args, '--prefer-offline', '--loglevel=error'], { cwd: join(at, workdir), encoding: 'utf8', timeout: 180_000 })
    if (status !== 0) throw new Error(`RUN npm ${args.join(' ')}: ${stderr}`)
  } else if (program === 'mkdir') {
    const { status, stderr } = spawnSync('mkdir', mapped, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`RUN mkdir: ${stderr}`)
  } else if (program === 'chown') own(mapped[1] ?? '', args[0] ?? '')
  else throw new Error(`RUN ${program}: not known to the tests`)
}
