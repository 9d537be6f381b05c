import { defined } from '../lib/defined.ts'
import { actionRecord, callerRecord } from '../model/audit-event.ts'
import type { Action } from '../model/action.ts'
import type { HeldApproval } from '../model/approval.ts'
import type { Hold } from '../model/hold.ts'
import type { Terms } from '../model/decision.ts'
import { Refusal } from '../model/refusal.ts'
import type { Approvals, Replay } from './approvals.ts'
import { expire, holdSubject, isCrowded, type Desk } from './desk.ts'
import { patternOf } from './grant-pattern.ts'
import { findGrant } from './grants.ts'
import { holdId, isHoldId, shortCode } from './hold-name.ts'
import type { Attachment } from './hold-store.ts'
import { requestKeptMs } from './kept-request.ts'
import type { Ledger } from './ledger.ts'
import * as no from './no.ts'
import { callerKey, openKey } from './seal.ts'

type Request = Parameters<Approvals['obtain']>[0]

const maxTries = 20
const maxStatedReason = 2_000

/** From a decision to hold, to the approval or the no. The hold outlives the wait. */
export const makeObtain = (desk: Desk): Approvals['obtain'] => async (request, signal) => {
  const { wait } = request
  const until = performance.now() + wait.budgetMs
  if (wait.unattended && wait.hold === undefined) throw new Error('an attempt without a client came without a hold')
  const pattern = wait.hold === undefined ? patternOf(desk.pinnedOf, request.caller, request.action, request.decision) : undefined
  const granted = pattern && (await hasStanding(desk, request) ? undefined : await findGrant(desk, request, pattern))
  if (granted) return granted
  const hold = wait.hold === undefined ? await openOrJoin(desk, request, pattern) : await joinNamed(desk, request, wait.hold)
  if (hold.state === 'pending') wait.onHeld?.(hold)
  const named = wait.hold !== undefined
  const answer = await untilConcluded(desk, hold, named, { until, signal })
  if ('result' in answer) return answer
  return wait.unattended ? { ...answer, unattended: true } : named ? answer : { ...answer, waits: { until, signal } }
}

/** Waits until the hold means something for whoever asks for its action: an approval to use, what another attempt's run left, or a no. */
export const untilConcluded = async (desk: Desk, asked: Hold, named: boolean, { until, signal }: NonNullable<HeldApproval['waits']>): Promise<HeldApproval | Replay> => {
  for (let hold = asked; ; ) {
    const answer = await conclude(desk, hold, named)
    if (answer !== undefined) return answer
    const stopped = hold.state === 'running' ? no.spent : no.pending
    const budget = Math.min(until - performance.now(), hold.state === 'running' ? Infinity : desk.leftMs(hold))
    if (desk.isDraining() || !(budget > 0)) throw stopped(hold)
    if (isCrowded(desk, hold)) throw no.crowded(hold)
    const { state } = hold
    const ended = await desk.room.wait(hold, (next) => next.state !== state, budget, signal)
    if (ended.end === 'failed') throw ended.error
    if (ended.end !== 'hold') throw hold.state === 'running' ? no.spent(hold) : no.pending(hold, ended.end)
    hold = ended.hold
  }
}

/** What a hold's state means for somebody who asks for its action; `undefined`: wait. */
const conclude = async ({ ledger, options }: Desk, hold: Hold, named: boolean): Promise<HeldApproval | Replay | undefined> => {
  if (hold.state === 'pending') return undefined
  if (hold.state === 'approved') return { hold }
  if (hold.state === 'denied') throw no.denied(hold)
  if (hold.state === 'expired') throw no.expired(hold)
  if (hold.state === 'withdrawn') throw no.withdrawn(hold)
  if (named) throw no.spent(hold)
  if (hold.state === 'running') return undefined
  if (hold.state !== 'executed') throw no.spent(hold)
  const result = await ledger.attachment(hold, 'result', options.resultsOnce ? 'take' : 'read')
  if (result === undefined) throw no.spent(hold)
  return { hold, result }
}

/** The client comes back for one hold: nothing else will do. */
const joinNamed = async (desk: Desk, { caller, action, attempt, wait }: Request, id: string): Promise<Hold> => {
  const hold = isHoldId(id) ? await desk.ledger.read(id) : undefined
  if (hold === undefined || callerKey(hold.caller) !== callerKey(caller)) throw no.unknownHold()
  if (hold.action.digest !== action.digest || hold.action.service !== action.service) throw no.anotherAction()
  if (!wait.unattended) await attached(desk, hold, attempt, { caller, action }) // nobody came back; its release says that it ran alone
  return (await lapsed(desk, hold)) ? ((await expire(desk, hold)) ?? (await desk.ledger.read(id)) ?? hold) : hold
}

/** Whether this very action waits already, is approved, or has run so lately that a repeat means that run: then it is not another one of its kind. */
const hasStanding = async (desk: Desk, { caller, action, wait }: Request): Promise<boolean> => {
  const entry = await desk.store.find(openKey(caller, action.service, action.digest))
  const hold = entry && (await desk.ledger.believe(entry))
  return hold !== undefined && sticks(hold) && !isAnotherRequest(hold, wait.idempotencyKey) && !(await lapsed(desk, hold))
}

