import { defined } from '../lib/defined.ts'
import { sameParty, type Caller } from '../model/caller.ts'
import { isOpen, type Hold, type Successor } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import type { Approvals } from './approvals.ts'
import { principalOf } from './ballots.ts'
import { obstacleToBreaking, obstacleToReview, review } from './break-glass.ts'
import { holdSubject, isPastReplay, maySee, type Desk } from './desk.ts'
import { isHoldId } from './hold-name.ts'
import { groupsAsked, marksOf } from './marks.ts'
import * as no from './no.ts'
import type { People } from './people.ts'
import { isBehind, mayDecide, next } from './settle.ts'

const maxTries = 100
const maxNote = 2_000
const mostHandOvers = 20

/** One change of what is noted on a hold by somebody who may see it. Read, make, compare and set. */
const change = async (desk: Desk, id: string, by: Caller, make: (hold: Hold, now: number) => Hold): Promise<Hold> => {
  desk.roster.see(by)
  for (let tries = 0; tries < maxTries; tries++) {
    const hold = isHoldId(id) ? await desk.ledger.read(id) : undefined
    if (hold === undefined || !maySee(hold, by, desk.people)) throw no.unknownHold()
    const now = await desk.now()
    const made = make(hold, now)
    const result = await desk.ledger.write(made, {}, isPastReplay(desk, hold, now))
    if (result === 'missing') throw no.unknownHold()
    if (result === 'replaced') return made
  }
  throw no.busy()
}

const checkedNote = (note: string | undefined): string | undefined => {
  if ((note?.length ?? 0) > maxNote) throw new Refusal('too-large', `A note has at most ${maxNote} characters.`)
  return note?.toWellFormed().trim() || undefined
}

/** Who may decide may also ask somebody else to look. */
export const mayHandOver = (hold: Hold, by: Caller, people: People): boolean => hold.state === 'pending' && by.kind === 'human' && by.onBehalfOf.length === 0 && mayDecide(hold, people.current(by, Infinity)) && !isBehind(hold.caller, by, people)

const checkSuccessor = (hold: Hold, by: Caller, to: Successor, people: People): void => {
  if ('group' in to) {
    if (!groupsAsked(hold).includes(to.group)) throw new Refusal('malformed', `Members of "${to.group}" may not decide about this: the rules ask ${groupsAsked(hold).join(', ') || 'no group'}.`, { hold })
  } else if (sameParty(to, by) || people.person(to) === people.person(by)) throw new Refusal('malformed', 'This is you.', { hold })
  else if (isBehind(hold.caller, { ...to, kind: 'human', groups: [] }, people)) throw new Refusal('malformed', 'This person is behind the action themselves and may not decide about it.', { hold })
}

/** It changes nobody's rights: the rules say who decides. */
export const makeHandOver = (desk: Desk): Approvals['handOver'] => async (id, by, to, given) => {
  const note = checkedNote(given)
  const principal = principalOf(by)
  const hold = await change(desk, id, by, (found, now) => {
    if (!isOpen(found.state) || found.state === 'approved') throw new Refusal('already-settled', `This is decided already: ${found.state}. Nobody has to look at it any more.`, { hold: found })
    if (now > found.deadline) throw new Refusal('hold-expired', 'The time to decide is over.', { hold: found })
    if (!mayHandOver(found, by, desk.people)) throw new Refusal('not-eligible', 'Only somebody who may decide about this can hand it over.', { hold: found })
    checkSuccessor(found, by, to, desk.people)
    if (marksOf(found).filter(({ what }) => what === 'handed-over').length >= mostHandOvers) throw new Refusal('too-many-holds', 'This has been handed over often enough. Decide, or let it expire.', { hold: found })
    return next(found, { marks: [...marksOf(found), { what: 'handed-over', at: now, by: principal, to, ...defined({ note }) }] })
  })
  await desk.record({ type: 'handed-over', by: principal, successor: to, ...defined({ note }), ...holdSubject(hold) }, 'written')
  return hold
}

/** Somebody else among the approvers has looked at what was released in an emergency. */
export const makeReview = (desk: Desk): Approvals['review'] => async (id, by, given) => {
  const note = checkedNote(given) ?? ''
  const principal = desk.people.current(principalOf(by), Infinity)
  const hold = await change(desk, id, by, (found, now) => {
    const settled = by.onBehalfOf.length > 0 ? { refused: 'not-eligible' as const, cause: 'by delegation' } : review(found, principal, note, desk.people, now)
    if ('refused' in settled) throw no.reviewRefused(settled.refused, found, settled.cause)
    return settled.hold
  })
  await desk.record({ type: 'break-glass-reviewed', by: principal, note, ...holdSubject(hold) }, 'synced')
  return hold
}

/** What else this person can do about it beside voting. */
export const offersOf = (hold: Hold, viewer: Caller, people: People): ReadonlySet<'break-glass' | 'review' | 'hand-over'> => {
  const offers = new Set<'break-glass' | 'review' | 'hand-over'>()
  if (viewer.kind !== 'human' || viewer.onBehalfOf.length > 0) return offers
  const now = people.current(viewer, Infinity)
  if (hold.state === 'pending' && obstacleToBreaking(hold, now, people) === undefined) offers.add('break-glass')
  if (obstacleToReview(hold, now, people) === undefined) offers.add('review')
  if (mayHandOver(hold, viewer, people)) offers.add('hand-over')
  return offers
}
