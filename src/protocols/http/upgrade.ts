import { createHash } from 'node:crypto'
import { Agent, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { isIP, type Socket } from 'node:net'
import httpProxy from 'http-proxy'
import { type Attempt, redeem } from '../../gate.ts'
import type { Outcome } from '../../model/outcome.ts'
import { causeText, Refusal } from '../../model/refusal.ts'
import { responseHeaders } from './codec/headers.ts'
import { receiptHeader } from './reply.ts'
import { connectionOf } from './connection.ts'
import { closeFrame, makeFrameEdge } from './frame-edge.ts'
import type { ListenerState } from './listener.ts'
import { type Progress, receive, type Received } from './reception.ts'
import { answerOf, answerUnknown } from './refusal.ts'
import { occasionOf, type SessionParts } from './session.ts'
import { answerSocket } from './socket-answer.ts'
import type { Upstream } from './upstream.ts'

export interface Upgrade {
  serve(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void>
  /** Asks every tunnel to end. */
  drain(): void
  /** Ends every tunnel now. */
  close(): void
  ended(): Promise<void>
}

/** Ends a tunnel with a WebSocket status code. */
type End = (code: number, reason: string) => void

/** A WebSocket handshake runs the whole policy as the verb `http.websocket`: a rule for ordinary requests never opens a tunnel. */
export const makeUpgrade = (parts: SessionParts, state: () => ListenerState): Upgrade => {
  const proxy = httpProxy.createProxyServer({})
  // Every failure is answered where it belongs; without a listener the library would throw it at nobody.
  proxy.on('error', () => {})
  const sockets = new Set<Socket>()
  const tunnels = new Set<End>()
  const waiting: (() => void)[] = []

  const serve: Upgrade['serve'] = async (request, socket, head) => {
    socket.on('error', () => {})
    const connection = connectionOf(socket)
    if (!connection.idle() || state().draining) return void socket.destroy()
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) for (const resolve of waiting.splice(0)) resolve()
    })
    const progress: Progress = {}
    try {
      const received = await receive(request, parts, state(), progress, true)
      if ('reserved' in received) throw new Refusal('upgrade-refused', 'There is nothing to upgrade here.')
      refuseUnlessWebSocket(request, received)
      await run(request, socket, head, received)
    } catch (error) {
      if (!(error instanceof Refusal)) parts.log.error({ err: error }, 'an upgrade failed in a way that nobody foresaw')
      const refusal = error instanceof Refusal ? error : new Refusal('upstream-unavailable', 'Internal error.')
      if (parts.log.isLevelEnabled('debug')) parts.log.debug({ code: refusal.code, cause: causeText(refusal.cause) }, 'upgrade refused')
      answerSocket(socket, answerOf(refusal, occasionOf(progress, state().options.consoleUrl)))
    }
  }

  const run = async (request: IncomingMessage, socket: Socket, head: Buffer, received: Received): Promise<void> => {
    const { caller, claim, entry, frame } = received
    const action = frame.action(undefined)
    const attempt: Attempt = {
      recheck: () => parts.identity.recheck(caller, claim),
      async run(permit, credential) {
        const receipt = await permit.receipt?.()
        const headers = [...frame.headers(permit.caller, action, credential.headers, receipt), 'connection', 'Upgrade', 'upgrade', 'websocket']
        redeem(permit, action.digest)
        return tunnel(request, socket, head, { upstream: entry.upstream, target: frame.target.raw, headers, receipt, received, progress: { entry, notes: received.notes } }, (end) => watch(received, action, end))
      },
      replay: async () => {
        throw new Refusal('hold-spent', 'That connection was opened once; ask again to open another one.')
      },
      result: () => undefined,
    }
    await parts.gate.pass({ caller, action, wait: { budgetMs: entry.route.hold.waitMs } }, attempt, connectionOf(socket).gone)
  }

  /** A tunnel lives as long as the right to it: until the token ends, the identity is gone or the policy says no. */
  const watch = ({ caller, claim }: Received, action: ReturnType<Received['frame']['action']>, stop: End): (() => void) => {
    const end: End = (code, cause) => {
      parts.note?.({ type: 'session-ended', session: caller.session, cause })
      stop(code, cause)
    }
    const expiry = setTimeout(end, Math.max(0, Math.min(caller.expiresAt - Date.now(), 2 ** 31 - 1)), 1008, 'the session has ended')
    let busy = false
    const recheck = async (): Promise<void> => {
      if (busy) return
      busy = true
      try {
        const now = await parts.identity.recheck(caller, claim)
        if (parts.policies().decide(now, action, Date.now()).verdict === 'deny') end(1008, 'the policy has changed')
      } catch (error) {
        // An issuer that is down does not end what it allowed; the token's own end does.
        if (!(error instanceof Refusal && error.code === 'identity-unavailable')) end(1008, 'the session has ended')
      } finally {
        busy = false
      }
    }
    const interval = setInterval(() => void recheck(), state().options.timeouts.sessionRecheckMs)
    return () => {
      clearTimeout(expiry)
      clearInterval(interval)
    }
  }

  interface Plan {
    readonly upstream: Upstream
    readonly target: string
    readonly headers: readonly string[]
    readonly receipt: string | undefined
    readonly received: Received
    readonly progress: Progress
  }

  const tunnel = (request: IncomingMessage, socket: Socket, head: Buffer, plan: Plan, guard: (end: End) => () => void): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const { upstream, target, headers } = plan
      const began = performance.now()
      const host = upstream.origin.hostname.replace(/^\[|\]$/g, '')
      if (socket.destroyed) return reject(new Refusal('upstream-unavailable', 'The client went away before anything was sent.'))
      if (isIP(host) !== 0 && !upstream.mayReach(host)) return reject(new Refusal('upstream-unavailable', 'The service cannot be reached; nothing was sent.', { cause: `${host} is outside the allowed range` }))
      const secure = upstream.origin.protocol === 'https:'
      const agent = secure ? new TlsAgent({ lookup: upstream.lookup, ...(upstream.ca === undefined ? {} : { ca: upstream.ca }) }) : new Agent({ lookup: upstream.lookup })
      let sent = false
      let open = false
      let over = false
      let release = (): void => {}
      const settle = (outcome: Omit<Outcome, 'ms'>): void => {
        if (over) return
        over = true
        release()
        clearTimeout(deadline)
        agent.destroy()
        resolve({ ...outcome, ms: Math.round((performance.now() - began) * 1_000) / 1_000 })
      }
      const refuseUnsent = (cause: Error): void => {
        over = true
        clearTimeout(deadline)
        agent.destroy()
        reject(new Refusal('upstream-unavailable', 'The service could not be reached; nothing was sent.', { cause }))
      }
      const occasion = occasionOf(plan.progress, undefined)
      let proxied: ClientRequest | undefined
      const deadline = setTimeout(() => proxied?.destroy(new Error('no answer to the handshake in time')), upstream.handshakeMs)

      const onProxyRequest = (outgoing: ClientRequest, from: IncomingMessage): void => {
        if (from !== request) return
        proxied = outgoing
        for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name)
        for (const [name, value] of grouped(headers)) outgoing.setHeader(name, value)
        outgoing.path = target
        outgoing.on('socket', (wire: Socket) => wire.once(secure ? 'secureConnect' : 'connect', () => (sent = true)))
        outgoing.prependOnceListener('response', (answer: IncomingMessage) => {
          // No 101, no tunnel: the bytes after this answer are nobody's request.
          settle({ result: 'executed', status: String(answer.statusCode), cause: 'the service did not switch protocols' })
          answerSocket(socket, answerOf(new Refusal('upgrade-refused', 'The service did not open a WebSocket.'), { ...occasion, status: 502 }))
          answer.destroy()
          outgoing.destroy()
        })
        outgoing.prependOnceListener('upgrade', (answer: IncomingMessage, wire: Socket) => {
          if (!acceptsHandshake(request, answer) || socket.destroyed) {
            settle({ result: 'executed', status: String(answer.statusCode), cause: 'the handshake was not completed' })
            answerSocket(socket, answerOf(new Refusal('upgrade-refused', 'The service did not open a WebSocket.'), { ...occasion, status: 502 }))
            wire.destroy()
            return
          }
          open = true
          clearTimeout(deadline)
          Reflect.deleteProperty(socket, 'destroySoon')
          answer.headers = { ...passedOn(answer.rawHeaders), ...(plan.receipt === undefined ? {} : { [receiptHeader]: plan.receipt }) }
          const edge = makeFrameEdge()
          const end: End = (code, reason) => {
            tunnels.delete(end)
            wire.unpipe(socket)
            wire.destroy()
            if (edge.between() && socket.writable) socket.end(closeFrame(code, reason))
            setTimeout(() => socket.destroy(), 1_000).unref()
            settle({ result: 'executed', status: '101', cause: reason })
          }
          wire.on('data', (chunk: Buffer) => edge.feed(chunk))
          tunnels.add(end)
          const ended = (): void => {
            tunnels.delete(end)
            wire.destroy()
            socket.destroySoon()
            settle({ result: 'executed', status: '101', bytes: wire.bytesRead })
          }
          wire.on('error', ended).on('close', ended)
          socket.on('close', ended)
          const unwatch = guard(end)
          release = unwatch
        })
      }
      const onFailure = (cause: Error): void => {
        if (over || open) return
        if (!sent) return refuseUnsent(cause)
        settle({ result: 'unknown', cause: causeText(cause) ?? 'the handshake broke off' })
        answerSocket(socket, answerUnknown(502, false, occasion))
      }
      socket.once('close', () => {
        if (open || over) return
        proxied?.destroy(new Error('the client went away'))
      })
      // The library closes the client's socket as soon as the upstream fails, before our answer is written. Until a tunnel stands, closing is ours.
      socket.destroySoon = () => {}
      proxy.on('proxyReqWs', onProxyRequest)
      proxy.ws(request, socket, head, { target: upstream.origin.origin, agent, ignorePath: true }, onFailure)
      proxy.off('proxyReqWs', onProxyRequest)
    })

  return {
    serve,
    drain() {
      for (const end of tunnels) end(1001, 'this replica is going away')
    },
    close() {
      for (const socket of sockets) socket.destroy()
    },
    ended: () => (sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => void waiting.push(resolve))),
  }
}

