import { isNamed } from '../../../approval/assurance.ts'
import { escalatedAt, groupsAsked } from '../../../approval/marks.ts'
import { sameParty, type Caller } from '../../../model/caller.ts'
import { approversIn } from '../../../model/decision.ts'
import type { Hold } from '../../../model/hold.ts'
import { personText, said } from '../../words.ts'
import { html, type Html } from './html.ts'
import { clock } from './words.ts'

/** Why this person may look and not decide, in words that say what would have to be otherwise. */
export const whyNot = (hold: Hold, viewer: Caller, obstacle: string | undefined): Html | undefined => {
  if (obstacle === 'self-approval') return html`<p class="why">${behind(hold, viewer)} Nobody decides about what they are behind themselves: somebody else does.</p>`
  if (obstacle === 'not-eligible') return html`<p class="why">You cannot decide this: ${outside(hold, viewer)}</p>`
  return undefined
}

const behind = ({ caller }: Hold, viewer: Caller): string => {
  if (sameParty(caller, viewer)) return 'You asked for this yourself.'
  if (caller.onBehalfOf.some((other) => sameParty(other, viewer))) return `${personText(caller)} asks for this on your behalf.`
  const owned = [caller, ...caller.onBehalfOf].find(({ owner }) => owner !== undefined && sameParty(owner, viewer))
  return owned === undefined ? 'Another account of yours is behind this.' : `You are responsible for ${personText(owned)}, which asks for this.`
}

const outside = (hold: Hold, viewer: Caller): Html => {
  if (viewer.kind !== 'human' || viewer.onBehalfOf.length > 0) return html`only people decide, signed in as themselves.`
  const asked = [...new Set(hold.terms.requirements.flatMap((requirement) => approversIn(requirement)))].map(said).join(', ')
  if (viewer.groups === undefined && groupsAsked(hold).length > 0) return html`the rules ask ${asked}, and your sign-in did not say in which groups you are. Sign in again, or ask an administrator.`
  return html`the rules ask ${asked}, and you are ${viewer.groups?.length ? html`in ${viewer.groups.slice(0, 8).map(said).join(', ')}${viewer.groups.length > 8 && ', …'}` : 'in none of their groups'}.${later(hold, viewer)}`
}

const later = (hold: Hold, viewer: Caller): Html | undefined => {
  const told = escalatedAt(hold) ?? -Infinity
  const at = hold.terms.requirements.flatMap(({ escalation }) => (escalation !== undefined && isNamed(viewer, escalation) && hold.openedAt + escalation.afterMs > told ? [hold.openedAt + escalation.afterMs] : []))
  return at.length === 0 || hold.state !== 'pending' ? undefined : html` From ${clock(Math.min(...at))} on you may.`
}
