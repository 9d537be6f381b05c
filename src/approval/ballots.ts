import { defined } from '../lib/defined.ts'
import { PasskeyProblem } from '../lib/webauthn.ts'
import type { Caller, Principal } from '../model/caller.ts'
import type { Hold, Vote } from '../model/hold.ts'
import { isOpen } from '../model/hold.ts'
import { Refusal } from '../model/refusal.ts'
import type { AuditEvent } from '../model/audit-event.ts'
import type { Approvals, Ballot } from './approvals.ts'
import { breakGlass, skippedBy } from './break-glass.ts'
import { expire, holdSubject, isOwn, maySee, type Desk } from './desk.ts'
import { refuseTooMuch } from './grant-pattern.ts'
import { makeGrant, withGrant } from './grants.ts'
import { historyOf } from './history.ts'
import { isHoldId } from './hold-name.ts'
import { reviewWithinMs } from './marks.ts'
import * as no from './no.ts'
import { checkEvidence } from './spoken-yes.ts'
import { settle, type Dropped } from './settle.ts'
import { whyAlone } from './together.ts'

const maxTries = 100
const maxReason = 4_000

export const principalOf = ({ issuer, subject, kind, groups, email, name, clientId, owner }: Caller): Principal => ({ issuer, subject, kind, groups, ...defined({ email, name, clientId, owner }) })

/** One person's yes or no. Read, settle, compare and set: a race costs another round and never a vote. */
export const makeVote = (desk: Desk): Approvals['vote'] => async (id, ballot) => {
  const { ledger, people, room, roster, record, now } = desk
  if ((ballot.reason?.length ?? 0) > maxReason) throw new Refusal('too-large', `A reason has at most ${maxReason} characters.`)
  const by = people.current(principalOf(ballot.by), Infinity) // as they come, within the groups that have them
  roster.see(ballot.by)
  const grant = ballot.brokeGlass ? undefined : ballot.grant
  for (let tries = 0; tries < maxTries; tries++) {
    const hold = isHoldId(id) ? await ledger.read(id) : undefined
    if (hold === undefined) throw no.unknownHold()
    const vote: Vote = { verdict: ballot.verdict, by, channel: ballot.channel, assurance: ballot.assurance, digest: ballot.digest, at: await now(), ...defined({ reason: ballot.reason?.toWellFormed(), shown: ballot.shown, loggedInAt: ballot.loggedInAt, evidence: ballot.evidence, grant, brokeGlass: ballot.verdict === 'approve' ? ballot.brokeGlass : undefined, together: ballot.together }) }
    const alone = ballot.together === undefined || ballot.verdict === 'deny' ? undefined : whyAlone(hold, by, await historyOf(desk, hold, ballot.by))
    const doubt = doubtIn(vote, id)
    // Somebody who acts for another is not that other: only a person's own login votes.
    const settled = ballot.by.onBehalfOf.length > 0 ? { refused: 'not-eligible' as const, cause: 'the vote came by delegation' } : doubt !== undefined ? { refused: 'assurance-too-low' as const, cause: doubt } : (vote.brokeGlass ? breakGlass : settle)(hold, vote, people, vote.at)
    if ('refused' in settled) {
      if (settled.refused === 'hold-expired' && isOpen(hold.state)) await expire(desk, hold)
      throw await refuse(desk, hold, ballot, settled.refused, settled.cause)
    }
    if (alone !== undefined) throw await refuse(desk, hold, ballot, 'not-together', alone)
    if (grant !== undefined) refuseTooMuch(hold, ballot)
    const voted = withGrant(desk, settled.hold, vote.at)
    const result = await room.keepStill(id, async () => {
      const answer = await ledger.write(voted, { notAfter: hold.state === 'approved' ? (hold.runBy ?? hold.deadline) : hold.deadline })
      if (answer !== 'replaced') return answer
      await recordDropped(desk, voted, settled.dropped)
      await record(votedEvent(voted, vote), 'synced')
      await makeGrant(desk, voted)
      return answer
    })
    if (result === 'conflict' || result === 'early') continue
    if (result === 'missing') throw no.unknownHold()
    if (result === 'late') {
      await expire(desk, hold)
      throw await refuse(desk, hold, ballot, 'hold-expired', 'the vote came after the end')
    }
    return voted
  }
  throw no.busy()
}

/** What a passkey signed must be this very vote. */
const doubtIn = (vote: Vote, hold: string): string | undefined => {
  if (vote.assurance !== 'passkey') return undefined
  if (vote.evidence === undefined) return 'nothing was signed'
  try {
    checkEvidence(vote.evidence, hold, vote)
    return undefined
  } catch (error) {
    if (error instanceof PasskeyProblem) return error.message
    throw error
  }
}

const votedEvent = (hold: Hold, vote: Vote): AuditEvent =>
  vote.brokeGlass ? { type: 'broke-glass', vote, skipped: skippedBy(hold.terms), deadline: vote.at + reviewWithinMs, ...holdSubject(hold) } : { type: 'voted', vote, state: hold.state, ...holdSubject(hold) }

const refuse = async ({ record, people }: Desk, hold: Hold, { by, brokeGlass }: Ballot, code: Refusal['code'], cause: string): Promise<Refusal> => {
  await record({ type: brokeGlass ? 'break-glass-refused' : 'vote-refused', ...holdSubject(hold), by: principalOf(by), refusal: code, cause }, 'written')
  return (brokeGlass ? no.breakGlassRefused : no.voteRefused)(code, hold, cause, maySee(hold, by, people))
}

export const makeTurnedAway = ({ ledger, record }: Desk): Approvals['voteTurnedAway'] => async (id, by, cause) => {
  const hold = isHoldId(id) ? await ledger.read(id) : undefined
  if (hold !== undefined) await record({ type: 'vote-refused', ...holdSubject(hold), by: principalOf(by), refusal: 'not-eligible', cause }, 'written')
}

export const recordDropped = async ({ record }: Desk, hold: Hold, dropped: readonly Dropped[]): Promise<void> => {
  for (const { vote, cause } of dropped) await record({ type: 'vote-dropped', by: { issuer: vote.by.issuer, subject: vote.by.subject }, cause, ...holdSubject(hold) }, 'written')
}

/** The requester, or a person behind the request, takes it back. */
export const makeWithdraw = (desk: Desk): Approvals['withdraw'] => async (id, by) => {
  for (let tries = 0; tries < maxTries; tries++) {
    const hold = isHoldId(id) ? await desk.ledger.read(id) : undefined
    if (hold === undefined || !maySee(hold, by, desk.people)) throw no.unknownHold()
    if (!isOwn(hold, by, desk.people)) throw new Refusal('not-eligible', 'Only the requester can take this back. To stop it, vote against it.', { hold })
    if (!isOpen(hold.state)) throw new Refusal('already-settled', `This is settled already: ${hold.state}. Nothing was changed.`, { hold })
    const withdrawn: Hold = { ...hold, state: 'withdrawn', revision: hold.revision + 1, settledAt: await desk.now() }
    const result = await desk.ledger.write(withdrawn)
    if (result === 'missing') throw no.unknownHold()
    if (result !== 'replaced') continue
    await desk.record({ type: 'hold-withdrawn', by: { issuer: by.issuer, subject: by.subject }, ...holdSubject(hold) }, 'synced')
    return withdrawn
  }
  throw no.busy()
}
