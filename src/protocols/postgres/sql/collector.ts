import { gravestFirst } from './gravity.ts'
import type { ColumnRef, Control, ForeignRef, FunctionRef, RelationRef, SqlKind, StatementReading } from './reading.ts'
import { defined } from '../../../lib/defined.ts'

/** What a walk has found so far. Each thing once. */
export class Collector {
  readonly kinds: Set<SqlKind> = new Set()
  readonly #relations = new Map<string, RelationRef>()
  readonly #functions = new Map<string, FunctionRef>()
  readonly #types = new Map<string, ForeignRef>()
  readonly #operators = new Map<string, ForeignRef>()
  readonly #columns = new Map<string, ColumnRef>()
  filtered: boolean | undefined
  control: Control | undefined
  answers: StatementReading['answers'] = 'nothing'
  changes: StatementReading['changes']
  parameters = 0
  opaque: string | undefined
  forbidden: string | undefined

  relation(ref: RelationRef): void {
    this.#relations.set(`${ref.access} ${ref.defined ?? ''} ${ref.whole ?? ''} ${ref.schema ?? ''}\0${ref.name}`, ref)
  }

  function(ref: FunctionRef): void {
    this.#functions.set(`${ref.schema ?? ''}\0${ref.name}\0${ref.harmless ?? ''}`, ref)
  }

  type(ref: ForeignRef): void {
    this.#types.set(`${ref.schema ?? ''}\0${ref.name}`, ref)
  }

  operator(ref: ForeignRef): void {
    this.#operators.set(`${ref.schema ?? ''}\0${ref.name}`, ref)
  }

  column(ref: ColumnRef): void {
    this.#columns.set(`${ref.qualifier ?? '\0'}\0${ref.name}`, ref)
  }

  /** One change without a filter makes the statement one without. */
  change(filtered: boolean): void {
    this.filtered = (this.filtered ?? true) && filtered
  }

  forbid(why: string): void {
    this.forbidden ??= why
  }

  reading(text: string): StatementReading {
    const kinds = gravestFirst(this.kinds.size === 0 ? ['unknown'] : [...this.kinds])
    return Object.freeze({
      kinds,
      text,
      relations: [...this.#relations.values()],
      functions: [...this.#functions.values()],
      types: [...this.#types.values()],
      operators: [...this.#operators.values()],
      columns: [...this.#columns.values()],
      answers: this.answers,
      parameters: this.parameters,
      ...defined({ filtered: this.filtered, changes: this.changes, control: this.control, opaque: this.opaque, forbidden: this.forbidden }),
    })
  }
}
