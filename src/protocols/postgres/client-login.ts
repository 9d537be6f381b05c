import type { Socket } from 'node:net'
import { Refusal } from '../../model/refusal.ts'
import { Gone, makeByteSource, nextFrame } from './byte-source.ts'
import type { Frame } from './codec/frame.ts'
import { frontend } from './codec/frontend.ts'
import { makeFrameReader } from './codec/frames.ts'
import { proofRules, readBearer, readPassword, readSaslInitial } from './codec/proof.ts'
import { authenticationCleartext, authenticationSasl, authenticationSaslContinue } from './codec/reply.ts'
import type { PostgresListenerOptions } from './options.ts'

/** The longest token that clients and servers of PostgreSQL know. */
const longestToken = 65_535

/** Asks the client for its token, which it has not shown anything of before. `rest`: what it sent behind it. */
export const askForToken = async (socket: Socket, before: Buffer, options: PostgresListenerOptions, signal: AbortSignal): Promise<{ readonly token: string; readonly rest: Buffer }> => {
  const tokenBytes = Math.min(options.limits.tokenBytes, longestToken)
  const reader = makeFrameReader(proofRules(tokenBytes))
  const source = makeByteSource(socket, signal)
  const answer = async (): Promise<Frame> => {
    const frame = await nextFrame(source, reader)
    if (frame.type === frontend.terminate) throw new Gone('the client left instead of saying who it is')
    return frame
  }
  try {
    reader.feed(before)
    const token = options.login === 'password' ? await password(socket, answer) : await bearer(socket, answer, options.oauth)
    if (token === '') throw new Refusal('no-identity', 'This login carries no token.', { instead: 'Send your access token as the password.' })
    if (Buffer.byteLength(token) > tokenBytes) throw new Refusal('bad-identity', 'The token is too long.')
    return { token, rest: reader.rest() }
  } finally {
    source.release()
  }
}

const password = async (socket: Socket, answer: () => Promise<Frame>): Promise<string> => {
  socket.write(authenticationCleartext)
  return readPassword(await answer())
}

const mechanism = 'OAUTHBEARER'

/** RFC 7628. A client that has no token yet asks with an empty one, is told where to get one, and comes back on another connection. */
const bearer = async (socket: Socket, answer: () => Promise<Frame>, oauth: PostgresListenerOptions['oauth']): Promise<string> => {
  socket.write(authenticationSasl([mechanism]))
  const initial = readSaslInitial(await answer())
  if (initial.mechanism !== mechanism) throw new Refusal('malformed', 'This way of logging in was not offered.')
  const token = readBearer(initial.data)
  if (token !== '') return token
  const where = oauth === undefined ? {} : { 'openid-configuration': oauth.discoveryUrl, scope: oauth.scope }
  socket.write(authenticationSaslContinue(JSON.stringify({ status: 'invalid_token', ...where })))
  await answer() // one byte that says no more than that the client has read it
  throw new Refusal('no-identity', 'This login carries no token.', { instead: 'Get one and connect again.' })
}
