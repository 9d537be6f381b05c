import type { FunctionRef, RelationRef, StatementReading } from './reading.ts'

export interface KnownRelation {
  readonly schema: string
  readonly name: string
  readonly oid?: number
  readonly kind: 'table' | 'view' | 'foreign' | 'temporary' | 'system'
  /** What a view reads in the end, views of views included; itself for a table. `undefined`: could not be found out. */
  readonly reads: readonly { readonly schema: string; readonly name: string }[] | undefined
}

/**
 * pure       no effect, reads nothing beside its arguments and ordinary tables: allowed inside a read
 * volatile   may do anything
 * session    changes what later statements mean (`set_config`)
 * lock       takes advisory locks
 * server     reaches the server's files, programs, processes, or takes time (`pg_read_file`, `pg_sleep`)
 * text       runs SQL that it is given as text (`query_to_xml`, `dblink`)
 */
export type FunctionNature = 'pure' | 'volatile' | 'session' | 'lock' | 'server' | 'text'

/** What names mean in one session now. */
export interface Names {
  /** `undefined`: there is no such relation, or nobody knows. */
  relation(ref: RelationRef): KnownRelation | undefined
  /** A name that is not known is `volatile`. The gravest of all functions that the name can mean. */
  function(ref: FunctionRef): FunctionNature
  /** What PREPARE or a Parse message has put under this name. */
  prepared(name: string): StatementReading | undefined
  cursor(name: string): StatementReading | undefined
}
