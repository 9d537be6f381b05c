import type { Hold } from '../model/hold.ts'
import type { Terms } from '../model/decision.ts'
import type { Desk } from './desk.ts'

/** Past the last moment at which it could run, so that a store's rounding never takes it too early. */
const marginMs = 60_000

/** From now on, for a hold that has all its time before it. */
export const requestKeptMs = ({ withinMs, runWithinMs }: Terms): number => withinMs + runWithinMs + marginMs

/** A hold that waits anew needs its request for as long. */
export const prolongRequest = async ({ ledger, store, seal }: Desk, hold: Hold): Promise<void> => {
  if (hold.terms.run !== 'when-approved') return
  const request = await ledger.attachment(hold, 'request')
  if (request !== undefined) await store.putAttachment(hold.id, 'request', seal.closeAttachment(hold, 'request', request), requestKeptMs(hold.terms))
}
