import { builtinFunction } from './builtins.ts'
import { gravestFirst } from './gravity.ts'
import type { FunctionNature, KnownRelation, Names } from './names.ts'
import type { ColumnRef, FunctionRef, RelationRef, SqlKind, StatementReading } from './reading.ts'
import { defined } from '../../../lib/defined.ts'

export interface MeantTable {
  /** Absent when nobody knows where the name leads. */
  readonly schema?: string
  readonly name: string
  readonly oid?: number
  readonly access: 'read' | 'write'
  readonly kind?: KnownRelation['kind']
  /** It is read by this view, which the statement names. */
  readonly through?: string
  /** All its columns are written, though none is named. */
  readonly whole?: true
}

export interface MeantFunction extends FunctionRef {
  readonly nature: FunctionNature
}

/** What a statement does, once its names are looked up. */
export interface Meaning {
  /** The gravest first; never empty. Functions with effects and unknown names count. */
  readonly kinds: readonly SqlKind[]
  /** Views, and what they read in the end. */
  readonly tables: readonly MeantTable[]
  readonly columns: readonly ColumnRef[]
  readonly functions: readonly MeantFunction[]
  readonly filtered?: boolean
  /** Functions, types, operators and views do nothing but compute. */
  readonly pure: boolean
  /** All names are known. */
  readonly certain: boolean
  /** What is not known, for people. */
  readonly unsure: readonly string[]
  readonly opaque?: string
  readonly forbidden?: string
  /** The statement that EXECUTE or FETCH runs. */
  readonly body?: StatementReading
}

const kindOf: Readonly<Record<FunctionNature, SqlKind | undefined>> = {
  pure: undefined, volatile: 'call', session: 'session', lock: 'lock', listen: 'listen', server: 'server', text: 'call',
}

const shown = (ref: FunctionRef): string => (ref.schema === undefined ? ref.name : `${ref.schema}.${ref.name}`)

/** Everything that the statement finds out about its names. */
class Findings {
  readonly kinds: SqlKind[] = []
  readonly tables = new Map<string, MeantTable>()
  readonly functions: MeantFunction[] = []
  readonly unsure: string[] = []
  readonly #names: Names
  /** Nothing that it calls, by whatever name, does more than to compute. */
  pure = true
  opaque: string | undefined

  constructor(names: Names) {
    this.#names = names
  }

