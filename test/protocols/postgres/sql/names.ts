import { builtinFunction, extensionFunction, isBuiltinOperator } from '../../../../src/protocols/postgres/sql/builtins.ts'
import type { FunctionNature, KnownRelation, Names } from '../../../../src/protocols/postgres/sql/names.ts'
import type { StatementReading } from '../../../../src/protocols/postgres/sql/reading.ts'

export interface World {
  /** By `name` or `schema.name`. */
  readonly relations?: Readonly<Record<string, KnownRelation>>
  readonly functions?: Readonly<Record<string, FunctionNature>>
  readonly attributes?: Readonly<Record<string, FunctionNature>>
  readonly types?: Readonly<Record<string, FunctionNature>>
  readonly operators?: Readonly<Record<string, FunctionNature>>
  readonly prepared?: Readonly<Record<string, StatementReading>>
  readonly cursors?: Readonly<Record<string, StatementReading>>
}

const spelled = ({ schema, name }: { readonly schema?: string; readonly name: string }): string => (schema === undefined ? name : `${schema}.${name}`)

/** Names of a made-up catalog; what is not in it is not known, but every relation `t` or `users` of `public` is. */
export const namesOf = (world: World = {}): Names => ({
  relation(ref) {
    const found = world.relations?.[spelled(ref)]
    if (found !== undefined) return found
    const isPlain = (ref.schema ?? 'public') === 'public' && ['t', 'u', 'users', 'log'].includes(ref.name)
    return isPlain ? { schema: 'public', name: ref.name, oid: 1, kind: 'table', reads: [{ schema: 'public', name: ref.name }] } : undefined
  },
  function(ref) {
    const own = world.functions?.[spelled(ref)]
    const builtin = (ref.schema ?? 'pg_catalog') !== 'pg_catalog' ? undefined : ref.harmless ? 'pure' : builtinFunction(ref.name)
    return own ?? builtin ?? extensionFunction(ref.name) ?? 'volatile'
  },
  attribute: (name) => world.attributes?.[name],
  type: (ref) => world.types?.[spelled(ref)] ?? 'volatile',
  operator: (ref) => world.operators?.[spelled(ref)] ?? (ref.schema === undefined && isBuiltinOperator(ref.name) ? 'pure' : 'volatile'),
  prepared: (name) => world.prepared?.[name],
  cursor: (name) => world.cursors?.[name],
})
