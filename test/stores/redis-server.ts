import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import type { TlsFiles } from '../../src/lib/tls-client.ts'
import { spawnTied } from '../../examples/world/tied.ts'
import { freePort } from '../support/ports.ts'
import type { PostgresTls } from '../support/postgres-tls.ts'

export interface RedisServer extends AsyncDisposable {
  readonly port: number
  readonly process: ChildProcess
  /** Sends one command on a connection of its own. Rejects when that connection is cut, as a Sentinel does to all of a Redis that it promotes. */
  command(...words: string[]): Promise<string>
  kill(signal: NodeJS.Signals): Promise<void>
}

/** What a client needs to be let in: the server's own certificate does. */
export const filesOf = ({ ca, cert, key }: PostgresTls): TlsFiles => ({ ca, certificate: { cert, key } })

interface Given {
  readonly port?: number
  readonly config?: string
  /** Then it speaks nothing else, and only with those who show a certificate of the same authority. */
  readonly tls?: PostgresTls
}

/** A real Redis (or Sentinel) of our own on a free port, without persistence. */
export const startRedis = async (extra: readonly string[] = [], given: Given = {}): Promise<RedisServer> => {
  for (let tries = 1; ; tries++) {
    const server = await startOnce(extra, given)
    if (server !== undefined) return server
    if (tries === 3) throw new Error('redis-server did not start')
  }
}

/** `undefined` when it ended at once: somebody else may have been faster to take the port. */
const startOnce = async (extra: readonly string[], given: Given): Promise<RedisServer | undefined> => {
  const port = given.port ?? (await freePort())
  const dir = await mkdtemp(join(tmpdir(), 'countersign-redis-'))
  const { tls } = given
  const speaks = tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.ca, '--tls-replication', 'yes', '--tls-cluster', 'yes']
  const args = [...speaks, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir, ...extra]
  const child: ChildProcess = spawnTied('redis-server', given.config === undefined ? args : [given.config, ...speaks, '--bind', '127.0.0.1', ...extra], { signal: 'SIGKILL', folder: dir, output: 'ignore' })
  const ended = once(child, 'exit')
  const command = (...words: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const ask = (): void => void socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
      const socket: Socket = tls === undefined ? connect(port, '127.0.0.1', ask) : connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, ask)
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
