import type { Action, Impact } from '../../model/action.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Occasion } from './action.ts'
import { knownValues } from './action-text.ts'
import { drifted, type Numbers } from './catalog/estimate.ts'
import { resolveFunctions, resolvePlace, resolveRelations } from './catalog/resolve.ts'
import type { SessionNames } from './catalog/session-names.ts'
import type { Dialogue, Rows } from './dialogue.ts'
import type { EstimateQuestion } from './estimates.ts'
import type { Bound } from './namespace.ts'
import type { StatementReading } from './sql/reading.ts'
import type { TransactionState } from './state.ts'

export interface InspectionParts {
  readonly dialogue: Dialogue
  readonly names: SessionNames
  readonly role: string
  readonly estimate: (statements: readonly StatementReading[], question: EstimateQuestion) => Promise<Numbers>
  /** Learns anew what names mean. */
  readonly renew: () => Promise<void>
  readonly transaction: () => TransactionState
}

/** What is looked into. */
export interface Inspected {
  readonly statements: readonly StatementReading[]
  readonly bound?: Bound | undefined
  readonly types?: readonly number[] | undefined
  /** The action, made anew of what names mean now. */
  make(occasion: Partial<Occasion>): Action
}

const askMs = 5_000

/** What an approver gets to know beyond the statement, and what the approval is bound to beyond its text. */
export class Inspection {
  readonly #parts: InspectionParts
  #place: Awaited<ReturnType<typeof resolvePlace>> | undefined

  constructor(parts: InspectionParts) {
    this.#parts = parts
  }

  readonly #ask = (sql: string): Promise<Rows> =>
    this.#parts.dialogue.ask(sql, askMs).catch((cause: unknown) => {
      throw new Refusal('upstream-unavailable', 'NOT EXECUTED. The database did not say in time what the names in the statement stand for.', { cause })
    })

  /** For rules that look at how many rows there would be. */
  async estimated(what: Inspected): Promise<Action> {
    const { estimatedRows } = await this.numbers(what)
    return what.make(estimatedRows === undefined ? {} : { estimatedRows })
  }

  /** `locksMs`: for how long it may wait while its transaction keeps locks. */
  async inspect(what: Inspected, locksMs: number): Promise<Action> {
    const resolved = await this.#resolved(what)
    const numbers = await this.numbers(what)
    const { estimatedRows } = numbers
    const action = what.make({ ...(resolved && { resolved }), ...(estimatedRows === undefined ? {} : { estimatedRows }) })
    return what.make({ ...(resolved && { resolved }), ...(estimatedRows === undefined ? {} : { estimatedRows }), impact: this.#impact(action, numbers, locksMs) })
  }

  /** Throws where a name stands for something else than when it was approved. */
  async compare(what: Inspected, action: Action): Promise<void> {
    const resolved = await this.#resolved(what)
    if (what.make(resolved === undefined ? {} : { resolved }).digest !== action.digest) throw new Refusal('hold-changed', 'NOT EXECUTED. A name in the statement stands for something else than when it was approved. Send it again to ask anew.')
  }

  /** Throws where the rows have become more than the rule lets them since the approvers looked. */
  async refuseDrift(what: Inspected, before: Impact | undefined, drift: { readonly factor?: number; readonly rows?: number }): Promise<void> {
    if (before !== undefined && drifted(before, await this.numbers(what), drift)) throw new Refusal('hold-changed', 'NOT EXECUTED. The statement would now touch more rows than the approvers were shown. Send it again to ask anew.')
  }

  numbers({ statements, bound, types }: Inspected): Promise<Numbers> {
    const { names, role, estimate } = this.#parts
    return estimate(statements, { role, names, parameters: bound === undefined ? [] : knownValues(bound, types ?? []), types: types ?? [] })
  }

  /** `undefined` where nothing can be asked at the moment: then the catalog's last state counts. */
  async #resolved({ statements }: Inspected): Promise<readonly unknown[] | undefined> {
    const { dialogue, names, renew } = this.#parts
    if (!dialogue.mayAsk) return undefined
    names.doubt()
    await renew()
    const all = statements.flatMap((statement) => [statement, ...bodyOf(statement, names)])
    const relations = await resolveRelations(this.#ask, all.flatMap((statement) => statement.relations))
    const functions = all.flatMap((statement) => statement.functions).filter((ref) => names.function(ref) !== 'pure')
    // What a connection leads to stays the same for as long as it lives.
    this.#place ??= await resolvePlace(this.#ask)
    return [this.#place, ...relations.map((one) => one ?? null), ...(await resolveFunctions(this.#ask, functions, names.path))]
  }

  #impact(action: Action, numbers: Numbers, locksMs: number): Impact {
    const keepsLocks = this.#parts.transaction() === 'written'
    const facts = action.facts['sql'] as { readonly filtered?: boolean; readonly notes?: readonly string[] }
    return {
      ...numbers,
      ...(keepsLocks ? { keepsLocks } : {}),
      ...(facts.filtered === undefined ? {} : { unfiltered: !facts.filtered }),
      notes: [...(facts.notes ?? []), ...(keepsLocks ? [`Its transaction has changed something before this: others wait for its locks, and it waits for ${Math.ceil(locksMs / 1_000)} s at most.`] : []), ...numbers.notes],
    }
  }
}

const bodyOf = ({ control }: StatementReading, names: SessionNames): readonly StatementReading[] => {
  const body = control?.does === 'execute' ? names.prepared(control.name) : control?.does === 'fetch' ? names.cursor(control.name ?? '') : undefined
  return body === undefined ? [] : [body]
}
