import { defined } from '../lib/defined.ts'
import { actionRecord, callerRecord, decisionRecord } from '../model/audit-event.ts'
import type { Action } from '../model/action.ts'
import type { GrantedApproval } from '../model/approval.ts'
import type { Caller, Party } from '../model/caller.ts'
import type { Decision } from '../model/decision.ts'
import { type Grant, type GrantEnd, type GrantUse, rowsUsed } from '../model/grant.ts'
import type { Hold } from '../model/hold.ts'
import type { Outcome } from '../model/outcome.ts'
import { Refusal } from '../model/refusal.ts'
import { holdSubject, isUnavailable, maySee, type Desk } from './desk.ts'
import { grantedBy, patternOf } from './grant-pattern.ts'
import { marksOf } from './marks.ts'
import * as no from './no.ts'
import { callerKey } from './seal.ts'
import { resettle } from './settle.ts'

const maxTries = 100
const pageLimit = 100
/** So many pages of the store are looked through for one page of a viewer. */
const maxPages = 3

/** There is one grant at most with one approval, and it is called after it. */
export const grantIdOf = (hold: Pick<Hold, 'id'>): string => hold.id.replace(/^hold_/, 'grant_')
const isGrantId = (text: string): boolean => /^grant_[a-z2-7]{26}$/.test(text)

export interface GrantView {
  readonly grant: Grant
  /** The approval that it was given with. */
  readonly hold: Hold
}

/** What approvers let through beforehand, for whoever may see its approval. */
export interface Grants {
  list(query: { readonly after?: string; readonly limit: number }, viewer: Caller): Promise<{ readonly grants: readonly GrantView[]; readonly next?: string }>
  show(id: string, viewer: Caller): Promise<GrantView>
  /** From now on nothing runs by it; what runs already, goes on. */
  revoke(id: string, by: Caller): Promise<GrantView>
}

/** Only the votes that gave it count for it, by those who still may, and as sure of them as the rules of now ask. What others gave when the same was approved anew is something else. */
const stillGiven = ({ people }: Pick<Desk, 'people'>, { madeAt }: Grant, hold: Hold, { terms, policyVersion }: Decision, caller: Caller, now: number): boolean => {
  const giving: Hold = { ...hold, state: 'approved', votes: hold.votes.filter(({ grant, at }) => grant !== undefined && at <= madeAt) }
  return giving.votes.length > 0 && resettle(giving, { terms, policyVersion, caller }, people, now).hold.state === 'approved'
}

/** What goes into the hold as soon as it is approved: the grant that its votes give, if those who give it are enough by themselves. */
export const withGrant = ({ people }: Pick<Desk, 'people'>, hold: Hold, now: number): Hold => {
  const bounds = grantedBy(hold)
  if (hold.state !== 'approved' || hold.granted !== undefined || bounds === undefined || hold.pattern === undefined || hold.terms.grant === undefined) return hold
  const giving: Hold = { ...hold, votes: hold.votes.filter(({ grant }) => grant !== undefined) }
  const enough = resettle(giving, { terms: hold.terms, policyVersion: hold.policyVersion, caller: hold.caller }, people, now).hold.state === 'approved'
  return enough ? { ...hold, granted: { ...bounds, id: grantIdOf(hold), until: now + bounds.withinMs }, marks: [...marksOf(hold), { what: 'granted', at: now, bounds }] } : hold
}

/** Once the hold says that it is granted. */
export const makeGrant = async (desk: Desk, hold: Hold): Promise<void> => {
  const { granted, pattern } = hold
  if (hold.state !== 'approved' || granted === undefined || granted.ended !== undefined || pattern === undefined) return
  const { id, until, times, withinMs, rows } = granted
  const bounds = { times, withinMs, ...defined({ rows }) }
  await desk.record({ type: 'grant-made', grant: id, caller: callerRecord(hold.caller), bounds, deadline: until, pattern: pattern.text, votes: hold.votes.filter(({ grant }) => grant !== undefined), ...holdSubject(hold) }, 'synced')
  const step = async (): Promise<void> => void (await desk.grants.add({ id, revision: 1, hold: hold.id, bounds, madeAt: until - withinMs, until, uses: [] }, hold))
  await step().catch((error: unknown) => {
    if (!isUnavailable(error)) throw error
    desk.later('make a grant', step) // the vote counts; until then nothing is let through
  })
}

/** Whether somebody of the chain is less than they were when it was given: not in a group any more, or something else. */
const isLess = (then: Caller, now: Caller): boolean => {
  const chain = [now, ...now.onBehalfOf]
  return [then, ...then.onBehalfOf].some(({ kind, groups = [] }, at) => kind !== chain[at]?.kind || groups.some((group) => chain[at]?.groups?.includes(group) !== true))
}

type Judged = { readonly fits: true } | { readonly fits: false; readonly cause: string; readonly ends?: true }

