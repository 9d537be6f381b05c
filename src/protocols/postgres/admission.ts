import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { Approvals, Wait } from '../../approval/approvals.ts'
import { type Attempt, type Gate, nothingAllows, redeem } from '../../gate.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Action } from '../../model/action.ts'
import { actionRecord, type AuditEvent, callerRecord } from '../../model/audit-event.ts'
import type { Caller } from '../../model/caller.ts'
import type { Decision, Drift, Obligations } from '../../model/decision.ts'
import type { Outcome } from '../../model/outcome.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import { aborted } from './answer.ts'
import type { Arrival } from './arrival.ts'
import type { Attribution } from './attribution.ts'
import type { Dialogue } from './dialogue.ts'
import { Execution } from './execution.ts'
import { type Inspected, type Inspection, refuseDrift, refuseUncounted } from './inspection.ts'
import type { Prepared } from './namespace.ts'
import type { Patience } from './patience.ts'
import type { Plans, Ways } from './plans.ts'
import { hasFailed, type SessionState } from './state.ts'

/** Something that may run, if the gate says so. */
export interface Request {
  readonly what: Inspected
  /** Of the extended protocol. */
  readonly prepared?: Prepared
  /** Throws a `Refusal` where it could not be sent with these obligations: then nobody is asked for an approval. */
  check(obligations: Obligations, effect: Action['effect']): void
  /** Sends exactly what was judged. Throws a `Refusal` where that cannot be done; then no byte was sent. Gives back what is to become of the permit where that is more than this execution. */
  send(execution: Execution, permit: Permit): Promise<Outcome> | void
  /** In its place, the server is given what it refuses. */
  refuse(refusal: Refusal | Buffer): void
}

export interface AdmissionParts {
  readonly gate: Gate
  readonly identity: Identity
  readonly approvals: Approvals
  readonly policies: () => PolicySet
  readonly log: Logger
  readonly note: (event: AuditEvent) => void
}

/** The session that it asks for. */
export interface AdmissionSession {
  readonly arrival: Arrival
  readonly dialogue: Dialogue
  readonly state: SessionState
  readonly inspection: Inspection
  readonly attribution: Attribution
  readonly patience: Patience
  /** Notices a client that has gone without a word. */
  readonly look: () => Promise<void>
  readonly gone: AbortSignal
  readonly missed: () => void
  readonly plans: Plans
}

/** Asks the gate, one request at a time. */
export class Admission {
  readonly #parts: AdmissionParts
  readonly #arrival: Arrival
  readonly #dialogue: Dialogue
  readonly #state: SessionState
  readonly #inspection: Inspection
  readonly #attribution: Attribution
  readonly #patience: Patience
  readonly #look: () => Promise<void>
  readonly #gone: AbortSignal
  readonly #missed: () => void
  readonly #plans: Plans
  /** What the gate was asked about last. */
  #about: Inspected | undefined
  #caller: Caller

  constructor(parts: AdmissionParts, { arrival, dialogue, state, inspection, attribution, patience, look, gone, missed, plans }: AdmissionSession) {
    this.#parts = parts
    this.#arrival = arrival
    this.#dialogue = dialogue
    this.#state = state
    this.#inspection = inspection
    this.#attribution = attribution
    this.#patience = patience
    this.#look = look
    this.#gone = gone
    this.#missed = missed
    this.#plans = plans
    this.#caller = arrival.caller
  }

  get caller(): Caller {
    return this.#caller
  }

  /** Why what was let run may not go on: the token has come to its end, or something else would be decided now. */
  objection({ action, decision }: Permit): Refusal | undefined {
    const { ended } = this.#arrival
    if (ended.aborted) return ended.reason as Refusal
    const { verdict, obligations } = this.#parts.policies().decide(this.#caller, action, Date.now())
    const stricter = verdict === 'deny' || (verdict === 'hold' && decision.verdict === 'allow') || JSON.stringify(obligations) !== JSON.stringify(decision.obligations)
    return stricter ? new Refusal('denied', 'The policy decides otherwise now than when this result was begun: no more of it is given.', { instead: 'Run the statement again.' }) : undefined
  }

