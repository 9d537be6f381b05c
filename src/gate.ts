import { randomUUID } from 'node:crypto'
import type { Approvals, Replay, Wait } from './approval/approvals.ts'
import type { Journal } from './audit/journal.ts'
import type { HeaderReceipts } from './audit/receipts/header-receipts.ts'
import type { RecordBefore } from './audit/strictness.ts'
import type { Vault } from './credentials/vault.ts'
import { defined } from './lib/defined.ts'
import type { Action, Digest } from './model/action.ts'
import type { Approval } from './model/approval.ts'
import { actionRecord, callerRecord, decisionRecord } from './model/audit-event.ts'
import type { Caller } from './model/caller.ts'
import type { Credential } from './model/credential.ts'
import type { Decision } from './model/decision.ts'
import type { Outcome } from './model/outcome.ts'
import type { Permit } from './model/permit.ts'
import { causeText, Refusal } from './model/refusal.ts'
import type { PolicySet } from './policy/policy-set.ts'

/** One protocol's way to run one action once. */
export interface Attempt {
  /**
   * Asked where the policy holds the action, before anybody is told: the action with all that approvers have to see, and how long to wait for them.
   * It is decided about anew. Without this they see it as it came.
   */
  inspect?(decision: Decision): Promise<{ readonly action: Action; readonly wait: Wait }>
  /** Who is asking, looked at again after a wait. Throws when they may no longer ask. */
  recheck(): Promise<Caller>
  /**
   * Redeems the permit against the digest of what it is about to send, sends it, and delivers the answer.
   * A `Refusal` means that no byte went upstream. Once a byte did, it answers the client itself and returns what is known.
   */
  run(permit: Permit, credential: Credential): Promise<Outcome>
  /** Delivers what an earlier run of the same action left. */
  replay(replay: Replay): Promise<Outcome>
  /** The answer to keep for a repeat, asked for after `run`; `undefined` where it is too large or must not be kept. */
  result(): Uint8Array | undefined
}

export interface Gate {
  /** The only way to an upstream. Resolves when the action has ended; rejects with the `Refusal` that the client must hear. */
  pass(request: GateRequest, attempt: Attempt, signal: AbortSignal): Promise<Outcome>
  /**
   * Asks for an approval beforehand and runs nothing: resolves once the action is allowed or approved, and rejects as `pass` does.
   * What is approved waits, for as long as its rules say, for a `pass` of the same action, which decides anew and spends it.
   */
  ask(request: GateRequest, inspect: Attempt['inspect'], signal: AbortSignal): Promise<void>
}

export interface GateRequest {
  readonly caller: Caller
  readonly action: Action
  readonly wait: Wait
}

export interface GateParts {
  readonly policies: () => PolicySet
  readonly approvals: Approvals
  readonly vault: Vault
  readonly journal: Journal
  /** For what must be on record, wherever the configuration says, before anything happens. */
  readonly recordBefore: RecordBefore
  /** What goes along with an action that runs, for whoever it reaches. */
  readonly receipts?: HeaderReceipts
  /** For the program's log, where somebody wants to see each action come and go. */
  readonly trace?: (detail: object, text: string) => void
}