/** Whether this action may run by this grant now. `ends`: nothing may any more. */
const judge = (desk: Desk, grant: Grant, hold: Hold | undefined, asked: { readonly caller: Caller; readonly action: Action; readonly decision: Decision }, now: number): Judged => {
  const { caller, action, decision } = asked
  const not = (cause: string): Judged => ({ fits: false, cause })
  const over = (cause: string): Judged => ({ fits: false, cause, ends: true })
  if (grant.ended !== undefined) return not(grant.ended.why === 'revoked' ? 'it was revoked' : grant.ended.why === 'used-up' ? 'it is used up' : (grant.ended.cause ?? 'it has ended'))
  if (hold === undefined) return over('its approval is not on record any more')
  if (hold.id !== grant.hold || callerKey(hold.caller) !== callerKey(caller) || hold.action.service !== action.service) throw new Error('a grant of somebody else was found')
  if (now > grant.until) return not('its time is over')
  if (hold.state === 'pending' || hold.state === 'denied' || hold.state === 'withdrawn') return over('its approval was taken back')
  if (hold.policyVersion !== decision.policyVersion) return over('the policy has changed')
  if (isLess(hold.caller, caller)) return over('the requester has lost a group')
  const pattern = patternOf(desk.pinnedOf, caller, action, decision)
  if (pattern === undefined || pattern.key !== hold.pattern?.key) return not('this is not of its kind')
  if (!stillGiven(desk, grant, hold, decision, caller, now)) return over('somebody who gave it may not any more')
  if (grant.uses.length >= grant.bounds.times) return not('it is used up')
  const { rows } = grant.bounds
  if (rows !== undefined && rowsUsed(grant) + (action.impact?.exactRows ?? Infinity) > rows) return not('it is for fewer rows')
  return { fits: true }
}

/** In the place of a hold; `undefined`: nothing lets it run. */
export const findGrant = async (desk: Desk, asked: { readonly caller: Caller; readonly action: Action; readonly decision: Decision }, pattern: NonNullable<Hold['pattern']>): Promise<GrantedApproval | undefined> => {
  const { caller, action } = asked
  for (const grant of await desk.grants.find(caller, action.service, pattern.key)) {
    const hold = await desk.ledger.read(grant.hold)
    const judged = judge(desk, grant, hold, asked, await desk.now())
    if (judged.fits && hold !== undefined) return { grant, hold, action }
    if (!judged.fits && judged.ends) await end(desk, grant.id, hold, 'ended', { cause: judged.cause })
  }
  return undefined
}

const refused = (cause: string): Refusal => new Refusal('hold-changed', `NOT EXECUTED. It would have run by a grant, but ${cause}. Send it again to ask for approval.`, { retryAfterSeconds: 1 })

/** One use, counted in one atomic step before anything runs. Who comes too late for the last one asks anew. */
export const useGrant = async (desk: Desk, { grant: { id }, action }: GrantedApproval, attempt: string, caller: Caller, decision: Decision): Promise<GrantedApproval> => {
  for (let tries = 0; tries < maxTries; tries++) {
    if (desk.isDraining()) throw new Refusal('draining', 'NOT EXECUTED. This server is shutting down. Repeat the identical request at once.', { retryAfterSeconds: 1 })
    const grant = await desk.grants.read(id)
    const hold = grant && (await desk.ledger.read(grant.hold))
    if (grant === undefined || hold === undefined) throw refused('that is not on record any more')
    const now = await desk.now()
    const judged = judge(desk, grant, hold, { caller, action, decision }, now)
    if (!judged.fits) {
      if (judged.ends) await end(desk, id, hold, 'ended', { cause: judged.cause })
      throw refused(judged.cause)
    }
    const use: GrantUse = { attempt, replica: desk.options.replica, digest: action.digest, at: now, ...(grant.bounds.rows === undefined ? {} : { rows: action.impact?.exactRows ?? 0 }) }
    const uses = [...grant.uses, use]
    const used: Grant = { ...grant, revision: grant.revision + 1, uses, ...(uses.length >= grant.bounds.times ? { ended: { why: 'used-up', at: now } } : {}) }
    const result = await desk.grants.write(used, hold, true)
    if (result === 'late') throw refused('its time is over')
    if (result !== 'replaced') continue
    await desk.record({ type: 'grant-used', attempt, caller: callerRecord(caller), action: actionRecord(action), decision: decisionRecord(decision), grant: id, approval: hold.id, votes: hold.votes.filter(({ grant: given }) => given !== undefined), ...defined({ rows: use.rows }) }, 'synced')
    if (used.ended) await tellEnd(desk, used, hold)
    return { grant: used, hold, action, use }
  }
  throw no.busy()
}

