import type { Duplex } from 'node:stream'
import type { Frame } from './codec/frame.ts'
import type { FrameReader } from './codec/frames.ts'

/** A socket that is read only when somebody wants to know: nothing piles up between two questions. */
export interface ByteSource {
  /** What comes next. Rejects when nothing can come any more, or when the signal fires. */
  read(): Promise<Buffer>
  /** Gives the socket back: paused, and without listeners of ours. */
  release(): void
}

/** The other side has gone. */
export class Gone extends Error {
  override readonly name = 'Gone'
}

export const makeByteSource = (socket: Duplex, signal: AbortSignal): ByteSource => {
  let waiting: { resolve(chunk: Buffer): void; reject(cause: unknown): void } | undefined
  let over: Error | undefined
  const give = (chunk: Buffer): void => {
    socket.pause()
    const asked = waiting
    waiting = undefined
    if (asked === undefined) socket.unshift(chunk)
    else asked.resolve(chunk)
  }
  const fail = (cause: Error): void => {
    over ??= cause
    waiting?.reject(over)
    waiting = undefined
  }
  const ended = (): void => fail(new Gone('the connection has been closed'))
  const failed = (error: Error): void => fail(new Gone('the connection broke', { cause: error }))
  const aborted = (): void => fail(signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason }))
  socket.pause()
  socket.on('data', give).on('end', ended).on('close', ended).on('error', failed)
  signal.addEventListener('abort', aborted)
  if (signal.aborted) aborted()
  return {
    read() {
      if (over !== undefined) return Promise.reject(over)
      if (socket.destroyed) return Promise.reject(new Gone('the connection has been closed'))
      if (waiting !== undefined) throw new Error('one question at a time')
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.resume()
      })
    },
    release() {
      socket.pause()
      socket.off('data', give).off('end', ended).off('close', ended).off('error', failed)
      signal.removeEventListener('abort', aborted)
    },
  }
}

/** The next whole message. */
export const nextFrame = async (source: ByteSource, reader: FrameReader): Promise<Frame> => {
  for (;;) {
    const frame = reader.next()
    if (frame !== undefined) return frame
    reader.feed(await source.read())
  }
}
