import type { Action } from '../../model/action.ts'
import type { Caller } from '../../model/caller.ts'
import type { Obligations, Verdict } from '../../model/decision.ts'
import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import { makeSqlAction, type Occasion, type Understood } from './action.ts'
import { endsSession, refusalError } from './answer.ts'
import type { SessionNames } from './catalog/session-names.ts'
import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import type { Freshness } from './freshness.ts'
import type { Inspected } from './inspection.ts'
import { endsTransaction, type Judge } from './judge.ts'
import type { Bound, Change, Meant, Prepared } from './namespace.ts'
import { readPlan, type Plan } from './plan.ts'
import type { Turn } from './sql/long-texts.ts'
import { shortText } from './sql/long-turn.ts'
import type { Reader } from './sql/reader.ts'
import type { Reading, StatementReading } from './sql/reading.ts'
import type { SessionState } from './state.ts'
import type { Circumstances, Watching } from './watching.ts'

export interface StatementsParts {
  readonly dialogue: Dialogue
  readonly state: SessionState
  readonly judge: Judge
  readonly names: SessionNames
  readonly freshness: Freshness
  readonly reader: Reader
  readonly policies: () => PolicySet
  readonly caller: () => Caller
  /** In whose turn long texts are read, and until when. */
  readonly turn: Turn
  readonly consoleUrl: string
  /** Puts a refusal on record that no policy was asked about. */
  readonly refused: (sql: string, refusal: Refusal) => void
  /** The session ends with this. */
  readonly fatal: (refusal: Refusal) => void
  /** Throws a `Refusal` where it could not be sent with these obligations. */
  readonly check: (statements: readonly StatementReading[], obligations: Obligations, effect: Action['effect'], bound: Bound | undefined) => void
  readonly watch: (statements: readonly StatementReading[], execution: Execution, permit: Permit, circumstances: Circumstances) => Watching | undefined
}

export interface Effects {
  /** The statement at this place is done. */
  done(at: number): void
  /** This one and those behind it are not. */
  failed(): void
}

interface Remembered {
  readonly epoch: number
  readonly policies: PolicySet
  readonly understood: Understood
  readonly verdict: Verdict
  readonly stale: boolean
  /** What is allowed, but cannot be sent with the obligations that it is allowed with. */
  readonly hindrance: Refusal | undefined
}

/** What may change settings. */
const setting: ReadonlySet<string> = new Set(['sql.set', 'sql.session', 'sql.call', 'sql.do', 'sql.server', 'sql.unknown'])

/** What statements mean in this session now, and what they leave behind in it. */
export class Statements {
  readonly #parts: StatementsParts
  readonly #remembered = new WeakMap<Prepared, Remembered>()
  /** For the next Parse of the same text. No more than a guess of what to send at once: each Execute is decided about by itself. */
  readonly #allowed = new WeakMap<Understood, Remembered>()

  constructor(parts: StatementsParts) {
    this.#parts = parts
  }

  get state(): SessionState {
    return this.#parts.state
  }
  get judge(): Judge {
    return this.#parts.judge
  }
  get freshness(): Freshness {
    return this.#parts.freshness
  }

  read(sql: string): Reading | Promise<Reading> {
    const { reader } = this.#parts
    return sql.length <= shortText ? reader.read(sql) : reader.readLater(sql, this.#parts.turn)
  }

  /** Why a text must not even be looked at by a policy; `wait`: not before all is answered. */
  obstacle(sql: string, reading: Reading, inBatch: boolean): Refusal | 'wait' | undefined {
    const refusal = this.#obstacle(reading, inBatch)
    if (refusal instanceof Refusal) this.refused(sql, refusal)
    return refusal
  }

  #obstacle(reading: Reading, inBatch: boolean): Refusal | 'wait' | undefined {
    const forbidden = reading.statements.find((statement) => statement.forbidden !== undefined)?.forbidden
    if (forbidden !== undefined) return new Refusal('denied', `This is refused whatever a policy says: ${forbidden}.`)
    if (reading.statements.some((statement) => this.state.lacksRoom(statement))) return new Refusal('denied', 'This session has too many prepared statements or cursors.', { instead: 'Deallocate or close those that are not needed.' })
    if (reading.backslash === undefined) return undefined
    if (inBatch) return new Refusal('denied', "A backslash stands before a quote in this text, so that it can be read in two ways. Write E'...' or send Sync before it.")
    return this.#parts.dialogue.pipeline.size > 0 ? 'wait' : undefined
  }

