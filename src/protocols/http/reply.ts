import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Outcome } from '../../model/outcome.ts'
import { giveBack } from '../../lib/give-back.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import { responseHeaders } from './codec/headers.ts'
import { makeKeeper } from './kept-reply.ts'
import { type Answer, answerOf, answerUnknown, type Occasion } from './refusal.ts'
import type { Outgoing } from './upstream-connection.ts'
import type { ReplySink, UpstreamFailure } from './upstream-pool.ts'
import type { Upstream } from './upstream.ts'

/** How much of an upload we still read, and for how long, so that the client can hear an answer that came early. */
const lingerBytes = 1 << 20
const lingerMs = 1_000
const smallBytes = 16 << 10

/** Ends the answer; if the client is still sending, only after it had a chance to read the answer. */
const endReply = (request: IncomingMessage, response: ServerResponse, last?: Buffer | string): void => {
  if (request.complete || response.socket === null || response.socket.destroyed) {
    response.end(last)
    return
  }
  let rest = lingerBytes
  const done = (): void => {
    clearTimeout(timer)
    request.off('data', discard).off('end', done).off('error', done).off('close', done)
    response.end()
  }
  const discard = (chunk: Buffer): void => {
    rest -= chunk.length
    if (rest < 0) done()
  }
  const timer = setTimeout(done, lingerMs)
  if (last !== undefined) response.write(last)
  request.on('data', discard).on('end', done).on('error', done).on('close', done)
  request.resume()
}

/** Says something of our own. Says nothing if an answer has begun already: then only cutting the connection is honest. */
export const sendAnswer = (request: IncomingMessage, response: ServerResponse, answer: Answer, extra: readonly string[] = []): void => {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
  const headers = [...answer.headers, ...extra, 'content-length', String(body.length)]
  if (answer.close || !request.complete) headers.push('connection', 'close')
  response.writeHead(answer.status, headers)
  endReply(request, response, request.method === 'HEAD' ? undefined : body)
}

/** The length that the head announces, or -1. */
const lengthIn = (headers: readonly string[]): number => {
  for (let n = 0; n < headers.length; n += 2) if ((headers[n] as string).length === 14 && (headers[n] as string).toLowerCase() === 'content-length') return Number(headers[n + 1])
  return -1
}

export const receiptHeader = 'Countersign-Receipt'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly upstream: Upstream
  readonly outgoing: Outgoing
  readonly occasion: () => Occasion
  /** Keep a copy of the answer for a repeat. An action that was released by people then runs to its end even if the client leaves. */
  readonly keep: boolean
  /** For the client, and for whoever gets the kept answer. */
  readonly receipt?: string | undefined
  /** Whether the connection should end with this answer. */
  readonly closing: () => boolean
}

export interface Forwarded {
  readonly outcome: Outcome
  readonly kept?: Uint8Array
}

/**
 * Sends the request and streams the answer as it comes, as fast as the slower side.
 * Rejects with a `Refusal` only while nothing was sent; after that it answers the client itself.
 */
export const forward = ({ request, response, upstream, outgoing, occasion, keep, closing, receipt }: Exchange): Promise<Forwarded> =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    const keeper = keep ? makeKeeper() : undefined
    let status = 0
    let bytes = 0
    let announced = -1
    let over = false
    let flushed = false
    let resumeUpstream: (() => void) | undefined
    let giveUp: ((reason: Error) => void) | undefined
    let whole: Buffer | undefined

    const settle = (result: Outcome['result'], cause?: string): void => {
      over = true
      response.off('close', clientLeft)
      const kept = result === 'executed' && cause === undefined ? keeper?.close() : undefined
      const outcome: Outcome = { result, ms: Math.round((performance.now() - began) * 1_000) / 1_000, bytes, ...(status === 0 ? {} : { status: String(status) }), ...(cause === undefined ? {} : { cause }) }
      resolve(kept === undefined ? { outcome } : { outcome, kept })
    }

    const clientLeft = (): void => {
      if (over || keeper?.useful()) return resumeUpstream?.()
      const reason = new Error('the client went away')
      giveUp?.(reason) // what was never sent ends here, and is told as that
      if (!over) settle(status === 0 ? 'unknown' : 'executed', reason.message)
    }

    const flushSoon = (): void => {
      if (!flushed && !over) response.flushHeaders()
    }

    /** While the client does not read, nothing is read from the upstream; who never reads again does not keep a connection of it. */
    const waitForReader = (): void => {
      const stalled = setTimeout(() => response.destroy(), upstream.stallMs)
      const go = (): void => {
        clearTimeout(stalled)
        response.off('drain', go).off('close', go)
        resumeUpstream?.()
      }
      response.on('drain', go).on('close', go)
    }

    const sink: ReplySink = {
      head(code, raw, resume) {
        if (over) return true
        status = code
        resumeUpstream = resume
        const headers = responseHeaders(raw)
        if (receipt !== undefined) headers.push(receiptHeader, receipt)
        announced = lengthIn(headers)
        keeper?.head(code, headers)
        if (response.destroyed) return true
        if (closing() || !request.complete) headers.push('connection', 'close')
        try {
          response.writeHead(code, headers)
        } catch (error) {
          settle('executed', causeText(error) ?? 'its head cannot be passed on')
          giveUp?.(error as Error)
          response.destroy()
          return true
        }
        // A small body of known length comes with its head; what may come slowly shows its head at once.
        if (announced < 0 || announced > smallBytes) process.nextTick(flushSoon)
        return true
      },
      data(chunk, alone) {
        if (over) return true
        bytes += chunk.length
        keeper?.data(chunk)
        if (response.destroyed) {
          if (keeper?.useful()) return true
          clientLeft()
          return true
        }
        flushed = true
        // The usual small answer arrives in one piece: it leaves in one write, at `end`.
        if (chunk.length === announced) {
          whole = chunk
          return true
        }
        const spent = alone && !keeper?.useful() ? () => giveBack(chunk.buffer) : undefined
        if (response.write(chunk, spent)) return true
        waitForReader()
        return false
      },
      end() {
        if (over) return
        settle('executed')
        if (response.destroyed) return
        // Head and a small body as one string are one write to the socket; latin1 maps bytes to characters one to one.
        if (whole !== undefined && whole.length <= smallBytes && request.complete) response.end(whole.toString('latin1'), 'latin1')
        else endReply(request, response, whole)
      },
      fail({ sent, timedOut, cause }: UpstreamFailure) {
        if (over) return
        if (!sent) {
          over = true
          response.off('close', clientLeft)
          const text = timedOut ? 'The service could not be reached in time; nothing was sent.' : 'The service could not be reached; nothing was sent.'
          return reject(new Refusal(timedOut ? 'upstream-timeout' : 'upstream-unavailable', text, { cause }))
        }
        settle(status === 0 ? 'unknown' : 'executed', causeText(cause) ?? 'the answer broke off')
        if (response.destroyed) return
        if (response.headersSent) response.destroy()
        else if (cause instanceof Refusal) sendAnswer(request, response, answerOf(cause, occasion()))
        else sendAnswer(request, response, answerUnknown(timedOut ? 504 : 502, status !== 0, occasion()))
      },
    }

    response.on('close', clientLeft)
    if (response.destroyed && !keep) {
      over = true
      return reject(new Refusal('upstream-unavailable', 'The client went away before anything was sent.'))
    }
    giveUp = upstream.send(outgoing, sink)
  })
