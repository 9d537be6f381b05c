import { defined } from '../lib/defined.ts'
import type { Caller } from '../model/caller.ts'
import type { Hold, HoldState, History } from '../model/hold.ts'
import { isUnavailable, maySee, type Desk } from './desk.ts'
import { callerKey } from './seal.ts'
import { isDistrust } from './timekeeper.ts'

/** Earlier holds that are looked at for one page. */
const looked = 100

const tallied = (holds: readonly Hold[]): History['alike'] => {
  const counts: Partial<Record<HoldState, number>> = {}
  for (const { state } of holds) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

/** What the requester asked at this service before, of what the viewer may see. */
export const historyOf = async (desk: Desk, hold: Hold, viewer: Caller): Promise<History> => {
  const { entries, next } = await desk.store.list({ callerKey: callerKey(hold.caller), service: hold.action.service, limit: looked })
  const past: Hold[] = []
  for (const entry of entries) {
    if (entry.id === hold.id) continue
    const other = await desk.ledger.believe(entry).catch((error: unknown) => { if (isUnavailable(error) && !isDistrust(error)) throw error })
    if (other !== undefined && other.openedAt <= hold.openedAt && maySee(other, viewer, desk.people)) past.push(other)
  }
  const alike = past.filter(({ action }) => action.shape === hold.action.shape)
  const last = alike[0]
  return {
    alike: tallied(alike),
    others: tallied(past.filter((other) => !alike.includes(other))),
    complete: next === undefined,
    ...defined({ since: past.at(-1)?.openedAt, last: last && { id: last.id, code: last.code, state: last.state, openedAt: last.openedAt } }),
  }
}
