import { readFileSync } from 'node:fs'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { makeByteSource } from './byte-source.ts'
import { sslRequest } from './codec/greeting.ts'
import type { PostgresTarget } from './options.ts'

/**
 * A connection to the server as safe as the target wants it, and not a byte sent before it is. Failures are `Error`s for the log.
 * `address`: which of the addresses that the server's name stands for; its certificate must be good for the name all the same.
 */
export const openSocket = async (target: PostgresTarget, signal: AbortSignal, address: string = target.host): Promise<Socket | TLSSocket> => {
  signal.throwIfAborted()
  const socket = connect({ host: address, port: target.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
  socket.on('error', ignored)
  try {
    await connected(socket, 'connect', signal)
    const safe = target.tls === 'disable' ? socket : await secured(socket, target, signal)
    safe.pause()
    return safe
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** 'close' follows, and says all that matters to whoever does not ask. */
const ignored = (): void => {}

const connected = (socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      socket.off(event, settle).off('error', settle).off('close', closed)
      signal.removeEventListener('abort', aborted)
      if (error === undefined) resolve()
      else reject(error)
    }
    const closed = (): void => settle(new Error('the connection was closed'))
    const aborted = (): void => settle(signal.reason)
    socket.on(event, settle).on('error', settle).on('close', closed)
    signal.addEventListener('abort', aborted)
    if (signal.aborted) aborted()
  })

const secured = async (socket: Socket, target: PostgresTarget, signal: AbortSignal): Promise<TLSSocket> => {
  await askForTls(socket, signal)
  const { host, tls } = target
  const context = contextOf(target)
  const secure = connectTls({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['postgresql'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls !== 'require' || target.caFile !== undefined,
    ...(tls === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(context === undefined ? {} : { secureContext: context }),
  })
  secure.on('error', ignored)
  try {
    await connected(secure, 'secureConnect', signal)
    return secure
  } catch (error) {
    secure.destroy()
    throw error
  }
}

/** The answer is one byte in the clear. Anything that comes with it was put there by somebody on the way. */
const askForTls = async (socket: Socket, signal: AbortSignal): Promise<void> => {
  const source = makeByteSource(socket, signal)
  try {
    socket.write(sslRequest)
    const answer = await source.read()
    if (answer[0] !== 0x53) throw new Error('the server does not offer TLS; "tls: disable" goes without it, for a server on this machine')
    if (answer.length > 1) throw new Error('the server sent plaintext behind its offer of TLS')
  } finally {
    source.release()
  }
}

/** Read once for as long as the target is configured. */
const contexts = new WeakMap<PostgresTarget, SecureContext>()

const contextOf = (target: PostgresTarget): SecureContext | undefined => {
  if (target.caFile === undefined) return undefined
  const known = contexts.get(target)
  if (known !== undefined) return known
  const made = createSecureContext({ ca: readFileSync(target.caFile), minVersion: 'TLSv1.2' })
  contexts.set(target, made)
  return made
}
