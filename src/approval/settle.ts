import { defined } from '../lib/defined.ts'
import { partiesOf, type Caller, type Principal } from '../model/caller.ts'
import type { Requirement, Terms } from '../model/decision.ts'
import { isOpen, type Hold, type Vote } from '../model/hold.ts'
import type { RefusalCode } from '../model/refusal.ts'
import { channelsFor, isFreshEnough, isNamed, isSureEnough, takesFrom } from './assurance.ts'
import { escalatedAt } from './marks.ts'
import type { People } from './people.ts'
import { isMet } from './quorum.ts'

/** A vote that does not count any more, and why. */
export interface Dropped {
  readonly vote: Vote
  readonly cause: string
}

/** What a step makes of a hold: the next one, with the votes that fell away; or a no that leaves it as it was. */
export type Settled = { readonly hold: Hold; readonly dropped: readonly Dropped[] } | { readonly refused: RefusalCode; readonly cause: string }

/** Whether it names this voter, so long after the opening. */
const names = (requirement: Requirement, voter: Principal, sinceMs: number): boolean =>
  isNamed(voter, requirement) || (requirement.escalation !== undefined && sinceMs >= requirement.escalation.afterMs && isNamed(voter, requirement.escalation))

/** How sure we must be is asked of people: an automation is its token. */
export const serves = (requirement: Requirement, voter: Principal, vote: Vote, openedAt: number): boolean => takesFrom(requirement, vote.channel) && servesElsewhere(requirement, voter, vote, openedAt)

/** The same, had it come through another channel. */
const servesElsewhere = (requirement: Requirement, voter: Principal, vote: Vote, openedAt: number): boolean => names(requirement, voter, vote.at - openedAt) && (voter.kind === 'workload' || (isSureEnough(vote.assurance, requirement.assurance) && isFreshEnough(vote, requirement)))

/** Whether some requirement names this voter at that time, however sure we are of them. Without a time: as far as the hold has escalated. */
export const mayDecide = (hold: Hold, voter: Principal, at = escalatedAt(hold) ?? hold.openedAt): boolean => hold.terms.requirements.some((requirement) => names(requirement, voter, at - hold.openedAt))

/** Whether this person may release it alone: every rule that holds it must let them. */
export const mayBreakGlass = ({ breakGlass = [] }: Terms, voter: Principal): boolean => voter.kind === 'human' && breakGlass.length > 0 && breakGlass.every((circle) => isNamed(voter, circle))

type Requester = Pick<Caller, 'issuer' | 'subject' | 'owner' | 'onBehalfOf'>

/**
 * Whether this person is anywhere behind the action: the caller, whom it acts for, or who owns either, by any of their accounts.
 * An automation is, too, where the person who owns it is: nobody approves by a program of their own.
 */
export const isBehind = (requester: Requester, voter: Principal, people: People): boolean => {
  const persons = new Set((voter.owner === undefined ? [voter] : [voter, voter.owner]).map((party) => people.person(party)))
  return partiesOf(requester).some((party) => persons.has(people.person(party)))
}

/** Why this person may not approve, whatever they say and by whichever channel. */
export const obstacleTo = (hold: Hold, voter: Principal, people: People, at?: number): 'self-approval' | 'not-eligible' | 'already-voted' | undefined => {
  if (voter.kind !== 'human' && !mayDecide(hold, voter, at)) return 'not-eligible'
  if (isBehind(hold.caller, voter, people)) return 'self-approval'
  if (!mayDecide(hold, voter, at)) return 'not-eligible'
  const person = people.person(voter)
  return hold.votes.some((vote) => people.person(vote.by) === person) ? 'already-voted' : undefined
}

/** Whether the yes votes meet the requirements, each person counted once, each vote by its own time; or whether somebody who may has broken the glass. */
const meets = ({ openedAt }: Hold, terms: Terms, votes: readonly Vote[], people: People): boolean => {
  if (votes.some(({ brokeGlass, by }) => brokeGlass === true && mayBreakGlass(terms, by))) return true
  const persons = new Map<string, Set<number>>()
  for (const vote of votes) {
    if (vote.verdict !== 'approve') continue
    const may = persons.get(people.person(vote.by)) ?? new Set<number>()
    persons.set(people.person(vote.by), may)
    for (const [at, requirement] of terms.requirements.entries()) if (serves(requirement, vote.by, vote, openedAt)) may.add(at)
  }
  return isMet(terms.requirements, [...persons.values()])
}

/** Splits the votes into those whose authors still have the right, and those whose authors have lost it. */
const stillCounting = (hold: Hold, terms: Terms, requesters: readonly Requester[], people: People): { readonly votes: readonly Vote[]; readonly dropped: readonly Dropped[] } => {
  const votes: Vote[] = []
  const dropped: Dropped[] = []
  for (const vote of hold.votes) {
    const now = people.current(vote.by, vote.at)
    const cause =
      now.kind !== vote.by.kind ? 'the account is not a person\'s any more'
      : requesters.some((requester) => isBehind(requester, now, people)) ? 'the voter turned out to be behind the action'
      : vote.digest !== hold.action.digest ? 'the vote was for another digest'
      : vote.brokeGlass === true && mayBreakGlass(terms, now) ? undefined
      : terms.requirements.some((requirement) => serves(requirement, now, vote, hold.openedAt)) ? undefined
      : terms.requirements.some((requirement) => servesElsewhere(requirement, now, vote, hold.openedAt)) ? `the rules take no votes by ${vote.channel} any more`
      : 'the voter is not among the approvers any more'
    if (cause === undefined) votes.push(now === vote.by ? vote : { ...vote, by: now })
    else dropped.push({ vote, cause })
  }
  return { votes, dropped }
}

