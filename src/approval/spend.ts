import { defined } from '../lib/defined.ts'
import type { Approval, HeldApproval } from '../model/approval.ts'
import type { Caller } from '../model/caller.ts'
import type { Decision } from '../model/decision.ts'
import type { Hold } from '../model/hold.ts'
import type { Outcome } from '../model/outcome.ts'
import type { Refusal } from '../model/refusal.ts'
import type { Approvals, Replay } from './approvals.ts'
import { recordDropped } from './ballots.ts'
import { expire, holdSubject, isUnavailable, type Desk } from './desk.ts'
import { finishGrant, useGrant } from './grants.ts'
import { prolongRequest } from './kept-request.ts'
import type { Attachment } from './hold-store.ts'
import * as no from './no.ts'
import { untilConcluded } from './obtain.ts'
import { callerKey } from './seal.ts'
import { resettle } from './settle.ts'

const maxTries = 20

/** Approved becomes running, once. */
export const makeSpend = (desk: Desk): Approvals['spend'] => async (approval, attempt, caller, decision) => {
  if (approval.grant !== undefined) return await useGrant(desk, approval, attempt, caller, decision)
  try {
    return await spend(desk, approval, attempt, caller, decision)
  } catch (error) {
    desk.room.ended(approval.hold.id)
    throw error
  }
}

const spend = async (desk: Desk, approval: HeldApproval, attempt: string, caller: Caller, decision: Decision): Promise<Approval | Replay> => {
  const { ledger, people, record, now, options } = desk
  for (let tries = 0; tries < maxTries; tries++) {
    if (desk.isDraining()) throw no.draining(approval.hold)
    // As it was read when it woke; that nothing happened to it since is for the store to say, by the revision.
    const asRead = tries === 0 && approval.hold.state === 'approved' && ledger.isNewest(approval.hold)
    const hold = asRead ? approval.hold : await ledger.read(approval.hold.id)
    if (hold === undefined) throw no.unknownHold()
    if (callerKey(hold.caller) !== callerKey(caller)) throw new Error('an approval is spent by another caller than asked for it')
    if (hold.action.digest !== approval.hold.action.digest) throw new Error('an approval is spent for another digest than it was given for')
    if (approval.waits && hasRun(hold)) return await afterAnother(desk, hold, approval.waits)
    if (hold.state !== 'approved') throw unspendable(hold)
    const at = await now()
    const { hold: counted, dropped } = resettle(hold, { terms: decision.terms, policyVersion: decision.policyVersion, caller }, people, at)
    if (counted.state !== 'approved') {
      if ((await ledger.write(counted)) !== 'replaced') continue
      await recordDropped(desk, counted, dropped)
      if (counted.state === 'pending') await prolongRequest(desk, counted)
      if (counted.state === 'expired') await record({ type: 'hold-expired', from: hold.state, ...holdSubject(hold) }, 'written')
      throw no.changed(counted, dropped.length > 0 ? 'A vote does not count any more.' : 'The policy asks for other approvers now.')
    }
    if (approval.unattended && (counted.terms.run !== 'when-approved' || counted.awaitsCaller)) throw no.absent(hold)
    const running: Hold = { ...counted, state: 'running', spent: { replica: options.replica, attempt, at } }
    desk.running.add(attempt)
    const result = await ledger.write(running, { notAfter: counted.runBy ?? counted.deadline }).catch((error: unknown) => {
      // Nobody knows whether it is spent now. This attempt will not run; if it is, that has to be said.
      if (isUnavailable(error)) desk.later('close a spend that was not confirmed', () => neverStarted(desk, hold.id, attempt))
      desk.running.delete(attempt)
      throw error
    })
    if (result !== 'replaced') desk.running.delete(attempt)
    if (result === 'late') {
      throw no.expired((await expire(desk, hold, counted.runBy)) ?? hold)
    }
    if (result !== 'replaced') continue
    await recordDropped(desk, running, dropped)
    try {
      await record({ type: 'released', attempt, votes: running.votes, policyVersion: decision.policyVersion, heldUnder: hold.policyVersion, ...holdSubject(hold), ...defined({ unattended: approval.unattended }) }, 'synced')
    } catch (error) {
      await neverStarted(desk, hold.id, attempt).catch(() => desk.later('close a spend that was not recorded', () => neverStarted(desk, hold.id, attempt)))
      throw error
    }
    return { hold: running }
  }
  throw no.busy()
}