  understand(prepared: Prepared): Understood {
    return this.#remember(prepared).understood
  }

  /** Where its names lead now. */
  meant(reading: StatementReading): Meant {
    const { relations, verbs } = this.judge.piece(reading)
    return { relations, verbs, homes: this.#parts.names.homes(reading) }
  }

  /** The server would run something else than its text says now: what was prepared keeps the names of then. */
  isStale({ reading, then }: Prepared): boolean {
    return reading !== undefined && reading !== 'empty' && then !== undefined && JSON.stringify(then) !== JSON.stringify(this.meant(reading))
  }

  /** Why it must not run any more, put on record. */
  staleness(prepared: Prepared): Refusal | undefined {
    if (!this.#remember(prepared).stale) return undefined
    const refusal = new Refusal('denied', 'Names in this statement lead elsewhere than when it was prepared, and the server goes by those.', { instead: 'Prepare it again.' })
    this.refused(prepared.sql, refusal)
    return refusal
  }

  /** For a statement whose values are not known yet, or do not matter. */
  verdict(prepared: Prepared): Verdict {
    return this.#remember(prepared).verdict
  }

  #remember(prepared: Prepared): Remembered {
    const policies = this.#parts.policies()
    const known = this.#remembered.get(prepared)
    if (known !== undefined && known.epoch === this.freshness.epoch && known.policies === policies) return known
    const { reading, sql, types } = prepared
    if (reading === undefined || reading === 'empty') throw new Error('a statement that nobody could read came to be judged')
    const understood = this.judge.understand('extended', sql, [reading], types)
    const stale = this.isStale(prepared)
    const allowed = this.#allowed.get(understood)
    if (!stale && allowed?.epoch === this.freshness.epoch && allowed.policies === policies) {
      this.#remembered.set(prepared, allowed)
      return allowed
    }
    const action = this.#action(understood, {})
    // Without the number that a rule looks at, what it says is no answer yet.
    const decision = policies.needsEstimate(action.service, action) ? undefined : policies.decide(this.#parts.caller(), action, Date.now())
    const verdict = decision?.verdict ?? 'hold'
    const made: Remembered = { epoch: this.freshness.epoch, policies, understood, verdict, stale, hindrance: decision?.verdict === 'allow' ? this.#hindrance(reading, decision.obligations) : undefined }
    this.#remembered.set(prepared, made)
    if (verdict === 'allow' && made.hindrance === undefined && !stale) this.#allowed.set(understood, made)
    return made
  }

  /** Known before any value is: values can only add to what is obliged. */
  hindrance(prepared: Prepared): Refusal | undefined {
    return this.#remember(prepared).hindrance
  }

  #hindrance(reading: StatementReading, obligations: Obligations): Refusal | undefined {
    try {
      this.check([reading], obligations, 'read')
      return undefined
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
  }

  action(prepared: Prepared, bound: Bound | undefined, occasion: Partial<Occasion> = {}): Action {
    const { found } = prepared
    return this.#action(this.understand(prepared), { ...occasion, ...(bound === undefined ? {} : { bound }), ...(found === undefined ? {} : { types: found }) })
  }

  #action(understood: Understood, occasion: Partial<Occasion>): Action {
    return makeSqlAction(understood, { transaction: this.state.transaction(this.#parts.dialogue.pipeline), ...occasion })
  }

  /** A text of the simple protocol. */
  textAction(sql: string, statements: readonly StatementReading[], occasion: Partial<Occasion> = {}): Action {
    return this.#action(this.judge.understand('simple', sql, statements, [], this.freshness.moved), occasion)
  }

  /** A plan, likewise. */
  plan({ sql, steps }: Plan): Inspected {
    return { statements: steps, isPlan: true, make: (occasion) => this.#action(this.judge.plan(sql, steps), occasion) }
  }

  /** Throws a `Refusal` for a text that is no plan, or must not even be looked at by a policy. */
  async readPlan(sql: string): Promise<Plan> {
    const reading = await this.read(sql)
    const obstacle = this.#obstacle(reading, false)
    if (obstacle instanceof Refusal) throw obstacle
    if (obstacle === 'wait') await this.#parts.dialogue.settled()
    const plan = readPlan(sql, reading)
    await this.freshness.whenKnown(plan.steps, () => undefined)
    return plan
  }

  /** A statement of the extended protocol, for whoever looks into it. */
  inspected(prepared: Prepared, reading: StatementReading, bound: Bound | undefined): Inspected {
    return { statements: [reading], bound, types: prepared.found ?? prepared.types, make: (occasion) => this.action(prepared, bound, occasion) }
  }

  /** A text of the simple protocol, likewise. */
  inspectedText(sql: string, statements: readonly StatementReading[]): Inspected {
    return { statements, make: (occasion) => this.textAction(sql, statements, occasion) }
  }

  /** It is on its way to the server. */
  sent(statements: readonly StatementReading[], action: Action): Effects {
    const { dialogue, state, freshness } = this.#parts
    const { batch } = dialogue.pipeline
    const changes: (readonly Change[])[] = [...state.changes(statements, batch, (body) => this.meant(body))]
    if (action.effect === 'write') state.wrote(batch)
    freshness.sent(action.verbs, statements)
    if (statements.some(endsTransaction) || action.verbs.some((verb) => setting.has(verb))) state.settingsMayMove(batch)
    let next = 0
    return {
      done(at) {
        for (const change of changes[at] ?? []) change.happened()
        next = at + 1
      },
      failed() {
        for (; next < changes.length; next++) for (const change of changes[next] ?? []) change.dropped()
      },
    }
  }

  /** A Query takes the unnamed statement and portal away. Call the result once it is answered. */
  forgetUnnamed(): () => void {
    const { batch } = this.#parts.dialogue.pipeline
    const changes = [this.state.statements.change('', undefined, batch), this.state.portals.change('', undefined, batch)]
    return () => {
      for (const change of changes.splice(0)) change.happened()
    }
  }

  refused(sql: string, refusal: Refusal): void {
    this.#parts.refused(sql, refusal)
  }

  check(statements: readonly StatementReading[], obligations: Obligations, effect: Action['effect'], bound?: Bound): void {
    this.#parts.check(statements, obligations, this.#keeps(statements) ? 'write' : effect, bound)
  }

  /** What this transaction has written stays with it. */
  #keeps(statements: readonly StatementReading[]): boolean {
    return statements.some(({ control }) => control?.does === 'commit') && this.state.transaction(this.#parts.dialogue.pipeline) === 'written'
  }

  watch(statements: readonly StatementReading[], execution: Execution, permit: Permit, circumstances: Circumstances): Watching | undefined {
    const [first] = statements
    if (first?.control?.does !== 'fetch') return this.#parts.watch(statements, execution, permit, { ...circumstances, keeps: this.#keeps(statements) })
    const found = this.state.portals.find(first.control.name ?? '', this.#parts.dialogue.pipeline.batch)
    return this.#parts.watch(statements, execution, permit, { ...circumstances, cursor: found === 'unsure' ? undefined : found })
  }

  /** `undefined`: the session ends with it, and the client has been told. */
  errorFor(refusal: Refusal): Buffer | undefined {
    if (!endsSession(refusal)) return refusalError(refusal, this.#parts.consoleUrl)
    this.#parts.fatal(refusal)
    return undefined
  }
}
