import { dottedName, everyColumn } from '../../lib/dotted-name.ts'
import type { Resource } from '../../model/action.ts'
import type { PolicySet } from '../../policy/policy-set.ts'
import { fixedDigest, type Piece, type Place, type Understood } from './action.ts'
import { shapeOf } from './action-shape.ts'
import type { Names } from './sql/names.ts'
import { gravestFirst } from './sql/gravity.ts'
import { mean, type MeantTable, type Meaning } from './sql/mean.ts'
import type { SqlKind, StatementReading } from './sql/reading.ts'
import { rowTest } from './sql/whole-rows.ts'

export interface JudgeParts {
  readonly place: Place
  readonly policies: () => PolicySet
  readonly names: Names
  /** Names of the columns of a relation; `undefined`: not known. */
  readonly columns: (schema: string, name: string) => readonly string[] | undefined
  /** A name is no column of any table beside it: it may have become one. */
  readonly missed?: () => void
}

interface Judged {
  readonly piece: Piece
  /** A text that is this statement alone, as it was asked about last. */
  whole: Understood | undefined
}

/** What does not write anything, whatever it touches. */
const reads: ReadonlySet<SqlKind> = new Set(['select', 'explain', 'transaction', 'set', 'copy.out'])

/** From readings to what a policy can judge, in the names that this session has now. */
export class Judge {
  readonly #parts: JudgeParts
  #policies: PolicySet | undefined
  #known = new WeakMap<StatementReading, Judged>()

  constructor(parts: JudgeParts) {
    this.#parts = parts
  }

  /** Names may mean something else from now on. */
  forget(): void {
    this.#known = new WeakMap()
  }

  /**
   * `moved`: the open transaction has moved what names stand for; its end moves it back.
   */
  understand(protocol: Understood['protocol'], sql: string, statements: readonly StatementReading[], types: readonly number[], moved = false): Understood {
    const [first] = statements
    const alone = first !== undefined && statements.length === 1 ? this.#judged(first) : undefined
    const known = alone?.whole
    if (known !== undefined && known.protocol === protocol && known.sql === sql && equal(known.types, types)) return known
    const made = this.#whole(protocol, sql, alone === undefined ? this.#inTurn(statements, moved) : [alone.piece], types)
    if (alone !== undefined) alone.whole = made
    return made
  }

  #whole(protocol: Understood['protocol'], sql: string, pieces: readonly Piece[], types: readonly number[], steps?: readonly string[]): Understood {
    const [only] = pieces
    if (only === undefined) throw new Error('nothing to judge')
    const all: Piece = pieces.length === 1 ? only : together(pieces)
    const { place } = this.#parts
    return Object.freeze({
      ...all,
      place,
      protocol,
      ...(steps === undefined ? {} : { steps }),
      sql,
      pieces,
      bodies: pieces.flatMap(({ body }) => (body === undefined ? [] : [body])),
      fixed: fixedDigest(place, protocol, sql, types, pieces),
      shape: shapeOf(place.service, all.verbs, sql),
      types,
    })
  }

  /** Behind a statement that may move what names stand for, nobody knows what they will stand for. */
  #inTurn(statements: readonly StatementReading[], within: boolean): readonly Piece[] {
    let moved = false
    return statements.map((statement) => {
      const piece = this.piece(statement)
      const uncertain = moved && (piece.body !== undefined || [statement.relations, statement.functions, statement.types, statement.operators].some(({ length }) => length > 0))
      moved ||= movesNames(piece.verbs, [statement]) || (within && endsTransaction(statement))
      return uncertain ? asUnknown(piece) : piece
    })
  }

  /** A transaction that is run statement by statement: at least BEGIN, COMMIT and what stands between. */
  plan(sql: string, steps: readonly StatementReading[]): Understood {
    return this.#whole('plan', sql, this.#inTurn(steps, false), [], steps.map(({ text }) => text))
  }

  piece(statement: StatementReading): Piece {
    return this.#judged(statement).piece
  }

  #judged(statement: StatementReading): Judged {
    const policies = this.#parts.policies()
    if (policies !== this.#policies) {
      this.#policies = policies // tags may have changed
      this.forget()
    }
    const known = this.#known.get(statement)
    if (known !== undefined) return known
    const made: Judged = { piece: this.#make(statement, policies), whole: undefined }
    // What calls a prepared statement or a cursor by its name means something else as soon as the name does.
    if (made.piece.body === undefined) this.#known.set(statement, made)
    return made
  }

  #make(statement: StatementReading, policies: PolicySet): Piece {
    const { place, names } = this.#parts
    const meaning = mean(statement, names)
    const verbs = Object.freeze(meaning.kinds.map((kind) => `sql.${kind}`))
    const resources = Object.freeze(resourcesOf(statement, meaning, this.#parts, (kind, name) => policies.tagsOf(place.service, kind, name)))
    const body = bodyOf(statement, meaning)
    return Object.freeze({
      verbs,
      effect: meaning.kinds.every((kind) => reads.has(kind)) ? 'read' : 'write',
      resources,
      tags: Object.freeze([...new Set(resources.flatMap(({ tags }) => tags))].sort()),
      relations: meaning.tables.map(({ schema = '', name, oid }) => (oid === undefined ? { schema, name } : { schema, name, oid })),
      facts: factsOf(statement, meaning, verbs),
      ...(body === undefined ? {} : { body }),
    })
  }
}

