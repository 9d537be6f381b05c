/** One word of `sql.*` in the policy language, without its first part. */
export type SqlKind =
  | 'select' | 'insert' | 'update' | 'delete' | 'merge' | 'truncate' | 'ddl' | 'grant'
  | 'copy.in' | 'copy.out' | 'copy.program'
  | 'call' | 'do' | 'set' | 'session' | 'transaction' | 'explain' | 'listen' | 'lock'
  /** The server's files, programs, settings and processes; sleeping; replication. */
  | 'server'
  | 'unknown'

export interface RelationRef {
  /** As folded by the server: unquoted names are lower case. */
  readonly schema?: string
  readonly name: string
  readonly access: 'read' | 'write'
  /** A statement that defines objects names it: it need not exist yet. */
  readonly defined?: true
  /** It comes into being, so where it has no schema it is in the one that new objects go to. */
  readonly created?: true
  /** All its columns are written, though none is named: an INSERT without a list of columns. */
  readonly whole?: true
}

export interface FunctionRef {
  readonly schema?: string
  readonly name: string
  /** `set_config` of a setting that SET may change without a rule. */
  readonly harmless?: true
}

/** A type or an operator that need not be one of the server's own. */
export interface ForeignRef {
  readonly schema?: string
  readonly name: string
}

/** A column that is named somewhere in the statement. `name` is `*` for all columns. */
export interface ColumnRef {
  /** Table, alias or nothing: as written. Empty for a field of an expression, as in `(f()).name`. */
  readonly qualifier?: string
  readonly name: string
}

/** A name that stands in FROM, or for what a statement changes: alone, it is a whole row where no column has this name. */
export interface Alias {
  readonly name: string
  /** Absent: a query or a join. */
  readonly relation?: { readonly schema?: string; readonly name: string }
}

/** What a statement does to the session, beside its data. */
export type Control =
  | { readonly does: 'begin' | 'commit' | 'rollback'; readonly chain?: boolean }
  | { readonly does: 'savepoint' | 'release' | 'rollback-to'; readonly name: string }
  | { readonly does: 'prepare'; readonly name: string; readonly body: StatementReading }
  /** `parameters`: the text of each argument. */
  | { readonly does: 'execute'; readonly name: string; readonly parameters: readonly string[] }
  /** No name: all of them. */
  | { readonly does: 'deallocate'; readonly name?: string }
  | { readonly does: 'declare'; readonly name: string; readonly hold: boolean; readonly body: StatementReading }
  | { readonly does: 'fetch' | 'close'; readonly name?: string }
  /** The name in lower case; `all` for RESET ALL. `value` absent: back to the default. Several values are joined as the server shows them. */
  | { readonly does: 'set'; readonly variable: string; readonly value?: string; readonly local: boolean }
  | { readonly does: 'discard' }
  | { readonly does: 'create-temporary'; readonly name: string }
  /** Relations, without their schemas. */
  | { readonly does: 'drop'; readonly names: readonly string[] }

/** One statement as its text says it, before anybody looks into a catalog. */
export interface StatementReading {
  /** What it does, the gravest first; never empty. What hides in a WITH, an EXPLAIN ANALYZE or a PREPARE counts. */
  readonly kinds: readonly SqlKind[]
  /** Its own part of the text. */
  readonly text: string
  /** Common table expressions are not relations. */
  readonly relations: readonly RelationRef[]
  readonly functions: readonly FunctionRef[]
  /** Types that are not built in: a cast to one may run code of its owner. */
  readonly types: readonly ForeignRef[]
  /** Operators, but for those that are named as the server's own: for types of somebody's own, `=` can be somebody's own as well. */
  readonly operators: readonly ForeignRef[]
  readonly columns: readonly ColumnRef[]
  /**
   * The columns whose values do more than become a value in the rows that are answered: conditions, joins, groups, order, windows, values that are
   * written, and expressions that can fail or give another number of rows (`total.ts`). `*` for a NATURAL JOIN and for what feeds a write by `*`. Not the targets of SET and INSERT. An output name or position in ORDER BY or
   * GROUP BY stands for the columns of that output. Absent: not known.
   */
  readonly used?: readonly ColumnRef[]
  /** An alias in FROM gives columns other names (`FROM t AS x(a, b)`), so that a name in `columns` can mean another column. Absent: not known. */
  readonly renames?: boolean
  /** A sub-select or WITH query gives its outputs names of its own (an expression has one without being told), so that a name in `used` can mean what is computed there. Absent: not known. */
  readonly labels?: boolean
  /** Absent: not known. */
  readonly aliases?: readonly Alias[]
  /** The constants of text that stand in it. Absent: not known. */
  readonly literals?: readonly string[]
  /** Whether every UPDATE, DELETE, MERGE and TRUNCATE in it has a WHERE that can be false; absent where there is none of them. `TRUE`, `1=1`, `id = id` are no filters. */
  readonly filtered?: boolean
  /**
   * The relation whose rows it changes, if it is one plain UPDATE or DELETE, and the text of its WHERE: for counting beforehand.
   * Whoever runs that text must first see that every function, type and operator of the statement is pure.
   */
  readonly changes?: { readonly relation: RelationRef; readonly only?: true; readonly alias?: string; readonly where?: string }
  readonly control?: Control
  readonly answers: 'rows' | 'count' | 'copy-in' | 'copy-out' | 'nothing'
  /** The highest `$n`. */
  readonly parameters: number
  /** Why it cannot be judged by its parts, for the approver ("DO blocks cannot be analysed"). */
  readonly opaque?: string
  /** Why it must not run whatever a policy says: it would change how every later text is read. */
  readonly forbidden?: string
}

/** What a text of SQL says. Frozen. Empty for an empty query. */
export interface Reading {
  readonly statements: readonly StatementReading[]
  /** The text could not be understood: then there is one statement of kind `unknown`. */
  readonly problem?: string
  /**
   * A plain string literal in it has a backslash before a quote: it ends elsewhere when `standard_conforming_strings` is off.
   * It may run only if that setting is known to be on and no statement is under way that could change it.
   */
  readonly backslash?: true
}
