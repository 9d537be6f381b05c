import { defined } from '../../../lib/defined.ts'
import type { Impact } from '../../../model/action.ts'
import type { Drift } from '../../../model/decision.ts'
import type { StatementReading } from '../sql/reading.ts'
import type { Ask } from './ask.ts'
import { identifier, literal } from './quoting.ts'
import type { SessionNames } from './session-names.ts'

export interface EstimateOptions {
  /** On a connection of our own with the session's role and database, outside of any transaction: an error here must not end the client's. */
  readonly ask: Ask
  readonly names: SessionNames
  /** What the session reads values by. */
  readonly settings: Readonly<Record<string, string>>
  /** What the values of `$1`, `$2` … are as text, where they are bound. `undefined` as one of them: it is not known as text (binary format). */
  readonly parameters: readonly (string | null | undefined)[]
  /** Their types as declared; 0 or absent where the server finds out. */
  readonly types: readonly number[]
  /** For each of the two questions, at the server. */
  readonly budgetMs: number
  /** Rows are counted one by one up to this number. */
  readonly countUpTo: number
}

export type Numbers = Pick<Impact, 'estimatedRows' | 'exactRows' | 'notes'>

const PREPARED = '"countersign estimate"'
/** Statements whose plan can be asked for. */
const PLANNED = new Set(['select', 'insert', 'update', 'delete', 'merge'])

/**
 * How many rows a statement is about: the planner's estimate, and for a plain UPDATE or DELETE a count. Never runs the statement, and never rejects:
 * what could not be found out is left away, with a note.
 *
 * The planner runs functions that say they are immutable or stable. So nothing is asked about a statement that calls one that we do not trust,
 * nor about temporary tables: another connection does not see them. What the session's own open transaction has changed is not seen either.
 */
export const estimate = async (statement: StatementReading, options: EstimateOptions): Promise<Numbers> => {
  const why = unaskable(statement, options)
  const firing = statement.relations.some((ref) => ref.access === 'write' && options.names.find(ref)?.fires === true) ? ['Triggers or rules of the changed table run as well: they may change more.'] : []
  if (why !== undefined) return { notes: [...firing, why] }
  const { ask, names, budgetMs } = options
  try {
    await ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await ask(`SET LOCAL statement_timeout = ${Math.max(1, Math.trunc(budgetMs))}`)
    await ask(`SET LOCAL lock_timeout = ${Math.max(1, Math.trunc(budgetMs / 4))}`)
    await ask(`SET LOCAL search_path = ${names.path.filter((schema) => !schema.startsWith('pg_temp')).map(identifier).join(', ') || "''"}`)
    for (const [name, value] of Object.entries(options.settings)) await ask(`SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`)
    return await numbersOf(statement, options, firing)
  } catch {
    return { notes: [...firing, 'The database gave no estimate.'] }
  } finally {
    await ask('ROLLBACK').catch(() => undefined)
    if (statement.parameters > 0) await ask(`DEALLOCATE ${PREPARED}`).catch(() => undefined)
  }
}

const unaskable = ({ kinds, control, opaque, functions, types, operators, relations, parameters }: StatementReading, { names, ...bound }: EstimateOptions): string | undefined => {
  if (control !== undefined || opaque !== undefined || kinds.length === 0 || !kinds.every((kind) => PLANNED.has(kind))) return 'The planner has no estimate for statements of this kind.'
  const trusted = functions.every((ref) => names.function(ref) === 'pure') && types.every((ref) => names.type(ref) === 'pure') && operators.every((ref) => names.operator(ref) === 'pure')
  const tables = relations.map((ref) => names.relation(ref))
  if (!trusted || tables.some((table) => table === undefined || table.reads === undefined || (table.runs ?? 'pure') !== 'pure')) return 'No estimate: the statement calls what the planner might run.'
  if (tables.some((table) => table?.kind === 'temporary')) return 'No estimate for temporary tables.'
  if (parameters > 0 && (bound.parameters.length < parameters || bound.parameters.includes(undefined))) return 'No estimate: the values are bound in binary format.'
  return undefined
}

const numbersOf = async (statement: StatementReading, options: EstimateOptions, notes: readonly string[]): Promise<Numbers> => {
  const { ask } = options
  const plan = await ask(await planned(statement.text, statement.parameters, 'EXPLAIN (FORMAT JSON, COSTS true, VERBOSE false) ', options))
  const estimatedRows = rowsIn(JSON.parse(plan[0]?.[0] ?? 'null'))
  const { changes } = statement
  if (changes === undefined) return { ...defined({ estimatedRows }), notes }
  return { ...defined({ estimatedRows }), ...(await counted(changes, statement.parameters, options, notes)) }
}

