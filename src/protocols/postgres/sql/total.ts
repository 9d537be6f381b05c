import { builtinFunction } from './builtins.ts'

/*
 * What can be done to a value without telling anything about it but by its result: it never fails, whatever the value, it gives exactly one
 * result, and it takes no time worth measuring. All else tells: `1 / (ssn LIKE '1%')::int` by failing, `regexp_matches(ssn, '^1')` by the number
 * of rows.
 */

const functions: ReadonlySet<string> = new Set(
  `array_agg btrim char_length character_length concat concat_ws count first_value initcap json_agg json_build_array jsonb_agg jsonb_build_array
  lag last_value lead left length lower ltrim max md5 min octet_length reverse right row_to_json rtrim string_agg to_json to_jsonb upper`.split(/\s+/),
)

const operators: ReadonlySet<string> = new Set(['||', '->', '->>', '#>', '#>>', '=', '<>', '<', '<=', '>', '>='])

/** Any value can be written as text. */
const types: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name'])

/** Nodes that hand their parts on, or compare them. What a CASE asks is not among them: it chooses what is computed. */
const nodes: ReadonlySet<string> = new Set([
  'ResTarget', 'List', 'RowExpr', 'A_ArrayExpr', 'CoalesceExpr', 'MinMaxExpr', 'CollateClause', 'NullTest', 'BooleanTest', 'CommonTableExpr', 'NamedArgExpr',
  'ReturningClause', 'A_Indices', 'A_Const', 'ParamRef', 'SQLValueFunction', 'SetToDefault', 'A_Star', 'String',
])

type Fields = Readonly<Record<string, unknown>>

const names = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map((node: { readonly String?: { readonly sval?: string } }) => node.String?.sval ?? '') : [])

/** Names of the server's own, which stand alone or behind `pg_catalog`. */
const isOne = (value: unknown, of: ReadonlySet<string>): boolean => {
  const [name = '', schema = 'pg_catalog', ...more] = names(value).toReversed()
  return schema === 'pg_catalog' && more.length === 0 && of.has(name)
}

/** `(tags).unnest` calls a function. */
const callsOther = (step: string): boolean => !functions.has(step) && !types.has(step) && builtinFunction(step) !== undefined

/** Whether a node tells nothing of the values in it. Its parts are asked for themselves. */
export const isTotal = (kind: string, fields: Fields): boolean => {
  switch (kind) {
    case 'FuncCall':
      return isOne(fields['funcname'], functions)
    case 'A_Expr':
      return ['AEXPR_OP', 'AEXPR_DISTINCT', 'AEXPR_NOT_DISTINCT', 'AEXPR_NULLIF'].includes(String(fields['kind'])) && fields['lexpr'] !== undefined && isOne(fields['name'], operators)
    case 'TypeCast': {
      const type = (fields['typeName'] ?? {}) as Fields
      return type['arrayBounds'] === undefined && type['setof'] !== true && isOne(type['names'], types)
    }
    case 'SubLink':
      return fields['operName'] === undefined || isOne(fields['operName'], operators)
    case 'A_Indirection':
      return !names(fields['indirection']).some(callsOther)
    default:
      return nodes.has(kind)
  }
}
