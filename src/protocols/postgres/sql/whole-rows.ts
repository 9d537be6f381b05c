import type { Alias, ColumnRef } from './reading.ts'

/** Functions of the server that take any row: `u.to_json` calls one. */
const rowFunctions: ReadonlySet<string> = new Set(
  `array_to_json concat hash_record hash_record_extended json_build_array json_build_object jsonb_build_array jsonb_build_object num_nonnulls num_nulls pg_column_compression
  pg_column_size pg_column_toast_chunk_id pg_typeof quote_literal quote_nullable record_out record_send row_to_json to_json to_jsonb`.split(/\s+/),
)

/**
 * Whether a name in the place of a column can be a whole row, or a function that is given one, although some table has a column of this name:
 * `SELECT note::text FROM users note WHERE EXISTS (SELECT FROM orders)`, where only `orders` has a column `note`.
 * `has`: whether a relation is known, and has the column.
 */
export const rowTest = (aliases: readonly Alias[], has: (relation: NonNullable<Alias['relation']>, column: string) => boolean): ((column: ColumnRef) => boolean) => {
  const byName = new Map<string, Alias[]>()
  for (const alias of aliases) {
    const same = byName.get(alias.name)
    if (same === undefined) byName.set(alias.name, [alias])
    else same.push(alias)
  }
  const mayLack = (of: readonly Alias[], name: string): boolean => of.some(({ relation }) => relation === undefined || !has(relation, name))
  return ({ qualifier, name }) => {
    if (qualifier === undefined) return mayLack(byName.get(name) ?? [], name)
    if (!rowFunctions.has(name)) return false
    const meant = byName.get(qualifier.slice(qualifier.lastIndexOf('.') + 1))
    return meant === undefined || mayLack(meant, name)
  }
}
