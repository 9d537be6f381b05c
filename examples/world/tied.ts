import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * Becomes the program. Beside it a shell of its own waits at a pipe that only we hold. A word on it says that the program has ended.
 * When it closes without one, because we ended, by a crash or `kill -9` too, the program gets the signal, and once it is gone its folder goes.
 */
const script = `
signal=$1 folder=$2
shift 2
(
  (
    read -r word <&3 && exit
    kill -s "$signal" $$
    tries=0
    while kill -0 $$ && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
    # Processes of the program may be leaving still.
    [ -z "$folder" ] || rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
  ) >/dev/null 2>&1 &
)
exec 3<&-
exec "$@"
`

export interface TiedOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> {
  /** What ends the program when we are gone. */
  readonly signal: 'SIGQUIT' | 'SIGKILL'
  /** Removed after it. */
  readonly folder?: string
  readonly output: 'inherit' | 'ignore' | number
}

/**
 * Starts a program that does not outlive us. It has a process group of its own: Ctrl-C in a terminal goes to the whole group,
 * and asked by it and by us the program would take the second time for impatience.
 */
export const spawnTied = (program: string, args: readonly string[], { signal, folder = '', output, ...options }: TiedOptions): ChildProcess => {
  const child = spawn('/bin/sh', ['-c', script, 'sh', signal.slice('SIG'.length), folder, program, ...args], { ...options, stdio: ['ignore', output, output, 'pipe'], detached: true })
  // A pipe of its own: standard input is closed without a word as soon as the program has ended.
  const line = child.stdio[3] as Writable
  line.on('error', () => {}) // the shell was ended by somebody else
  child.once('exit', () => line.end('ended\n'))
  return child
}