/** Why it makes no difference any more what this vote says. */
export const tooLate = (hold: Hold, vote: Vote, now: number): Settled | undefined => {
  if (hold.state === 'expired') return refused('hold-expired', 'expired before the vote')
  if (!isOpen(hold.state)) return refused('already-settled', `is ${hold.state}`)
  if (vote.digest !== hold.action.digest) return refused('wrong-digest', 'the voter saw another digest')
  if (now > (hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline)) return refused('hold-expired', 'the vote came after the end')
  return hold.state === 'approved' && vote.verdict === 'approve' ? refused('already-settled', 'is approved') : undefined
}

const loginText = ({ loggedInAt }: Vote, { requirements }: Terms): string => (loggedInAt !== undefined ? ' after a fresh login' : requirements.some(({ freshLoginMs }) => freshLoginMs !== undefined) ? ' without a fresh login' : '')

/**
 * Counts one more vote. Deny wins: one eligible no ends a pending hold, and an approved one that has not been spent.
 * A person's no replaces their own earlier yes; nothing replaces a no. A no needs membership but no particular assurance:
 * doubt about who said it is no reason to run. Earlier votes whose authors have lost the right fall away before counting.
 */
export const settle = (hold: Hold, vote: Vote, people: People, now: number): Settled => {
  const late = tooLate(hold, vote, now)
  if (late !== undefined) return late

  const obstacle = obstacleTo(hold, vote.by, people, vote.at)
  const person = people.person(vote.by)
  const mine = hold.votes.find((earlier) => people.person(earlier.by) === person)
  const takesBack = obstacle === 'already-voted' && vote.verdict === 'deny' && mine?.verdict === 'approve'
  if (obstacle !== undefined && !takesBack) return refused(obstacle, obstacle)
  if (vote.verdict === 'approve' && !hold.terms.requirements.some((requirement) => serves(requirement, vote.by, vote, hold.openedAt)))
    return hold.terms.requirements.every((requirement) => !names(requirement, vote.by, vote.at - hold.openedAt) || !takesFrom(requirement, vote.channel))
      ? refused('wrong-channel', `the vote came by ${vote.channel}, and the rule takes votes by ${channelsFor(hold.terms, vote.by).join(', ')}`)
      : refused('assurance-too-low', `assurance ${vote.assurance}${loginText(vote, hold.terms)} is not enough`)
  if (hold.terms.askReason && (vote.reason ?? '').trim() === '') return refused('reason-required', 'no reason given')

  const others = { ...hold, votes: hold.votes.filter((earlier) => earlier !== mine) }
  if (vote.verdict === 'deny') return { hold: next(hold, { state: 'denied', votes: [...others.votes, vote], settledAt: now }), dropped: [] }
  const { votes: kept, dropped } = stillCounting(others, hold.terms, [hold.caller], people)
  const votes = [...kept, vote]
  if (!meets(hold, hold.terms, votes, people)) return { hold: next(hold, { votes }), dropped }
  return { hold: next(hold, { state: 'approved', votes, runBy: now + hold.terms.runWithinMs }), dropped }
}

/**
 * Counts once more at release, by the terms and for the caller of the decision taken then.
 * Met: the hold as it may be spent. Not met: pending again under the terms of now; with new requirements the time to decide begins anew,
 * with only a vote lost the old deadline stands.
 */
export const resettle = (hold: Hold, release: { readonly terms: Terms | undefined; readonly policyVersion: string; readonly caller: Caller }, people: People, now: number): { readonly hold: Hold; readonly dropped: readonly Dropped[] } => {
  const terms = release.terms ?? hold.terms
  const { votes, dropped } = stillCounting(hold, terms, [hold.caller, release.caller], people)
  if (meets(hold, terms, votes, people)) {
    const decidedAt = Math.max(...votes.map((vote) => vote.at))
    return { hold: next(hold, { votes, terms, runBy: Math.min(hold.runBy ?? hold.deadline, decidedAt + terms.runWithinMs) }), dropped }
  }
  const changed = !sameRequirements(terms, hold.terms)
  const deadline = changed ? now + terms.withinMs : hold.deadline
  const { runBy: _runBy, ...unapproved } = hold
  const reopened = next(unapproved, { state: 'pending', votes, terms, deadline, policyVersion: release.policyVersion })
  return { hold: now > deadline ? { ...reopened, state: 'expired', settledAt: now } : reopened, dropped }
}

/** Who must agree, in a form that two decisions can be compared by. */
const sameRequirements = (a: Terms, b: Terms): boolean => {
  const form = ({ requirements }: Terms): string =>
    requirements
      .map((r) => JSON.stringify([r.policy, r.rule, r.groups.toSorted(), r.users.map((user) => [user.issuer, user.subject]).toSorted(), (r.automations ?? []).map((account) => [account.issuer, account.subject]).toSorted(), r.count, r.assurance, r.channels ?? [], r.freshLoginMs ?? 0, r.sharesPeople, r.escalation ?? 0]))
      .toSorted()
      .join('\n')
  return form(a) === form(b)
}

export const next = (hold: Hold, changes: Partial<Hold>): Hold => ({ ...hold, ...defined(changes), revision: hold.revision + 1 })

export const refused = (code: RefusalCode, cause: string): Settled => ({ refused: code, cause })
