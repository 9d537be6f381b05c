import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compiled } from '../support/compiled.ts'
import { program } from './process.ts'

export interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A person at a machine of their own, with the real program. */
export interface Terminal extends AsyncDisposable {
  run(...args: readonly string[]): Promise<Run>
  /** Runs on while the test does something else; `out` is what it has said so far. */
  start(...args: readonly string[]): { readonly done: Promise<Run>; out(): string }
}

export const openTerminal = async (server: string, env: Readonly<Record<string, string>> = {}): Promise<Terminal> => {
  const home = await mkdtemp(join(tmpdir(), 'countersign-home-'))
  const start: Terminal['start'] = (...args) => {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 30_000,
      env: { PATH: process.env['PATH'] ?? '', HOME: home, XDG_STATE_HOME: join(home, 'state'), COUNTERSIGN_SERVER: server, NO_COLOR: '1', NODE_COMPILE_CACHE: compiled, ...env },
    })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    const done = new Promise<Run>((resolve, reject) => child.on('error', reject).on('close', (code) => resolve({ code: code ?? -1, out, err })))
    return { done, out: () => out }
  }
  return { start, run: (...args) => start(...args).done, [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) }
}
