import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, initiateDeviceAuthorization, pollDeviceAuthorizationGrant, randomPKCECodeVerifier, randomState, tokenRevocation } from 'openid-client'
import { z } from 'zod'
import { terminalText } from '../lib/terminal-text.ts'
import { askServer, connect, serverOf, serverOptions } from './api-client.ts'
import { parseOptions, type Command, type Options } from './command.ts'
import { exit, Failure, type Io } from './io.ts'
import { discover, reasonOf, sessionOf } from './oidc-client.ts'
import { outputOption, toJson, toYaml } from './rendering.ts'
import { readSessions, writeSessions, type Session } from './session-file.ts'

const loginWithinMs = 5 * 60_000

const infoShape = z.object({ issuer: z.string(), clientId: z.string(), scopes: z.array(z.string()), resource: z.string().optional() })
type Info = z.infer<typeof infoShape>

const loginOptions = {
  server: serverOptions.server,
  device: { type: 'boolean', help: 'log in on another device: for SSH and machines without a browser' },
} as const satisfies Options

const login = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, loginOptions)
  const sessions = await readSessions(io)
  const named = values.server ?? io.env['COUNTERSIGN_SERVER'] ?? sessions.current
  if (named === undefined) throw new Failure('which server? --server URL', exit.usage)
  const server = serverOf(named)
  const info = infoShape.safeParse(await askServer(server, '/api/login-info', io))
  if (!info.success) throw new Failure(`${server} does not say how to log in`)
  const deadline = AbortSignal.any([io.signal, AbortSignal.timeout(loginWithinMs)])
  let session: Session
  try {
    session = await (values.device ? byDevice : byBrowser)(info.data, io, deadline)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(deadline.aborted ? 'nobody logged in within 5 minutes' : `the login failed: ${terminalText(reasonOf(error))}`, exit.authentication)
  }
  const latest = await readSessions(io)
  await writeSessions(io, { current: server, servers: { ...latest.servers, [server]: session } })
  io.stderr.write(`Logged in at ${server}.\n`)
  return exit.ok
}

const requestOf = ({ scopes, resource }: Info): Record<string, string> => ({ scope: scopes.join(' '), ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}), ...(resource === undefined ? {} : { resource }) })

/** RFC 8252: a browser, PKCE, and an answer on a loopback port that exists for this login only. */
const byBrowser = async (info: Info, io: Io, signal: AbortSignal): Promise<Session> => {
  const configuration = await discover(info)
  const verifier = randomPKCECodeVerifier()
  const state = randomState()
  const answer = Promise.withResolvers<URL>()
  answer.promise.catch(() => {}) // looked at below, after the browser was told where to go
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', redirect)
    // Only the answer to this login counts; whatever else comes to this port changes nothing.
    const isAnswer = request.method === 'GET' && request.headers.host === new URL(redirect).host && url.pathname === '/callback' && url.searchParams.get('state') === state
    response.writeHead(isAnswer ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', connection: 'close' })
    response.end(isAnswer ? 'You can close this page and go back to your terminal.\n' : 'There is nothing here.\n')
    if (isAnswer) answer.resolve(url)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const redirect = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`
  const stop = () => answer.reject(new Error('no answer in time'))
  signal.addEventListener('abort', stop, { once: true })
  try {
    const url = buildAuthorizationUrl(configuration, { ...requestOf(info), redirect_uri: redirect, state, code_challenge: await calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' })
    io.stderr.write(`To log in at ${terminalText(info.issuer)}, open:\n\n`)
    io.stdout.write(`${url.href}\n`)
    if (io.stdout.isTTY && io.env['SSH_CONNECTION'] === undefined) openBrowser(url)
    const tokens = await authorizationCodeGrant(configuration, await answer.promise, { pkceCodeVerifier: verifier, expectedState: state }, info.resource === undefined ? {} : { resource: info.resource })
    return sessionOf(info, tokens)
  } finally {
    signal.removeEventListener('abort', stop)
    server.close()
    server.closeAllConnections()
  }
}

/** RFC 8628: the code is typed on another device. */
const byDevice = async (info: Info, io: Io, signal: AbortSignal): Promise<Session> => {
  const configuration = await discover(info)
  const { prompt: _prompt, ...request } = requestOf(info)
  const asked = await initiateDeviceAuthorization(configuration, request)
  io.stderr.write('On any device, open the page and enter the code. Do this only for a login that you began yourself.\n\n')
  io.stdout.write(`${terminalText(asked.verification_uri)}\n${terminalText(asked.user_code)}\n`)
  return sessionOf(info, await pollDeviceAuthorizationGrant(configuration, asked, info.resource === undefined ? {} : { resource: info.resource }, { signal }))
}

const openBrowser = (url: URL): void => {
  const child = spawn('xdg-open', [url.href], { stdio: 'ignore', detached: true })
  child.on('error', () => {}) // the address is on the screen
  child.unref()
}

const logout = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, { server: serverOptions.server })
  const sessions = await readSessions(io)
  const named = values.server ?? io.env['COUNTERSIGN_SERVER'] ?? sessions.current
  const server = named === undefined ? undefined : serverOf(named)
  const session = server === undefined ? undefined : sessions.servers[server]
  if (server === undefined || session === undefined) {
    io.stderr.write('Not logged in.\n')
    return exit.ok
  }
  const { [server]: _gone, ...servers } = sessions.servers
  await writeSessions(io, { servers, ...(sessions.current === server ? {} : { current: sessions.current }) })
  try {
    const configuration = await discover(session)
    if (configuration.serverMetadata().revocation_endpoint !== undefined) await tokenRevocation(configuration, session.refreshToken ?? session.accessToken)
  } catch (error) {
    io.stderr.write(`The issuer was not told: ${terminalText(reasonOf(error))}\n`)
  }
  io.stderr.write(`Logged out at ${server}.\n`)
  return exit.ok
}

const whoamiOptions = { ...serverOptions, output: outputOption('table', 'json', 'yaml') } as const satisfies Options

const whoami = async (args: readonly string[], io: Io): Promise<number> => {
  const { values } = parseOptions(args, whoamiOptions)
  const me = (await (await connect(values, io)).get('/api/whoami')) as Record<string, unknown>
  if (values.output === 'json') io.stdout.write(toJson(me))
  else if (values.output === 'yaml') io.stdout.write(toYaml(me))
  else {
    for (const [name, value] of Object.entries(me)) {
      const text = Array.isArray(value) ? value.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry))).join(', ') : String(value)
      io.stdout.write(`${terminalText(name).padEnd(12)} ${terminalText(text)}\n`)
    }
  }
  return exit.ok
}

export const loginCommands: readonly Command[] = [
  { path: ['login'], summary: 'Log in as a person, to decide about holds', usage: '[--server URL] [--device]', options: loginOptions, examples: ['countersign login --server https://approvals.example.org', 'countersign login --device'], run: login, details: 'The server says which issuer to go to. The tokens are kept under $XDG_STATE_HOME/countersign, readable by you alone.' },
  { path: ['logout'], summary: 'Forget a login, and tell the issuer', usage: '[--server URL]', options: { server: serverOptions.server }, examples: ['countersign logout'], run: logout },
  { path: ['whoami'], summary: 'Show who the server takes you for', usage: '[-o json]', options: whoamiOptions, examples: ['countersign whoami -o json'], run: whoami },
]
