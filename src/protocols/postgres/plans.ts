import type { Action, Digest } from '../../model/action.ts'
import type { Obligations } from '../../model/decision.ts'
import type { Outcome } from '../../model/outcome.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Request } from './admission.ts'
import type { Attribution } from './attribution.ts'
import type { Dialogue } from './dialogue.ts'
import { Execution } from './execution.ts'
import type { Inspected, Inspection } from './inspection.ts'
import { movesNames } from './judge.ts'
import { announcementIn, forgetsPlan, type Plan } from './plan.ts'
import { PlanRun } from './plan-run.ts'

export interface PlansParts {
  readonly dialogue: Dialogue
  readonly inspection: Inspection
  readonly attribution: Attribution
  /** Throws a `Refusal` for a text that is no plan. */
  read(sql: string): Promise<Plan>
  inspected(plan: Plan): Inspected
  /** Throws a `Refusal` where a statement of it could not be sent with these obligations. */
  check(plan: Plan, obligations: Obligations, effect: Action['effect']): void
  /** Puts a refusal on record that the gate was not asked about; `permit`: that of the plan in which it came. */
  refused(action: Action, refusal: Refusal, permit: Permit | undefined): void
  /** The session ends with this. */
  fatal(refusal: Refusal): void
}

/** The gate, as a session asks it. */
export interface Ways {
  /** Resolves once it is sent. */
  pass(request: Request): Promise<void>
  /** Resolves once it may run; nothing is sent. */
  ask(request: Request): Promise<void>
  /** Why what was let run may not go on. */
  objection(permit: Permit): Refusal | undefined
  /** Throws where nothing may be sent any more. */
  refuseLate(): void
}

/**
 * What a session has said it will run as one transaction. Announced by SET, it waits for its approval; its BEGIN spends that; each statement behind it has to be
 * the next one, to the letter, until its COMMIT. All of them run by the one permit of the plan. What is refused is refused at the server, too, so that the
 * transaction has failed there and no COMMIT keeps a part of it.
 */
export class Plans {
  readonly #parts: PlansParts
  #announced: Plan | undefined
  /** `meant`: the digest over what its names led to when it began; absent where its own statements move names, so that nobody can compare. */
  #running: { readonly run: PlanRun; readonly what: Inspected; readonly meant: Digest | undefined } | undefined

  constructor(parts: PlansParts) {
    this.#parts = parts
  }

  async admit(request: Request, ways: Ways): Promise<void> {
    if (await this.#runs()) return await this.#step(request, ways)
    const { statements } = request.what
    const announcement = await this.#noted(request, undefined, () => announcementIn(statements))
    if (announcement !== undefined) return await this.#announce(announcement.sql, request, ways)
    if (this.#announced !== undefined && statements.some(({ control }) => control?.does === 'begin')) return await this.#begin(this.#announced, request, ways)
    await ways.pass(request)
    if (forgetsPlan(statements)) this.#announced = undefined
  }

  /** The server's side is over. */
  end(): void {
    this.#running?.run.lost()
  }

  async #runs(): Promise<boolean> {
    if (this.#running === undefined) return false
    await this.#parts.dialogue.settled()
    await this.#running.run.settled()
    if (this.#running.run.over) this.#running = undefined
    return this.#running !== undefined
  }

  async #announce(sql: string | undefined, request: Request, ways: Ways): Promise<void> {
    const plan = await this.#noted(request, undefined, () => {
      this.#refuseWithin()
      return sql === undefined ? undefined : this.#parts.read(sql)
    })
    this.#announced = undefined
    if (plan === undefined) return await ways.pass(request)
    await ways.ask({ ...this.#planned(plan), send: () => {}, refuse: request.refuse })
    await ways.pass({ ...request, send: (execution, permit) => {
      request.send(execution, permit)
      this.#announced = plan
      void execution.outcome.then(({ result }) => { if (result !== 'executed' && this.#announced === plan) this.#announced = undefined })
    } })
  }

  async #begin(plan: Plan, request: Request, ways: Ways): Promise<void> {
    await this.#noted(request, undefined, () => {
      this.#refuseWithin()
      const [begin, ...more] = request.what.statements
      if (more.length > 0 || begin?.text !== plan.steps[0]?.text) throw new Refusal('wrong-digest', 'NOT EXECUTED. This is not the BEGIN of the plan that was announced here.', { instead: 'Send the statements of a plan one by one, as they stand in it. SET countersign.plan TO DEFAULT takes it back.' })
    })
    const planned = this.#planned(plan)
    await ways.pass({ ...planned, refuse: request.refuse, send: (execution, permit): Promise<Outcome> => {
      const run = new PlanRun(plan, permit, () => this.#parts.fatal(new Refusal('hold-expired', 'The time to run this plan is over. Nothing of it was kept.')))
      request.send(execution, permit)
      run.sent(execution)
      this.#announced = undefined // it is for one transaction
      this.#running = { run, what: planned.what, meant: movesNames(permit.action.verbs, plan.steps) ? undefined : planned.what.make({}).digest }
      return run.outcome
    } })
  }

  async #step(request: Request, ways: Ways): Promise<void> {
    const { run, what, meant } = this.#running ?? never()
    const { dialogue, inspection, attribution } = this.#parts
    const { statements, bound } = request.what
    const execution = new Execution()
    const [first] = statements
    const ending = statements.length === 1 ? first?.control?.does : undefined
    if (ending === 'rollback' || (ending === 'commit' && dialogue.pipeline.status === 'failed')) {
      request.send(execution, run.permit)
      return run.rollsBack(execution)
    }
    await this.#noted(request, run, async () => {
      if (dialogue.pipeline.status === 'idle') run.break('its transaction has ended')
      run.take(statements, bound?.values.length ?? 0)
      const objection = ways.objection(run.permit)
      if (objection !== undefined) throw objection
      // What was prepared when its names led elsewhere may run as it was prepared.
      if (request.what.make({}).parts !== undefined || (meant !== undefined && what.make({}).digest !== meant)) throw new Refusal('hold-changed', 'NOT EXECUTED. A name in the statement stands for something else than when the plan began, or than when it was prepared.')
      const isApproved = run.permit.hold !== undefined
      // In an open batch nothing can be asked.
      if (isApproved && meant !== undefined && dialogue.mayAsk && first !== undefined && first.relations.length + first.functions.length > 0) await inspection.compare(what, run.permit.action)
      if (isApproved) await attribution.mark(dialogue, run.permit.caller, run.permit.action.digest)
      ways.refuseLate()
      request.send(execution, run.permit)
    })
    run.sent(execution)
  }

  /** What is refused without the gate stands in the journal, too; and a plan in which something is refused does not go on. */
  async #noted<T>({ what }: Request, run: PlanRun | undefined, work: () => Promise<T> | T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      run?.break('a statement of it was refused')
      if (error instanceof Refusal) this.#parts.refused(what.make({}), error, run?.permit)
      throw error
    }
  }

  #planned(plan: Plan): Pick<Request, 'what' | 'check'> {
    return { what: this.#parts.inspected(plan), check: (obligations, effect) => this.#parts.check(plan, obligations, effect) }
  }

  /** Only between transactions it is certain that nothing else comes along, and can the server be asked what names mean. */
  #refuseWithin(): void {
    const { pipeline } = this.#parts.dialogue
    if (pipeline.status !== 'idle' || pipeline.open) throw new Refusal('denied', 'A plan is announced and begun outside of a transaction, and as a simple query.', { instead: 'End the transaction first, and send it without parameters.' })
  }
}

const never = (): never => {
  throw new Error('no plan runs')
}
