import type { FunctionNature } from '../sql/names.ts'

const GRAVITY: Readonly<Record<FunctionNature, number>> = { pure: 0, lock: 1, listen: 2, volatile: 3, session: 4, server: 5, text: 6 }

export const graver = (a: FunctionNature, b: FunctionNature): FunctionNature => (GRAVITY[a] >= GRAVITY[b] ? a : b)

/** Functions of well-known extensions that run SQL which they are given, though some call themselves stable. */
const RUNS_TEXT = /^(?:dblink\w*|crosstab\w*|connectby|xpath_table|query_to_\w+|cursor_to_\w+|table_to_\w+|schema_to_\w+|database_to_\w+|plv8\w*|execute_\w+|run_command\w*)$/

/** Functions of well-known extensions that read past tables: pages, logs, other people's statements. */
const READS_PAST = /^(?:get_raw_page|heap_page\w*|bt_page\w*|brin_\w+|gin_\w*page\w*|gist_\w*page\w*|hash_\w*page\w*|pg_stat_statements\w*|pg_show_plans\w*|pg_file_\w+|pg_logdir_ls|pg_get_wal_\w+)$/

export interface FunctionRow {
  readonly name: string
  readonly volatility: string
  readonly language: string
}

/**
 * What a function that is not built in may do. Only compiled code that says it is immutable or stable is believed: it takes a superuser to install it.
 * A function in SQL or in a procedural language is not, whatever it says: the server lets a stable function call a volatile one,
 * and it reads tables that no statement names.
 */
export const natureOf = ({ name, volatility, language }: FunctionRow): FunctionNature => {
  if (RUNS_TEXT.test(name)) return 'text'
  if (READS_PAST.test(name)) return 'server'
  return (language === 'internal' || language === 'c') && (volatility === 'i' || volatility === 's') ? 'pure' : 'volatile'
}
