import type { Principal } from '../model/caller.ts'
import type { Circle, Terms } from '../model/decision.ts'
import type { Hold, Vote } from '../model/hold.ts'
import { isFreshEnough, isSureEnough } from './assurance.ts'
import { leastReason, marksOf, reviewDue } from './marks.ts'
import type { People } from './people.ts'
import { isBehind, mayBreakGlass, mayDecide, next, refused, tooLate, type Settled } from './settle.ts'

/** Why this person may not release it alone; `undefined` if they may. */
export const obstacleToBreaking = (hold: Hold, voter: Principal, people: People): 'self-approval' | 'not-eligible' | undefined => {
  if (voter.kind !== 'human') return 'not-eligible'
  if (isBehind(hold.caller, voter, people)) return 'self-approval'
  return mayBreakGlass(hold.terms, voter) ? undefined : 'not-eligible'
}

/** How much there is to read: white space says nothing. */
const wordsIn = (reason: string): number => [...reason.trim().replaceAll(/\s+/g, ' ')].length

/** All who would have had to agree. */
export const skippedBy = ({ requirements }: Terms): Circle => ({
  groups: [...new Set(requirements.flatMap(({ groups }) => groups))],
  users: requirements.flatMap(({ users }) => users).filter(({ issuer, subject }, at, all) => all.findIndex((other) => other.issuer === issuer && other.subject === subject) === at),
})

/**
 * One person's release in an emergency, in place of everybody's approval. As sure as the rules ask it of approvers, we must be of this person, too, and
 * never less sure than a login. It is marked for good: also where it does not count any more by the time the action would run, somebody has to look at it.
 */
export const breakGlass = (hold: Hold, vote: Vote, people: People, now: number): Settled => {
  const late = tooLate(hold, vote, now)
  if (late !== undefined) return late
  const obstacle = obstacleToBreaking(hold, vote.by, people)
  if (obstacle !== undefined) return refused(obstacle, obstacle === 'not-eligible' ? 'may not break the glass' : obstacle)
  if (!isSureEnough(vote.assurance, 'console') || !hold.terms.requirements.every((requirement) => isSureEnough(vote.assurance, requirement.assurance) && isFreshEnough(vote, requirement))) return refused('assurance-too-low', `assurance ${vote.assurance} is not enough`)
  const reason = (vote.reason ?? '').trim()
  const least = leastReason(hold.terms)
  if (wordsIn(reason) < least) return refused('reason-required', `the reason has less than ${least} characters`)
  const person = people.person(vote.by)
  const votes = [...hold.votes.filter((earlier) => people.person(earlier.by) !== person), { ...vote, verdict: 'approve' as const, brokeGlass: true as const }]
  const marks = [...marksOf(hold), { what: 'broke-glass' as const, at: vote.at, by: vote.by, reason, skipped: skippedBy(hold.terms) }]
  return { hold: next(hold, { state: 'approved', votes, marks, runBy: now + hold.terms.runWithinMs }), dropped: [] }
}

/** Why this person's look at it does not count as a review. */
export const obstacleToReview = (hold: Hold, reviewer: Principal, people: People): 'already-settled' | 'self-approval' | 'not-eligible' | undefined => {
  if (reviewDue(hold) === undefined) return 'already-settled'
  const person = people.person(reviewer)
  if (reviewer.kind !== 'human' || !mayDecide(hold, reviewer)) return 'not-eligible'
  const broke = marksOf(hold).some((mark) => mark.what === 'broke-glass' && people.person(mark.by) === person)
  return broke || isBehind(hold.caller, reviewer, people) ? 'self-approval' : undefined
}

/** Somebody else among the approvers has looked at it, in whatever state it is by now. */
export const review = (hold: Hold, by: Principal, note: string, people: People, now: number): Settled => {
  const obstacle = obstacleToReview(hold, by, people)
  if (obstacle !== undefined) return refused(obstacle, obstacle)
  if (note.trim() === '') return refused('reason-required', 'a review without a word')
  return { hold: next(hold, { marks: [...marksOf(hold), { what: 'reviewed', at: now, by, note: note.trim() }] }), dropped: [] }
}