/** The text itself, or where it has parameters, EXECUTE with their values: the server reads them as the types that it found. */
const planned = async (sql: string, parameters: number, prefix: string, { ask, types, ...bound }: EstimateOptions): Promise<string> => {
  if (parameters === 0) return prefix + sql
  const names = types.slice(0, parameters).map((type) => TYPE_NAMES.get(type))
  const declared = names.length === parameters && !names.includes(undefined) ? `(${names.map((name) => `pg_catalog.${name}`).join(', ')})` : ''
  await ask(`PREPARE ${PREPARED}${declared} AS ${sql}`)
  const values = bound.parameters.slice(0, parameters).map((value) => (value === null || value === undefined ? 'NULL' : literal(value)))
  return `${prefix}EXECUTE ${PREPARED}(${values.join(', ')})`
}

/** Types that drivers declare; others are left to the server. */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([[16, 'bool'], [20, 'int8'], [21, 'int2'], [23, 'int4'], [25, 'text'], [700, 'float4'], [701, 'float8'], [1043, 'varchar'], [1082, 'date'], [1114, 'timestamp'], [1184, 'timestamptz'], [1700, 'numeric'], [2950, 'uuid']])

type Changes = NonNullable<StatementReading['changes']>

const counted = async ({ relation, only, alias, where }: Changes, parameters: number, options: EstimateOptions, notes: readonly string[]): Promise<Omit<Numbers, 'estimatedRows'>> => {
  const { ask, countUpTo } = options
  const table = `${only === true ? 'ONLY ' : ''}${relation.schema === undefined ? '' : `${identifier(relation.schema)}.`}${identifier(relation.name)}`
  const rows = `SELECT 1 FROM ${table}${alias === undefined ? '' : ` AS ${identifier(alias)}`}${where === undefined ? '' : ` WHERE (${where}\n)`} LIMIT ${countUpTo + 1}`
  const used = where === undefined ? 0 : parameters
  if (used > 0) await ask(`DEALLOCATE ${PREPARED}`)
  try {
    const count = await ask(await planned(`SELECT pg_catalog.count(*) FROM (${rows}) AS counted${typed(where ?? '', used)}`, used, '', options))
    const exactRows = Number(count[0]?.[0])
    return exactRows > countUpTo ? { notes: [...notes, `More than ${countUpTo} rows match.`] } : { exactRows, notes }
  } catch {
    return { notes: [...notes, 'Rows could not be counted in time.'] }
  }
}

/** Values of SET are not in the condition: the server wants to know the type of every parameter, so these get one. */
const typed = (where: string, parameters: number): string => {
  const unused = Array.from({ length: parameters }, (_, at) => at + 1).filter((number) => !new RegExp(`\\$${number}(?!\\d)`).test(where))
  return unused.length === 0 ? '' : ` WHERE ${unused.map((number) => `($${number}::pg_catalog.text IS NULL) IS NOT NULL`).join(' AND ')}`
}

interface PlanNode {
  readonly 'Node Type'?: unknown
  readonly 'Plan Rows'?: unknown
  readonly 'Parent Relationship'?: unknown
  readonly Plans?: readonly PlanNode[]
}

/** Of the changes in a plan the sum of what goes into them; without any, what the top gives. */
const rowsIn = (explained: unknown): number | undefined => {
  const tops = ((explained ?? []) as readonly { readonly Plan?: PlanNode }[]).flatMap(({ Plan }) => (Plan === undefined ? [] : [Plan]))
  const changes = tops.flatMap(nodesOf).filter((node) => node['Node Type'] === 'ModifyTable')
  const inputs = changes.flatMap((node) => node.Plans ?? []).filter((node) => node['Parent Relationship'] === 'Outer' || node['Parent Relationship'] === 'Member')
  const rows = changes.length === 0 ? tops[0]?.['Plan Rows'] : inputs.reduce((sum, node) => sum + Number(node['Plan Rows']), 0)
  return typeof rows === 'number' && Number.isFinite(rows) ? rows : undefined
}

const nodesOf = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

/** What the approvers were shown of one statement, and what it would be now. */
export interface Counted {
  readonly then: Numbers | undefined
  readonly now: Numbers
  /** It changes rows: without a number nobody can say that they are no more than then. */
  readonly changes: boolean
}

/**
 * Whether statements would now be about more rows than the approvers were shown, beyond what the rule allows: so many times as many for each of them, so
 * many more for all. A count is compared with a count, an estimate with an estimate. Fewer rows are no drift, and make no room for others. Where there was
 * a number and now there is none, it has drifted; where there was none for a change, nobody knows.
 */
export const drifted = (all: readonly Counted[], bound: Drift): boolean => {
  let more = 0
  for (const { then, now, changes } of all) {
    const kind = then?.exactRows !== undefined ? 'exactRows' : 'estimatedRows'
    const [before, after] = [then?.[kind], now[kind]]
    if (before === undefined && !changes) continue
    if (before === undefined || after === undefined || (bound.factor !== undefined && after > before * bound.factor)) return true
    more += Math.max(0, after - before)
  }
  return bound.rows !== undefined && more > bound.rows
}
