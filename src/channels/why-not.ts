import { isNamed } from '../approval/assurance.ts'
import { escalatedAt, groupsAsked } from '../approval/marks.ts'
import { sameParty, type Caller } from '../model/caller.ts'
import { approversIn } from '../model/decision.ts'
import type { Hold } from '../model/hold.ts'
import { personText, said, timeText } from './words.ts'

/** Why this person may look and not decide, in words that say what would have to be otherwise; `undefined`: for a reason that is none of theirs. */
export const whyNot = (hold: Hold, viewer: Caller, obstacle: string | undefined): string | undefined => {
  if (obstacle === 'self-approval') return `You cannot decide this: ${behind(hold, viewer)} Nobody decides about what they are behind themselves; somebody else does.`
  if (obstacle === 'not-eligible') return `You cannot decide this: ${outside(hold, viewer)}`
  return obstacle === 'already-voted' ? 'You have voted already. Each person counts once.' : undefined
}

const behind = ({ caller }: Hold, viewer: Caller): string => {
  if (sameParty(caller, viewer)) return 'you asked for it yourself.'
  if (caller.onBehalfOf.some((other) => sameParty(other, viewer))) return `${personText(caller)} asks for it on your behalf.`
  const owned = [caller, ...caller.onBehalfOf].find(({ owner }) => owner !== undefined && sameParty(owner, viewer))
  return owned === undefined ? 'another account of yours is behind it.' : `you are responsible for ${personText(owned)}, which asks for it.`
}

const mostGroups = 8

const outside = (hold: Hold, viewer: Caller): string => {
  if (viewer.kind !== 'human' || viewer.onBehalfOf.length > 0) return 'only people decide, signed in as themselves.'
  const asked = [...new Set(hold.terms.requirements.flatMap((requirement) => approversIn(requirement)))].map(said).join(', ')
  if (viewer.groups === undefined && groupsAsked(hold).length > 0) return `the rules ask ${asked}, and your sign-in did not say in which groups you are. Sign in again, or ask an administrator.`
  const own = viewer.groups ?? []
  return `the rules ask ${asked}, and you are in ${own.length === 0 ? 'no group' : own.slice(0, mostGroups).map(said).join(', ')}${own.length > mostGroups ? ', …' : ''}.${later(hold, viewer)}`
}

const later = (hold: Hold, viewer: Caller): string => {
  const told = escalatedAt(hold) ?? -Infinity
  const at = hold.terms.requirements.flatMap(({ escalation }) => (escalation !== undefined && isNamed(viewer, escalation) && hold.openedAt + escalation.afterMs > told ? [hold.openedAt + escalation.afterMs] : []))
  return at.length === 0 || hold.state !== 'pending' ? '' : ` From ${timeText(Math.min(...at))} on you may.`
}