/** What became of a use. What ran, or may have, stays counted; rows that it turned out not to change are given back. Never throws for a store that is away. */
export const finishGrant = async (desk: Desk, { grant: { id }, use }: GrantedApproval, { cause: _cause, ...outcome }: Outcome): Promise<void> => {
  const step = async (): Promise<void> => {
    for (let tries = 0; tries < maxTries; tries++) {
      const grant = await desk.grants.read(id)
      const hold = grant && (await desk.ledger.read(grant.hold))
      if (grant === undefined || hold === undefined || use === undefined) return
      const uses = grant.uses.map((one) => (one.attempt === use.attempt ? { ...one, outcome, ...(one.rows === undefined ? {} : { rows: rowsOf(one.rows, outcome) }) } : one))
      const now = await desk.now()
      const empty = grant.ended === undefined && grant.bounds.rows !== undefined && rowsUsed({ uses }) >= grant.bounds.rows
      const next: Grant = { ...grant, revision: grant.revision + 1, uses, ...(empty ? { ended: { why: 'used-up', at: now } } : {}) }
      const result = await desk.grants.write(next, hold, false)
      if (result === 'conflict') continue
      if (result === 'replaced' && empty) await tellEnd(desk, next, hold)
      return
    }
    throw no.busy()
  }
  try {
    await step()
  } catch (error) {
    desk.warn('what a use of a grant came to could not be written yet', { grant: id, cause: error })
    desk.later('write what a use of a grant came to', step)
  }
}

const rowsOf = (reserved: number, { result, rows }: Outcome): number => (result === 'executed' ? (rows ?? reserved) : result === 'failed' ? 0 : reserved)

/** Once; `undefined`: it had ended before. */
const end = async (desk: Desk, id: string, hold: Hold | undefined, why: GrantEnd, more: { readonly cause?: string; readonly by?: Party }): Promise<Grant | undefined> => {
  for (let tries = 0; tries < maxTries; tries++) {
    const grant = await desk.grants.read(id)
    if (grant === undefined || grant.ended !== undefined || hold === undefined) return undefined
    const ended: Grant = { ...grant, revision: grant.revision + 1, ended: { why, at: await desk.now(), ...more } }
    const result = await desk.grants.write(ended, hold, false)
    if (result === 'conflict') continue
    if (result !== 'replaced') return undefined
    await tellEnd(desk, ended, hold)
    return ended
  }
  throw no.busy()
}

/** On record, and in the hold, so that the channels hear of it. */
const tellEnd = async (desk: Desk, { id, hold: holdId, uses, ended }: Grant, hold: Hold): Promise<void> => {
  if (ended === undefined) return
  await desk.record({ type: 'grant-ended', grant: id, approval: hold.id, end: ended.why, ...defined({ by: ended.by, cause: ended.cause }) }, 'synced')
  const step = async (): Promise<void> => {
    for (let tries = 0; tries < maxTries; tries++) {
      const found = await desk.ledger.read(holdId)
      if (found?.granted === undefined || found.granted.ended !== undefined) return
      if ((await desk.ledger.write({ ...found, revision: found.revision + 1, granted: { ...found.granted, ended: ended.why }, marks: [...marksOf(found), { what: 'grant-ended', at: ended.at, end: ended.why, used: uses.length }] })) !== 'conflict') return
    }
    throw no.busy()
  }
  await step().catch((error: unknown) => {
    if (!isUnavailable(error)) throw error
    desk.later('say in its hold that a grant has ended', step)
  })
}

export const makeGrants = (desk: Desk): Grants => {
  const unknown = (): Refusal => new Refusal('not-found', 'There is no such grant.')

  const show: Grants['show'] = async (id, viewer) => {
    desk.roster.see(viewer)
    const grant = isGrantId(id) ? await desk.grants.read(id) : undefined
    const hold = grant && (await desk.ledger.read(grant.hold))
    if (grant === undefined || hold === undefined || !maySee(hold, viewer, desk.people)) throw unknown()
    return { grant, hold }
  }

  const list: Grants['list'] = async (query, viewer) => {
    desk.roster.see(viewer)
    const limit = Math.max(1, Math.min(query.limit, pageLimit))
    const found: GrantView[] = []
    let { after } = query
    for (let pages = 0; pages < maxPages; pages++) {
      const page = await desk.grants.list({ limit: limit - found.length, ...defined({ after }) })
      for (const grant of page.grants) {
        const hold = await desk.ledger.read(grant.hold)
        if (hold !== undefined && maySee(hold, viewer, desk.people)) found.push({ grant, hold })
      }
      after = page.next
      if (after === undefined || found.length >= limit) break
    }
    return { grants: found, ...defined({ next: after }) }
  }

  const revoke: Grants['revoke'] = async (id, by) => {
    const { grant, hold } = await show(id, by)
    const ended = await end(desk, id, hold, 'revoked', { by: { issuer: by.issuer, subject: by.subject } })
    if (ended === undefined) throw new Refusal('already-settled', `This grant had ended before${grant.ended === undefined ? '' : `: ${grant.ended.why}`}. Nothing was changed.`)
    return { grant: ended, hold }
  }

  return { list, show, revoke }
}
