import { setTimeout as pause } from 'node:timers/promises'
import { Closed } from '../../approval/channel.ts'
import type { HoldStore } from '../../approval/hold-store.ts'
import type { Log } from '../../lib/log.ts'
import { Busy } from '../../lib/receiver.ts'
import { causeText } from '../../model/refusal.ts'
import type { SlackApi } from './slack-api.ts'
import { isSocketUrl, openSocket, type Envelope, type Socket } from './socket.ts'

export interface SocketModeParts {
  /** Of all replicas that have the same name here, two hold a connection. */
  readonly name: string
  readonly replica: string
  readonly lease: HoldStore['lease']
  /** With the token of the app. */
  readonly api: SlackApi
  readonly apiUrl: string
  readonly take: (envelope: Envelope) => Promise<Readonly<Record<string, unknown>> | undefined>
  readonly log: Log
}

/** `stand-by`: enough others hold one. */
export type SocketState = 'connecting' | 'connected' | 'stand-by' | 'closed'

export interface SocketMode extends AsyncDisposable {
  state(): { readonly state: SocketState; readonly lastError?: string }
}

export interface SocketTiming {
  readonly leaseMs: number
  readonly beatMs: number
  readonly firstWaitMs: number
}

const usual: SocketTiming = { leaseMs: 15_000, beatMs: 4_000, firstWaitMs: 1_000 }
const seats = 2
const callWithinMs = 10_000
const longestWaitMs = 60_000
/** A connection that goes sooner is no sign that the next will last. */
const shortUseMs = 10_000
/** Replaced after this at the latest: a connection that died without a word is not noticed otherwise. */
const longestUseMs = 30 * 60_000

/** Clicks over connections that we open. A new one is there before an old one goes. */
export const makeSocketMode = ({ name, replica, lease, api, apiUrl, take, log }: SocketModeParts, timing: SocketTiming = usual): SocketMode => {
  const closing = new AbortController()
  let state: SocketState = 'connecting'
  let lastError: string | undefined
  let seat: number | undefined
  let seatUntil = 0

  const rest = (ms: number): Promise<void> => pause(ms, undefined, { signal: closing.signal, ref: false }).catch(() => {})

  const takeSeat = async (): Promise<boolean> => {
    const asked = performance.now()
    for (const one of seat === undefined ? Array.from({ length: seats }, (_, index) => index) : [seat]) {
      if (!(await lease(`slack-${name}-${one}`, replica, timing.leaseMs).catch(() => false))) continue
      seat = one
      seatUntil = asked + timing.leaseMs
      return true
    }
    if (performance.now() < seatUntil) return true // the store was away for a moment
    seat = undefined
    return false
  }

  const connect = async (): Promise<{ readonly socket: Socket; readonly forMs: number }> => {
    const { url } = await api.call('apps.connections.open', {}, AbortSignal.any([closing.signal, AbortSignal.timeout(callWithinMs)]))
    if (typeof url !== 'string' || !isSocketUrl(url, apiUrl)) throw new Error('Slack names a connection that is not in its own domain')
    const socket = openSocket(url, take)
    closing.signal.addEventListener('abort', socket.close, { once: true })
    try {
      const { forMs = longestUseMs } = await socket.opened
      return { socket, forMs: Math.min(forMs * 0.8, longestUseMs) }
    } catch (error) {
      socket.close()
      throw error
    } finally {
      closing.signal.removeEventListener('abort', socket.close)
    }
  }

  /** Until it goes, its time is over, the seat is lost, or we close. */
  const use = async ({ socket, forMs }: { readonly socket: Socket; readonly forMs: number }): Promise<'refresh' | 'too-many' | 'disabled' | 'lost' | 'seat' | 'closing'> => {
    const until = performance.now() + forMs
    for (;;) {
      const timer = new AbortController()
      const said = await Promise.race([socket.leaving, pause(timing.beatMs, undefined, { signal: AbortSignal.any([timer.signal, closing.signal]), ref: false }).then(() => undefined, () => undefined)])
      timer.abort()
      if (closing.signal.aborted) return 'closing'
      if (said !== undefined) return said
      if (!(await takeSeat())) return 'seat'
      if (performance.now() > until) return 'refresh'
    }
  }

  const run = async (): Promise<void> => {
    let old: Socket | undefined
    let wait = timing.firstWaitMs
    const drop = (): void => {
      old?.close()
      old = undefined
    }
    /** Each time longer, until a connection has lasted. */
    const later = async (leastMs = 0): Promise<void> => {
      await rest(Math.max(leastMs, wait * (0.8 + 0.4 * Math.random())))
      wait = Math.min(wait * 2, longestWaitMs)
    }
    while (!closing.signal.aborted) {
      if (!(await takeSeat())) {
        drop()
        state = 'stand-by'
        await rest(timing.beatMs)
        continue
      }
      try {
        if (old === undefined) state = 'connecting'
        const next = await connect()
        drop()
        state = 'connected'
        lastError = undefined
        const openedAt = performance.now()
        const end = await use(next)
        if (end === 'refresh') old = next.socket
        else next.socket.close()
        if (end === 'disabled') throw new Closed('Socket Mode is switched off for this app')
        if (end === 'too-many') {
          state = 'stand-by'
          await rest(longestWaitMs)
        } else if (performance.now() - openedAt > shortUseMs) wait = timing.firstWaitMs
        else await later()
      } catch (error) {
        if (closing.signal.aborted) break
        lastError = causeText(error) ?? 'unknown'
        log.warn({ channel: name, cause: lastError }, 'there is no connection to Slack for clicks')
        if (error instanceof Closed) {
          state = 'closed'
          break
        }
        await later(error instanceof Busy ? error.retryAfterMs : 0)
      }
    }
    drop()
    if (seat !== undefined) await lease(`slack-${name}-${seat}`, replica, 0).catch(() => {})
  }

  const running = run()
  return {
    state: () => ({ state, ...(lastError === undefined ? {} : { lastError }) }),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await running
    },
  }
}
