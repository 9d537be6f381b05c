import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { spawnTied } from '../../examples/world/tied.ts'
import { freePort } from '../support/ports.ts'

export interface RedisServer extends AsyncDisposable {
  readonly port: number
  readonly process: ChildProcess
  /** Sends one command on a connection of its own. Rejects when that connection is cut, as a Sentinel does to all of a Redis that it promotes. */
  command(...words: string[]): Promise<string>
  kill(signal: NodeJS.Signals): Promise<void>
}

/** A real Redis (or Sentinel) of our own on a free port, without persistence. */
export const startRedis = async (extra: readonly string[] = [], given: { readonly port?: number; readonly config?: string } = {}): Promise<RedisServer> => {
  for (let tries = 1; ; tries++) {
    const server = await startOnce(extra, given)
    if (server !== undefined) return server
    if (tries === 3) throw new Error('redis-server did not start')
  }
}

/** `undefined` when it ended at once: somebody else may have been faster to take the port. */
const startOnce = async (extra: readonly string[], given: { readonly port?: number; readonly config?: string }): Promise<RedisServer | undefined> => {
  const port = given.port ?? (await freePort())
  const dir = await mkdtemp(join(tmpdir(), 'countersign-redis-'))
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir, ...extra]
  const child: ChildProcess = spawnTied('redis-server', given.config === undefined ? args : [given.config, ...args.slice(0, 4), ...extra], { signal: 'SIGKILL', folder: dir, output: 'ignore' })
  const ended = once(child, 'exit')
  const command = (...words: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`))
      socket.setTimeout(1_000, () => socket.destroy(new Error('no answer')))
      socket.once('data', (data) => {
        resolve(data.toString())
        socket.destroy()
      })
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('closed without an answer')))
    })
  for (let tries = 0; ; tries++) {
    const answer = await command('PING').catch(() => '')
    if (answer.startsWith('+PONG')) break
    if (child.exitCode !== null || tries > 200) {
      child.kill('SIGKILL')
      await rm(dir, { recursive: true, force: true })
      return undefined
    }
    await pause(25)
  }
  return {
    port, process: child, command,
    async kill(signal) {
      child.kill(signal)
      if (signal === 'SIGKILL' || signal === 'SIGTERM') await ended
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await ended
      }
      await rm(dir, { recursive: true, force: true })
    },
  }
}
