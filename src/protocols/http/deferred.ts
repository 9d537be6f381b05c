import type { IncomingMessage } from 'node:http'
import type { Action } from '../../model/action.ts'
import type { Hold } from '../../model/hold.ts'
import type { Received } from './reception.ts'

/** What has to be kept so that an action can run while its requester is away. */
export interface Keepable {
  readonly request: IncomingMessage
  readonly received: Received
  readonly action: Action
  readonly body: Buffer | undefined
}

export interface Deferred {
  /** Keeps the request of a hold whose terms say `run: when-approved`; leaves all others alone. */
  keep(hold: Hold, keepable: Keepable): void
}
