import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Refusal } from '../../model/refusal.ts'

const tooLong = (most: number): Refusal => new Refusal('too-large', `The body is longer than the ${most} bytes that may be sent here.`)

const tooSlow = (): Refusal => new Refusal('malformed', 'The body did not arrive in time.')

/** Who may not even announce so much is refused before a byte of it is read. */
export const refuseAnnounced = (contentLength: number | undefined, most: number): void => {
  if (contentLength !== undefined && contentLength > most) throw tooLong(most)
}

/** A small piece is a view into all that was read from the socket with it: who may wait for long keeps the body alone. */
const whole = (chunks: readonly Buffer[], length: number): Buffer => {
  const only = chunks.length === 1 ? chunks[0] : undefined
  if (only !== undefined && only.buffer.byteLength < 2 * length) return only
  const body = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const chunk of chunks) at += chunk.copy(body, at)
  return body
}

/** The whole body within a limit and a deadline, or a refusal: never a part of it. */
export const readBody = (request: IncomingMessage, most: number, deadlineMs: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    // Nothing of this stays behind: the request may wait for long.
    const release = (): void => {
      clearTimeout(timer)
      request.off('data', more).off('end', done).off('error', broken).off('close', broken)
    }
    const stop = (refusal: Refusal): void => {
      release()
      request.pause()
      reject(refusal)
    }
    const more = (chunk: Buffer): void => {
      length += chunk.length
      if (length > most) return stop(tooLong(most))
      chunks.push(chunk)
    }
    const done = (): void => {
      release()
      resolve(whole(chunks, length))
    }
    const broken = (): void => stop(new Refusal('malformed', 'The body broke off.'))
    const timer = setTimeout(() => stop(tooSlow()), deadlineMs)
    request.on('data', more).on('end', done).on('error', broken).on('close', broken)
  })

/** Fewer bytes than this in one period is a client that only wants to occupy a connection. */
const leastPerPeriod = 1_024

/**
 * The body as it comes, for an upstream. Destroying it leaves the client's connection alone: there may still be an answer to give.
 * It fails when the body is too long, stops moving or breaks off, so that no upstream takes a part for the whole.
 */
export const streamBody = (request: IncomingMessage, most: number, periodMs: number): Readable => {
  let length = 0
  let lately = 0
  let starved = false
  const stream = new Readable({
    highWaterMark: 256 * 1_024,
    read() {
      starved = true
      request.resume()
    },
    destroy(error, callback) {
      clearInterval(timer)
      request.off('data', more).off('end', done).off('error', broken).off('close', broken)
      request.on('error', () => {})
      callback(error)
    },
  })
  const more = (chunk: Buffer): void => {
    length += chunk.length
    lately += chunk.length
    if (length > most) return void stream.destroy(tooLong(most))
    if (!stream.push(chunk)) {
      starved = false
      request.pause()
    }
  }
  const done = (): void => {
    clearInterval(timer)
    stream.push(null)
  }
  const broken = (): void => void (request.complete || stream.destroy(new Refusal('malformed', 'The body broke off.')))
  // Only a client that was asked for more can be too slow.
  const timer = setInterval(() => {
    if (starved && lately < leastPerPeriod) stream.destroy(tooSlow())
    lately = 0
  }, periodMs)
  request.on('data', more).on('end', done).on('error', broken).on('close', broken)
  request.pause()
  return stream
}
