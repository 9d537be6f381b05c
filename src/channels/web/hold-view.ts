import type { Approvals } from '../../approval/approvals.ts'
import { askedBy, marksOf, reviewDue } from '../../approval/marks.ts'
import { defined } from '../../lib/defined.ts'
import { isPlan, type ActionPart } from '../../model/action.ts'
import type { Caller, Party, Principal } from '../../model/caller.ts'
import type { Circle } from '../../model/decision.ts'
import type { History, Hold, Mark, Vote } from '../../model/hold.ts'
import { whyNot } from '../why-not.ts'
import { gist, votesOf } from '../words.ts'

/** Longest gist of an action in a list; the whole stands in the hold itself. */
const previewLength = 300

export const time = (at: number): string => new Date(at).toISOString()
const timeOf = (at: number | undefined): string | undefined => (at === undefined ? undefined : time(at))

export const party = ({ issuer, subject }: Party) => ({ issuer, subject })

export const principal = (who: Principal) => ({
  ...party(who),
  kind: who.kind,
  ...defined({ name: who.name, email: who.email, clientId: who.clientId, groups: who.groups, owner: who.owner && party(who.owner) }),
})

const person = (by: Principal) => ({ ...party(by), ...defined({ name: by.name, email: by.email }) })

const vote = ({ verdict, by, channel, assurance, digest, reason, shown, evidence, grant, brokeGlass, together, at }: Vote) => ({ verdict, by: person(by), channel, assurance, digest, at: time(at), ...defined({ reason, shown, evidence, grant, brokeGlass, together }) })

const circle = ({ groups, users }: Circle) => ({ groups, users: users.map(party) })

const mark = (one: Mark) => ({
  what: one.what,
  at: time(one.at),
  ...('by' in one ? { by: person(one.by) } : {}),
  ...(one.what === 'broke-glass' ? { reason: one.reason, skipped: circle(one.skipped) } : {}),
  ...(one.what === 'handed-over' ? { to: 'group' in one.to ? one.to : party(one.to), ...defined({ note: one.note }) } : {}),
  ...(one.what === 'reviewed' ? { note: one.note } : {}),
  ...(one.what === 'granted' ? { bounds: one.bounds } : {}),
  ...(one.what === 'grant-ended' ? { end: one.end, used: one.used } : {}),
})

const asked = (hold: Hold, viewer: Caller) => {
  const found = askedBy(hold, viewer)
  return found && { by: person(found.by), at: time(found.at), ...defined({ note: found.note }) }
}

const history = ({ since, last, denied, ...counts }: History) => ({
  ...counts,
  ...defined({ since: timeOf(since), last: last && { ...last, openedAt: time(last.openedAt) }, denied: denied && { ...denied, by: { ...party(denied.by), ...defined({ name: denied.by.name, email: denied.by.email }) }, at: time(denied.at) } }),
})

/** A hold in a list. */
export const holdSummary = (hold: Hold, viewer: Caller, approvals: Pick<Approvals, 'obstacle'>) => ({
  id: hold.id,
  code: hold.code,
  revision: hold.revision,
  state: hold.state,
  service: hold.action.service,
  verb: hold.action.verb,
  tags: hold.action.tags,
  preview: gist(hold.action).slice(0, previewLength).toWellFormed(),
  digest: hold.action.digest,
  caller: principal(hold.caller),
  onBehalfOf: hold.caller.onBehalfOf.map(principal),
  openedAt: time(hold.openedAt),
  deadline: time(hold.deadline),
  approvals: votesOf(hold),
  mayVote: obstacleOf(hold, viewer, approvals) === undefined,
  ...defined({ impact: hold.action.impact, waiting: hold.waiting, asked: asked(hold, viewer), reviewBy: timeOf(reviewDue(hold)) }),
})

/** One statement of a plan. */
const step = ({ verb, verbs, effect, resources, tags, text = '', impact }: ActionPart) => ({ verb, verbs, effect, resources, tags, text: text.toWellFormed(), ...defined({ impact }) })

