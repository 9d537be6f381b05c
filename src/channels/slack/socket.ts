import { z } from 'zod'
import { isLoopbackHost } from '../../lib/outbound-address.ts'
import { parseStrictJson } from '../../lib/strict-json.ts'

/** What came over a socket and wants to hear that it has arrived. */
export interface Envelope {
  readonly id: string
  readonly type: string
  readonly payload: unknown
}

export type Farewell = 'refresh' | 'too-many' | 'disabled' | 'lost'

export interface Socket {
  /** Resolves once it is open and Slack has said so, with for how long it will be, if Slack said that. */
  readonly opened: Promise<{ readonly forMs: number | undefined }>
  /** Resolves when it is to be replaced or has gone, with why. */
  readonly leaving: Promise<Farewell>
  close(): void
}

const openWithinMs = 10_000
const mostCharacters = 1 << 20

const message = z.object({
  type: z.string(),
  reason: z.string().optional(),
  envelope_id: z.string().max(200).optional(),
  payload: z.unknown().optional(),
  debug_info: z.object({ approximate_connection_time: z.number().positive().optional() }).optional(),
})

const farewells: Readonly<Record<string, Farewell>> = { link_disabled: 'disabled', too_many_websockets: 'too-many' }

/** Where a connection may lead: into the domain of the Web API, over TLS. */
export const isSocketUrl = (url: string, api: string): boolean => {
  const [to, from] = [URL.parse(url), URL.parse(api)]
  if (to === null || from === null || to.username !== '' || to.password !== '') return false
  const isNear = to.hostname === from.hostname || to.hostname.endsWith(`.${from.hostname}`)
  return isNear && (to.protocol === 'wss:' || (to.protocol === 'ws:' && isLoopbackHost(to.hostname)))
}

/** One connection of Socket Mode. `take` resolves with what goes back beside the acknowledgement; where it rejects, nothing is acknowledged. */
export const openSocket = (url: string, take: (envelope: Envelope) => Promise<Readonly<Record<string, unknown>> | undefined>): Socket => {
  const opened = Promise.withResolvers<{ readonly forMs: number | undefined }>()
  const leaving = Promise.withResolvers<Farewell>()
  const socket = new WebSocket(url)
  const late = setTimeout(() => gone('it was not open in time'), openWithinMs)

  const gone = (why: string): void => {
    clearTimeout(late)
    opened.reject(new Error(`the connection to Slack: ${why}`))
    leaving.resolve('lost')
    socket.close()
  }

  const acknowledge = async (envelope: Envelope): Promise<void> => {
    const payload = await take(envelope)
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ envelope_id: envelope.id, ...(payload === undefined ? {} : { payload }) }))
  }

  const hear = (text: string): void => {
    const said = message.parse(parseStrictJson(Buffer.from(text), 64))
    if (said.type === 'hello') {
      clearTimeout(late)
      const seconds = said.debug_info?.approximate_connection_time
      return opened.resolve({ forMs: seconds === undefined ? undefined : seconds * 1_000 })
    }
    if (said.type === 'disconnect') return leaving.resolve(farewells[said.reason ?? ''] ?? 'refresh')
    if (said.envelope_id !== undefined) acknowledge({ id: said.envelope_id, type: said.type, payload: said.payload }).catch(() => {}) // who decides has said why
  }

  socket.addEventListener('message', ({ data }: MessageEvent) => {
    try {
      if (typeof data !== 'string' || data.length > mostCharacters) throw new Error('no text, or too long')
      hear(data)
    } catch {
      gone('something came that is no message of Slack')
    }
  })
  socket.addEventListener('close', () => gone('it was closed'))
  socket.addEventListener('error', () => gone('it failed'))
  opened.promise.catch(() => {})
  return { opened: opened.promise, leaving: leaving.promise, close: () => gone('we closed it') }
}
