import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnTied } from '../../examples/world/tied.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

/** A real redis-server of our own. */
export interface TestRedis extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly url: string
  readonly process: ChildProcess
}

/** `extra` are more command line options, such as `['--appendonly', 'yes']`. */
export const startRedis = async (extra: readonly string[] = []): Promise<TestRedis> => {
  const directory = await mkdtemp(join(tmpdir(), 'countersign-redis-'))
  for (let tries = 1; ; tries++) {
    const port = await freePort()
    const child = spawnTied('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', directory, '--daemonize', 'no', ...extra], { signal: 'SIGKILL', folder: directory, output: 'ignore' })
    const failed = new Promise<'failed'>((resolve) => {
      child.once('error', () => resolve('failed'))
      child.once('exit', () => resolve('failed'))
    })
    const started = await Promise.race([failed, until('redis-server to answer', () => answers(port), 10_000).then(() => 'started' as const, () => 'failed' as const)])
    if (started === 'started') return running(child, port, directory)
    child.kill('SIGKILL')
    if (tries === 3) {
      await rm(directory, { recursive: true, force: true })
      throw new Error('redis-server did not start')
    }
  }
}

const running = (child: ChildProcess, port: number, directory: string): TestRedis => ({
  host: '127.0.0.1',
  port,
  url: `redis://127.0.0.1:${port}`,
  process: child,
  async [Symbol.asyncDispose]() {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    await rm(directory, { recursive: true, force: true })
  },
})

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('data', (data) => end(data.toString().startsWith('+PONG')))
    socket.write('PING\r\n')
  })