export const makeGate = ({ policies, approvals, vault, journal, recordBefore, receipts, trace }: GateParts): Gate => {
  const reasonsFor = (caller: Caller, action: Action) => defined({ reasons: policies().reasons(caller, action, Date.now()) })

  const traceStart = (attempt: string, { service, verb }: Action): void => trace?.({ attempt, service, verb }, 'an action is asked for')

  const decided = async (id: string, request: GateRequest, inspect: Attempt['inspect']): Promise<GateRequest & { readonly decision: Decision }> => {
    let { action, wait } = request
    const { caller } = request
    let decision = policies().decide(caller, action, Date.now())
    if (decision.verdict === 'hold' && inspect !== undefined) {
      ;({ action, wait } = await inspect(decision))
      decision = policies().decide(caller, action, Date.now())
    }
    if (decision.verdict === 'deny') await journal.append({ type: 'decided', ...subject(id, caller, action), decision: decisionRecord(decision), ...reasonsFor(caller, action) }, 'written')
    // Nobody is asked about what could not run for want of a record.
    if (decision.verdict === 'hold') await recordBefore({ type: 'decided', ...subject(id, caller, action), decision: decisionRecord(decision), ...reasonsFor(caller, action) }, 'held')
    return { caller, action, wait, decision }
  }

  const noteRefusal = async (error: unknown, id: string, caller: Caller, action: Action, held?: string): Promise<void> => {
    if (!(error instanceof Refusal) || error.code === 'denied') return
    const hold = held ?? error.detail.hold?.id
    await journal.append({ type: 'refused', ...subject(id, caller, action), code: error.code, ...defined({ cause: causeText(error.cause), hold }) }, 'queued').catch(() => {})
  }

  const ask: Gate['ask'] = async (request, inspect, signal) => {
    const id = randomUUID()
    const { caller } = request
    let { action } = request
    traceStart(id, action)
    try {
      const { decision, wait, ...found } = await decided(id, request, inspect)
      ;({ action } = found)
      if (decision.verdict === 'deny') throw denial(decision)
      if (decision.verdict === 'hold') await approvals.obtain({ attempt: id, caller, action, decision, wait }, signal)
    } catch (error) {
      await noteRefusal(error, id, caller, action)
      throw error
    }
  }

  const pass: Gate['pass'] = async (request, attempt, signal) => {
    const id = randomUUID()
    let { caller, action, wait } = request
    let approval: Approval | undefined
    traceStart(id, action)
    try {
      const first = await decided(id, request, attempt.inspect)
      ;({ action, wait } = first)
      let { decision } = first
      // Where nobody is there to ask for it, an action runs by the approval it was given or not at all, also when the policy has become milder.
      if (decision.verdict === 'hold' || (wait.unattended && decision.verdict === 'allow')) {
        const obtained = await approvals.obtain({ attempt: id, caller, action, decision, wait }, signal)
        if ('result' in obtained) return await attempt.replay(obtained)
        approval = obtained
        caller = await attempt.recheck()
        decision = policies().decide(caller, action, Date.now()) // the policy may have changed while it waited
        if (decision.verdict === 'deny') await journal.append({ type: 'decided', ...subject(id, caller, action), decision: decisionRecord(decision), ...reasonsFor(caller, action), ...defined({ hold: holdOf(obtained) }) }, 'written')
        else {
          const spent = await approvals.spend(obtained, id, caller, decision)
          if ('result' in spent) return await attempt.replay(spent)
          approval = spent
        }
      }
      const permit = issuePermit(id, caller, action, decision, approval, receipts)
      return await execute(permit, approval, attempt)
    } catch (error) {
      trace?.({ attempt: id, ...(error instanceof Refusal ? { code: error.code } : {}) }, 'it did not run, or failed')
      await noteRefusal(error, id, caller, action, approval && holdOf(approval))
      throw error
    }
  }

  const execute = async (permit: Permit, approval: Approval | undefined, attempt: Attempt): Promise<Outcome> => {
    const hold = approval && holdOf(approval)
    const grant = approval?.grant?.id
    const records = subject(permit.attempt, permit.caller, permit.action)
    let outcome: Outcome = { result: 'failed', ms: 0, cause: 'refused before it started' }
    let recorded = false
    let ran = false
    try {
      const lent = vault.lend(permit)
      const credential = lent instanceof Promise ? await lent : lent
      const loan = credential.lease === undefined ? undefined : { attempt: permit.attempt, service: permit.action.service, lease: credential.lease, ...defined({ hold }) }
      try {
        if (loan !== undefined) await journal.append({ type: 'credential-lent', ...loan, caller: records.caller }, 'queued') // stands before the start, so it is as durable
        await recordBefore({ type: 'started', ...records, decision: decisionRecord(permit.decision), ...defined({ hold, grant, lease: credential.lease }) }, approval ? 'held' : permit.action.effect) // recorded before the effect, or nothing runs
        recorded = ran = true
        outcome = await attempt.run(permit, credential)
        return outcome
      } finally {
        if (Symbol.asyncDispose in credential) await giveBack(credential, loan) // where nothing is given back, nothing is waited for
      }
    } catch (error) {
      recorded ||= error instanceof Refusal && error.code === 'record-unconfirmed' // it stands in the journal, and needs its end there
      outcome = { result: error instanceof Refusal ? 'failed' : 'unknown', ms: outcome.ms, ...defined({ cause: causeText(error) }) }
      throw error
    } finally {
      const ended = recorded ? journal.append({ type: 'finished', attempt: permit.attempt, outcome, ...defined({ hold }) }, approval ? 'written' : 'queued').catch(() => {}) : undefined
      if (approval) {
        await ended
        await approvals.finish(approval, outcome, ran ? attempt.result() : undefined)
      }
    }
  }

  /** Given back or not, it is on record which. */
  const giveBack = async (credential: Credential, loan: Loan | undefined): Promise<void> => {
    let cause: string | undefined
    try {
      await credential[Symbol.asyncDispose]?.()
    } catch (error) {
      cause = causeText(error) ?? 'it could not be given back'
      throw error
    } finally {
      if (loan !== undefined) await journal.append({ type: 'credential-returned', ...loan, ...defined({ cause }) }, 'queued').catch(() => {})
    }
  }

  return { pass, ask }
}

