import cluster from 'node:cluster'
import { commands } from './commands.ts'
import { dispatch } from './dispatch.ts'
import { exit, type Io } from './io.ts'

// Whoever reads our output may have seen enough, as `head` does: that is no error of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exit.ok)
    throw error
  })
}

const ending = new AbortController()
let last: NodeJS.Signals | undefined
// A terminal sends SIGINT to every process of the group; a worker ends when its supervisor says so.
if (cluster.isWorker) process.on('SIGINT', () => {})
for (const signal of cluster.isWorker ? (['SIGTERM'] as const) : (['SIGINT', 'SIGTERM'] as const)) {
  process.on(signal, () => {
    if (last !== undefined) process.exit(exit.interrupted) // asked twice: at once
    last = signal
    ending.abort()
  })
}

const io: Io = { stdout: process.stdout, stderr: process.stderr, stdin: process.stdin, env: process.env, cwd: process.cwd(), signal: ending.signal }

try {
  process.exitCode = await dispatch(commands, process.argv.slice(2), io)
} catch (error) {
  process.stderr.write(`countersign: this is a fault of the program: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = exit.failure
}
// Sockets that are kept open for a next request would keep the process for seconds.
if (process.stdin.isTTY) process.stdin.unref()
// So would a worker's channel to its supervisor, for ever.
cluster.worker?.disconnect()
