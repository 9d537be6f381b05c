import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { compiled } from '../support/compiled.ts'
import { until } from '../support/until.ts'

const root = resolve(import.meta.dirname, '..', '..')
export const program = join(root, 'src/cli/countersign.js')

export interface Replica extends AsyncDisposable {
  readonly name: string
  /** Base addresses, without a slash at the end. */
  readonly http: string
  readonly console: string
  readonly admin: string
  /** `host:port`, where it listens for PostgreSQL. */
  readonly postgres?: string
  readonly process: ChildProcess
  /** Its log, as it stands. */
  log(): string
  /** Its log lines as data. */
  lines(): readonly Line[]
  /** Resolves with the exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals | null>
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
}

export interface LaunchOptions {
  readonly env?: Readonly<Record<string, string>>
  /** More options of node, such as `--import`. */
  readonly node?: readonly string[]
  /** A program that runs node, with its own arguments, such as `prlimit`. */
  readonly under?: readonly string[]
}

/** `countersign serve` as anybody would start it, without waiting for it. */
export const launch = (configFile: string, { env = {}, node = [], under = [] }: LaunchOptions = {}) => {
  const line = [...under, process.execPath, ...node, program, 'serve', '--config', configFile]
  const child = spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_ENV: 'development', COUNTERSIGN_LOG: 'info', NODE_COMPILE_CACHE: compiled, ...env } })
  const end = (): unknown => child.kill('SIGKILL')
  process.once('exit', end)
  child.once('exit', () => process.removeListener('exit', end))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null)
  return { child, log: () => log, exited }
}

type Line = Readonly<Record<string, unknown>>

const parse = (line: string): readonly Line[] => {
  try {
    return [JSON.parse(line) as Line]
  } catch {
    return []
  }
}

/** Resolves once it serves. */
export const startProcess = async (name: string, configFile: string, options: LaunchOptions = {}): Promise<Replica> => {
  const { child, log, exited } = launch(configFile, options)
  const lines = (): readonly Line[] => log().split('\n').flatMap((line): readonly Line[] => parse(line))
  let over: unknown
  void exited.then((how) => (over = how ?? 'ended'))
  const ready = await until(`${name} to serve`, () => {
    if (over !== undefined) throw new Error(`${name} ended with ${String(over)} before it served:\n${log()}`)
    return lines().find((line) => line['msg'] === 'ready')
  }, 60_000).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  const address = (key: string): string => `http://${String(ready[key])}`
  const replica: Replica = {
    name,
    http: address('http'),
    console: address('console'),
    admin: address('admin'),
    ...(typeof ready['postgres'] === 'string' && { postgres: ready['postgres'] }),
    process: child,
    log,
    lines,
    ended: () => exited,
    async kill(signal) {
      child.kill(signal)
      return await exited
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    },
  }
  return replica
}
