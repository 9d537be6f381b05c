import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { makeScram } from '../../lib/scram.ts'
import type { Secret } from '../../lib/secret.ts'
import { type ByteSource, nextFrame } from './byte-source.ts'
import { serverEndPoint } from './channel-binding.ts'
import { backend, readAuthentication, readFields, type Authentication } from './codec/backend.ts'
import type { Frame } from './codec/frame.ts'
import type { FrameReader } from './codec/frames.ts'
import { passwordMessage, saslInitialResponse, saslResponse } from './codec/proof.ts'
import type { PostgresRole, PostgresTarget } from './options.ts'

export interface Exchange {
  readonly socket: Socket | TLSSocket
  readonly source: ByteSource
  readonly reader: FrameReader
}

/**
 * Proves who we are, by what this service allows and by nothing else: the server chooses the method, and a false server would choose the one that gives the password away.
 * Resolves behind AuthenticationOk.
 */
export const authenticate = async (exchange: Exchange, target: PostgresTarget, { user, password }: PostgresRole): Promise<void> => {
  const asked = await authentication(exchange)
  const allows = (method: 'md5' | 'cleartext' | 'trust'): boolean => target.allow.includes(method)
  switch (asked.method) {
    case 'ok':
      if (password !== undefined && !allows('trust')) throw new Error('the server asked for no proof of identity; a service that has a password and accepts this says "allow: [trust]"')
      return
    case 'sasl':
      return await scram(exchange, target, needed(password), asked.mechanisms)
    case 'md5':
      if (!allows('md5')) throw new Error('the server asked for an MD5 proof, which this service does not allow')
      exchange.socket.write(passwordMessage(md5Proof(needed(password), user, asked.salt)))
      return await finished(exchange)
    case 'cleartext':
      if (!allows('cleartext') || !isVerified(target)) throw new Error('the server asked for the password in clear, which this service does not allow')
      exchange.socket.write(passwordMessage(needed(password).reveal()))
      return await finished(exchange)
    default:
      throw new Error(`the server asked for a way of logging in that is not known here (${'code' in asked ? asked.code : asked.method})`)
  }
}

const isVerified = ({ tls }: PostgresTarget): boolean => tls === 'verify-full' || tls === 'verify-ca'

const needed = (password: Secret | undefined): Secret => {
  if (password === undefined) throw new Error('the server asks for a password, and this role has none')
  return password
}

const scram = async (exchange: Exchange, target: PostgresTarget, password: Secret, mechanisms: readonly string[]): Promise<void> => {
  const { socket } = exchange
  const plus = mechanisms.includes('SCRAM-SHA-256-PLUS')
  if (!plus && !mechanisms.includes('SCRAM-SHA-256')) throw new Error(`the server offers none of the ways of logging in that are known here (${mechanisms.join(', ').slice(0, 200)})`)
  const tls = 'getPeerX509Certificate' in socket
  const binding = tls ? serverEndPoint(socket) : undefined
  if (plus && !tls) throw new Error('the server offers channel binding without TLS')
  if (binding === undefined && !mechanisms.includes('SCRAM-SHA-256')) throw new Error('the certificate of the server has no channel binding')
  const proof = makeScram({ password, plus, tls, leastIterations: target.leastIterations, ...(binding === undefined ? {} : { binding }) })
  socket.write(saslInitialResponse(proof.mechanism, proof.first))
  const challenge = await authentication(exchange)
  if (challenge.method !== 'sasl-continue') throw new Error('the server left out its SCRAM challenge')
  socket.write(saslResponse(await proof.prove(challenge.data.toString('latin1'))))
  const final = await authentication(exchange)
  if (final.method !== 'sasl-final') throw new Error('the server left out its half of the SCRAM proof')
  proof.verify(final.data.toString('latin1'))
  await finished(exchange)
}

const finished = async (exchange: Exchange): Promise<void> => {
  const { method } = await authentication(exchange)
  if (method !== 'ok') throw new Error('the server asked for another proof of identity behind the first')
}

/** The next word on who we are. What a server says besides is no reason to go on. */
const authentication = async ({ source, reader }: Exchange): Promise<Authentication> => {
  for (;;) {
    const frame = await nextFrame(source, reader)
    if (frame.type === backend.authentication) return readAuthentication(frame)
    if (frame.type === backend.error) throw serverError(frame)
    if (frame.type !== backend.notice && frame.type !== backend.negotiate) throw new Error('the server went on before it knew who we are')
  }
}

/** For the log. */
export const serverError = (frame: Frame): Error => {
  const fields = readFields(frame)
  return new Error(`the server refused the login: ${fields.get('C') ?? ''} ${(fields.get('M') ?? '').slice(0, 500)}`)
}

const md5 = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

const md5Proof = (password: Secret, user: string, salt: Buffer): string => `md5${md5(md5(password.reveal(), user), salt)}`