const refuseUnlessWebSocket = (request: IncomingMessage, { entry, hasBody }: Received): void => {
  const { upgrade, 'sec-websocket-version': version, 'sec-websocket-key': key } = request.headers
  if (upgrade?.toLowerCase() !== 'websocket' || request.method !== 'GET' || !entry.route.upgrades.includes('websocket')) throw new Refusal('upgrade-refused', 'This route does not switch protocols.')
  if (hasBody || request.httpVersionMinor === 0) throw new Refusal('malformed', 'A WebSocket handshake has no body.')
  if (version !== '13' || typeof key !== 'string' || !/^[A-Za-z0-9+/]{22}==$/.test(key)) throw new Refusal('malformed', 'This is not a WebSocket handshake.')
}

/** The constant of RFC 6455 by which a server proves that it read the key. */
const proof = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const acceptsHandshake = (request: IncomingMessage, answer: IncomingMessage): boolean =>
  answer.statusCode === 101 &&
  answer.headers.upgrade?.toLowerCase() === 'websocket' &&
  answer.headers['sec-websocket-accept'] === createHash('sha1').update(`${request.headers['sec-websocket-key']}${proof}`).digest('base64')

const grouped = (flat: readonly string[]): Map<string, string[]> => {
  const groups = new Map<string, string[]>()
  for (let n = 0; n + 1 < flat.length; n += 2) {
    const name = (flat[n] as string).toLowerCase()
    groups.set(name, [...(groups.get(name) ?? []), flat[n + 1] as string])
  }
  return groups
}

/** The answer's headers as we pass them on: cleaned like any answer's, and with the two that make the switch. */
const passedOn = (rawHeaders: readonly string[]): Record<string, string> => {
  const kept: Record<string, string> = { connection: 'Upgrade', upgrade: 'websocket' }
  const headers = responseHeaders(rawHeaders)
  for (let n = 0; n + 1 < headers.length; n += 2) {
    const name = (headers[n] as string).toLowerCase()
    if (name !== 'content-length') kept[name] = kept[name] === undefined ? (headers[n + 1] as string) : `${kept[name]}, ${headers[n + 1]}`
  }
  return kept
}
