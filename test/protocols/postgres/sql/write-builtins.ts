/**
 * Writes src/protocols/postgres/sql/builtins.json from the catalogs of real servers: the oldest and the newest that we support.
 * Run it by hand when a new PostgreSQL comes out, and read the difference: `node test/protocols/postgres/sql/write-builtins.ts`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FunctionNature } from '../../../../src/protocols/postgres/sql/names.ts'
import { findPostgres, newestPostgres } from '../../../support/postgres-binaries.ts'
import { startPostgres, type TestPostgres } from '../../../support/postgres.ts'

const target = join(import.meta.dirname, '../../../../src/protocols/postgres/sql/builtins.json')

/** By thinking, because the catalog does not say it. The first that fits counts. */
const byName: readonly (readonly [FunctionNature, RegExp])[] = [
  ['text', /_to_xml|^ts_stat$|^ts_rewrite$/],
  ['session', /^set_config$|^pg_export_snapshot$/],
  ['listen', /^pg_notify$/],
  ['lock', /advisory/],
  // Stable views of the server's state that happen to match below.
  ['pure', /^pg_stat_get_(replication_slot|wal|wal_receiver|wal_senders|slru|archiver|db_conflict_logicalslot)$|^pg_wal_lsn_diff$|^pg_get_replication_slots$|^pg_replication_origin_oid$|^pg_get_wal_replay_pause_state$|^pg_is_wal_replay_paused$/],
  ['server', /^pg_(read|ls)_|^pg_stat_file$|^lo_(import|export)$|^pg_sleep|^pg_(terminate|cancel)_backend$|^pg_reload_conf$|^pg_rotate_logfile|^pg_current_logfile$/],
  ['server', /^pg_logical_|slot|^pg_replication_|replication_origin|^pg_switch_wal$|^pg_promote$|^pg_(backup|start|stop)_|^pg_create_restore_point$|^pg_wal_|^pg_get_wal_|^pg_log_/],
  // The statements of others.
  ['server', /^pg_stat_get_(activity|backend_activity)$/],
  ['server', /^pg_(hba_file_rules|ident_file_mappings|show_all_file_settings)$|^pg_control_|^binary_upgrade_|^pg_stat_reset|^pg_import_system_collations$|^pg_nextoid$|^pg_extension_config_dump$|^pg_get_(shmem|backend_memory|process_memory|dsm)|^pg_.*numa/],
  // Input by the oid or the name of a type: a domain runs the functions of its checks.
  ['volatile', /^(domain|record|array|range|multirange|anyarray)_(in|recv)$|_populate_record(set|_valid)?$|^pg_input_|_validator$|_handler$|^amvalidate$/],
  // Reads and writes of large objects go past all tables.
  ['volatile', /^lo_|^lo(read|write)$|^setseed$|^nextval$|^setval$/],
]

/** Volatile for the planner only: they answer something else each time, and do nothing. */
const harmless = new Set(
  `random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday current_query currval lastval pg_sequence_last_value pg_get_sequence_data
  pg_partition_tree pg_partition_ancestors pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size pg_database_size pg_tablespace_size
  pg_is_in_recovery pg_blocking_pids pg_safe_snapshot_blocking_pids pg_lock_status pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn
  pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_last_committed_xact pg_xact_commit_timestamp pg_xact_commit_timestamp_origin
  pg_xact_status txid_status pg_prepared_xact pg_notification_queue_usage pg_jit_available pg_collation_actual_version pg_database_collation_actual_version
  pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time
  pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
  pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_returned
  pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_get_multixact_members bernoulli system array_sample array_shuffle
  pg_get_wait_events pg_stat_get_io pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_recovery_prefetch`.split(/\s+/),
)

/** Words of the newest grammar that stand for no function there. */
const words = 'json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value merge_action'.split(' ')

interface Row {
  readonly name: string
  /** No overload may do anything, by what the catalog says. */
  readonly stable: boolean
}

const functions = `select proname as name, bool_and(provolatile in ('i', 's') and lanname in ('internal', 'c', 'sql') and prokind <> 'p') as stable
  from pg_proc join pg_language on pg_language.oid = prolang where pronamespace = 'pg_catalog'::regnamespace group by proname`
const operators = `select distinct oprname as name from pg_operator where oprnamespace = 'pg_catalog'::regnamespace`
const types = `select typname as name from pg_type where typnamespace = 'pg_catalog'::regnamespace`

const natureOf = ({ name, stable }: Row): FunctionNature => byName.find(([, pattern]) => pattern.test(name))?.[0] ?? (stable || harmless.has(name) ? 'pure' : 'volatile')

const names = async (server: TestPostgres, query: string): Promise<readonly string[]> => (await server.query<{ readonly name: string }>(query)).map(({ name }) => name)

export const builtins = async (): Promise<string> => {
  const found = { pure: new Set<string>(), volatile: new Set<string>(), session: new Set<string>(), lock: new Set<string>(), listen: new Set<string>(), server: new Set<string>(), text: new Set<string>() }
  const [operatorNames, typeNames] = [new Set<string>(), new Set<string>()]
  for (const binaries of [findPostgres(), newestPostgres()]) {
    if (binaries === undefined) throw new Error('this needs the oldest and the newest PostgreSQL')
    await using server = await startPostgres({ binaries })
    for (const row of await server.query<Row & Record<string, unknown>>(functions)) found[natureOf(row)].add(row.name)
    for (const name of await names(server, operators)) operatorNames.add(name)
    for (const name of await names(server, types)) typeNames.add(name)
  }
  for (const word of words) found.pure.add(word)
  // What the servers do not agree on is not pure.
  for (const nature of ['volatile', 'session', 'lock', 'listen', 'server', 'text'] as const) for (const name of found[nature]) found.pure.delete(name)
  const lists = { ...found, operators: operatorNames, types: typeNames }
  return `${JSON.stringify(Object.fromEntries(Object.entries(lists).map(([list, entries]) => [list, [...entries].sort().join(' ')])), undefined, 1)}\n`
}

if (import.meta.main) writeFileSync(target, await builtins())
