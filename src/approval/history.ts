import { defined } from '../lib/defined.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Hold, HoldState, History } from '../model/hold.ts'
import { believed, maySee, type Desk } from './desk.ts'
import { callerKey } from './seal.ts'

/** Earlier holds that are looked at for one page. */
const looked = 100

const tallied = (holds: readonly Hold[]): History['alike'] => {
  const counts: Partial<Record<HoldState, number>> = {}
  for (const { state } of holds) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

/** What is done to what, whatever else the text says. */
const deedOf = ({ verbs, resources }: Action): string =>
  JSON.stringify([verbs.toSorted(), resources.filter(({ kind }) => kind !== 'column').map(({ kind, name, access }) => `${kind} ${name} ${access}`).toSorted()])

/** The latest no to an action that would have done the same to the same. */
const denialOf = (past: readonly Hold[], { action }: Hold): History['denied'] => {
  const deed = deedOf(action)
  const hold = past.find((other) => other.state === 'denied' && (other.action.shape === action.shape || deedOf(other.action) === deed))
  const vote = hold?.votes.findLast(({ verdict }) => verdict === 'deny')
  return hold && vote && { id: hold.id, code: hold.code, by: vote.by, at: vote.at, ...defined({ reason: vote.reason }) }
}

/** What the requester asked at this service before, of what the viewer may see. */
export const historyOf = async (desk: Desk, hold: Hold, viewer: Caller): Promise<History> => {
  const { entries, next } = await desk.store.list({ callerKey: callerKey(hold.caller), service: hold.action.service, limit: looked })
  const past: Hold[] = []
  for (const entry of entries) {
    if (entry.id === hold.id) continue
    const other = await believed(desk.ledger, entry)
    if (other !== undefined && other.openedAt <= hold.openedAt && maySee(other, viewer, desk.people)) past.push(other)
  }
  const alike = past.filter(({ action }) => action.shape === hold.action.shape)
  const last = alike[0]
  return {
    alike: tallied(alike),
    others: tallied(past.filter((other) => !alike.includes(other))),
    complete: next === undefined,
    ...defined({ denied: denialOf(past, hold), since: past.at(-1)?.openedAt, last: last && { id: last.id, code: last.code, state: last.state, openedAt: last.openedAt } }),
  }
}
