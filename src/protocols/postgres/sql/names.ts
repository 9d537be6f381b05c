import type { ForeignRef, FunctionRef, RelationRef, StatementReading } from './reading.ts'

export interface KnownRelation {
  readonly schema: string
  readonly name: string
  readonly oid?: number
  readonly kind: 'table' | 'view' | 'foreign' | 'temporary' | 'system'
  /** What a view reads in the end, views of views included; for a table itself and what it is a partition or a child of. `undefined`: could not be found out. */
  readonly reads: readonly { readonly schema: string; readonly name: string }[] | undefined
  /** The gravest function that reading it runs, views of views included. Absent for a view: it may do anything. */
  readonly runs?: FunctionNature
}

/**
 * pure       no effect, reads nothing beside its arguments and ordinary tables: allowed inside a read
 * volatile   may do anything
 * session    changes what later statements mean (`set_config`)
 * lock       takes advisory locks
 * listen     sends a notification (`pg_notify`)
 * server     reaches the server's files, programs, processes, or takes time (`pg_read_file`, `pg_sleep`)
 * text       runs SQL that it is given as text (`query_to_xml`, `dblink`)
 */
export type FunctionNature = 'pure' | 'volatile' | 'session' | 'lock' | 'listen' | 'server' | 'text'

/** What names mean in one session now. */
export interface Names {
  /** The schema of new objects whose name has none; absent: nobody knows. */
  readonly creates?: string | undefined
  /** `undefined`: there is no such relation, or nobody knows. */
  relation(ref: RelationRef): KnownRelation | undefined
  /** A name that is not known is `volatile`. The gravest of all functions that the name can mean, built-in ones (`builtins.ts`) included. */
  function(ref: FunctionRef): FunctionNature
  /**
   * `t.name` and `(x).name` call the function `name` when there is no such column. The gravest function of somebody's own that can be meant so:
   * one that can be called with one argument of a row type, or of any type. `undefined`: there is none.
   */
  attribute(name: string): FunctionNature | undefined
  /** What a cast to this type may run: `pure` for an enum, a composite or a domain without functions. Unknown: `volatile`. Only asked for types that are not built in. */
  type(ref: ForeignRef): FunctionNature
  /** What the functions behind an operator are: the gravest of all that the name can mean, built-in ones included. Unknown: `volatile`. */
  operator(ref: ForeignRef): FunctionNature
  /** What PREPARE or a Parse message has put under this name. */
  prepared(name: string): StatementReading | undefined
  cursor(name: string): StatementReading | undefined
}
