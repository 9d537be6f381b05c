import lists from './builtins.json' with { type: 'json' }
import type { FunctionNature } from './names.ts'

const natures: ReadonlyMap<string, FunctionNature> = new Map(
  (['pure', 'volatile', 'session', 'lock', 'listen', 'server', 'text'] as const).flatMap((nature) => lists[nature].split(' ').map((name) => [name, nature] as const)),
)

const operators: ReadonlySet<string> = new Set(lists.operators.split(' '))

const types: ReadonlySet<string> = new Set(lists.types.split(' '))

/** What the functions of `pg_catalog` with this name do: the gravest of them. `undefined`: there is none of this name. */
export const builtinFunction = (name: string): FunctionNature | undefined => natures.get(name)

export const isBuiltinOperator = (name: string): boolean => operators.has(name)

export const isBuiltinType = (name: string): boolean => types.has(name)

/**
 * What functions of well-known extensions do, in whatever schema they live: they run text or leave the database.
 * `undefined`: nothing is known by this name, so the catalog decides.
 */
export const extensionFunction = (name: string): FunctionNature | undefined => {
  if (/^dblink|^crosstab|^connectby$|^xpath_table$|^query_to_|^exec(ute)?_sql$|^http(_|$)/.test(name)) return 'text'
  return /^pg_file_|^pg_logdir_ls$|^pg_read_|^postgres_fdw_disconnect/.test(name) ? 'server' : undefined
}
