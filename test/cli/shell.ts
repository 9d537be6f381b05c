import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { commands } from '../../src/cli/commands.ts'
import { dispatch } from '../../src/cli/dispatch.ts'
import type { Io } from '../../src/cli/io.ts'

/** A terminal or a pipe in front of the commands, with a home of its own. */
export const makeShell = async (env: Record<string, string> = {}) => {
  const home = await mkdtemp(join(tmpdir(), 'countersign-home-'))

  const start = (argv: readonly string[], options: { readonly env?: Record<string, string>; readonly type?: readonly string[]; readonly terminal?: boolean } = {}) => {
    const over = new AbortController()
    const result = { out: '', err: '' }
    const input = Object.assign(new PassThrough(), { isTTY: options.terminal ?? false })
    for (const line of options.type ?? []) input.write(`${line}\n`)
    if (!options.terminal) input.end()
    const io: Io = {
      stdout: { write: (text) => (result.out += text), isTTY: options.terminal ?? false, columns: 120 },
      stderr: { write: (text) => (result.err += text), isTTY: options.terminal ?? false },
      stdin: input,
      env: { HOME: home, XDG_STATE_HOME: join(home, 'state'), NO_COLOR: '1', SSH_CONNECTION: 'none', ...env, ...options.env },
      cwd: home,
      signal: over.signal,
    }
    const done = dispatch(commands, argv, io).then((code) => ({ code, ...result }))
    return { done, result, interrupt: () => over.abort() }
  }

  return { home, start, run: (...args: Parameters<typeof start>) => start(...args).done, [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) }
}
