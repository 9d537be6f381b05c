import type { FunctionNature } from '../sql/names.ts'

export interface Column {
  readonly number: number
  readonly name: string
  /** Names that it had since we started: a mask by the old name goes on. */
  readonly former: readonly string[]
  /** Of a view: the column that it shows as it is. `derived`: computed from what the view reads. */
  readonly origin?: { readonly oid: number; readonly number: number } | 'derived'
}

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: 'table' | 'view' | 'foreign' | 'temporary' | 'system'
  /** By number. */
  readonly columns: ReadonlyMap<number, Column>
  /** Tables that it inherits from or is a partition of, and those that inherit from it. */
  readonly parents: readonly number[]
  readonly children: readonly number[]
  /** Of a view: the relations that its definition names, views too. */
  readonly sources: readonly number[]
  /** Of a view: false where it calls what may read anything. */
  readonly understood: boolean
  /** Changes of it set off triggers or rules. */
  readonly fires: boolean
}

/** One database as it was at one time. Never changes; the next one replaces it. */
export interface Catalog {
  readonly takenAt: number
  byOid(oid: number): Relation | undefined
  byName(schema: string, name: string): Relation | undefined
  /** The gravest of all functions of this name in this schema; `undefined`: there is none. */
  functionNature(schema: string, name: string): FunctionNature | undefined
}
