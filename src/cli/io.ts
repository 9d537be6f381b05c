/** What a command may touch of the world around it. A real process has this shape, and a test can have it too. */
export interface Io {
  /** Data: what a pipe should get. */
  readonly stdout: Output
  /** Chatter: progress, warnings, questions. */
  readonly stderr: Output
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** The same numbers for every command, so that scripts and agents can branch on them. */
export const exit = { ok: 0, failure: 1, usage: 2, invalid: 3, testsFailed: 4, denied: 5, pending: 6, authentication: 7, interrupted: 130 } as const

/** Ends the command with this message on stderr and this exit code. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly code: number
  constructor(message: string, code: number = exit.failure) {
    super(message)
    this.code = code
  }
}

const maxInput = 1 << 20

/** All of standard input, up to a megabyte. */
export const readInput = async (io: Pick<Io, 'stdin'>): Promise<string> => {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of io.stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    if (text.length > maxInput) throw new Failure('standard input is longer than 1 MB', exit.usage)
  }
  return text + decoder.decode()
}
