import type { Outcome } from '../../model/outcome.ts'
import { giveBack } from '../../lib/give-back.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import { responseHeaders } from './codec/headers.ts'
import { makeKeeper } from './kept-reply.ts'
import { receiptHeader } from './reply.ts'
import type { Outgoing } from './upstream-connection.ts'
import type { Upstream } from './upstream.ts'

/** Longest reply that is kept where nobody else gets it. The rest of a longer one is read and dropped: its action runs to its end. */
const collectedBytes = 8 << 20
/** A service that keeps talking to nobody is not listened to for ever. */
const longestMs = 15 * 60_000

export interface Collected {
  readonly outcome: Outcome
  readonly kept?: Uint8Array
}

/** Sends the request and keeps the whole answer. Rejects with a `Refusal` only while nothing was sent. */
export const collect = (upstream: Upstream, outgoing: Outgoing, signal: AbortSignal, receipt?: string): Promise<Collected> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Refusal('draining', 'NOT EXECUTED. This replica is going away.'))
    const began = performance.now()
    const keeper = makeKeeper(collectedBytes)
    let status = 0
    let bytes = 0
    let giveUp: ((reason: Error) => void) | undefined
    const leave = (): void => giveUp?.(new Error('this replica is going away'))
    const timer = setTimeout(() => giveUp?.(new Error('the answer took too long')), longestMs)
    const release = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
    }

    const settle = (result: Outcome['result'], cause?: string): void => {
      release()
      const kept = result === 'executed' && cause === undefined ? keeper.close() : undefined
      const outcome: Outcome = { result, ms: Math.round((performance.now() - began) * 1_000) / 1_000, bytes, ...(status === 0 ? {} : { status: String(status) }), ...(cause === undefined ? {} : { cause }) }
      resolve(kept === undefined ? { outcome } : { outcome, kept })
    }

    signal.addEventListener('abort', leave)
    giveUp = upstream.send(outgoing, {
      head(code, raw) {
        status = code
        keeper.head(code, [...responseHeaders(raw), ...(receipt === undefined ? [] : [receiptHeader, receipt])])
        return true
      },
      data(chunk, alone) {
        bytes += chunk.length
        keeper.data(chunk)
        if (alone && !keeper.useful()) giveBack(chunk.buffer)
        return true
      },
      end: () => settle('executed'),
      fail({ sent, timedOut, cause }) {
        if (sent) return settle(status === 0 ? 'unknown' : 'executed', causeText(cause) ?? 'the answer broke off')
        release()
        reject(new Refusal(timedOut ? 'upstream-timeout' : 'upstream-unavailable', 'The service could not be reached; nothing was sent.', { cause }))
      },
    })
  })
