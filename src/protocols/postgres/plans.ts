import { defined } from '../../lib/defined.ts'
import type { Action, Digest } from '../../model/action.ts'
import type { Drift, Obligations } from '../../model/decision.ts'
import type { Outcome } from '../../model/outcome.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Request } from './admission.ts'
import type { Attribution } from './attribution.ts'
import type { Counted } from './catalog/estimate.ts'
import type { Dialogue } from './dialogue.ts'
import { Execution } from './execution.ts'
import { type Inspected, type Inspection, refuseDrift } from './inspection.ts'
import { movesNames } from './judge.ts'
import type { Prepared } from './namespace.ts'
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
  /** Throws where what was let run may not go on. Resolves with the drift that the rules let it have now. */
  goesOn(permit: Permit): Promise<Drift | undefined>
  /** What the approvers of a hold were shown. */
  shown(hold: string): Promise<Action>
  /** Throws where nothing may be sent any more. */
  refuseLate(): void
}

interface Running {
  readonly run: PlanRun
  readonly what: Inspected
  /** The digest over what its names led to when it began; absent once a statement of it may have moved names: then nobody can compare any more. */
  meant: Digest | undefined
  /** Of its statements so far. */
  readonly counted: Counted[]
}

/**
 * What a session has said it will run as one transaction. Announced by SET, it waits for its approval; its BEGIN spends that; each statement behind it has to be
 * the next one, to the letter, until its COMMIT. All of them run by the one permit of the plan. What is refused is refused at the server, too, so that the
 * transaction has failed there and no COMMIT keeps a part of it.
 */
export class Plans {
  readonly #parts: PlansParts
  #announced: Plan | undefined
  #running: Running | undefined
  /** What was prepared since the plan began, and since a statement of it that may move names. */
  #prepared = new WeakSet<Prepared>()

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

  /** Whether people have approved what is sent now. */
  get isApproved(): boolean {
    return this.#running !== undefined && !this.#running.run.over && this.#running.run.permit.hold !== undefined
  }

  /** What was prepared before keeps the names of then, and is no statement of the plan. True: nothing of it may be sent before it is looked at. */
  prepares(prepared: Prepared): boolean {
    if (this.#running !== undefined) this.#prepared.add(prepared)
    return this.isApproved
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
      this.#prepared = new WeakSet()
      this.#running = { run, what: planned.what, meant: planned.what.make({}).digest, counted: [] }
      return run.outcome
    } })
  }

  async #step(request: Request, ways: Ways): Promise<void> {
    const running = this.#running ?? never()
    const { run } = running
    const { dialogue } = this.#parts
    const { statements } = request.what
    const execution = new Execution()
    const ending = statements.length === 1 ? statements[0]?.control?.does : undefined
    if (ending === 'rollback' || (ending === 'commit' && dialogue.pipeline.status === 'failed')) {
      request.send(execution, run.permit)
      return run.rollsBack(execution)
    }
    await this.#noted(request, run, async () => {
      if (dialogue.pipeline.status === 'idle') run.break('its transaction has ended')
      const at = run.take(statements, request.what.bound?.values.length ?? 0)
      if (request.prepared !== undefined && !this.#prepared.has(request.prepared)) throw new Refusal('hold-changed', 'NOT EXECUTED. It was prepared before this plan, or before a statement of it that may have moved names: the server would go by the names of then.', { instead: 'ROLLBACK. Send the statements of a plan as simple queries, or prepare each of them when its turn comes.' })
      const drift = await ways.goesOn(run.permit)
      await this.#compare(request, running)
      if (drift !== undefined) await this.#count(request.what, at, drift, running, ways)
      if (run.permit.hold !== undefined) await this.#parts.attribution.mark(dialogue, run.permit.caller, run.permit.action.digest)
      ways.refuseLate()
      if (movesNames(request.what.make({}).verbs, statements)) {
        running.meant = undefined
        this.#prepared = new WeakSet()
      }
      request.send(execution, run.permit)
    })
    run.sent(execution)
  }

  /** Throws where a name of the plan stands for something else than when it was approved. */
  async #compare({ what: { statements } }: Request, { run: { permit }, what, meant }: Running): Promise<void> {
    if (meant === undefined) return
    if (what.make({}).digest !== meant) throw new Refusal('hold-changed', 'NOT EXECUTED. A name in the plan stands for something else than when it began.')
    if (permit.hold === undefined || statements.every(({ relations, functions }) => relations.length + functions.length === 0)) return
    if (!this.#parts.dialogue.mayAsk) throw new Refusal('denied', 'NOT EXECUTED. In the middle of a batch nobody can ask what the names in it stand for.', { instead: 'ROLLBACK. Send each statement of a plan in a batch of its own, up to Sync.' })
    await this.#parts.inspection.compare(what, permit.action)
  }

  /** Rows may have become more since the plan began. Its own changes are not counted, as they were not when it was shown. */
  async #count(step: Inspected, at: number, drift: Drift, { run: { permit }, counted }: Running, { shown }: Ways): Promise<void> {
    if (permit.hold === undefined || step.statements.every(({ control }) => control !== undefined)) return
    const { parts = [] } = await shown(permit.hold)
    const impact = parts[at]?.impact
    const now = await this.#parts.inspection.counted(step, defined({ impact }))
    refuseDrift([...counted, ...now], drift)
    counted.push(...now)
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
