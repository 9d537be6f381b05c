import type { FunctionNature } from '../sql/names.ts'

export interface Column {
  readonly number: number
  readonly name: string
  /** Names that it had since we started: a mask by the old name goes on. */
  readonly former: readonly string[]
  /** Of a generated column: the columns of its table that it is made of. */
  readonly madeOf?: readonly number[]
}

export interface ColumnPlace {
  readonly oid: number
  readonly number: number
}

/** What stands behind a view or a materialized view. */
export interface ViewSource {
  /** By number of the view's column: the plain column that it shows. Where there is none, the column is computed from `uses`. */
  readonly origins: ReadonlyMap<number, ColumnPlace>
  /** The columns that the definition names anywhere, by relation. */
  readonly uses: ReadonlyMap<number, ReadonlySet<number> | 'all'>
  /** The gravest function that the definition calls itself. */
  readonly calls: FunctionNature
}

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: 'table' | 'view' | 'foreign' | 'system'
  /** By number. */
  readonly columns: ReadonlyMap<number, Column>
  /** Tables that it inherits from or is a partition of, and those that inherit from it. */
  readonly parents: readonly number[]
  readonly children: readonly number[]
  /** `unknown`: a view whose definition could not be read. */
  readonly view?: ViewSource | 'unknown'
  /** Changes of it set off triggers or rules. */
  readonly fires: boolean
  /** Other statements run in the place of changes, or beside them. */
  readonly rules: boolean
}

/** One database as it was at one time. Never changes; the next one replaces it. */
export interface Catalog {
  /** When it was last seen to be true, by our clock. */
  readonly takenAt: number
  byOid(oid: number): Relation | undefined
  byName(schema: string, name: string): Relation | undefined
  /** The gravest of all functions of this name in this schema, built-in ones included. `undefined`: there is none. */
  function(schema: string, name: string): FunctionNature | undefined
  /** The gravest function in any schema that `x.name` can call where `x` is a row. `undefined`: there is none. */
  attribute(name: string): FunctionNature | undefined
  type(schema: string, name: string): FunctionNature | undefined
  operator(schema: string, name: string): FunctionNature | undefined
}
