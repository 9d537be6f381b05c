import type { Socket } from 'node:net'
import type { Caller } from '../../model/caller.ts'
import type { Claim } from '../../model/claim.ts'
import type { PostgresListenerOptions, PostgresServiceOptions } from './options.ts'
import type { Backend } from './upstream.ts'

/** A client that is logged in, with a session at the server of its own. It has seen the first ReadyForQuery; nothing that it sent behind its login has been looked at. */
export interface Arrival {
  /** Paused, without listeners but one that swallows errors. It may have gone already: look at `destroyed`, then listen for `close`. */
  readonly client: Socket
  /** What the client sent behind its login. */
  readonly rest: Buffer
  /** The minor version of protocol 3 that the client speaks. */
  readonly protocol: number
  readonly claim: Claim
  readonly caller: Caller
  readonly service: PostgresServiceOptions
  /** The role at the server. */
  readonly role: string
  /** The database at the server. */
  readonly database: string
  readonly backend: Backend
  /** Calls the listener whenever the owner of this session asks to cancel; there is one listener at a time. */
  cancelled(listener: () => void): void
  /** Fires when the client's token is not good any more: nothing may begin after it. Its reason is the `Refusal` to say so with. What runs may end; then the session has to. */
  readonly ended: AbortSignal
  /** Fires when this replica goes away: end when idle. The listener closes what is left when its grace is over. */
  readonly draining: AbortSignal
  /** Fires when that grace is over: there is time for a last word. */
  readonly closing: AbortSignal
  /** The limits as they are now, a reload included. */
  limits(): PostgresListenerOptions['limits']
}

/** Serves one client until it is over. Whatever it resolves or rejects with, both sockets are closed afterwards; a rejection is logged. */
export type Serve = (arrival: Arrival) => Promise<void>
