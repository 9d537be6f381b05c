import { defined } from '../lib/defined.ts'
import { isOpen, type Hold } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import type { Approvals } from './approvals.ts'
import { believed, isCrowded, isOwn, maySee, type Desk } from './desk.ts'
import { historyOf } from './history.ts'
import { isHoldId } from './hold-name.ts'
import { reviewDue } from './marks.ts'
import * as no from './no.ts'
import { opinionsOf, reachesOf } from './notices.ts'
import { offersOf } from './remarks.ts'
import { callerKey } from './seal.ts'
import { obstacleTo } from './settle.ts'

const pageLimit = 200
/** So many pages of the store are looked through for one page of a viewer; then the viewer goes on from there. */
const maxPages = 10
/** A replica beats once a second. */
const aliveMs = 3_000

const withOpinions = (opinions: Hold['opinions'] = []): Pick<Hold, 'opinions'> => (opinions.length === 0 ? {} : { opinions })

type Views = Pick<Approvals, 'show' | 'sees' | 'list' | 'obstacle' | 'offers' | 'result' | 'follow'>

/** Looking at holds, each with the viewer's own rights. */
export const makeViews = (desk: Desk): Views => {
  const { store, ledger, people, room } = desk

  const find = async (id: string, may: (hold: Hold) => boolean): Promise<Hold> => {
    const hold = isHoldId(id) ? await ledger.read(id) : undefined
    if (hold === undefined || !may(hold)) throw no.unknownHold()
    return hold
  }

  const withWaiting = async (holds: readonly Hold[]): Promise<readonly Hold[]> => {
    const attended = await store.attended(holds.map(({ id }) => id), aliveMs)
    return holds.map((hold) => ({ ...hold, waiting: attended.has(hold.id) }))
  }

  const list: Views['list'] = async (filter, viewer) => {
    desk.roster.see(viewer)
    const limit = Math.max(1, Math.min(filter.limit, pageLimit))
    const holds: Hold[] = []
    let after = filter.after
    for (let pages = 0; pages < maxPages; pages++) {
      const mine = viewer.kind === 'human' ? {} : { callerKey: callerKey(viewer) }
      const page = await store.list({ limit: limit - holds.length, ...mine, ...(filter.unreviewed ? { kept: true } : {}), ...defined({ states: filter.states, service: filter.service, after }) })
      for (const entry of page.entries) {
        const hold = await believed(ledger, entry)
        if (hold !== undefined && maySee(hold, viewer, people) && !(filter.unreviewed && reviewDue(hold) === undefined)) holds.push(hold)
      }
      after = page.next
      if (after === undefined || holds.length >= limit) break
    }
    return { holds: await withWaiting(holds), ...defined({ next: after }) }
  }

  return {
    list,
    async show(id, viewer) {
      desk.roster.see(viewer)
      const hold = (await withWaiting([await find(id, (found) => maySee(found, viewer, people))]))[0]!
      if (viewer.kind !== 'human') return hold
      return { ...hold, ...(desk.channels.length > 0 ? { reaches: await reachesOf(desk, hold), ...withOpinions(await opinionsOf(desk, hold)) } : {}), ...(isOpen(hold.state) ? { history: await historyOf(desk, hold, viewer) } : {}) }
    },
    async sees(id, viewer) {
      const hold = isHoldId(id) ? await ledger.read(id) : undefined
      return hold !== undefined && maySee(hold, viewer, people)
    },
    obstacle: (hold, viewer) => (viewer.onBehalfOf.length > 0 ? 'not-eligible' : obstacleTo(hold, people.current(viewer, Infinity), people)),
    offers: (hold, viewer) => offersOf(hold, viewer, people),
    async result(id, caller, look) {
      const hold = await find(id, (found) => callerKey(found.caller) === callerKey(caller))
      const { resultsOnce, resultKeptMs } = desk.options
      // By the store's clock, like every end of a hold: what a store forgets by its own may stay there a little longer.
      const over = hold.settledAt !== undefined && (await desk.now()) > hold.settledAt + resultKeptMs
      const result = over ? undefined : await ledger.attachment(hold, 'result', resultsOnce && look === undefined ? 'take' : 'read')
      if (result === undefined && isOpen(hold.state)) throw no.pending(hold)
      if (result === undefined && hold.state === 'running') throw no.spent(hold)
      if (result === undefined) throw new Refusal('hold-expired', hold.state === 'executed' ? `The result of this action is not kept any more${resultsOnce ? ': it has been read, which is possible once, or its time is over' : ''}. The action was executed once; do not send it again for its result.` : `There is no result: the hold is ${hold.state}.`, { hold })
      return result
    },
    async follow(id, caller, budgetMs, signal) {
      const hold = await find(id, (found) => isOwn(found, caller, people))
      if (hold.state !== 'pending' || !(budgetMs > 0) || isCrowded(desk, hold)) return hold
      const ended = await room.wait(hold, (next) => next.state !== 'pending', budgetMs, signal)
      if (ended.end === 'failed') throw ended.error
      return ended.end === 'hold' ? ended.hold : hold
    },
  }
}