const openOrJoin = async (desk: Desk, request: Request, pattern: Hold['pattern']): Promise<Hold> => {
  const { caller, action, decision, wait, attempt } = request
  if (decision.terms === undefined) throw new Error('a decision to hold came without terms')
  let superseding: Hold | undefined
  for (let tries = 0; tries < maxTries; tries++) {
    const { hold: fresh, entry } = record(desk, newHold(request, decision.terms, pattern, await desk.now()))
    const replaceable = superseding && { id: superseding.id, revision: superseding.revision }
    const opened = await desk.store.open(entry, { perCaller: desk.options.openPerCaller, perService: desk.options.openPerService }, replaceable, kept(desk, fresh, wait))
    if (opened.result === 'flooded') throw no.flooded(opened.by)
    if (opened.result === 'opened') return await announce(desk, fresh, attempt)
    const hold = await desk.ledger.believe(opened.entry)
    if (callerKey(hold.caller) !== callerKey(caller) || hold.action.digest !== action.digest || hold.action.service !== action.service) throw no.untrusted(new Error('the store led to the hold of another action'))
    superseding = undefined
    if (await lapsed(desk, hold)) {
      if (hold.state === 'executed' || hold.state === 'unknown') superseding = hold
      else await expire(desk, hold) // somebody may have been faster; look again
      continue
    }
    if (!sticks(hold) || isAnotherRequest(hold, wait.idempotencyKey)) {
      superseding = hold
      continue
    }
    await attached(desk, hold, attempt, request)
    return hold
  }
  throw no.busy()
}

/** The request itself, where it may run without its client: in the store with its hold, or there is no hold. */
const kept = ({ seal }: Desk, hold: Hold, { keep }: Request['wait']): Attachment | undefined => {
  const request = hold.terms.run === 'when-approved' ? keep?.() : undefined
  return request && { sealed: seal.closeAttachment(hold, 'request', request), keepMs: requestKeptMs(hold.terms) }
}

/** What cannot be written down exactly cannot be shown and approved exactly. */
const record = ({ ledger }: Desk, hold: Hold): ReturnType<Ledger['first']> => {
  try {
    return ledger.first(hold)
  } catch (cause) {
    throw new Refusal('malformed', 'NOT EXECUTED. This action contains text that cannot be recorded exactly, so it cannot be approved.', { cause })
  }
}

/** The time of the hold, by the store's clock, is over. */
const lapsed = async ({ now, options }: Desk, hold: Hold): Promise<boolean> => {
  if (hold.state === 'pending') return (await now()) > hold.deadline
  if (hold.state === 'approved') return (await now()) > (hold.runBy ?? hold.deadline)
  if (hold.state === 'executed' || hold.state === 'unknown') return (await now()) > (hold.settledAt ?? 0) + options.replayWindowMs
  return false
}

/** States in which a repeat means this hold and not a new one. */
const sticks = ({ state }: Hold): boolean => state === 'pending' || state === 'approved' || state === 'running' || state === 'executed' || state === 'unknown'

/** The same action again, but by its idempotency key a new wish. Only what is over makes room for it. */
const isAnotherRequest = (hold: Hold, key: string | undefined): boolean => hold.state === 'executed' && key !== undefined && key !== hold.idempotencyKey

const newHold = ({ caller, action, decision, wait }: Request, terms: Terms, pattern: Hold['pattern'], now: number): Hold => ({
  id: holdId(), code: shortCode(action.digest), revision: 1, state: 'pending', caller, action: settled(action), terms, matched: decision.matched, policyVersion: decision.policyVersion,
  votes: [], openedAt: now, deadline: now + terms.withinMs,
  ...defined({ statedReason: wait.statedReason?.slice(0, maxStatedReason).toWellFormed(), idempotencyKey: wait.idempotencyKey, pattern }),
})

/** Its members as they are, but for what others have in common with it: an action may make some of them only when they are asked for. */
const settled = (action: Action): Action => Object.freeze(Object.fromEntries(members.flatMap((member) => (action[member] === undefined ? [] : [[member, action[member]]])))) as unknown as Action

const members = Object.keys({
  protocol: true, service: true, place: true, verb: true, verbs: true, effect: true, resources: true, tags: true, text: true, textCut: true, outline: true, facts: true, parts: true, impact: true, digest: true, shape: true,
} satisfies Record<Exclude<keyof Action, 'pattern'>, true>) as readonly (keyof Action)[]

/** Nobody hears of a hold whose record is not safe: without the record it is taken back. */
const announce = async ({ record, ledger, now, warn }: Desk, hold: Hold, attempt: string): Promise<Hold> => {
  try {
    await record({ type: 'held', attempt, caller: callerRecord(hold.caller), action: actionRecord(hold.action), deadline: hold.deadline, terms: hold.terms, ...holdSubject(hold) }, 'synced')
    return hold
  } catch (error) {
    await ledger.write({ ...hold, state: 'withdrawn', revision: 2, settledAt: await now() }).catch((cause: unknown) => warn('a hold without its record could not be taken back', { hold: hold.id, cause }))
    throw error
  }
}

const attached = async ({ record }: Desk, hold: Hold, attempt: string, { caller, action }: Pick<Request, 'caller' | 'action'>): Promise<void> =>
  await record({ type: 'attached', attempt, caller: callerRecord(caller), action: actionRecord(action), ...holdSubject(hold) }, 'written')
