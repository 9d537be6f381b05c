import type { Outcome } from '../../model/outcome.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import { Execution } from './execution.ts'
import type { Plan } from './plan.ts'
import type { StatementReading } from './sql/reading.ts'

/** A plan that runs: one permit, from BEGIN to the end of its transaction. */
export class PlanRun {
  readonly permit: Permit
  /** Of the transaction as a whole. */
  readonly outcome: Promise<Outcome>
  readonly #plan: Plan
  readonly #whole = new Execution()
  readonly #late: NodeJS.Timeout | undefined
  #next = 0
  #rows = 0
  #maskedValues = 0
  #last: Execution | undefined
  #broken: string | undefined
  #committing = false

  /** `late` is told when the time for it is over and its COMMIT has not been sent. */
  constructor(plan: Plan, permit: Permit, late: () => void) {
    this.#plan = plan
    this.permit = permit
    this.outcome = this.#whole.outcome
    const { terms } = permit.decision
    this.#late = permit.hold === undefined || terms === undefined ? undefined : setTimeout(late, Math.min(terms.runWithinMs, 2 ** 31 - 1)).unref()
  }

  get over(): boolean {
    return this.#whole.over
  }

  /** What was sent last has been answered, and what came of it is known here. */
  async settled(): Promise<void> {
    if (this.#last?.over === true) await this.#last.outcome
    else if (this.#last !== undefined) this.break('its rows were not read to their end')
  }

  /** Which statement of the plan it is. Throws unless it is the next one, to the letter. */
  take(statements: readonly StatementReading[], values: number): number {
    const { steps } = this.#plan
    const place = `statement ${this.#next + 1} of ${steps.length}`
    if (this.#broken !== undefined) throw new Refusal('denied', `NOT EXECUTED. The plan of this transaction cannot go on: ${this.#broken}.`, { instead: 'ROLLBACK, and ask for the plan anew.' })
    const [statement, ...more] = statements
    const wanted = steps[this.#next]
    if (statement !== undefined && more.length === 0 && values === 0 && statement.text === wanted?.text) return this.#next
    this.break('something else was asked for')
    throw new Refusal('wrong-digest', `NOT EXECUTED. This is not ${place} of the plan that this transaction runs by. Nothing of it will be committed.`, { instead: 'ROLLBACK. Send the statements of a plan one by one, in their order, as they stand in it.' })
  }

  /** It may not go on: nothing but a rollback ends it. */
  break(why: string): void {
    this.#broken ??= why
  }

  /** The next statement is on its way to the server. */
  sent(execution: Execution): void {
    this.#next++
    this.#last = execution
    this.#committing = this.#next === this.#plan.steps.length
    if (this.#committing) clearTimeout(this.#late)
    void execution.outcome.then((outcome) => this.#did(outcome))
  }

  /** It takes everything back. */
  rollsBack(execution: Execution): void {
    this.#last = execution
    this.break('it was rolled back')
    void execution.outcome.then(() => this.#end({ result: 'failed', status: 'ROLLBACK', cause: `rolled back: ${this.#broken}` }))
  }

  /** The session is over. Without COMMIT the server keeps nothing. */
  lost(): void {
    if (!this.#committing) this.#end({ result: 'failed', cause: 'the session ended before COMMIT: nothing of it was kept' })
  }

  #did({ result, status, rows, maskedValues }: Outcome): void {
    this.#rows += rows ?? 0
    this.#maskedValues += maskedValues ?? 0
    if (this.#committing) return this.#end(result === 'executed' && status === 'COMMIT' ? { result, status, rows: this.#rows } : { result: result === 'executed' ? 'failed' : result, ...(status === undefined ? {} : { status }), cause: result === 'unknown' ? 'the connection broke before the answer to COMMIT' : 'the server rolled it back' })
    if (result === 'executed') return
    this.break('a statement of it failed')
    // Without a transaction there is nothing that a ROLLBACK would end.
    if (this.#next === 1) this.#end({ result: 'failed', cause: 'its BEGIN failed' })
  }

  #end(outcome: Omit<Outcome, 'ms'>): void {
    clearTimeout(this.#late)
    this.#whole.maskedValues = this.#maskedValues
    this.#whole.end(outcome)
  }
}
