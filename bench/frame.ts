import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SystemPackage } from '../test/support/system-packages.ts'
import { until } from '../test/support/until.ts'

/** One finding: `ratio` against `against` (or a plain figure where `against` is empty), and whether it reaches its target. */
export interface Row {
  readonly part: string
  readonly case: string
  readonly ratio: number
  readonly unit: '×' | 'ms' | 'KB' | 'MB' | 's' | 'µs' | '/s'
  readonly against: string
  /** `>= 1.3`, `<= 0.25`; absent for a figure that is only shown. */
  readonly target?: string
  readonly holds?: boolean
  /** Absolute figures behind it, for the reader of the page. */
  readonly note?: string
}

export interface PartOptions {
  readonly quick: boolean
  readonly log: (line: string) => void
  readonly directory: string
  readonly signal: AbortSignal
}

export interface Part {
  readonly name: string
  readonly packages: readonly SystemPackage[]
  /** What stands on the page above the table. */
  readonly explanation: string
  run(options: PartOptions): Promise<readonly Row[]>
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const holds = (value: number, target: string): boolean => {
  const [sign, bound] = target.split(' ')
  return sign === '>=' ? value >= Number(bound) : value <= Number(bound)
}

export const row = (part: string, name: string, value: number, unit: Row['unit'], against: string, target?: string, note?: string): Row => {
  const ratio = Number(value.toPrecision(3))
  return { part, case: name, ratio, unit, against, ...(target === undefined ? {} : { target, holds: holds(value, target) }), ...(note === undefined ? {} : { note }) }
}

/** Runs every contender once a round, in an order that turns by one each round, so that drift of the machine meets all alike. */
export const interleave = async <T>(contenders: readonly { readonly name: string; readonly run: () => Promise<T> }[], rounds: number, signal: AbortSignal): Promise<Map<string, T[]>> => {
  const results = new Map<string, T[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      signal.throwIfAborted()
      const contender = contenders[(i + round) % contenders.length]!
      results.get(contender.name)!.push(await contender.run())
    }
  }
  return results
}

/** Processes that this run started; ended with it, whatever happens. */
export class Processes implements AsyncDisposable {
  readonly #running: ChildProcess[] = []

  /** Starts a server on the given processors and waits until its port answers. */
  async start(name: string, command: readonly string[], port: number, options: { readonly cpus?: string; readonly env?: NodeJS.ProcessEnv } = {}): Promise<number> {
    const pinned = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command]
    const child = spawn(pinned[0]!, pinned.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env }, detached: true })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000)))
    this.#running.push(child)
    await until(`${name} to listen on ${port}`, async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${output}`)
      return answers(port)
    }, 30_000)
    return child.pid!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      process.kill(-child.pid!, 'SIGKILL')
      await ended
    }
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => (socket.destroy(), resolve(false)))
  })

/** The process, its children and theirs: processor time in microseconds and resident memory in KB. */
export const usage = (pid: number): { readonly cpuMicros: number; readonly residentKb: number } => {
  let cpuMicros = 0
  let residentKb = 0
  for (const each of family(pid)) {
    const stat = readFileSync(`/proc/${each}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    cpuMicros += (Number(fields[11]) + Number(fields[12])) * 10_000
    residentKb += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0)
  }
  return { cpuMicros, residentKb }
}

const family = (pid: number): readonly number[] => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...(children === '' ? [] : children.split(' ').flatMap((child) => family(Number(child))))]
}

export interface Load {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly requests: number
}

export interface LoadOptions {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  readonly body?: string
  readonly cpus?: string
}

/** A bounded wrk run. Any answer that is not 2xx ends the benchmark: a fast refusal is no result. */
export const wrk = async (directory: string, options: LoadOptions): Promise<Load> => {
  const script = join(directory, `load-${options.method ?? 'GET'}.lua`)
  writeFileSync(script, luaFor(options))
  const command = ['wrk', '-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency', '--timeout', '10s', '-s', script, options.url]
  const pinned = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command]
  const child = spawn(pinned[0]!, pinned.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'exit')
  const { requests, errors, micros, p50 } = JSON.parse(/FIGURES (\{.*\})/.exec(output)?.[1] ?? '{"errors":-1}') as Record<string, number>
  if (errors !== 0) throw new Error(`${options.url}: ${errors} answers were not 2xx or came not at all\n${output}`)
  return { requests: requests!, requestsPerSecond: requests! / (micros! / 1e6), p50Ms: p50! / 1000 }
}

const luaFor = ({ headers = {}, method, body }: LoadOptions): string => `
wrk.method = ${JSON.stringify(method ?? 'GET')}
${body === undefined ? '' : `wrk.body = ${JSON.stringify(body)}`}
${Object.entries(headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`).join('\n')}
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('FIGURES {"requests":%d,"errors":%d,"micros":%d,"p50":%d}\\n', summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration, latency:percentile(50)))
end
`

export const machine = (): string => {
  const processors = cpus()
  return `${processors.length} × ${processors[0]?.model.trim()}, Linux ${release()}, Node ${process.versions.node}`
}

export const scratch = (): { readonly directory: string } & Disposable => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  chmodSync(directory, 0o755) // nginx's worker may be another user
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
}