/** The votes of what runs, counted again as for a release. Nothing is written: it is for whoever may still stop it. */
export const makeStands = ({ ledger, people, now }: Desk): Approvals['stands'] => async (id, caller, decision) => {
  const hold = await ledger.read(id)
  if (hold?.state !== 'running' || callerKey(hold.caller) !== callerKey(caller)) return false
  return resettle(hold, { terms: decision.terms, policyVersion: decision.policyVersion, caller }, people, await now()).hold.state === 'running'
}

const hasRun = ({ state }: Hold): boolean => state === 'running' || state === 'executed'

/** Another attempt of the same caller was faster: its result is the answer to this one, too. */
const afterAnother = async (desk: Desk, hold: Hold, waits: NonNullable<HeldApproval['waits']>): Promise<Replay> => {
  desk.room.ended(hold.id)
  const answer = await untilConcluded(desk, hold, false, waits)
  if ('result' in answer) return answer
  throw new Error('a hold that was spent became an approval again')
}

const unspendable = (hold: Hold): Refusal => {
  if (hold.state === 'pending') return no.changed(hold, 'It went back to waiting in the meantime.')
  if (hold.state === 'denied') return no.denied(hold)
  if (hold.state === 'expired') return no.expired(hold)
  if (hold.state === 'withdrawn') return no.withdrawn(hold)
  return no.spent(hold)
}

const neverStarted = async (desk: Desk, id: string, attempt: string): Promise<void> => {
  const hold = await desk.ledger.read(id)
  desk.running.delete(attempt)
  if (hold?.state === 'running' && hold.spent?.attempt === attempt) await close(desk, hold, { result: 'failed', ms: 0, cause: 'never started: the release could not be confirmed' })
}

/** Running becomes what it came to. Only from running: nothing that is settled is ever rewritten. */
export const close = async ({ ledger, now }: Desk, hold: Hold, outcome: Outcome, result?: Attachment): Promise<Hold | undefined> => {
  const closed: Hold = { ...hold, state: outcome.result, outcome, revision: hold.revision + 1, settledAt: await now() }
  return (await ledger.write(closed, {}, false, result)) === 'replaced' ? closed : undefined
}

/** Never throws for a store that is away: the action has run, and its end is written as soon as it can be. */
export const makeFinish = (desk: Desk): Approvals['finish'] => async (approval: Approval, outcome, result) => {
  if (approval.grant !== undefined) return await finishGrant(desk, approval, outcome)
  const { hold: asSpent } = approval
  const { options, ledger, seal, warn } = desk
  const { id, spent } = asSpent
  const keepMs = Math.max(options.resultKeptMs, options.replayWindowMs)
  desk.room.ended(id)

  const end = async (hold: Hold): Promise<Hold | undefined> => {
    const kept = result !== undefined && keepMs > 0 ? { sealed: seal.closeAttachment(hold, 'result', result), keepMs } : undefined
    try {
      return await close(desk, hold, outcome, kept)
    } catch (cause) {
      if (kept === undefined || isUnavailable(cause)) throw cause
      warn('a result could not be kept', { hold: id, cause })
      return await close(desk, hold, outcome)
    }
  }

  const step = async (): Promise<void> => {
    const hold = await ledger.read(id)
    if (hold?.state !== 'running' || hold.spent?.attempt !== spent?.attempt) return warn('a hold was not running when its action ended', { hold: id, state: hold?.state })
    await end(hold)
  }
  try {
    // Nobody else ends what runs here, or hardly anybody: first as it was spent, and only if that is not so any more with another look.
    if (asSpent.state !== 'running' || !ledger.isNewest(asSpent) || (await end(asSpent)) === undefined) await step()
  } catch (error) {
    warn('the end of an action could not be written to its hold yet', { hold: id, cause: error })
    desk.later('write the end of an action to its hold', step)
  } finally {
    if (spent) desk.running.delete(spent.attempt)
  }
}