/** What takes back what a transaction has done, or drops what lives as long as it. */
export const endsTransaction = ({ control }: StatementReading): boolean => control?.does === 'commit' || control?.does === 'rollback' || control?.does === 'rollback-to'

/** What may make, move or drop what names stand for. */
export const movesNames = (verbs: readonly string[], statements: readonly StatementReading[]): boolean =>
  verbs.some((verb) => moving.has(verb)) || statements.some(({ control }) => control !== undefined && movingControl.has(control.does))

const moving: ReadonlySet<string> = new Set(['sql.ddl', 'sql.session', 'sql.call', 'sql.do', 'sql.server', 'sql.unknown'])
const movingControl: ReadonlySet<string> = new Set(['discard', 'create-temporary', 'drop'])

const asUnknown = (piece: Piece): Piece => {
  const verbs = Object.freeze(['sql.unknown', ...piece.verbs.filter((verb) => verb !== 'sql.unknown')])
  const notes = Object.freeze([...(piece.facts['notes'] as readonly string[]), 'A statement before it in the same text may change what its names stand for.'])
  return Object.freeze({ ...piece, verbs, effect: 'write', facts: Object.freeze({ ...piece.facts, statement: 'unknown', verbs, pure: false, notes }) })
}

const equal = (a: readonly number[], b: readonly number[]): boolean => a === b || (a.length === b.length && a.every((value, at) => value === b[at]))

type ColumnParts = Pick<JudgeParts, 'columns' | 'missed'>
type TagsOf = (kind: 'table' | 'column', name: string) => readonly string[]

const fullName = ({ schema, name }: { readonly schema?: string; readonly name: string }): string => (schema === undefined ? dottedName(name) : dottedName(schema, name))

const resourcesOf = (statement: StatementReading, meaning: Meaning, columns: ColumnParts, tagsOf: TagsOf): Resource[] => {
  const found = new Map<string, Resource>()
  const add = (resource: Resource): void => {
    const key = `${resource.kind} ${resource.name}`
    if (found.get(key)?.access !== 'write') found.set(key, Object.freeze(resource))
  }
  for (const table of meaning.tables) add({ kind: 'table', name: fullName(table), access: table.access, tags: tableTags(table, tagsOf) })
  for (const name of columnNames(statement, meaning, columns)) add({ kind: 'column', name, access: 'read', tags: tagsOf('column', name) })
  for (const called of meaning.functions) add({ kind: 'function', name: fullName(called), access: 'read', tags: none })
  return [...found.values()]
}

const mostColumns = 1_000
const mostNotes = 20

/** A row that is written or taken away has all its columns, whichever of them are named. */
const tableTags = (table: MeantTable, tagsOf: TagsOf): readonly string[] => {
  const own = tagsOf('table', fullName(table))
  if (table.access === 'read') return own
  return Object.freeze([...new Set([...own, ...tagsOf('column', everyColumn(...pathOf(table)))])].sort())
}

const pathOf = ({ schema, name }: MeantTable): readonly string[] => (schema === undefined ? [name] : [schema, name])

/**
 * Every column that a name in the statement can stand for: where tables have columns of one name, that of each. A name that is no column can be
 * a whole row (`SELECT c FROM customers c`), an alias can give columns other names, and so can a view: then it can be any column.
 */
