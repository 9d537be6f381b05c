import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { serverCertificate } from '../../lib/tls-server.ts'
import { Refusal } from '../../model/refusal.ts'
import { Gone, makeByteSource } from './byte-source.ts'
import { type FirstPacket, takeFirstPacket } from './codec/greeting.ts'
import type { PostgresListenerOptions } from './options.ts'

/** What a client wants, after it and we have agreed on TLS or on none. */
export interface Greeting {
  /** Paused. */
  readonly socket: Socket
  readonly encrypted: boolean
  readonly packet: Exclude<FirstPacket, { type: 'ssl' | 'gss' }>
  /** What came behind the packet. */
  readonly rest: Buffer
}

/** Somebody put plaintext where a TLS handshake belongs. */
export class Stuffed extends Error {
  override readonly name = 'Stuffed'
}

const clientHello = 0x16

export const readTls = ({ tls }: PostgresListenerOptions): SecureContext | undefined => tls && createSecureContext(serverCertificate(tls))

/** Each request for encryption may come once. What is read before TLS is never taken for what comes through it. `encrypted` is told of TLS as soon as it stands: answers have to go through it. */
export const greet = async (raw: Socket, tls: SecureContext | undefined, signal: AbortSignal, encrypted: (socket: TLSSocket) => void): Promise<Greeting> => {
  const inside = async (socket: TLSSocket): Promise<Greeting> => {
    encrypted(socket)
    const { packet, rest } = await firstPacket(socket, signal)
    if (packet.type === 'hello' || packet.type === 'ssl' || packet.type === 'gss') throw new Refusal('malformed', 'Encryption has been negotiated already.')
    return { socket, encrypted: true, packet, rest }
  }
  let asked = ''
  for (;;) {
    const { packet, rest } = await firstPacket(raw, signal)
    if (packet.type !== 'hello' && packet.type !== 'ssl' && packet.type !== 'gss') return { socket: raw, encrypted: false, packet, rest }
    // libpq asks for GSSAPI first and for TLS then, both or one of them.
    if (asked !== '' && !(asked === 'gss' && packet.type === 'ssl')) throw new Refusal('malformed', 'Encryption is being negotiated already.')
    asked = packet.type
    if (packet.type === 'hello') {
      if (tls === undefined) throw new Gone('the client began with TLS, which is not configured')
      raw.unshift(rest)
      return await inside(await secured(raw, tls, true, signal))
    }
    if (rest.length > 0) throw new Stuffed('bytes in the clear came with the request for encryption')
    const agreed = packet.type === 'ssl' && tls !== undefined
    raw.write(agreed ? 'S' : 'N')
    if (agreed) return await inside(await secured(raw, tls, false, signal))
  }
}

/** `hello`: the beginning of a TLS handshake, all of which is in `rest`. */
const firstPacket = async (socket: Socket, signal: AbortSignal): Promise<{ readonly packet: FirstPacket | { readonly type: 'hello' }; readonly rest: Buffer }> => {
  const source = makeByteSource(socket, signal)
  try {
    let bytes: Buffer = Buffer.alloc(0)
    for (;;) {
      bytes = Buffer.concat([bytes, await source.read()])
      if (bytes[0] === clientHello) return { packet: { type: 'hello' }, rest: bytes }
      const taken = takeFirstPacket(bytes)
      if (taken !== undefined) return { packet: taken.packet, rest: bytes.subarray(taken.end) }
    }
  } finally {
    source.release()
  }
}

/** A client that begins with TLS must say that it means PostgreSQL: what was meant for another protocol is not answered in this one. */
const secured = (raw: Socket, secureContext: SecureContext, direct: boolean, signal: AbortSignal): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const secure = new TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols: ['postgresql'] })
    const settle = (error?: unknown): void => {
      secure.off('secure', agreed).off('error', failed).off('close', closed)
      signal.removeEventListener('abort', aborted)
      secure.on('error', () => {})
      if (error === undefined) return resolve(secure)
      secure.destroy()
      reject(error)
    }
    const agreed = (): void => {
      secure.disableRenegotiation()
      settle(direct && secure.alpnProtocol !== 'postgresql' ? new Gone('the client did not ask for PostgreSQL inside TLS') : undefined)
    }
    const failed = (error: Error): void => settle(new Gone('the TLS handshake failed', { cause: error }))
    const closed = (): void => settle(new Gone('the client left in the TLS handshake'))
    const aborted = (): void => settle(signal.reason)
    secure.on('secure', agreed).on('error', failed).on('close', closed)
    signal.addEventListener('abort', aborted)
    if (signal.aborted) aborted()
  })
