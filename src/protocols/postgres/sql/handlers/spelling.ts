import type { Node, RangeVar } from '@pgsql/types'
import { isBuiltinOperator, isBuiltinType } from '../builtins.ts'
import type { ColumnRef, ForeignRef, RelationRef } from '../reading.ts'
import { Unclassified, type Place, type Walk } from '../walk.ts'

/** The text of a `String` node, or nothing for any other. */
export const stringOf = (node: Node | undefined): string | undefined => (node !== undefined && 'String' in node ? (node.String.sval ?? '') : undefined)

/** A dotted name. All of its parts are text. */
export const nameOf = (nodes: readonly Node[] | undefined): readonly string[] =>
  (nodes ?? []).map((node) => {
    const part = stringOf(node)
    if (part === undefined) throw new Unclassified('a part of a name is no text')
    return part
  })

/** The last two parts: a third one can only be the name of this database. */
export const qualified = (parts: readonly string[]): { readonly schema?: string; readonly name: string } => {
  const [name, schema] = parts.toReversed()
  if (name === undefined) throw new Unclassified('a name without parts')
  return schema === undefined ? { name } : { schema, name }
}

export const relationOf = (range: RangeVar, access: RelationRef['access'], defined = false): RelationRef => ({
  ...qualified([range.schemaname, range.relname].filter((part) => part !== undefined)),
  access,
  ...(defined ? { defined } : {}),
})

/** The relation that a statement changes. A common table expression of the same name is no target. `whole`: all its columns are written. */
export const target = (range: RangeVar | undefined, walk: Walk, place: Place, returning: boolean, whole = false): void => {
  if (range === undefined) throw new Unclassified('a change without a relation')
  const written = relationOf(range, place.quiet ? 'read' : 'write')
  walk.found.relation(whole ? { ...written, whole } : written)
  if (returning) walk.found.relation({ ...written, access: 'read' })
  walk.inlined('Alias', range.alias, place)
}

const isConst = (node: Node | undefined): node is { A_Const: NonNullable<Extract<Node, { A_Const: unknown }>['A_Const']> } => node !== undefined && 'A_Const' in node

/** A literal, also under a cast, as the server would show it. */
export const literalOf = (node: Node | undefined): string | undefined => {
  if (node !== undefined && 'TypeCast' in node) return literalOf(node.TypeCast.arg)
  if (!isConst(node) || node.A_Const.isnull === true) return undefined
  const { ival, fval, boolval, sval, bsval } = node.A_Const
  if (sval !== undefined) return sval.sval ?? ''
  if (ival !== undefined) return String(ival.ival ?? 0)
  if (fval !== undefined) return fval.fval ?? ''
  if (boolval !== undefined) return boolval.boolval === true ? 'on' : 'off'
  return bsval?.bsval
}

const orders: readonly string[] = ['>=', '<=']

/** Kinds of `A_Expr` whose name is a word of the grammar, and the operators that they stand for. */
const spelledOut: Readonly<Record<string, readonly string[] | undefined>> = { AEXPR_BETWEEN: orders, AEXPR_NOT_BETWEEN: orders, AEXPR_BETWEEN_SYM: orders, AEXPR_NOT_BETWEEN_SYM: orders }

/** What compares values without a word of it: `USING`, `CASE x WHEN`, `IN (SELECT …)`. */
export const equality = (walk: Walk): void => walk.found.operator({ name: '=' })

export const operator = (parts: readonly Node[] | undefined, walk: Walk, kind = ''): void => {
  if (parts === undefined) return
  const named = spelledOut[kind]
  if (named !== undefined) return named.forEach((name) => walk.found.operator({ name }))
  const ref: ForeignRef = qualified(nameOf(parts))
  if (ref.schema !== 'pg_catalog' || !isBuiltinOperator(ref.name)) walk.found.operator(ref)
}

export const type = (node: unknown, walk: Walk): void => {
  if (node === undefined) return
  const { names, pct_type } = node as { readonly names?: readonly Node[]; readonly pct_type?: boolean }
  const ref: ForeignRef = qualified(nameOf(names))
  if (pct_type === true || (ref.schema ?? 'pg_catalog') !== 'pg_catalog' || !isBuiltinType(ref.name)) walk.found.type(ref)
}

/** `a`, `t.a`, `s.t.*`. */
export const columnOf = (fields: readonly Node[]): ColumnRef => {
  const parts = fields.map((field) => ('A_Star' in field ? '*' : stringOf(field)))
  const name = parts.at(-1)
  if (name === undefined || parts.includes(undefined)) throw new Unclassified('a column without a name')
  return parts.length === 1 ? { name } : { qualifier: parts.slice(0, -1).join('.'), name }
}

/** Columns that are named to be written, and in a USING. */
export const plainColumns = (nodes: readonly Node[] | undefined, walk: Walk): void => {
  for (const node of nodes ?? []) {
    const name = 'ResTarget' in node ? node.ResTarget.name : stringOf(node)
    if (name !== undefined) walk.found.column({ name })
  }
}