const columnNames = ({ renames, aliases }: StatementReading, { tables, columns, body }: Meaning, { columns: columnsOf, missed }: ColumnParts): ReadonlySet<string> => {
  const named = new Set(columns.map(({ name }) => name))
  const found = new Set<string>()
  const each = tables.map((table) => ({ table, all: table.schema === undefined ? undefined : columnsOf(table.schema, table.name) }))
  const known = new Set(each.flatMap(({ all }) => all ?? []))
  const has = (relation: { readonly schema?: string; readonly name: string }, column: string): boolean => {
    const meant = each.filter(({ table: { schema, name } }) => name === relation.name && (relation.schema === undefined || relation.schema === schema))
    return meant.length > 0 && meant.every(({ all }) => all?.includes(column) === true)
  }
  const isRow = aliases === undefined ? () => true : rowTest([...aliases, ...(body?.aliases ?? [])], has)
  if (columns.some(({ name }) => name !== '*' && !known.has(name)) && each.every(({ all }) => all !== undefined)) missed?.()
  const anything = renames !== false || (body !== undefined && (body.renames !== false || body.aliases === undefined)) || columns.some((column) => column.name !== '*' && (!known.has(column.name) || isRow(column)))
  for (const { table, all } of each) {
    const whole = table.whole === true || (named.size > 0 && (anything || table.through !== undefined || named.has('*')))
    const meant = all === undefined ? [...named].filter((name) => name !== '*') : whole ? all : all.filter((column) => named.has(column))
    if (found.size + meant.length > mostColumns || (all === undefined && whole)) found.add(everyColumn(...pathOf(table)))
    for (const column of meant) if (found.size < mostColumns) found.add(dottedName(...pathOf(table), column))
  }
  return found
}

const none: readonly string[] = Object.freeze([])

const factsOf = (statement: StatementReading, { kinds, tables, columns, functions, filtered, pure, certain, unsure, opaque }: Meaning, verbs: readonly string[]): Readonly<Record<string, unknown>> => {
  const named = (access?: 'write'): string[] => [...new Set(tables.filter((table) => access === undefined || table.access === access).map(fullName))]
  return Object.freeze({
    statement: kinds[0] as string,
    verbs,
    tables: Object.freeze(named()),
    tablesWritten: Object.freeze(named('write')),
    columns: Object.freeze([...new Set(columns.map(({ name }) => name))]),
    functions: Object.freeze([...new Set(functions.map(fullName))]),
    pure: certain && pure,
    parameterCount: statement.parameters,
    notes: Object.freeze([...(opaque === undefined ? [] : [opaque]), ...unsure].slice(0, mostNotes)),
    ...(filtered === undefined ? {} : { filtered }),
  })
}

const bodyOf = ({ control }: StatementReading, { body }: Meaning): readonly [string, string] | undefined => {
  if (control?.does === 'execute') return [control.name, body?.text ?? '']
  return control?.does === 'fetch' ? [control.name ?? '', body?.text ?? ''] : undefined
}

const together = (pieces: readonly Piece[]): Piece => {
  const kinds = gravestFirst(pieces.flatMap(({ verbs }) => verbs.map((verb) => verb.slice('sql.'.length) as SqlKind)))
  const resources = new Map<string, Resource>()
  for (const resource of pieces.flatMap((piece) => piece.resources)) {
    const key = `${resource.kind} ${resource.name}`
    if (resources.get(key)?.access !== 'write') resources.set(key, resource)
  }
  const list = (fact: string): readonly unknown[] => Object.freeze([...new Set(pieces.flatMap(({ facts }) => facts[fact] as readonly unknown[]))])
  const filters = pieces.map(({ facts }) => facts['filtered']).filter((filtered) => filtered !== undefined)
  const verbs = Object.freeze(kinds.map((kind) => `sql.${kind}`))
  return {
    verbs,
    effect: pieces.every(({ effect }) => effect === 'read') ? 'read' : 'write',
    resources: Object.freeze([...resources.values()]),
    tags: Object.freeze([...new Set(pieces.flatMap(({ tags }) => tags))].sort()),
    relations: pieces.flatMap(({ relations }) => relations),
    facts: Object.freeze({
      statement: kinds[0] as string,
      verbs,
      tables: list('tables'),
      tablesWritten: list('tablesWritten'),
      columns: list('columns'),
      functions: list('functions'),
      pure: pieces.every(({ facts }) => facts['pure'] === true),
      notes: list('notes'),
      parameterCount: Math.max(...pieces.map(({ facts }) => facts['parameterCount'] as number)),
      ...(filters.length === 0 ? {} : { filtered: filters.every((filtered) => filtered === true) }),
    }),
  }
}
