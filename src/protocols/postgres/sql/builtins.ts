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

/**
 * System relations that show more than the catalog: copies of values (the planner's statistics, large objects), the statements of others who come
 * through us, passwords, and files of the server. Nothing can be said about what they read, and they count as functions that reach the server.
 */
const BEYOND =
  /^(?:pg_statistic|pg_statistic_ext_data|pg_stats|pg_stats_ext|pg_stats_ext_exprs|pg_largeobject|pg_stat_activity|pg_stat_statements\w*|pg_show_plans|pg_authid|pg_shadow|pg_user_mapping|pg_user_mappings|_pg_user_mappings|user_mapping_options|pg_subscription|pg_hba_file_rules|pg_ident_file_mappings|pg_file_settings|pg_backend_memory_contexts|pg_shmem_allocations\w*)$/

export const showsMore = (relation: { readonly name: string }): boolean => BEYOND.test(relation.name)
