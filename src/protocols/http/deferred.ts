import type { RunKept } from '../../approval/unattended.ts'
import { type Attempt, type Gate, redeem } from '../../gate.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Action } from '../../model/action.ts'
import type { Hold } from '../../model/hold.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import type { Assertions } from './assertion.ts'
import { parseTarget } from './codec/target.ts'
import { collect } from './collected-reply.ts'
import { type Frame, makeFrame } from './frame.ts'
import { type KeptRequest, readKeptRequest } from './kept-request.ts'
import type { ListenerState } from './listener.ts'
import { type Entry, entryFor } from './routes.ts'

export interface DeferredParts {
  readonly gate: Gate
  readonly identity: Identity
  readonly policies: () => PolicySet
  readonly assertions: Assertions
}

/** The kept request as it would be forwarded today. */
interface Restored {
  readonly kept: KeptRequest
  readonly entry: Entry
  readonly frame: Frame
  readonly action: Action
}

/**
 * An approved action without its client: the way of a session, from the kept request instead of a socket.
 * No token is kept, so it is checked again what can be checked without one: the token would still be valid, it would still be accepted
 * for this service, and it would still make the same caller. Whatever does not hold leaves the hold to the requester's own repeat.
 */
export const makeDeferred = ({ gate, identity, policies, assertions }: DeferredParts, state: () => ListenerState): RunKept => {
  const restore = (hold: Hold, request: Uint8Array): Restored => {
    const kept = readKeptRequest(request)
    const { options, routes } = state()
    const target = parseTarget(kept.target, { encodedSlash: 'keep', maxBytes: kept.target.length })
    const entries = routes.forHost(kept.host)
    const entry = entries && entryFor(entries, target.path)
    if (entry === undefined) throw new Error('no route takes it any more')
    // The hold remembers this key by itself: a service that knows it recognises a repeat.
    const rawHeaders = hold.idempotencyKey === undefined ? kept.headers : [...kept.headers, 'idempotency-key', hold.idempotencyKey]
    const frame = makeFrame({
      entry, method: kept.method, target, host: kept.host, rawHeaders, address: hold.caller.address, upgrade: false, secure: kept.secure, policies: policies(), assertions, claimHeaders: options.claimHeaders,
    })
    const action = frame.action(kept.body && { bytes: kept.body })
    if (action.digest !== hold.action.digest || action.service !== hold.action.service) throw new Error('it would be another request today')
    return { kept, entry, frame, action }
  }

  return async ({ hold, caller, request }, signal) => {
    let restored: Restored | undefined
    let obstacle: unknown
    try {
      restored = restore(hold, request)
    } catch (cause) {
      obstacle = cause
    }
    let reply: Uint8Array | undefined
    const action = restored?.action ?? hold.action

    const attempt: Attempt = {
      async recheck() {
        if (restored === undefined) throw new Refusal('hold-changed', 'NOT EXECUTED. The request cannot be made again without its client.', { hold, cause: obstacle })
        const { kept, entry } = restored
        const cause =
          Date.now() >= caller.expiresAt ? 'the token of the requester has expired'
          : (entry.service.audience ?? '') !== kept.audience ? 'the service asks for another audience'
          : identity.standing(caller) !== kept.standing ? 'the configuration says something else about the requester'
          : undefined
        if (cause !== undefined) throw new Refusal('bad-identity', 'NOT EXECUTED. Who asked for this cannot be confirmed without them.', { hold, cause })
        return caller
      },
      async run(permit, credential) {
        if (restored === undefined || permit.hold !== hold.id) throw new Error('an action without a client reached its run by no approval of its own')
        const { kept, entry, frame } = restored
        const receipt = await permit.receipt?.()
        const headers = frame.headers(permit.caller, action, credential.headers, receipt)
        redeem(permit, action.digest)
        const collected = await collect(entry.upstream, { method: frame.method, target: frame.target.raw, headers, body: kept.body ?? null, released: true }, signal, receipt)
        reply = collected.kept
        return collected.outcome
      },
      replay: () => Promise.reject(new Error('an approval without a client was answered with a reply')),
      result: () => reply,
    }
    await gate.pass({ caller, action, wait: { budgetMs: 0, hold: hold.id, unattended: true } }, attempt, signal)
  }
}