/**
 * Everything a person needs to decide, and nothing else of the record: no session, no claims, no header that the action's text does not show,
 * no cause of a failure.
 */
export const holdDetail = (hold: Hold, viewer: Caller, approvals: Pick<Approvals, 'obstacle' | 'offers'>) => {
  const { action, caller, terms, outcome } = hold
  const obstacle = obstacleOf(hold, viewer, approvals)
  return {
    id: hold.id,
    code: hold.code,
    revision: hold.revision,
    state: hold.state,
    action: { protocol: action.protocol, service: action.service, verb: action.verb, verbs: action.verbs, effect: action.effect, resources: action.resources, tags: action.tags, text: action.text.toWellFormed(), textCut: action.textCut, digest: action.digest, ...defined({ place: action.place && { database: action.place.database, role: action.place.role }, impact: action.impact, parts: isPlan(action) ? action.parts?.map(step) : undefined }) },
    caller: { ...principal(caller), address: caller.address, onBehalfOf: caller.onBehalfOf.map(principal) },
    matched: hold.matched.map(({ policy, rule, then, at, observed, because, instead }) => ({ policy, rule, verdict: then, at, observed, ...defined({ because, instead }) })),
    policyVersion: hold.policyVersion,
    terms: {
      requirements: terms.requirements.map(({ policy, rule, groups, users, automations, count, assurance, channels, freshLoginMs, escalation, sharesPeople }) => ({ policy, rule, groups, users: users.map(party), ...defined({ automations: automations?.map(party), channels, freshLoginMs, escalation: escalation && { afterMs: escalation.afterMs, ...circle(escalation) } }), count, assurance, sharesPeople })),
      askReason: terms.askReason,
      run: terms.run,
      runWithinMs: terms.runWithinMs,
      ...defined({ drift: terms.drift, irreversible: terms.irreversible, together: terms.together, breakGlass: terms.breakGlass?.map(({ policy, rule, reason, ...who }) => ({ policy, rule, ...circle(who), reason })) }),
    },
    votes: hold.votes.map(vote),
    marks: marksOf(hold).map(mark),
    offers: [...approvals.offers(hold, viewer)],
    openedAt: time(hold.openedAt),
    deadline: time(hold.deadline),
    mayVote: obstacle === undefined,
    ...defined({ waiting: hold.waiting, why: whyNot(hold, viewer, obstacle), asked: asked(hold, viewer), reviewBy: timeOf(reviewDue(hold)), history: hold.history && history(hold.history), opinions: hold.opinions?.map(({ advisor, text }) => ({ advisor, text })), reaches: hold.reaches?.map(({ at, ...reach }) => ({ ...reach, ...defined({ at: timeOf(at) }) })), obstacle, runBy: timeOf(hold.runBy), settledAt: timeOf(hold.settledAt), statedReason: hold.statedReason }),
    ...(terms.grant === undefined || hold.pattern === undefined || hold.granted !== undefined ? {} : { grantable: { ...terms.grant, pattern: hold.pattern.text } }),
    ...(hold.granted === undefined ? {} : { granted: { ...hold.granted, until: time(hold.granted.until) } }),
    ...(outcome ? { outcome: { result: outcome.result, ms: outcome.ms, ...defined({ status: outcome.status, rows: outcome.rows, bytes: outcome.bytes, maskedValues: outcome.maskedValues }) } } : {}),
  }
}

/** Whether this token is one that may vote at all: a person's own, not one that somebody acts with on behalf of another. */
export const isOwnPerson = (caller: Caller): boolean => caller.kind === 'human' && caller.onBehalfOf.length === 0

/** The same, or a program: some rule may name it. Agents decide nothing. */
export const mayVoteAtAll = (caller: Caller): boolean => caller.kind !== 'agent' && caller.onBehalfOf.length === 0

const obstacleOf = (hold: Hold, viewer: Caller, approvals: Pick<Approvals, 'obstacle'>) => {
  if (hold.state !== 'pending') return 'already-settled' as const
  return mayVoteAtAll(viewer) ? approvals.obstacle(hold, viewer) : ('not-eligible' as const)
}
