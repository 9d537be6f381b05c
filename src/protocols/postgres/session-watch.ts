import type { Identity } from '../../identity/identity.ts'
import type { AuditEvent } from '../../model/audit-event.ts'
import type { Caller } from '../../model/caller.ts'
import type { Claim } from '../../model/claim.ts'
import { Refusal } from '../../model/refusal.ts'

export interface WatchParts {
  readonly identity: Pick<Identity, 'recheck'>
  readonly note?: (event: Extract<AuditEvent, { type: 'session-ended' }>) => void
}

export interface SessionWatch extends Disposable {
  /** Fires once, when the token has come to its end or its identity is not good any more. The reason is the `Refusal` to say so with. */
  readonly ended: AbortSignal
}

const longestTimer = 2 ** 31 - 1

/** A connection may outlive the right to it by far: so that right is looked at again and again. */
export const watchSession = ({ identity, note }: WatchParts, caller: Caller, claim: Claim, everyMs: number): SessionWatch => {
  const controller = new AbortController()
  const stop = (): void => {
    clearTimeout(expiry)
    clearInterval(interval)
  }
  const end = (cause: string): void => {
    if (controller.signal.aborted) return
    stop()
    note?.({ type: 'session-ended', session: caller.session, cause })
    controller.abort(new Refusal('bad-identity', 'NOT EXECUTED. Your token is not valid any more.', { cause, instead: 'Connect again with a new one.' }))
  }
  let busy = false
  const look = async (): Promise<void> => {
    if (busy) return
    busy = true
    try {
      await identity.recheck(caller, claim)
    } catch (error) {
      // An issuer that is down does not end what it allowed; the token's own end does.
      if (!(error instanceof Refusal && error.code === 'identity-unavailable')) end('the identity is not good any more')
    } finally {
      busy = false
    }
  }
  const wait = (): NodeJS.Timeout => setTimeout(() => (Date.now() < caller.expiresAt ? (expiry = wait()) : end('the token has come to its end')), Math.min(Math.max(0, caller.expiresAt - Date.now()), longestTimer))
  let expiry = wait()
  const interval = setInterval(() => void look(), everyMs)
  return { ended: controller.signal, [Symbol.dispose]: stop }
}
