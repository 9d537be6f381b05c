import { hash } from 'node:crypto'
import { canonicalJson } from '../lib/canonical-json.ts'
import { defined } from '../lib/defined.ts'
import type { Action } from '../model/action.ts'
import type { Caller } from '../model/caller.ts'
import type { Decision, GrantBounds } from '../model/decision.ts'
import type { Pinned } from '../model/grant.ts'
import type { Hold } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import type { Ballot } from './approvals.ts'

/** What the policies of now keep of an action that their rules hold; `undefined`: nobody can say. */
export type PinnedOf = (caller: Caller, action: Action) => Pinned | undefined

const mostText = 16_000

/** What others must have in common with this action to run by a grant that is given with it. `undefined`: no grant is given with it, and it runs by none. */
export const patternOf = (pinnedOf: PinnedOf, caller: Caller, action: Action, decision: Decision): NonNullable<Hold['pattern']> | undefined => {
  const bounds = decision.terms?.grant
  const { pattern } = action
  if (bounds === undefined || pattern === undefined || action.parts !== undefined || action.textCut) return undefined
  if (bounds.rows !== undefined && action.impact?.exactRows === undefined) return undefined
  const pinned = pinnedOf(caller, action)
  if (pinned === undefined || pinned.policyVersion !== decision.policyVersion) return undefined
  const rules = decision.matched.filter(({ observed }) => !observed).map(({ policy, rule, then }) => [policy, rule, then])
  const path = pinned.path ?? ''
  const text = pattern.text(path)
  if (text.length > mostText) return undefined
  return { key: hash('sha256', canonicalJson(['grant v1', action.service, action.verbs, pattern.same, path, pinned.values, rules]), 'base64url'), text }
}

/** What all who gave a grant with their yes agree on; `undefined`: nobody did. */
export const grantedBy = ({ votes }: Pick<Hold, 'votes'>): GrantBounds | undefined => {
  const all = votes.flatMap(({ verdict, grant }) => (verdict === 'approve' ? (grant ?? []) : []))
  if (all.length === 0) return undefined
  const rows = all.flatMap(({ rows: most }) => most ?? [])
  return { times: Math.min(...all.map(({ times }) => times)), withinMs: Math.min(...all.map(({ withinMs }) => withinMs)), ...defined({ rows: rows.length === 0 ? undefined : Math.min(...rows) }) }
}

/** Refuses what the rule does not let a yes grant. Nothing is made smaller without a word. */
export const refuseTooMuch = (hold: Hold, { verdict, by, grant: wish }: Pick<Ballot, 'verdict' | 'by' | 'grant'>): void => {
  const most = hold.terms.grant
  const no = (text: string): Refusal => new Refusal('malformed', `${text} Nothing was decided.`, { hold })
  if (wish === undefined) return
  if (verdict !== 'approve') throw no('A grant comes with a yes.')
  if (by.kind !== 'human') throw no('Only people grant more than the one action.')
  if (most === undefined || hold.pattern === undefined) throw no('Nothing more can be granted with this approval: the rule does not let it, or nobody can tell which others are of its kind.')
  if (hold.granted !== undefined) throw no('A grant was given with this before. There is one at most.')
  const wrong = (value: number | undefined, limit: number): boolean => value === undefined || !Number.isSafeInteger(value) || value < 1 || value > limit
  if (wrong(wish.times, most.times)) throw no(`A grant is for 1 to ${most.times} times here.`)
  if (most.rows === undefined && wish.rows !== undefined) throw no('Nobody counts rows here.')
  if (most.rows !== undefined && wrong(wish.rows, most.rows)) throw no(`A grant is for 1 to ${most.rows} rows here.`)
  if (wrong(wish.withinMs, most.withinMs)) throw no(`A grant is for ${Math.floor(most.withinMs / 60_000)} minutes at most here.`)
}