/** What was lent, by the name that it has where it was issued. */
interface Loan {
  readonly attempt: string
  readonly service: string
  readonly lease: string
  readonly hold?: string
}

/** The hold that runs with it. A grant was given with one that runs by itself. */
const holdOf = (approval: Approval): string | undefined => (approval.grant === undefined ? approval.hold.id : undefined)

const subject = (attempt: string, caller: Caller, action: Action) => ({ attempt, caller: callerRecord(caller), action: actionRecord(action) })

/** Its private mark is the proof that it was issued here, and whether it has been used: no copy has it. */
class IssuedPermit implements Permit {
  readonly attempt: string
  readonly caller: Caller
  readonly action: Action
  readonly decision: Decision
  declare readonly hold?: string
  declare readonly receipt?: () => Promise<string> | undefined
  declare readonly grant?: NonNullable<Permit['grant']>
  #live = true

  constructor(attempt: string, caller: Caller, action: Action, decision: Decision, hold: string | undefined, grant: Permit['grant'], receipt: Permit['receipt']) {
    this.attempt = attempt
    this.caller = caller
    this.action = action
    this.decision = decision
    if (hold !== undefined) this.hold = hold
    if (receipt !== undefined) this.receipt = receipt
    if (grant !== undefined) this.grant = Object.freeze(grant)
    Object.freeze(this)
  }

  static use(permit: Permit): boolean {
    if (!(#live in permit) || !permit.#live) return false
    permit.#live = false
    return true
  }
}

const issuePermit = (attempt: string, caller: Caller, action: Action, decision: Decision, approval: Approval | undefined, receipts: HeaderReceipts | undefined): Permit => {
  if (decision.verdict === 'deny') throw denial(decision)
  if (decision.verdict === 'hold' && approval === undefined) throw new Error('a held action reached its permit without an approval')
  const receipt = receipts && (() => receipts({ attempt, action, decision, approval }))
  if (approval?.grant) {
    const { grant, use } = approval
    if (use?.attempt !== attempt || !grant.uses.includes(use)) throw new Error('a grant reached its permit uncounted')
    if (use.digest !== action.digest) throw new Error('a grant was counted for another action')
    return new IssuedPermit(attempt, caller, action, decision, undefined, { id: grant.id, ...defined({ rows: use.rows }) }, receipt)
  }
  if (approval) {
    const { hold } = approval
    if (hold.state !== 'running' || hold.spent?.attempt !== attempt) throw new Error('an approval reached its permit unspent')
    if (hold.action.digest !== action.digest) throw new Error('an approval reached the permit of another action')
  }
  return new IssuedPermit(attempt, caller, action, decision, approval?.hold.id, undefined, receipt)
}

/** Uses the permit up. Throws for a permit that this gate did not issue, a copy, a second use, or bytes other than those that were judged. */
export const redeem = (permit: Permit, digest: Digest): void => {
  if (!IssuedPermit.use(permit)) throw new Error('permit is not live: forged, copied or used before')
  if (permit.action.digest !== digest) throw new Error('permit was issued for another digest')
}

/** Said where no rule speaks of an action. */
export const nothingAllows = 'No policy allows this action.'

const denial = (decision: Decision): Refusal => {
  const rule = decision.matched.find((match) => match.then === 'deny' && !match.observed)
  if (rule === undefined) return new Refusal('denied', nothingAllows)
  return new Refusal('denied', rule.because ?? `Denied by rule ${rule.rule}.`, defined({ rule: rule.rule, instead: rule.instead }))
}
