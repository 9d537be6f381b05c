import type { Relation } from '../catalog/catalog.ts'
import type { SessionNames } from '../catalog/session-names.ts'
import type { ColumnRef, RelationRef, SqlKind, StatementReading } from '../sql/reading.ts'
import { rowTest } from '../sql/whole-rows.ts'
import type { ColumnMasks } from './column-masks.ts'

/** What of masked columns can come out of some statements, beside the columns that the server names. */
export type Exposure =
  | { readonly does: 'refuse'; readonly because: string; readonly instead: string }
  | {
      readonly does: 'show'
      /** A relation with masked columns is read or written. */
      readonly touched: boolean
      /** What becomes of computed columns of the result: whether something masked can be in them. */
      readonly computed: 'passes' | 'is masked'
    }

/** Statements of these kinds do more with values than answer them. */
const NOT_MASKABLE: ReadonlySet<SqlKind> = new Set(['call', 'do', 'unknown', 'server', 'copy.program'])

const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax'])

export const exposureOf = (statements: readonly StatementReading[], names: SessionNames, masks: ColumnMasks): Exposure => {
  let [touched, computed] = [false, false]
  for (const statement of statements) {
    const body = bodyOf(statement, names)
    if (body === undefined) return refuse('It is not known what this runs, so it cannot be masked.', 'Run the statement itself.')
    const one = exposureOfOne(body, names, masks)
    if (one.does === 'refuse') return one
    touched ||= one.touched
    computed ||= one.computed === 'is masked'
  }
  return { does: 'show', touched, computed: computed ? 'is masked' : 'passes' }
}

/** What EXECUTE and FETCH stand for, with all that is said around it: `CREATE TABLE t AS EXECUTE p` keeps what `p` reads. */
const bodyOf = (statement: StatementReading, names: SessionNames): StatementReading | undefined => {
  const { control } = statement
  if (control?.does !== 'execute' && control?.does !== 'fetch') return statement
  const body = control.does === 'execute' ? names.prepared(control.name) : control.name === undefined ? undefined : names.cursor(control.name)
  if (body === undefined) return undefined
  const joined = <T>(one: readonly T[], more: readonly T[]): readonly T[] => (more.length === 0 ? one : [...one, ...more])
  return {
    ...body,
    kinds: joined(body.kinds, statement.kinds.filter((kind) => kind !== 'unknown')),
    functions: joined(body.functions, statement.functions),
    types: joined(body.types, statement.types),
    operators: joined(body.operators, statement.operators),
  }
}

const exposureOfOne = (statement: StatementReading, names: SessionNames, masks: ColumnMasks): Exposure => {
  const { relations, kinds } = statement
  if (statement.opaque !== undefined || kinds.some((kind) => NOT_MASKABLE.has(kind)) || !isPlain(statement, names)) return refuse('It runs code that may read masked columns.', 'Leave out calls of functions, types and operators that are not built in.')
  const found: Relation[] = []
  for (const ref of relations) {
    const known = names.relation(ref)
    if (known === undefined && ref.defined === undefined) return refuse(`"${shownName(ref)}" is not known, so its rows cannot be masked.`, 'Name a table that exists, with its schema.')
    if (known?.reads === undefined && ref.defined === undefined) return refuse(`It cannot be found out what "${shownName(ref)}" reads, so its rows cannot be masked.`, 'Read the tables themselves.')
    const relation = names.find(ref)
    if (relation !== undefined) found.push(relation)
  }
  if (statement.columns.some(({ name }) => callsFunction(name, found, names))) return refuse('It calls a function in the spelling of a column, and that may read masked columns.', 'Leave out calls of functions that are not built in.')
  // The server names the column that was asked for, whatever the rule puts there.
  if (statement.answers === 'rows' && relations.some((ref) => ref.access === 'write' && names.find(ref)?.rules === true)) return refuse('A rule of the changed table decides what RETURNING gives, so it cannot be masked.', 'Leave out RETURNING.')
  const masked = found.filter((relation) => masks.of(relation).size > 0)
  if (masked.length === 0) return { does: 'show', touched: false, computed: 'passes' }
  if (kinds.includes('copy.out')) return refuse('COPY does not say which column a value is from, so it cannot be masked.', 'Use SELECT.')
  // A plan quotes the statement and counts rows: no value is in it.
  const isHarmless = harmless(statement, names, found, masked, masks)
  if (!exposes(statement, isHarmless)) return { does: 'show', touched: true, computed: 'passes' }
  if (kinds.includes('ddl')) return refuse('It would keep values of masked columns where no mask holds.', 'Name only columns that are not masked.')
  const condition = usedMasked(statement, isHarmless)
  if (condition !== undefined) return refuse(condition, 'Use masked columns as plain outputs only, and conditions, joins, order and written values on other columns.')
  return { does: 'show', touched: true, computed: kinds.includes('explain') ? 'passes' : 'is masked' }
}

const isPlain = (statement: StatementReading, names: SessionNames): boolean =>
  statement.functions.every((ref) => names.function(ref) === 'pure') && statement.types.every((ref) => names.type(ref) === 'pure') && statement.operators.every((ref) => names.operator(ref) === 'pure')

/** `x.name` is a function where the row has no such column. */
const callsFunction = (name: string, relations: readonly Relation[], names: SessionNames): boolean =>
  (names.attribute(name) ?? 'pure') !== 'pure' && (relations.length === 0 || !relations.every((relation) => [...relation.columns.values()].some((column) => column.name === name)))

type IsHarmless = (column: ColumnRef) => boolean

/** Whether anything that the statement names can be, or hold, a masked column: what is no column that we know may be a whole row. */
const exposes = (statement: StatementReading, isHarmless: IsHarmless): boolean => (statement.renames !== false && statement.columns.length > 0) || statement.columns.some((column) => !isHarmless(column))

const harmless = ({ aliases }: StatementReading, names: SessionNames, all: readonly Relation[], masked: readonly Relation[], masks: ColumnMasks): IsHarmless => {
  const secret = new Set(masked.flatMap((relation) => [...masks.of(relation).keys()].flatMap((number) => namesOf(relation, number))))
  const known = new Set(all.flatMap((relation) => [...relation.columns.values()].map(({ name }) => name)))
  const has = (relation: { readonly schema?: string; readonly name: string }, column: string): boolean => [...(names.find(relation)?.columns.values() ?? [])].some(({ name }) => name === column)
  const isRow = aliases === undefined ? () => true : rowTest(aliases, has)
  return (column) => column.name !== '*' && !secret.has(column.name) && (SYSTEM_COLUMNS.has(column.name) || known.has(column.name)) && !isRow(column)
}

const namesOf = (relation: Relation, number: number): readonly string[] => {
  const column = relation.columns.get(number)
  return column === undefined ? [] : [column.name, ...column.former]
}

/** Why it is refused, where something masked decides more than a value that is shown. */
const usedMasked = (statement: StatementReading, isHarmless: IsHarmless): string | undefined => {
  const used = statement.used ?? statement.columns
  const first = used.find((column) => !isHarmless(column))
  if (first !== undefined) return `The masked column "${first.name.slice(0, 64)}" may not decide which rows come, in which order, or what is written.`
  if (used.length > 0 && (statement.labels !== false || statement.renames !== false)) return 'Names that a sub-select or an alias gives to columns hide which of them decide about rows, and some are masked.'
  return undefined
}

const shownName = ({ schema, name }: RelationRef): string => (schema === undefined ? name : `${schema}.${name}`).slice(0, 130)

const refuse = (because: string, instead: string): Exposure => ({ does: 'refuse', because, instead })
