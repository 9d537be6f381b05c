import type { GrantView } from '../../approval/grants.ts'
import { defined } from '../../lib/defined.ts'
import type { Grant } from '../../model/grant.ts'
import { rowsUsed } from '../../model/grant.ts'
import { party, principal, time } from './hold-view.ts'

/** How a grant stands. Its time is the store's; a few seconds to either side change nothing but this word. */
export const grantState = ({ ended, until }: Grant, now: number): 'open' | 'over' | NonNullable<Grant['ended']>['why'] => ended?.why ?? (now > until ? 'over' : 'open')

/** Everything that people need to judge a grant by, and nothing else of the record. */
export const grantDetail = ({ grant, hold }: GrantView, now = Date.now()) => ({
  id: grant.id,
  hold: hold.id,
  code: hold.code,
  state: grantState(grant, now),
  service: hold.action.service,
  verb: hold.action.verb,
  caller: principal(hold.caller),
  onBehalfOf: hold.caller.onBehalfOf.map(principal),
  pattern: hold.pattern?.text ?? '',
  times: { used: grant.uses.length, of: grant.bounds.times },
  ...(grant.bounds.rows === undefined ? {} : { rows: { used: rowsUsed(grant), of: grant.bounds.rows } }),
  madeAt: time(grant.madeAt),
  until: time(grant.until),
  givenBy: hold.votes.filter((vote) => vote.grant !== undefined).map(({ by, at }) => ({ ...party(by), at: time(at), ...defined({ name: by.name, email: by.email }) })),
  uses: grant.uses.map(({ digest, at, rows, outcome }) => ({ digest, at: time(at), ...defined({ rows, result: outcome?.result, status: outcome?.status }) })),
  ...(grant.ended === undefined ? {} : { ended: { why: grant.ended.why, at: time(grant.ended.at), ...defined({ cause: grant.ended.cause, by: grant.ended.by && party(grant.ended.by) }) } }),
})
