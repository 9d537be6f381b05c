import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

export interface UploadEvents {
  /** A part of it has come, and goes. */
  moved(): void
  ended(): void
  /** It broke off: what was sent must not pass for the whole. */
  failed(cause: Error): void
}

/** Sends the body in chunks, as fast as the slower side. What it returns stops it. */
export const upload = (body: Readable, socket: Socket, events: UploadEvents): (() => void) => {
  const chunk = (bytes: Buffer): void => {
    if (bytes.length === 0) return // would say that it was the last one
    events.moved()
    socket.cork()
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    socket.write(bytes)
    if (!socket.write('\r\n', 'latin1')) body.pause()
    socket.uncork()
  }
  const more = (): void => void body.resume()
  const release = (): void => {
    socket.off('drain', more)
    body.off('data', chunk).off('end', whole).off('error', events.failed).off('close', short)
  }
  const whole = (): void => {
    release()
    socket.write('0\r\n\r\n', 'latin1')
    events.ended()
  }
  const short = (): void => events.failed(new Error('the body broke off'))
  socket.on('drain', more)
  body.on('data', chunk).on('end', whole).on('error', events.failed).on('close', short)
  return () => {
    release()
    body.destroy()
  }
}