  /** A statement is prepared. True: not before it is run, as a step of a plan that people have approved. */
  prepares(prepared: Prepared): boolean {
    return this.#plans.prepares(prepared)
  }

  /** Whether what is sent now is a step of a plan that people have approved. */
  get inPlan(): boolean {
    return this.#plans.isApproved
  }

  /** Resolves once the request was sent or refused, or is not to be answered because its batch has failed. Never rejects for the client's world. */
  async admit(request: Request): Promise<void> {
    try {
      this.#arrival.ended.throwIfAborted()
      this.#patience.refuseCancelled()
      this.#about = request.what
      await this.#plans.admit(request, this.#ways)
    } catch (error) {
      if (this.#dialogue.over || this.#gone.aborted) return
      if (!(error instanceof Refusal)) this.#parts.log.error({ err: error }, 'a statement failed in a way that nobody foresaw')
      if (this.#dialogue.pipeline.skipping) return
      request.refuse(this.#isFutile(request) ? aborted : error instanceof Refusal ? this.#said(error, this.#about ?? request.what) : new Refusal('store-unavailable', 'NOT EXECUTED. Internal error.'))
    } finally {
      this.#patience.over()
    }
  }

  readonly #ways: Ways = {
    pass: async (request) => await this.#pass(request, await this.#first(request)),
    ask: async (request) => {
      const action = await this.#first(request)
      await this.#parts.gate.ask({ caller: this.#caller, action, wait: atOnce }, (decision) => this.#inspect(request, action, decision), this.#patience.signal)
      this.#patience.over()
      this.#patience.refuseCancelled()
    },
    goesOn: (permit) => this.#goesOn(permit),
    shown: (hold) => this.#parts.approvals.show(hold, this.#caller).then(({ action }) => action),
    refuseLate: () => {
      this.#arrival.ended.throwIfAborted()
      this.#patience.refuseCancelled()
      if (this.#gone.aborted || this.#dialogue.over) throw new Refusal('upstream-unavailable', 'The connection ended before anything was sent.')
      this.#refuseSkipped()
    },
  }

  /** With the number that a rule looks at. */
  async #first({ what }: Request): Promise<Action> {
    this.#about = what
    const action = what.make({})
    if (!this.#parts.policies().needsEstimate(action.service, action)) return action
    const estimated = await this.#inspection.estimated(what)
    this.#patience.refuseCancelled()
    return estimated
  }

  /** Resolves once it is sent. What becomes of it then, only the journal has to know. */
  #pass(request: Request, asked: Action): Promise<void> {
    let action = asked
    return new Promise((resolve, reject) => {
      const send = (permit: Permit): Promise<Outcome> => {
        this.#ways.refuseLate()
        const execution = new Execution()
        redeem(permit, action.digest)
        const whole = request.send(execution, permit)
        resolve()
        return whole ?? execution.outcome
      }
      const attempt: Attempt = {
        inspect: async (decision) => {
          const inspected = await this.#inspect(request, action, decision)
          ;({ action } = inspected)
          return inspected
        },
        recheck: () => this.#recheck(request, action),
        run: (permit) => (permit.hold === undefined && permit.grant === undefined ? send(permit) : this.#approved(request, permit).then(() => send(permit))),
        replay: async () => {
          throw new Refusal('hold-spent', 'NOT EXECUTED. This approval has been used. Send the statement again to ask anew.')
        },
        result: () => undefined,
      }
      this.#parts.gate.pass({ caller: this.#caller, action, wait: atOnce }, attempt, this.#patience.signal).then(() => resolve(), reject)
    })
  }

  async #inspect(request: Request, asked: Action, { obligations, terms }: Decision): Promise<{ readonly action: Action; readonly wait: Wait }> {
    this.#recorded(asked, () => request.check(obligations, asked.effect))
    await this.#dialogue.settled()
    this.#refuseSkipped()
    if (this.#isFutile(request)) throw new Refusal('upstream-unavailable', 'The transaction has failed.')
    const action = await this.#inspection.inspect(request.what, this.#arrival.service.hold.inTransactionMs)
    this.#patience.refuseCancelled()
    this.#refuseSkipped()
    if (terms?.drift !== undefined) this.#recorded(action, () => refuseUncounted(request.what, action))
    return { action, wait: this.#recorded(action, () => this.#wait()) }
  }

  async #recheck({ what }: Request, action: Action): Promise<Caller> {
    this.#patience.over()
    await this.#look()
    if (this.#gone.aborted) throw new Refusal('upstream-unavailable', 'The connection ended while its statement waited.')
    const caller = await this.#parts.identity.recheck(this.#caller, this.#arrival.claim)
    this.#caller = caller
    await this.#inspection.compare(what, action)
    return caller
  }

  /** What has to be right when an approval is used. */
  async #approved(request: Request, permit: Permit): Promise<void> {
    await this.#refuseDrift(request, permit)
    await this.#attribution.mark(this.#dialogue, permit.caller, permit.action.digest)
  }

  #isFutile({ what: { statements: [first] } }: Request): boolean {
    return first !== undefined && hasFailed(this.#dialogue.pipeline, first)
  }

  #refuseSkipped(): void {
    if (this.#dialogue.pipeline.skipping) throw new Refusal('upstream-unavailable', 'An earlier message of this batch failed.')
  }

  /** A refusal before the gate is asked stands in the journal too. */
  #recorded<T>(action: Action, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof Refusal) this.#parts.note({ type: 'refused', attempt: randomUUID(), caller: callerRecord(this.#caller), action: actionRecord(action), code: error.code, cause: error.message })
      throw error
    }
  }

  /** The numbers that count are those that the approvers saw. */
  async #refuseDrift({ what }: Request, { hold, caller, decision }: Permit): Promise<void> {
    const drift = decision.terms?.drift
    if (hold === undefined || drift === undefined) return
    const { action } = await this.#parts.approvals.show(hold, caller)
    refuseDrift(await this.#inspection.counted(what, action), drift)
  }

  /** Of a plan in the middle: by what is decided now, and by the votes that it was released with. */
  async #goesOn(permit: Permit): Promise<Drift | undefined> {
    const objection = this.objection(permit)
    if (objection !== undefined) throw objection
    const { hold, action } = permit
    if (hold === undefined) return undefined
    const decision = this.#parts.policies().decide(this.#caller, action, Date.now())
    if (!(await this.#parts.approvals.stands(hold, this.#caller, decision))) throw new Refusal('hold-changed', 'NOT EXECUTED. The policy asks for other approvers now, or a vote does not count any more.', { instead: 'ROLLBACK, and ask for the plan anew.' })
    return decision.terms === undefined ? permit.decision.terms?.drift : decision.terms.drift
  }

  #wait(): Wait {
    const written = this.#state.transaction(this.#dialogue.pipeline) === 'written'
    if (written && this.#arrival.service.hold.inTransactionMs === 0) throw new Refusal('denied', 'This needs an approval, and the transaction has written before: nobody waits with locks in hand here.', { instead: 'Ask for it in a transaction of its own.' })
    return {
      budgetMs: written ? this.#arrival.service.hold.inTransactionMs : Infinity,
      // What ran once is asked for anew: nobody keeps rows to answer a repeat with.
      idempotencyKey: randomUUID(),
      onHeld: (hold) => this.#patience.held(hold),
    }
  }

  #said(refusal: Refusal, what: Inspected): Refusal {
    if (refusal.code === 'denied') return this.#denied(refusal, what.make({}))
    if (this.#patience.cancelled) return this.#patience.said(refusal)
    if (refusal.code === 'hold-pending' && this.#arrival.draining.aborted) return new Refusal('draining', refusal.message, refusal.detail)
    return refusal
  }

  /** Who wrote it wants to know which kind of statement no rule allows, or what in it nobody knows. That may have come since the catalog was read. */
  #denied(refusal: Refusal, { verbs, facts }: Action): Refusal {
    if (verbs.includes('sql.unknown')) this.#missed()
    const { notes = [] } = facts['sql'] as { readonly notes?: readonly string[] }
    if (refusal.message !== nothingAllows) return refusal
    return new Refusal('denied', `${nothingAllows.slice(0, -1)}: ${notes.length === 0 ? verbs.slice(0, 3).join(', ') : notes.slice(0, 3).join('; ')}.`)
  }
}

const atOnce: Wait = { budgetMs: Infinity }
