import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from '../support/until.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')

export interface WitnessProcess extends AsyncDisposable {
  readonly url: string
  /** First the key of its cosignatures, then that of the root log. */
  readonly keys: readonly [string, string]
  post(body: string): Promise<{ readonly status: number; readonly body: string; readonly type: string | null }>
  get(path: string): Promise<{ readonly status: number; readonly body: string; readonly next: string | null }>
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** The program as whoever runs a witness starts it. */
export const startWitness = async (state: string, logs: readonly string[], more: readonly string[] = [], name = 'witness.test'): Promise<WitnessProcess> => {
  const itself = ['--name', name, '--state', state]
  const child = spawn(process.execPath, [main, 'witness', 'serve', ...itself, '--listen', '127.0.0.1:0', ...logs.flatMap((log) => ['--log', log]), ...more], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const exited = once(child, 'exit')
  const address = await until('the witness to be ready', () => {
    if (child.exitCode !== null) throw new Error(`the witness ended: ${said}`)
    return /"address":"([^"]+)"/.exec(said)?.[1]
  }, 20_000)
  const url = `http${more.includes('--tls-cert') ? 's' : ''}://${address}`
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    child.kill(signal)
    await exited
  }
  const get: WitnessProcess['get'] = async (path) => {
    const response = await fetch(`${url}${path}`)
    return { status: response.status, body: await response.text(), next: response.headers.get('countersign-next') }
  }
  const [first = '', second = ''] = (await promisify(execFile)(process.execPath, [main, 'witness', 'key', ...itself])).stdout.split('\n')
  return {
    url,
    keys: [first, second],
    get,
    post: async (body) => {
      const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body })
      return { status: response.status, body: await response.text(), type: response.headers.get('content-type') }
    },
    kill,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await kill('SIGTERM')
    },
  }
}
