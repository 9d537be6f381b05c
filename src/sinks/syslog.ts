import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { during } from './during.ts'
import type { OptionsOf } from './options.ts'
import { LineRefused, type Sink } from './sink.ts'
import { octetCounted, syslogMessage } from './syslog-message.ts'
import { tlsClient } from '../lib/tls-client.ts'

/** A connection must stand for so long after a batch was written to it. A receiver that turns us away says so within it. */
const settleMs = 250
/** What was written to a connection that broke is written again to the next one: the last of it, up to so much and so old. */
const kept = { bytes: 1024 * 1024, ms: 300_000 }

/**
 * Syslog over TLS (RFC 5424, 5425). The protocol has no acknowledgement, so this is the best that can be had: a batch counts as taken when it was written
 * and the connection still stood a moment later. What a receiver loses that it had read, or that was on its way when we ended as well, nobody knows of.
 */
export const makeSyslogSink = (options: OptionsOf<'syslog'>): Sink => {
  let socket: TLSSocket | undefined
  let written: { readonly at: number; readonly bytes: Buffer }[] = []

  const drop = (): void => {
    socket?.destroy()
    socket = undefined
  }

  const remember = (bytes: Buffer): void => {
    const oldest = Date.now() - kept.ms
    written.push({ at: Date.now(), bytes })
    let size = written.reduce((sum, one) => sum + one.bytes.length, 0)
    while (written[0] !== undefined && (size > kept.bytes || written[0].at < oldest)) size -= written.shift()?.bytes.length ?? 0
  }

  return {
    limits: { lines: 500, bytes: 256 * 1024 },
    timeoutMs: options.timeoutMs,
    deliver: async (lines, signal) => {
      const messages = lines.map((one) => syslogMessage(one, options))
      if (messages.some((message) => Buffer.byteLength(message) > options.maxBytes)) throw new LineRefused(`longer than ${options.maxBytes} bytes (max-size)`)
      const bytes = Buffer.concat(messages.map(octetCounted))
      if (socket?.destroyed === true) drop()
      try {
        const isNew = socket === undefined
        const to = (socket ??= await open(options, signal))
        await during(to, signal, (done) => to.write(isNew ? Buffer.concat([...written.map((one) => one.bytes), bytes]) : bytes, done))
        await during(to, signal, (done) => setTimeout(done, settleMs))
      } catch (error) {
        drop()
        throw error
      }
      remember(bytes)
    },
    check: async (signal) => {
      const to = await open(options, signal)
      try {
        await during(to, signal, (done) => setTimeout(done, settleMs))
        return 'the connection stands'
      } finally {
        to.destroy()
      }
    },
    [Symbol.asyncDispose]: async () => {
      const last = socket
      socket = undefined
      // What was written goes out before the connection ends.
      if (last?.destroyed === false) await during(last, AbortSignal.timeout(options.timeoutMs), () => last.end()).catch(() => last.destroy())
    },
  }
}

const open = async ({ host, port, tls, timeoutMs }: OptionsOf<'syslog'>, signal: AbortSignal): Promise<TLSSocket> => {
  const socket = connect({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...tlsClient(tls) })
  socket.on('error', () => {}) // told to whoever waits
  // Nothing is ever said to us; the end of what could be said is the end of the connection.
  socket.once('end', () => socket.destroy()).resume().setKeepAlive(true, 30_000)
  try {
    await during(socket, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]), (done) => socket.once('secureConnect', done))
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}
