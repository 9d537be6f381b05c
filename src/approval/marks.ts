import { sameParty, type Principal } from '../model/caller.ts'
import type { Circle, Terms } from '../model/decision.ts'
import type { Hold, Mark } from '../model/hold.ts'

/** How long the others have to look at it afterwards. */
export const reviewWithinMs = 72 * 3_600_000

export const marksOf = ({ marks = [] }: Pick<Hold, 'marks'>): readonly Mark[] => marks

const lastOf = (hold: Pick<Hold, 'marks'>, what: Mark['what']): Mark | undefined => marksOf(hold).findLast((mark) => mark.what === what)

/** Until when it has been said that others may decide, too. */
export const escalatedAt = (hold: Pick<Hold, 'marks'>): number | undefined => lastOf(hold, 'escalated')?.at

/** When the next people are to be asked; a moment that may be over already. */
export const nextEscalation = (hold: Pick<Hold, 'marks' | 'state' | 'terms' | 'openedAt'>): number | undefined => {
  if (hold.state !== 'pending') return undefined
  const told = escalatedAt(hold) ?? -Infinity
  const due = hold.terms.requirements.flatMap(({ escalation }) => escalation?.afterMs ?? []).map((afterMs) => hold.openedAt + afterMs).filter((at) => at > told)
  return due.length === 0 ? undefined : Math.min(...due)
}

/** Who has been added by that time. */
export const escalatedTo = ({ terms, openedAt }: Pick<Hold, 'terms' | 'openedAt'>, at: number): Circle => {
  const added = terms.requirements.flatMap(({ escalation }) => (escalation !== undefined && openedAt + escalation.afterMs <= at ? [escalation] : []))
  return { groups: [...new Set(added.flatMap(({ groups }) => groups))], users: added.flatMap(({ users }) => users) }
}

/** Who is asked by now: by the rules, and whom they have escalated to. */
export const groupsAsked = (hold: Pick<Hold, 'marks' | 'terms' | 'openedAt'>): readonly string[] => [...new Set([...hold.terms.requirements.flatMap(({ groups }) => groups), ...escalatedTo(hold, escalatedAt(hold) ?? -Infinity).groups])]

/** Who asked this person last to look at it, themselves or their group. */
export const askedBy = (hold: Pick<Hold, 'marks'>, viewer: Principal): Extract<Mark, { what: 'handed-over' }> | undefined =>
  marksOf(hold).findLast((mark) => mark.what === 'handed-over' && ('group' in mark.to ? (viewer.groups?.includes(mark.to.group) ?? false) && !sameParty(mark.by, viewer) : sameParty(mark.to, viewer))) as Extract<Mark, { what: 'handed-over' }> | undefined

/** By when somebody else is to have looked at it; `undefined`: nothing is owed. */
export const reviewDue = (hold: Pick<Hold, 'marks'>): number | undefined => {
  const broke = marksOf(hold).findLastIndex(({ what }) => what === 'broke-glass')
  const reviewed = marksOf(hold).findLastIndex(({ what }) => what === 'reviewed')
  return broke > reviewed ? (marksOf(hold)[broke]?.at ?? 0) + reviewWithinMs : undefined
}

/** When it is to be said that nobody has looked at it; each time that the glass was broken, once. */
const nextOverdue = (hold: Pick<Hold, 'marks'>): number | undefined =>
  marksOf(hold).findLast(({ what }) => what === 'review-overdue' || what === 'broke-glass')?.what === 'review-overdue' ? undefined : reviewDue(hold)

/** The next moment at which something has to be said about this hold, and what. */
export const nextMark = (hold: Pick<Hold, 'marks' | 'state' | 'terms' | 'openedAt'>): { readonly what: 'escalated' | 'review-overdue'; readonly at: number } | undefined => {
  const [escalation, review] = [nextEscalation(hold), nextOverdue(hold)]
  if (escalation !== undefined && escalation <= (review ?? Infinity)) return { what: 'escalated', at: escalation }
  return review === undefined ? undefined : { what: 'review-overdue', at: review }
}

/** How much somebody who breaks the glass has to say: as much as the most talkative rule asks. */
export const leastReason = ({ breakGlass = [] }: Terms): number => Math.max(0, ...breakGlass.map(({ reason }) => reason))