  #table(table: MeantTable): void {
    const key = `${table.access} ${table.schema ?? ''}\0${table.name}`
    const known = this.tables.get(key)
    const whole = known?.whole ?? table.whole
    // Named by the statement itself says more than found behind a view.
    const more = known === undefined || table.through === undefined ? table : known
    this.tables.set(key, whole === undefined ? more : { ...more, whole })
  }

  #nature(nature: FunctionNature, what: string): void {
    const kind = kindOf[nature]
    if (kind !== undefined) this.kinds.push(kind)
    this.pure &&= nature === 'pure'
    if (nature === 'text') this.opaque ??= `${what} runs SQL that it is given as text: that cannot be analysed`
  }

  relation(named: RelationRef): void {
    const { creates } = this.#names
    const ref = named.created === true && named.schema === undefined && creates !== undefined ? { ...named, schema: creates } : named
    const whole = ref.whole === undefined ? {} : { whole: ref.whole }
    const known = this.#names.relation(ref)
    if (known === undefined) {
      this.#table({ ...(ref.schema === undefined ? {} : { schema: ref.schema }), name: ref.name, access: ref.access, ...whole })
      if (ref.defined === true) return
      this.kinds.push('unknown')
      this.unsure.push(`the relation ${shown(ref)} is not known`)
      return
    }
    const { schema, name, oid, kind, reads } = known
    this.#table({ schema, name, ...(oid === undefined ? {} : { oid }), access: ref.access, kind, ...whole })
    if (ref.defined === true) return
    const isView = kind === 'view'
    if (isView && reads === undefined) {
      this.kinds.push('unknown')
      this.unsure.push(`what the view ${schema}.${name} reads is not known`)
    }
    // What is written through a view is written in the table behind it; a partition's rows are rows of its table.
    for (const table of reads ?? []) if (isView || table.schema !== schema || table.name !== name) this.#table({ ...table, access: ref.access, ...(isView ? { through: `${schema}.${name}` } : {}), ...whole })
    this.#nature(known.runs ?? (isView ? 'volatile' : 'pure'), `${isView ? 'the view ' : ''}${schema}.${name}`)
  }

  function(ref: FunctionRef, nature: FunctionNature): void {
    this.functions.push({ ...ref, nature })
    this.#nature(nature, shown(ref))
  }

  names(reading: StatementReading): void {
    for (const ref of reading.relations) this.relation(ref)
    const sets = onlySets(reading)
    for (const ref of reading.functions) this.#called(ref, this.#names.function(ref), sets)
    for (const ref of reading.types) this.#nature(this.#names.type(ref), `the type ${shown(ref)}`)
    for (const ref of reading.operators) this.#nature(this.#names.operator(ref), `the operator ${shown(ref)}`)
    for (const column of reading.columns) this.#attribute(column)
  }

  #called(ref: FunctionRef, nature: FunctionNature, sets: boolean): void {
    if (nature !== 'pure') this.function(ref, nature)
    else if (sets) this.kinds.push('set')
    // Beside anything else it can carry a value out of sight: into a setting, which is read without a rule.
    else this.function(ref, ref.harmless ? 'session' : nature)
  }

  /** `t.purge` calls `purge(t)` where `t` has no such column. */
  #attribute({ qualifier, name }: ColumnRef): void {
    if (qualifier === undefined || name === '*') return
    const own = this.#names.attribute(name)
    if (own !== undefined && own !== 'pure') this.function({ name }, own)
    const builtin = builtinFunction(name)
    if (builtin !== undefined && builtin !== 'pure') this.function({ name }, builtin)
  }
}

/** SET and SHOW in other words, as drivers and frameworks ask after they have logged in. */
const onlySets = ({ kinds, relations, columns, types, operators, functions }: StatementReading): boolean =>
  kinds.length === 1 && kinds[0] === 'select' && [relations, columns, types, operators].every(({ length }) => length === 0) &&
  functions.some(({ harmless }) => harmless) && functions.every(({ harmless, name }) => harmless || name === 'current_setting')

/** Kinds that the name of a prepared statement or a cursor stands for. */
const bodyOf = (statement: StatementReading, names: Names): StatementReading | 'none' | undefined => {
  const { control } = statement
  if (control?.does === 'execute') return names.prepared(control.name)
  if (control?.does === 'fetch') return names.cursor(control.name ?? '')
  return 'none'
}

/** Joins what a statement says with what its names mean now. Whatever is not known makes it graver, never lighter. */
export const mean = (statement: StatementReading, names: Names): Meaning => {
  const found = new Findings(names)
  const body = bodyOf(statement, names)
  found.names(statement)
  let own = onlySets(statement) && found.kinds.every((kind) => kind === 'set') ? [] : statement.kinds
  if (body === undefined) found.unsure.push('nobody knows what this name stands for')
  else if (body !== 'none') {
    found.names(body)
    // The placeholder `unknown` is what the body says. EXPLAIN alone runs nothing.
    if (own.includes('unknown')) own = [...own.filter((kind) => kind !== 'unknown'), ...body.kinds]
  }
  if (body === undefined && !own.includes('unknown')) own = ['unknown', ...own]
  const known = body === 'none' ? undefined : body
  const filters = [statement.filtered, known?.filtered].filter((filtered) => filtered !== undefined)
  return {
    kinds: gravestFirst([...own, ...found.kinds]),
    tables: [...found.tables.values()],
    columns: [...statement.columns, ...(known?.columns ?? [])],
    functions: found.functions,
    pure: found.pure,
    certain: found.unsure.length === 0 && !own.includes('unknown'),
    unsure: found.unsure,
    ...defined({
      filtered: filters.length === 0 ? undefined : filters.every(Boolean),
      opaque: statement.opaque ?? known?.opaque ?? found.opaque,
      forbidden: statement.forbidden ?? known?.forbidden,
      body: known,
    }),
  }
}
