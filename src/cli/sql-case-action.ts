import { defined } from '../lib/defined.ts'
import { Refusal } from '../model/refusal.ts'
import type { CaseParts } from '../policy/cases.ts'
import { makeSqlAction } from '../protocols/postgres/action.ts'
import { Judge } from '../protocols/postgres/judge.ts'
import type { Bound } from '../protocols/postgres/namespace.ts'
import { builtinFunction, extensionFunction, isBuiltinOperator, showsMore } from '../protocols/postgres/sql/builtins.ts'
import type { Names } from '../protocols/postgres/sql/names.ts'
import type { StatementReading } from '../protocols/postgres/sql/reading.ts'
import { makeReader, type Reader } from '../protocols/postgres/sql/reader.ts'

const SYSTEM: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema'])

/**
 * What names mean where there is no catalog: a relation without a schema is a table of `public` (one of the server's own where it is called so),
 * functions, types and operators are the server's own or may do anything, and nothing has been prepared.
 */
const namesOfNowhere: Names = {
  relation({ schema, name }) {
    const where = schema ?? (name.startsWith('pg_') ? 'pg_catalog' : 'public')
    if (!SYSTEM.has(where)) return { schema: where, name, kind: 'table', reads: [{ schema: where, name }] }
    return { schema: where, name, kind: 'system', ...(showsMore({ name }) ? { reads: undefined, runs: 'server' } : { reads: [{ schema: where, name }] }) }
  },
  function: ({ schema, name, harmless }) => extensionFunction(name) ?? (schema === undefined || schema === 'pg_catalog' ? (harmless ? 'pure' : (builtinFunction(name) ?? 'volatile')) : 'volatile'),
  attribute: () => undefined,
  type: () => 'volatile',
  operator: ({ schema = 'pg_catalog', name }) => (schema === 'pg_catalog' && isBuiltinOperator(name) ? 'pure' : 'volatile'),
  prepared: () => undefined,
  cursor: () => undefined,
}

/** Made when a case first asks: the parser takes a moment to start. */
let reader: Promise<Reader> | undefined

/** The statement of a case as the PostgreSQL listener would read it; a text says why there is nothing to judge. */
export const sqlCaseAction: CaseParts['makeSql'] = async (service, { sql, params, transaction = 'none', estimatedRows }, policies) => {
  const { readLater, outline } = await (reader ??= makeReader())
  const { statements } = await readLater(sql)
  if (statements.length === 0) return 'there is no statement in it'
  const forbidden = statements.find((statement) => statement.forbidden !== undefined)?.forbidden
  if (forbidden !== undefined) return forbidden
  const judge = new Judge({ place: { service, upstream: 'case', database: 'case', role: 'case' }, policies: () => policies, names: namesOfNowhere, columns: columnsNamedIn(statements) })
  try {
    const understood = judge.understand(params === undefined ? 'simple' : 'extended', sql, statements, [])
    return makeSqlAction(understood, { transaction, outline, ...defined({ estimatedRows, bound: params && boundTo(params) }) })
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

/** Columns that a statement names are taken to be there; which others there are, nobody knows. */
const columnsNamedIn = (statements: readonly StatementReading[]): (() => readonly string[] | undefined) => {
  const named = [...new Set(statements.flatMap(({ columns }) => columns.map(({ name }) => name)))]
  return () => (named.includes('*') ? undefined : named)
}

const boundTo = (params: readonly (string | number | boolean | null)[]): Bound => {
  const values = params.map((value) => (value === null ? null : Buffer.from(value === true ? 't' : value === false ? 'f' : String(value))))
  return { formats: [0], values, resultFormats: [], bytes: Buffer.from(JSON.stringify(params)) }
}
