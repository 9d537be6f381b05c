import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { median } from './frame.ts'

export interface PgPlace {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export interface PgLoad {
  readonly transactions: number
  readonly perSecond: number
  /** Measured where it was asked for: every transaction is logged then. */
  readonly p50Ms: number | undefined
}

export interface PgLoadOptions {
  readonly mode: 'simple' | 'extended' | 'prepared'
  readonly clients: number
  /** Of each client: whatever logging in takes, all contenders do the same work. */
  readonly transactions: number
  readonly latencies?: boolean
}

const run = async (command: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<string> => {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, cwd })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output.slice(-2_000)}`)
  return output
}

const environment = ({ password }: PgPlace): NodeJS.ProcessEnv => ({ PGPASSWORD: password, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' })

const at = ({ port, user, database }: PgPlace): readonly string[] => ['-h', '127.0.0.1', '-p', String(port), '-U', user, database]

export const fillPgbench = async (directory: string, place: PgPlace, scale: number): Promise<void> => void (await run(['pgbench', '-i', '-q', '-s', String(scale), ...at(place)], environment(place), directory))

/** pgbench's select-only script. A transaction that fails or is missing ends the benchmark: a fast refusal is no result. */
export const pgbench = async (directory: string, place: PgPlace, { mode, clients, transactions, latencies = false }: PgLoadOptions): Promise<PgLoad> => {
  const folder = mkdtempSync(join(directory, 'pgbench-'))
  try {
    const log = latencies ? ['-l', '--log-prefix=each'] : []
    const output = await run(['pgbench', '-n', '-S', '-M', mode, '-c', String(clients), '-j', '1', '-t', String(transactions), ...log, ...at(place)], environment(place), folder)
    const figure = (pattern: RegExp): number => {
      const found = Number(pattern.exec(output)?.[1])
      if (!Number.isFinite(found)) throw new Error(`pgbench says nothing of ${pattern.source}:\n${output}`)
      return found
    }
    const done = figure(/number of transactions actually processed: (\d+)/)
    if (done !== clients * transactions || figure(/number of failed transactions: (\d+)/) !== 0) throw new Error(`transactions failed or are missing:\n${output}`)
    const each = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n').map((line) => Number(line.split(' ')[2]) / 1_000))
    return { transactions: done, perSecond: figure(/tps = ([\d.]+)/), p50Ms: latencies ? median(each) : undefined }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const framed = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type, 'latin1'), length, body])
}

/** Sends a password in the clear to whoever asks for one: our listener, or nobody. */
const logIn = async (socket: Socket, { user, password, database }: PgPlace): Promise<void> => {
  const words = ['user', user, 'database', database, '', ''].join('\0')
  const body = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(words.slice(0, -1) + '\0', 'latin1')])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  socket.write(Buffer.concat([length, body]))
  for (let heard = Buffer.alloc(0); ; ) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    heard = Buffer.concat([heard, chunk])
    if (heard[0] === 0x52 && heard.length >= 9 && heard.readInt32BE(5) === 3 && heard.length === 9) {
      socket.write(framed('p', Buffer.from(`${password}\0`)))
      heard = Buffer.alloc(0)
    } else if (heard[0] === 0x45) throw new Error(`the login was refused: ${heard.subarray(5).toString().replaceAll('\0', ' ')}`)
    else if (isReady(heard)) return
  }
}

const readiness = Buffer.from([0x5a, 0, 0, 0, 5])

const isReady = (tail: Buffer): boolean => tail.length >= 6 && tail.subarray(-6, -1).equals(readiness)

export interface Streamed {
  readonly bytes: number
  readonly seconds: number
}

/** Reads a result as fast as it comes and keeps nothing of it. */
export const stream = async (place: PgPlace, sql: string, eachChunk: () => void = () => {}): Promise<Streamed> => {
  const socket = connect(place.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  try {
    await logIn(socket, place)
    const begin = performance.now()
    socket.write(framed('Q', Buffer.from(`${sql}\0`)))
    let bytes = 0
    let first = true
    let tail: Buffer = Buffer.alloc(0)
    await new Promise<void>((resolve, reject) => {
      socket.once('close', () => reject(new Error('the connection ended in the middle of the rows')))
      socket.on('data', (chunk: Buffer) => {
        if (first && chunk[0] === 0x45) return reject(new Error(chunk.toString().replaceAll('\0', ' ')))
        first = false
        bytes += chunk.length
        tail = chunk.length >= 6 ? chunk.subarray(-6) : Buffer.concat([tail, chunk]).subarray(-6)
        eachChunk()
        if (isReady(tail)) resolve()
      })
    })
    return { bytes, seconds: (performance.now() - begin) / 1_000 }
  } finally {
    socket.destroy()
  }
}
