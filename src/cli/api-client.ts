import { readFile } from 'node:fs/promises'
import { terminalText } from '../lib/terminal-text.ts'
import type { Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { isSafeUrl, refreshed } from './oidc-client.ts'
import { readSessions, writeSessions } from './session-file.ts'

/** Options of every command that speaks to a server. */
export const serverOptions = {
  server: { type: 'string', value: 'URL', help: 'the approvals server; COUNTERSIGN_SERVER, or where you logged in last' },
  'token-file': { type: 'string', value: 'FILE', help: 'read the token from this file; else COUNTERSIGN_TOKEN, else your login' },
} as const satisfies Options

export interface ServerChoice {
  readonly server?: string
  readonly 'token-file'?: string
}

export interface ApiClient {
  readonly server: string
  get(path: string): Promise<unknown>
  post(path: string, body: unknown): Promise<unknown>
  /** The body of a stream, for as long as the signal lets it. */
  stream(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>
}

/** What the server answered instead of what was asked for. */
export class Problem extends Failure {
  readonly status: number
  readonly problem: string
  constructor(status: number, problem: string, detail: string) {
    super(detail, status === 401 ? exit.authentication : status === 403 ? exit.denied : exit.failure)
    this.status = status
    this.problem = problem
  }
}

const timeoutMs = 20_000
const maxAnswer = 16 << 20

export const serverOf = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !isSafeUrl(url)) throw new Failure(`${text} is not an https address; plain http is for this machine only`, exit.usage)
  return url.origin
}

export const connect = async (choice: ServerChoice, io: Io): Promise<ApiClient> => {
  const { server, token } = await loginOf(choice, io)

  const send = async (method: string, path: string, signal: AbortSignal, headers: Readonly<Record<string, string>>, body?: string): Promise<Response> => {
    let response: Response
    try {
      // A redirect could lead the token elsewhere.
      response = await fetch(`${server}${path}`, { method, redirect: 'error', signal, headers: { ...headers, authorization: `Bearer ${await token()}` }, ...(body === undefined ? {} : { body }) })
    } catch (error) {
      throw error instanceof Failure ? error : unreachable(server, error)
    }
    if (!response.ok) throw await problemOf(response)
    return response
  }

  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await send(method, path, AbortSignal.any([io.signal, AbortSignal.timeout(timeoutMs)]), { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, body === undefined ? undefined : JSON.stringify(body))
    return answerOf(response, server)
  }

  return {
    server,
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    async stream(path, headers, signal) {
      const { body } = await send('GET', path, signal, { accept: 'text/event-stream', ...headers })
      if (body === null) throw new Failure(`${server} sent no stream`)
      return body
    },
  }
}

/** Asks a server something for which nobody must be logged in. */
export const askServer = async (server: string, path: string, io: Io): Promise<unknown> => {
  let response: Response
  try {
    response = await fetch(`${server}${path}`, { redirect: 'error', signal: AbortSignal.any([io.signal, AbortSignal.timeout(timeoutMs)]) })
  } catch (error) {
    throw unreachable(server, error)
  }
  if (!response.ok) throw await problemOf(response)
  return answerOf(response, server)
}

const loginOf = async (choice: ServerChoice, io: Io): Promise<{ readonly server: string; readonly token: () => Promise<string> }> => {
  const named = choice.server ?? io.env['COUNTERSIGN_SERVER']
  const sessions = await readSessions(io)
  const server = named === undefined ? sessions.current : serverOf(named)
  if (server === undefined) throw new Failure('which server? Run countersign login --server URL, or set COUNTERSIGN_SERVER', exit.usage)

  const file = choice['token-file']
  // Read anew each time: mounted tokens are renewed in place.
  if (file !== undefined) return { server, token: () => tokenFrom(file) }
  const given = io.env['COUNTERSIGN_TOKEN']
  if (given) return { server, token: async () => checkedToken(given, 'COUNTERSIGN_TOKEN') }

  let session = sessions.servers[server]
  if (session === undefined) throw new Failure(`not logged in at ${server}; run countersign login --server ${server}`, exit.authentication)
  const token = async (): Promise<string> => {
    if (session === undefined) throw new Error('a session went away')
    if (session.expiresAt < Date.now() + 30_000) {
      session = await refreshed(session)
      const latest = await readSessions(io)
      await writeSessions(io, { ...latest, servers: { ...latest.servers, [server]: session } })
    }
    return session.accessToken
  }
  return { server, token }
}

const tokenFrom = async (file: string): Promise<string> => {
  try {
    return checkedToken(await readFile(file, 'utf8'), file)
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`cannot read ${file}: ${(error as Error).message}`, exit.authentication)
  }
}

const checkedToken = (text: string, where: string): string => {
  const token = text.trim()
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) throw new Failure(`${where} does not hold a token`, exit.authentication)
  return token
}

const unreachable = (server: string, error: unknown): Failure => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : error instanceof Error ? error.message : String(error)
  return new Failure(`${server} does not answer: ${terminalText(cause)}`)
}

const textOf = async (response: Response): Promise<string> => {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > maxAnswer) throw new Failure('the answer is longer than 16 MB')
  }
  return text
}

const answerOf = async (response: Response, server: string): Promise<unknown> => {
  try {
    return JSON.parse(await textOf(response)) as unknown
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(`${server} does not answer like a Countersign server`)
  }
}

const problemOf = async (response: Response): Promise<Problem> => {
  let body: Record<string, unknown> = {}
  try {
    body = JSON.parse(await textOf(response)) as Record<string, unknown>
  } catch {
    // Not ours: a proxy in between, perhaps. The status says enough.
  }
  const { type, code, detail, hold } = body
  if (String(type).startsWith('urn:countersign:refusal:')) return new Problem(response.status, 'proxy', `${new URL(response.url).origin} is the proxy that agents use. Name the approvals server: the address of \`listeners.console\``)
  const state = typeof hold === 'object' && hold !== null && 'state' in hold ? ` (the hold is ${String(hold.state)})` : ''
  const hint = response.status === 401 ? ' Run countersign login.' : ''
  return new Problem(response.status, typeof code === 'string' ? code : 'unknown', `${terminalText(typeof detail === 'string' ? detail : `the server answered ${response.status}`)}${terminalText(state)}${hint}`)
}
